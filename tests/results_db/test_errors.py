"""What can go wrong with a database comes as one typed line."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from results_db import database
from results_db.errors import (
    CampaignExists,
    DiskFull,
    IllegalTransition,
    NoDatabase,
    StorageError,
    UnknownCampaign,
    UnknownTrial,
)
from results_db.records import NewCampaign, NewTrial
from results_db.store import Store
from search_space.trial import Measurement

SQLITE = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@contextmanager
def nobody() -> Iterator[None]:
    """Root may read everything, so act as somebody who may not."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("hallo", "database URL: cannot be read, expected like 'sqlite:///folder/file.sqlite'"),
        ("sqlite://", "in memory nothing survives"),
        ("sqlite:///:memory:", "in memory nothing survives"),
        ("sqlite:///campaigns/what?.sqlite", "a path with '?' in it"),
        ("nosuchdb://me:secret@host/db", "nosuchdb://me:***@host/db: no such kind of database here"),
        ("oracle://me:secret@host/db", "oracle://me:***@host/db: no such kind of database here"),
        ("postgresql://me:secret@127.0.0.1:1/db", "postgresql://me:***@127.0.0.1:1/db: connection failed"),
    ],
)
@pytest.mark.parametrize("access", [Store.create, Store.open, Store.read])
def test_a_bad_address_is_one_line_without_the_password(
    url: str, message: str, access: Callable[[str], Store]
) -> None:
    with pytest.raises(StorageError) as caught:
        access(url)
    line = str(caught.value)
    assert message in line
    assert "secret" not in line
    assert "\n" not in line


@pytest.mark.parametrize("access", [Store.create, Store.open, Store.read])
def test_a_place_that_cannot_be_opened_is_one_line(tmp_path: Path, access: Callable[[str], Store]) -> None:
    (tmp_path / "file").touch()
    for place, message in (
        ("", "Is a directory"),
        ("no/such/file.sqlite", f"there is no folder {tmp_path}/no/such"),
        ("file/inside.sqlite", f"there is no folder {tmp_path}/file"),
    ):
        with pytest.raises(NoDatabase) as caught:
            access(f"sqlite:///{tmp_path}/{place}")
        assert message in str(caught.value)


@pytest.mark.parametrize("access", [Store.create, Store.open, Store.read])
def test_an_unreadable_folder_is_one_line(tmp_path: Path, access: Callable[[str], Store]) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    Store.create(f"sqlite:///{folder}/campaign.sqlite").close()
    folder.chmod(0o000)
    try:
        with nobody(), pytest.raises(NoDatabase, match="Permission denied"):
            access(f"sqlite:///{folder}/campaign.sqlite")
    finally:
        folder.chmod(0o700)


def test_a_reader_cannot_write_and_a_writer_says_so(store: Store, address: str) -> None:
    with Store.read(address) as reader, pytest.raises(StorageError, match=r"read-?only"):
        reader.add(NewCampaign(name="beta", seed=0, config={}, config_hash="", code_version=""))
    with Store.read(address) as reader, pytest.raises(StorageError, match=r"read-?only"):
        reader.take("alpha")
    assert [campaign.name for campaign in store.campaigns()] == ["alpha"]


@SQLITE
def test_a_full_disk_loses_nothing_that_was_stored(
    store: Store, new_trial: Callable[[int], NewTrial]
) -> None:
    writer = store.take("alpha")
    writer.reserve(new_trial(1), "")
    with store._database.engine.connect() as connection:  # the one connection of this pool
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
        connection.execute(text(f"PRAGMA max_page_count = {pages}"))
    many = {f"metric {index}": 0.5 for index in range(1000)}
    with pytest.raises(DiskFull, match="the disk is full; make room and resume") as caught:
        writer.finish(1, 1, Measurement(step=1, metrics=many), 0.5)
    assert "\n" not in str(caught.value)
    assert store.trial("alpha", 1).reward is None
    assert store.metrics("alpha", 1) == ()
    with store._database.engine.connect() as connection:
        connection.execute(text("PRAGMA max_page_count = 100000"))
    assert writer.finish(1, 1, Measurement(step=1, metrics=many), 0.5).finish_order == 1
    assert len(store.metrics("alpha", 1)) == 1000


@SQLITE
def test_a_full_disk_from_the_start(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = database._connect

    def cramped(path: str, access: database.Access) -> sqlite3.Connection:
        connection = connect(path, access)
        connection.execute("PRAGMA max_page_count = 5")
        return connection

    monkeypatch.setattr(database, "_connect", cramped)
    with pytest.raises(DiskFull):
        Store.create(url)
    monkeypatch.undo()
    Store.create(url).close()


@SQLITE
def test_a_damaged_file_is_one_line(store: Store, tmp_path: Path, address: str) -> None:
    store.close()
    path = tmp_path / "campaign.sqlite"
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(StorageError, match="malformed"):
        Store.open(address).campaigns()


def test_names_and_numbers(store: Store, new_trial: Callable[[int], NewTrial]) -> None:
    with pytest.raises(UnknownCampaign, match=r"no campaign 'alfa'; did you mean 'alpha'\?"):
        store.campaign("alfa")
    with pytest.raises(UnknownCampaign, match=r"no campaign 'z'; there is: alpha"):
        store.take("z")
    with pytest.raises(UnknownTrial, match=r"campaign 'alpha': no trial 3"):
        store.trial("alpha", 3)
    with pytest.raises(CampaignExists, match=r"campaign 'alpha': there is one of this name already"):
        store.add(NewCampaign(name="alpha", seed=0, config={}, config_hash="", code_version=""))
    with pytest.raises(UnknownTrial, match=r"trial 9: was never reserved"):
        store.take("alpha").start(9, 1, "")
    with pytest.raises(StorageError, match=r"Out of range float values are not JSON compliant"):
        store.add(
            NewCampaign(name="nan", seed=0, config={"x": float("nan")}, config_hash="", code_version="")
        )
    writer = store.take("alpha")
    writer.reserve(new_trial(1), "")
    with pytest.raises(IllegalTransition, match="cannot end attempt 2, it is running at attempt 1"):
        writer.finish(1, 2, Measurement(step=0, metrics={}), 0.1)
