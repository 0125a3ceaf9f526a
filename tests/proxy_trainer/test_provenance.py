"""Where a measurement says it comes from."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import nas
from proxy_trainer import provenance


@pytest.fixture(autouse=True)
def _afresh() -> None:
    provenance.code_version.cache_clear()


def test_without_a_checkout_it_is_the_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    assert provenance.code_version() == nas.__version__


def test_in_a_checkout_the_commit_is_named_and_whether_it_was_changed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def git(*arguments: str) -> str:
        who = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
        command = ["git", "-C", str(tmp_path), *who, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    (tmp_path / "file").write_text("one")
    git("init")
    git("add", "file")
    git("commit", "-m", "first")
    monkeypatch.setattr(provenance, "ROOT", tmp_path)

    clean = provenance.code_version()
    (tmp_path / "file").write_text("two")
    provenance.code_version.cache_clear()

    assert clean == f"{nas.__version__}+g{git('rev-parse', '--short=12', 'HEAD')}"
    dirty = provenance.code_version()
    (tmp_path / "file").write_text("three")
    provenance.code_version.cache_clear()
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # as in a container over a mounted checkout
    assert len({dirty, provenance.code_version()}) == 2
    assert dirty.startswith(f"{clean}-dirty.")
    assert provenance.code_version().startswith(f"{clean}-dirty.")
