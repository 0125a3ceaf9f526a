"""Whoever looks never blocks or kills a campaign, however long; who locks it is waited for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from results_db import database
from results_db import writer as writer_module
from results_db.errors import DatabaseUnreachable
from results_db.records import NewTrial
from results_db.store import Store
from results_db.writer import Writer
from search_space.trial import Measurement, Progress

NewTrialFactory = Callable[[int], NewTrial]

LOOK = """
import os, signal, sys
from sqlalchemy import text
from results_db.store import Store
with Store.read(sys.argv[1]) as store, store._database.transaction() as session:
    rows = session.execute(text("SELECT * FROM trials"), execution_options={"yield_per": 1})
    print(rows.fetchone() is not None, flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
    print(len(rows.fetchall()), flush=True)
"""


def work(writer: Writer, new_trial: NewTrialFactory, first: int, last: int) -> None:
    for number in range(first, last + 1):
        writer.reserve(new_trial(number), "")
        writer.observe(number, 1, Progress(step=1, metrics={"AP": 0.1}))
        writer.finish(number, 1, Measurement(step=2, metrics={"AP": 0.5}), 0.5)


def test_a_look_that_takes_long_sees_one_moment_and_hinders_nobody(
    store: Store, writer: Writer, address: str, new_trial: NewTrialFactory
) -> None:
    work(writer, new_trial, 1, 3)
    with Store.read(address) as reader, reader._database.transaction() as session:
        rows = session.execute(text("SELECT number FROM trials"), execution_options={"yield_per": 1})
        assert rows.fetchone() is not None
        work(writer, new_trial, 4, 40)
        assert len(rows.fetchall()) == 2
        assert session.scalar(text("SELECT count(*) FROM metrics")) == 6
        assert len(store.trials("alpha")) == 40


def test_a_reader_that_is_stopped_hinders_nobody(
    store: Store, writer: Writer, address: str, new_trial: NewTrialFactory
) -> None:
    work(writer, new_trial, 1, 3)
    with subprocess.Popen(
        [sys.executable, "-c", LOOK, address], stdout=subprocess.PIPE, text=True
    ) as process:
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        work(writer, new_trial, 4, 40)
        store.rescore("alpha", "again", {"metric": "AP"}, {1: 0.5})
        process.send_signal(signal.SIGCONT)
        assert process.communicate()[0] == "True\n2\n"


def test_many_may_look_at_once(writer: Writer, address: str, new_trial: NewTrialFactory) -> None:
    stop, seen = threading.Event(), []

    def look() -> None:
        with Store.read(address) as reader:
            while not stop.is_set():
                trials, order = reader.trials("alpha"), len(reader.rewards("alpha"))
                assert order >= sum(trial.reward is not None for trial in trials)
                seen.append(len(trials))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    work(writer, new_trial, 1, 60)
    stop.set()
    for thread in threads:
        thread.join()
    assert seen


@pytest.fixture
def locked(address: str, engine: Any) -> Any:
    """A connection that keeps everybody from writing until it is rolled back."""
    other = create_engine(address)
    connection = other.connect()
    lock = "BEGIN IMMEDIATE" if engine.name == "sqlite" else "LOCK TABLE campaigns IN ACCESS EXCLUSIVE MODE"
    connection.exec_driver_sql(lock)
    yield connection
    connection.close()
    other.dispose()


def test_who_holds_it_locked_is_waited_for(
    address: str, new_trial: NewTrialFactory, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 1.0)  # less, and a busy machine is slower than it
    with Store.open(address) as store:
        writer = store.take("alpha")
        lock = request.getfixturevalue("locked")
        threading.Timer(1.5, lock.connection.dbapi_connection.rollback).start()
        start = time.monotonic()
        work(writer, new_trial, 1, 1)
        assert time.monotonic() - start > 1.0  # it did wait
        assert store.rewards("alpha") == (0.5,)


def test_not_for_ever(
    address: str, new_trial: NewTrialFactory, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 1.0)
    monkeypatch.setattr(writer_module, "PATIENCE_SECONDS", 0.5)
    with Store.open(address) as store:
        writer = store.take("alpha")
        request.getfixturevalue("locked")
        with pytest.raises(DatabaseUnreachable, match="another process holds it locked; asked again for"):
            work(writer, new_trial, 1, 1)
