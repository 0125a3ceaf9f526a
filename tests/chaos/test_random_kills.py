"""Drivers, workers, whole process trees and the database server are struck at random moments; the campaign
comes out whole.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Protocol

import psutil
import pytest

from results_db.errors import StorageError
from results_db.records import TrialStatus
from results_db.store import Store
from search_space.trial import FailureKind

Start = Callable[..., subprocess.Popen[str]]
Sound = Callable[[str, int], None]
Strike = Callable[[subprocess.Popen[str]], None]


class Server(Protocol):
    """The database server of the tests."""

    def new(self) -> str: ...
    def crash(self) -> None: ...
    def start(self) -> None: ...


@pytest.fixture
def database(engine: Server) -> str:
    """The URL of an empty database."""
    return engine.new()


def progress(url: str) -> tuple[int, int]:
    """Trials that were reserved, and of these the ones that finished; none before there is a database."""
    try:
        with Store.read(url) as store:
            counts = store.counts("chaos")
    except StorageError:
        return 0, 0
    return sum(counts.values()), counts.get(TrialStatus.FINISHED, 0)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("engine", "cycles"),
    [
        ("sqlite", 4),
        ("postgresql", 4),
        pytest.param("sqlite", 200, marks=pytest.mark.full),
        pytest.param("postgresql", 50, marks=pytest.mark.full),
    ],
    indirect=["engine"],
)
def test_a_driver_killed_at_random_moments(
    database: str, start: Start, strike: Strike, sound: Sound, cycles: int
) -> None:
    """Now and then while it starts, most times while trials run."""
    trials, rng = 12 * cycles, random.Random(cycles)
    reserved, finished, cycle = 0, 0, 0
    # On a busy machine the last strike may find none running: then there are some more.
    while cycle < cycles or (not finished < reserved and cycle < 2 * cycles):
        cycle += 1
        process = start(database, trials=trials)
        if rng.random() < 0.9:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(rng.uniform(0, 0.4))
        else:
            time.sleep(rng.uniform(0, 1.5))
        strike(process)
        reserved, finished = progress(database)
    output, errors = start(database, trials=trials).communicate()
    assert (output, errors) == ("running\n", "")
    sound(database, trials)
    assert 0 < finished < reserved < trials, "it was killed in the midst of trials"


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("strikes", [2, pytest.param(30, marks=pytest.mark.full)])
def test_a_database_server_crashed_at_random_moments(
    postgres: Server, start: Start, sound: Sound, strikes: int
) -> None:
    """The one driver goes on by itself whenever the server is back."""
    url, trials, rng = postgres.new(), 40 * strikes, random.Random(strikes)
    process = start(url, trials=trials)
    assert process.stdout is not None
    process.stdout.readline()
    for _ in range(strikes):
        time.sleep(rng.uniform(0, 0.6))
        assert process.poll() is None, process.communicate()
        postgres.crash()
        time.sleep(rng.uniform(0, 0.6))
        postgres.start()
    _, said = process.communicate()
    assert process.returncode == 0, said
    assert said.count("asking again for 300 s") >= strikes // 2
    sound(url, trials)


def workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The living worker processes of a campaign that runs on Ray on this machine."""
    found = []
    for each in psutil.Process(process.pid).children(recursive=True):
        try:
            title = " ".join(each.cmdline())
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        if title.startswith("ray::Actor"):
            found.append(each)
    return found


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("kills", "drivers"), [(3, 1), (60, 10)])
def test_workers_killed_at_random_moments_and_drivers_with_them(
    database: str, start: Start, strike: Strike, sound: Sound, kills: int, drivers: int
) -> None:
    """Workers get SIGKILL, one after the other; now and then the driver, Ray and all."""
    trials, rng = 15 * kills, random.Random(kills)
    process = start(database, trials=trials, runner="ray", workers=2, seconds=0.3)
    moments = ["worker"] * kills + ["driver"] * drivers
    rng.shuffle(moments)
    for moment in moments:
        until = progress(database)[1] + rng.randint(1, 4)
        while process.poll() is None and progress(database)[1] < until:
            time.sleep(0.1)
        assert process.poll() is None, process.communicate()
        if moment == "driver":
            strike(process)
            process = start(database, trials=trials, runner="ray", workers=2, seconds=0.3)
        elif alive := workers(process):
            os.kill(rng.choice(alive).pid, signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    sound(database, trials)
    with Store.read(database) as store:
        counts = store.attempts_by_end("chaos")
    assert counts.failed.get(FailureKind.LOST_WORKER, 0) >= kills // 2
    assert counts.cut_off >= drivers // 2
