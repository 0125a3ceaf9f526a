"""A campaign that is killed, whole process group and without warning, is the campaign it would have been."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from results_db.records import MetricRecord, TrialRecord
from results_db.store import Store

CHILD = Path(__file__).with_name("synthetic_campaign.py")


def start(url: str, trials: int, bytecode: Path) -> subprocess.Popen[str]:
    command = [sys.executable, str(CHILD), url, str(trials)]
    # compiled once, wherever this machine keeps bytecode or does not: half of a start is compiling
    cache = {"PYTHONPYCACHEPREFIX": str(bytecode), "PYTHONDONTWRITEBYTECODE": ""}
    return subprocess.Popen(
        command,
        env={**os.environ, **cache},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(url: str, trials: int, bytecode: Path) -> None:
    output, errors = start(url, trials, bytecode).communicate()
    assert (output, errors) == ("running\n", "")


def kill_at_a_random_moment(process: subprocess.Popen[str], rng: random.Random) -> None:
    """Most of the time while trials run, now and then while it starts, which is short in real campaigns."""
    if rng.random() < 0.8:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(rng.uniform(0, 0.3))
    else:
        time.sleep(rng.uniform(0, 1.5))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def facts(trial: TrialRecord) -> tuple[object, ...]:
    """All of a trial that is not a time of day or a matter of crashes."""
    return (
        trial.number,
        trial.seed,
        trial.genome,
        trial.fingerprint,
        trial.note,
        trial.told,
        trial.status,
        trial.finish_order,
        trial.reward,
        trial.failure,
    )


def accepted(store: Store) -> list[tuple[object, ...]]:
    """The metrics of each trial's last attempt."""
    attempts = {trial.number: trial.attempt for trial in store.trials("killed")}

    def of(metric: MetricRecord) -> tuple[object, ...]:
        return metric.number, metric.step, metric.name, metric.value, metric.final

    metrics = store.metrics("killed")
    return [of(metric) for metric in metrics if metric.attempt == attempts[metric.number]]


@pytest.mark.timeout(600)  # a dozen starts, on a machine that may be busy
@pytest.mark.parametrize(
    ("engine", "kills", "trials"),
    [
        ("sqlite", 10, 60),
        pytest.param("sqlite", 100, 600, marks=[pytest.mark.full, pytest.mark.timeout(1200)]),
        pytest.param("postgresql", 20, 120, marks=[pytest.mark.full, pytest.mark.timeout(1200)]),
    ],
    indirect=["engine"],
)
def test_killed_ten_times_equals_never_killed(tmp_path: Path, engine: Any, kills: int, trials: int) -> None:
    never, often = engine.new(), engine.new()
    bytecode = tmp_path / "bytecode"
    finish(never, trials, bytecode)
    rng = random.Random(kills)
    for _ in range(kills):
        kill_at_a_random_moment(start(often, trials, bytecode), rng)
    with Store.create(often) as store:
        survived = len(store.trials("killed")) if store.campaigns() else 0
    finish(often, trials, bytecode)
    with Store.read(never) as whole, Store.read(often) as patched:
        expected, found = whole.trials("killed"), patched.trials("killed")
        assert [trial.number for trial in found] == list(range(1, trials + 1))
        assert list(map(facts, found)) == list(map(facts, expected))
        assert patched.rewards("killed") == whole.rewards("killed")
        assert accepted(patched) == accepted(whole)
        assert patched.fence("killed").pid is None
        # and it was killed, in the midst of trials
        assert 0 < survived < trials
        assert len(patched.attempts("killed")) > len(whole.attempts("killed"))
        assert patched.fence("killed").token > 2
