"""The password of a database's address is nowhere to be found, whatever happens."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nas.redaction import one_line, without_passwords

Nas = Callable[..., Any]
Written = Callable[..., Path]

SECRET = "hunter2"  # noqa: S105 - the password of nobody


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("postgresql+psycopg://me:hunter2@host:5432/db", "postgresql+psycopg://me:***@host:5432/db"),
        ("at 'postgresql://me:hunter2@host/db': no", "at 'postgresql://me:***@host/db': no"),
        ("postgresql://me:hunt@er2:hunter2@host/db", "postgresql://me:***@host/db"),
        ("postgresql://:hunter2@host", "postgresql://:***@host"),
        ("no campaign 'postgresql:/me:hunter2@host/db'", "no campaign 'postgresql:/me:***@host/db'"),
        ("postgresql:///me:hunter2@host", "postgresql:///me:***@host"),
        ("'postgresql://me:hunt'er2@host/db'", "'postgresql://me:***@host/db'"),
        ("'postgresql://me:hun ter2@host/db': no", "'postgresql://me:***@host/db': no"),
        ("postgresql://me:h@u nt/er2@host/db", "postgresql://me:***@host/db"),
        ("x://h/db?user=me&password=hunter2&b=1", "x://h/db?user=me&password=***&b=1"),
        ("host=h password=hunter2 dbname=d", "host=h password=*** dbname=d"),
        ("http://host:80/path and me@here", "http://host:80/path and me@here"),
        ("trial 3: loss=2", "trial 3: loss=2"),
    ],
)
def test_what_is_taken_out(text: str, left: str) -> None:
    assert without_passwords(text) == left


def test_a_line_that_plays_with_no_terminal() -> None:
    assert one_line("a\x1b[2Jb\n  c\ud800\x07") == "a?[2Jb c??"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where the details of unexpected errors go."""
    path = tmp_path / "details"
    path.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    return path


def _everywhere(*places: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for place in places for file in place.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    "database",
    [
        "postgresql+psycopg://me:hunter2@127.0.0.1:1/db",
        "postgresql+psycopg://127.0.0.1:1/db?user=me&password=hunter2",
        "postgresql+psycopg://me:hunter2@127.0.0.1:port/db",
        "postgresql+psycopg://me:hun@ter:hunter2@127.0.0.1:1/db",
        "postgresql+psycopg://me:hun hunter2 ter@127.0.0.1:port/db",
        "postgresql+psycopg://me:hunter2@127.0.0.1:1/db?connect_timeout=soon",
        "postgresql+nosuchdriver://me:hunter2@host/db",
        "nosuchdb://me:hunter2@host/db",
        "sqlite://me:hunter2@/",
        "sqlite://me:hunter2@/x?mode=ro",
        {"url": "postgresql://me:hunter2@host/db"},
        ["postgresql://me:hunter2@host/db"],
    ],
    ids=str,
)
def test_an_address_that_does_not_work(
    nas: Nas, home: Path, written: Written, told: Path, database: Any
) -> None:
    ended = nas("run", written({"database": database}))

    assert ended.code == 2, ended
    assert ended.err.count("\n") == 1
    assert SECRET not in ended.out + ended.err
    assert not [file for file, content in _everywhere(home, told).items() if SECRET.encode() in content]


def test_an_unexpected_error_about_an_address(nas: Nas, told: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Path) -> None:
        raise AttributeError("cannot use postgresql://me:hunter2@host/db")

    monkeypatch.setattr("nas.config.load", broken)

    ended = nas("run", "any.yaml")

    assert ended.code == 1
    (details,) = _everywhere(told).values()
    assert b"postgresql://me:***@host/db" in details
    assert SECRET.encode() not in details
