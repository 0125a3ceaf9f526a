"""The commands: what they print, and that a killed campaign goes on as if nothing had been."""

from __future__ import annotations

import gc
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
import pytest

from nas.config import load
from results_db.records import TrialStatus
from results_db.store import Store
from search_space.catalog import SPACES
from search_space.trial import Assignment, Measurement

Nas = Callable[..., Any]
Written = Callable[..., Path]

COMMAND: Final = (sys.executable, "-c", "from nas.cli import main; main()")


def test_a_campaign_from_the_config_to_the_winner(nas: Nas, home: Path, written: Written) -> None:
    ran = nas("run", written())

    assert ran.code == 0, ran
    assert ran.err == ""
    assert "8/8 trials" in ran.out
    assert "nas top small" in ran.out
    status = json.loads(nas("status", "small", "--json").out)
    assert (status["state"], status["counts"]["finished"], status["budget"]) == ("finished", 8, 8)
    assert len(status["rewards"]) == 8
    best = json.loads(nas("top", "small", "-n", "3", "--json").out)
    assert [row["rank"] for row in best] == [1, 2, 3]
    assert best[0]["reward"] == status["best"]["reward"] == max(status["rewards"])
    shown = json.loads(nas("show", "small", str(best[0]["number"]), "--json").out)
    assert shown["genome"] == best[0]["genome"]
    assert shown["metrics"]["AP"] == shown["reward"]
    assert [entry["node"] for entry in shown["nodes"]] == list(range(17))
    assert (home / "small" / "log.txt").exists()


def test_what_people_read_holds_the_same_facts(nas: Nas, written: Written) -> None:
    nas("run", written({"evaluator": {"kind": "synthetic", "failures": 0.4}, "budget": {"trials": 12}}))
    facts = json.loads(nas("status", "small", "--json").out)

    status, top = nas("status", "small").out, nas("top", "small").out

    assert facts["counts"]["failed"] > 0
    assert f"{facts['counts']['failed']} failed" in status
    assert f"{facts['best']['reward']:.4f}" in status
    assert f"{facts['best']['reward']:.4f}" in top
    failed = next(number for number in range(1, 13) if "failure" in nas("show", "small", str(number)).out)
    assert json.loads(nas("show", "small", str(failed), "--json").out)["failure"]["kind"] in facts["failures"]


