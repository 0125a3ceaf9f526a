"""A campaign that really trains is killed in the middle of trials, and goes on from its folder alone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from nas import folder as folders
from results_db.store import Store

QUICKSTART: Final = Path(__file__).parents[2] / "configs" / "quickstart.yaml"
TRIALS: Final = 5
FIRST_AT: Final = (1, 3)
"""Killed in the trial after so many have finished."""


@pytest.mark.full
@pytest.mark.timeout(1200)
def test_killed_while_training_and_resumed_elsewhere(tmp_path: Path) -> None:
    words: dict[str, Any] = yaml.safe_load(QUICKSTART.read_text(encoding="utf-8"))
    words["evaluator"]["data"] |= {"train_images": 60, "val_images": 4}
    words["evaluator"]["splits"] = {"reward": 20, "confirm": 10}
    words["evaluator"]["recipe"] = {"steps": 40}
    words |= {"runner": {"kind": "serial"}, "budget": {"trials": TRIALS}, "name": "killed"}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(words), encoding="utf-8")

    process = _nas("run", str(path), "--root", str(tmp_path / "machine-0"))
    before: dict[int, Any] = {}
    for life, finished in enumerate(FIRST_AT):
        root = tmp_path / f"machine-{life}"
        seconds = _wait_for(root, finished, process)
        time.sleep(seconds / 2)  # into the middle of the next one
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        stored = _stored(root, "killed")
        assert finished <= len(_rewards(stored)) < TRIALS
        assert len(stored) == len(_rewards(stored)) + 1, "one trial was under way"
        assert before.items() <= _rewards(stored).items()
        before = _rewards(stored)
        elsewhere = tmp_path / f"machine-{life + 1}"
        elsewhere.mkdir()
        (root / "killed").rename(elsewhere / "killed")
        shutil.rmtree(root)  # with the decoded pictures
        process = _nas("resume", "killed", "--root", str(elsewhere))
    _, said = process.communicate(timeout=600)
    assert process.returncode == 0, said
    alone = _nas("run", str(path), "--name", "alone", "--root", str(tmp_path / "alone"))
    _, said = alone.communicate(timeout=600)
    assert alone.returncode == 0, said

    assert _stored(tmp_path / f"machine-{len(FIRST_AT)}", "killed") == _stored(tmp_path / "alone", "alone")
    with Store.read(folders.find(tmp_path / f"machine-{len(FIRST_AT)}", "killed").database) as store:
        assert store.attempts_by_end("killed").cut_off == len(FIRST_AT)


def _nas(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from nas.cli import main; main()", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True, text=True
    )


def _wait_for(root: Path, finished: int, process: subprocess.Popen[str]) -> float:
    """Until so many trials have finished and another is under way; how many seconds the last one took."""
    while process.poll() is None:
        if (root / "killed" / "campaign.sqlite").exists():
            stored = _stored(root, "killed")
            if len(_rewards(stored)) >= finished and len(stored) > len(_rewards(stored)):
                with Store.read(folders.find(root, "killed").database) as store:
                    return max(each.seconds or 0.0 for each in store.attempts("killed"))
        time.sleep(0.1)
    raise AssertionError(process.communicate()[1])


def _stored(root: Path, name: str) -> dict[int, tuple[str, float | None, int | None]]:
    """Genome, reward and finish order by number."""
    with Store.read(folders.find(root, name).database) as store:
        return {each.number: (each.genome, each.reward, each.finish_order) for each in store.trials(name)}


def _rewards(stored: dict[int, tuple[str, float | None, int | None]]) -> dict[int, float]:
    return {number: row[1] for number, row in stored.items() if row[1] is not None}
