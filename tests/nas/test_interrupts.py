"""Real signals to real processes: a campaign that is asked to stop gives back what runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from nas.interrupts import Interrupts, TimeUp, heeded
from results_db.records import AttemptRecord, TrialStatus
from results_db.store import Store

Nas = Callable[..., Any]
Written = Callable[..., Path]
Start = Callable[..., subprocess.Popen[str]]

COMMAND: Final = (sys.executable, "-c", "from nas.cli import main; main()")
LONG: Final = {"kind": "synthetic", "seconds": 60, "steps": 0}
"""Trials that tell nothing before their end, so that nobody looks at a flag meanwhile."""
GO_ON: Final = "stopped; go on with: nas resume small\n"


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts the command line in a process group of its own; whatever is left of it is killed."""
    started: list[subprocess.Popen[str]] = []

    def command(*arguments: str | Path, sigint: Any = signal.SIG_DFL) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, sigint),  # noqa: PLW1509 - takes no lock
        )
        started.append(process)
        return process

    yield command
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _url(home: Path) -> str:
    return f"sqlite:///{home / 'small' / 'campaign.sqlite'}"


def _wait_for(home: Path, status: TrialStatus, count: int) -> None:
    for _ in range(1200):
        if (home / "small").exists():
            with Store.read(_url(home)) as store:
                if store.counts("small")[status] >= count:
                    return
        time.sleep(0.05)
    pytest.fail(f"not {count} trials {status} within 60 s")


def _attempts(home: Path) -> tuple[AttemptRecord, ...]:
    with Store.read(_url(home)) as store:
        assert store.fence("small").pid is None, "the lease was not released"
        return store.attempts("small")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_once_gives_back_what_runs(
    nas: Nas, home: Path, written: Written, start: Start, number: signal.Signals
) -> None:
    process = start("run", written({"evaluator": LONG, "budget": {"trials": 2}}))
    _wait_for(home, TrialStatus.RUNNING, 1)
    process.send_signal(number)
    _, said = process.communicate(timeout=30)

    assert (process.returncode, said) == (130, GO_ON)
    (attempt,) = _attempts(home)
    assert attempt.ended is not None
    assert attempt.failure is None
    assert attempt.seconds is not None
    assert attempt.seconds < 50, "the trial was waited for"
    status = json.loads(nas("status", "small", "--json").out)
    assert (status["state"], status["counts"]["proposed"]) == ("stopped", 1)


def test_twice_ends_at_once(home: Path, written: Written, start: Start) -> None:
    """While what is in flight is put away, which takes for ever here: something else holds the database."""
    process = start("run", written({"evaluator": LONG}))
    _wait_for(home, TrialStatus.RUNNING, 1)
    hold = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('BEGIN IMMEDIATE'); print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, str(home / "small" / "campaign.sqlite")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        process.send_signal(signal.SIGINT)
        time.sleep(1)
        assert process.poll() is None, "nothing held it up"
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode == 130
        assert time.monotonic() - began < 10, "SQLite alone would have waited for 30 s"
    finally:
        holder.communicate("")


def test_ended_at_once_loses_no_more_than_the_trials_in_flight(
    nas: Nas, home: Path, written: Written, start: Start
) -> None:
    process = start("run", written({"evaluator": {"kind": "synthetic", "seconds": 0.2}}))
    _wait_for(home, TrialStatus.FINISHED, 2)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)

    assert process.returncode == 130
    assert nas("resume", "small").code == 0
    with Store.read(_url(home)) as store:
        assert [trial.status for trial in store.trials("small")] == [TrialStatus.FINISHED] * 8
        assert len(store.attempts("small")) <= 9


def test_a_signal_that_was_turned_off_stays_off(home: Path, written: Written, start: Start) -> None:
    """As a shell does to its background jobs: Ctrl-C is meant for somebody else then."""
    quick = {"kind": "synthetic", "seconds": 0.1}
    process = start("run", written({"evaluator": quick}), sigint=signal.SIG_IGN)
    _wait_for(home, TrialStatus.FINISHED, 1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)

    assert process.returncode == 0


@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.full)])
def test_ray_gives_back_all_that_its_workers_do(
    nas: Nas, home: Path, written: Written, start: Start, number: signal.Signals
) -> None:
    """To the whole process group, as a terminal and batch systems do: workers die with their driver."""
    process = start("run", written({"runner": {"kind": "ray", "workers": 2}, "evaluator": LONG}))
    _wait_for(home, TrialStatus.RUNNING, 2)
    os.killpg(process.pid, number)
    _, said = process.communicate(timeout=120)

    assert (process.returncode, said) == (130, GO_ON)
    attempts = _attempts(home)
    assert [(each.number, each.attempt) for each in attempts] == [(1, 1), (2, 1)]
    assert all(each.ended and each.failure is None for each in attempts)
    counts = json.loads(nas("status", "small", "--json").out)["counts"]
    assert (counts["proposed"], counts["running"]) == (2, 0)


def test_noted_until_it_is_looked_at() -> None:
    before = signal.getsignal(signal.SIGTERM)  # Ray's, where a test has started it
    with heeded() as interrupts, interrupts.noted():
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupts.asked
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()
        with pytest.raises(KeyboardInterrupt), interrupts.raising(within=60):
            pytest.fail("begun although it was asked to stop")
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.fixture
def heard() -> Iterator[None]:
    """Whoever started the tests may have turned Ctrl-C off, as shells do for what runs in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
def test_raised_wherever_it_finds_the_process() -> None:
    def interrupted() -> None:
        with heeded() as interrupts, interrupts.noted(), interrupts.raising(within=60):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(60)

    with pytest.raises(KeyboardInterrupt):
        interrupted()


def test_the_end_of_the_time_breaks_off_a_sleep_and_asks_for_nothing() -> None:
    with heeded() as interrupts, interrupts.noted():
        with pytest.raises(TimeUp), interrupts.raising(within=0.05):
            time.sleep(60)
        with interrupts.raising(within=0.05):
            pass
        time.sleep(0.2)  # an alarm of what has ended rings no more
        assert not interrupts.asked


def test_taken_back_from_whoever_took_it() -> None:
    with heeded() as interrupts:
        signal.signal(signal.SIGTERM, lambda *_: None)
        interrupts.check()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)


def test_without_handlers_nobody_is_harmed() -> None:
    with Interrupts().raising(within=0.01):
        time.sleep(0.1)