def test_what_a_database_holds_does_not_play_with_the_terminal(
    nas: Nas, home: Path, written: Written
) -> None:
    nas("run", written())
    trick = "'[/bold] [red]\x1b]0;mine\x07\x1b[2J'"
    with closing(sqlite3.connect(home / "small" / "campaign.sqlite")) as database, database:
        for (guard,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {guard}")
        database.execute(f"UPDATE attempts SET worker = {trick}")
        database.execute(f"UPDATE metrics SET name = name || {trick}")
        database.execute(
            f"UPDATE trials SET fingerprint = {trick} || number, genome = genome || {trick} WHERE reward < 1"
        )
    for command in (["status", "small"], ["top", "small"], ["show", "small", "1"], ["db", "check", "small"]):
        ended = nas(*command)
        assert not ended.err.startswith("nas: unexpected"), ended.err
        assert "\x1b" not in ended.out + ended.err
    database_of_one = nas("db", "check", "small")
    assert "[/bold] [red]" in database_of_one.out


def test_after_status_only_new_garbage_is_looked_for(nas: Nas, written: Written) -> None:
    assert nas("run", written()).code == 0
    before = gc.get_freeze_count()
    try:
        assert nas("status", "small").code == 0
        assert gc.isenabled()
        assert gc.get_freeze_count() > before + 10_000  # thousands of modules' objects, at exit too
    finally:
        gc.unfreeze()


def test_resuming_a_finished_campaign_changes_nothing(nas: Nas, written: Written) -> None:
    nas("run", written())
    before = nas("status", "small", "--json").out

    assert nas("resume", "small").code == 0
    after = nas("status", "small", "--json").out

    assert json.loads(after)["rewards"] == json.loads(before)["rewards"]


def test_help_and_version(nas: Nas) -> None:
    assert "resume" in nas("--help").out
    assert "resume" in nas().out
    assert nas("--version").out.startswith("nas ")


def test_an_unexpected_error_is_one_line_and_its_traceback_is_kept(
    nas: Nas, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Path) -> None:
        raise AttributeError("a slip of ours")

    monkeypatch.setattr("nas.config.load", broken)

    ended = nas("run", "any.yaml")

    assert ended.code == 1
    assert ended.err.count("\n") == 1
    kept = Path(ended.err.split()[-1])
    assert "a slip of ours" in kept.read_text(encoding="utf-8")
    kept.unlink()


def test_a_database_elsewhere(nas: Nas, home: Path, written: Written, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'elsewhere.sqlite'}"

    assert nas("run", written({"database": url})).code == 0

    assert (tmp_path / "elsewhere.sqlite").exists()
    assert json.loads(nas("status", "small", "--json").out)["counts"]["finished"] == 8
    assert (home / "small" / "database.url").stat().st_mode & 0o077 == 0


def _started(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_heeds_interrupts,  # noqa: PLW1509 - sets one signal, takes no lock
    )


def _heeds_interrupts() -> None:
    """A shell starts its background jobs with SIGINT ignored, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _wait_for(home: Path, trials: int) -> None:
    """Until so many trials of the campaign have ended."""
    url = f"sqlite:///{home / 'small' / 'campaign.sqlite'}"
    for _ in range(2400):
        if (home / "small").exists():
            with Store.read(url) as store:
                if store.counts("small")[TrialStatus.FINISHED] >= trials:
                    return
        time.sleep(0.05)
    pytest.fail(f"no {trials} trials finished within 120 s")


def _history(home: Path) -> list[tuple[int, str, float | None, int | None]]:
    with Store.read(f"sqlite:///{home / 'small' / 'campaign.sqlite'}") as store:
        return [
            (trial.number, trial.genome, trial.reward, trial.finish_order) for trial in store.trials("small")
        ]


SLOW: Final = {"evaluator": {"kind": "synthetic", "seconds": 0.15}, "budget": {"trials": 40}}


def test_killed_busy_interrupted_and_resumed(nas: Nas, home: Path, written: Written, tmp_path: Path) -> None:
    path = written(SLOW)
    killed = _started("run", path)
    _wait_for(home, 3)
    busy = nas("resume", "small")
    running = json.loads(nas("status", "small", "--json").out)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    stopped = json.loads(nas("status", "small", "--json").out)
    interrupted = _started("resume", "small")
    _wait_for(home, 8)
    os.killpg(interrupted.pid, signal.SIGINT)
    _, said = interrupted.communicate(timeout=30)
    resumed = nas("resume", "small")

    assert (busy.code, busy.err.count("\n")) == (2, 1), busy
    assert f"pid {killed.pid}" in busy.err
    assert (running["state"], running["driver"]["pid"]) == ("running", killed.pid)
    assert (stopped["state"], stopped["driver"]) == ("stopped", None)
    assert (interrupted.returncode, said) == (130, "stopped; go on with: nas resume small\n")
    assert resumed.code == 0, resumed
    assert nas("run", path, "--root", tmp_path / "uninterrupted").code == 0
    assert _history(home) == _history(tmp_path / "uninterrupted")


@pytest.mark.full
def test_ten_kills_at_random_moments(nas: Nas, home: Path, written: Written, tmp_path: Path) -> None:
    path = written(SLOW | {"budget": {"trials": 60}})
    moments = [
        1.7,
        2.9,
        0.8,
        2.2,
        0.3,
        3.1,
        1.2,
        2.6,
        1.9,
        2.4,
    ]  # seconds; a process needs about 1.5 to get going
    for moment in moments:
        process = _started("resume", "small") if (home / "small").exists() else _started("run", path)
        time.sleep(moment)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert (home / "small").exists()
    assert nas("resume", "small").code == 0
    assert nas("run", path, "--root", tmp_path / "uninterrupted").code == 0
    history = _history(home)
    assert [number for number, *_ in history] == list(range(1, 61))
    assert history == _history(tmp_path / "uninterrupted")


@pytest.mark.full
@pytest.mark.timeout(400)
def test_ray_leaves_no_process_behind_when_its_driver_is_killed(home: Path, written: Written) -> None:
    slow = {"kind": "synthetic", "seconds": 2}
    driver = _started("run", written({"runner": {"kind": "ray", "workers": 2}, "evaluator": slow}))
    _wait_for(home, 2)
    processes = psutil.Process(driver.pid).children(recursive=True)
    names = {process: process.name() for process in processes}
    os.kill(driver.pid, signal.SIGKILL)
    driver.communicate()

    # Workers and the raylet are gone within seconds; two idle agents ask a dead server for a minute more.
    agents = {"ray::DashboardAgent", "ray::RuntimeEnvAgent"}
    others = [process for process in processes if names[process] not in agents]
    assert len(others) > 3
    assert _outliving(others, seconds=30) == []
    assert _outliving(processes, seconds=200) == []


def _outliving(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    return [process for process in alive if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def test_only_the_best_weights_are_kept(
    nas: Nas, home: Path, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    from proxy_trainer.synthetic import SyntheticEvaluator

    evaluate = SyntheticEvaluator.evaluate

    def leaving_weights(self: SyntheticEvaluator, assignment: Any) -> Any:
        (home / "small" / "weights" / f"{assignment.number:05d}.npz").touch()
        return evaluate(self, assignment)

    monkeypatch.setattr(SyntheticEvaluator, "evaluate", leaving_weights)
    assert nas("run", written({"keep_weights": 2})).code == 0

    best = json.loads(nas("top", "small", "-n", "2", "--json").out)
    kept = {int(file.stem) for file in (home / "small" / "weights").iterdir()}
    assert kept == {row["number"] for row in best}
    assert load(written()).keep_weights == 3


def test_the_weights_of_who_becomes_the_best_later_are_there(
    nas: Nas, home: Path, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network that was the best by luck is measured again, when the second's trial is long past."""
    from proxy_trainer.synthetic import SyntheticEvaluator

    values = {1: 0.9, 2: 0.7, 40: 0.1}

    def as_written(_: SyntheticEvaluator, assignment: Assignment) -> Iterator[Measurement]:
        (home / "small" / "weights" / f"{assignment.number:05d}.npz").touch()
        yield Measurement(step=1, metrics={"AP": values.get(assignment.number, 0.2)})

    monkeypatch.setattr(SyntheticEvaluator, "evaluate", as_written)
    space, rng = SPACES["r0-sp53"], np.random.default_rng(0)
    genomes = [space.to_text(space.sample(rng)) for _ in range(39)]
    listed = {"kind": "listed", "genomes": [*genomes, genomes[0]]}
    changes = {"space": "r0-sp53", "controller": listed, "budget": {"trials": 40}, "keep_weights": 1}

    assert nas("run", written(changes)).code == 0

    (best,) = json.loads(nas("top", "small", "-n", "1", "--json").out)
    assert best["number"] == 2
    assert [file.name for file in (home / "small" / "weights").iterdir()] == ["00002.npz"]
