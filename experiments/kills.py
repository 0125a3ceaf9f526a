"""Kill a campaign that really trains ten times, resume it each time, compare with one left alone.

    python -m experiments.kills            about 25 minutes on 2 cores

Serial and Ray runner, the quickstart's recipe with fewer steps. At random moments the whole process
tree gets SIGKILL, and the campaign goes on as on another machine: of the old one only its folder is kept,
under a new root, without the decoded pictures. Checked: every number once, no reward that was stored is
lost or changed; with the serial runner the same genomes, rewards and order as without kills. Writes
experiments/results/kills.json, which says in how many lives a trial finished.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import yaml

from nas import folder as folders
from results_db.store import Store

ROOT = Path(__file__).parent
KILLS = 10
TRIALS = 60
STEPS = 60


def config(runner: str) -> dict[str, Any]:
    """The quickstart with fewer steps and pictures."""
    words: dict[str, Any] = yaml.safe_load((ROOT.parent / "configs" / "quickstart.yaml").read_text())
    words["evaluator"]["data"] |= {"train_images": 300, "val_images": 10}
    words["evaluator"]["splits"] = {"reward": 60, "confirm": 40}
    words["evaluator"]["recipe"] = {"steps": STEPS}
    words["runner"] = {"kind": runner}
    words["budget"] = {"trials": TRIALS}
    return words


def nas(*arguments: str) -> subprocess.Popen[bytes]:
    """The command line in a process group of its own."""
    command = [sys.executable, "-c", "from nas.cli import main; main()", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to the process and all its descendants, Ray's too."""
    try:
        tree = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    except psutil.NoSuchProcess:
        tree = []
    for each in tree:
        try:
            os.kill(each.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()


def stored(root: Path, name: str) -> dict[int, tuple[str, float | None, int | None]]:
    """Genome, reward and finish order by number."""
    with Store.read(folders.find(root, name).database) as store:
        return {
            trial.number: (trial.genome, trial.reward, trial.finish_order) for trial in store.trials(name)
        }


def killed_run(root: Path, path: Path, name: str, rng: random.Random) -> dict[str, Any]:
    """A campaign that is killed ten times; what was checked of it."""
    kills: list[dict[str, int]] = []
    machine = root / f"{name}-machine-0"
    rewards: dict[int, float] = {}
    process = nas("run", str(path), "--name", name, "--root", str(machine))
    while True:
        # From before the first hand-out to after several trials: Ray and new pictures take 20 s.
        until = time.monotonic() + (rng.uniform(5, 80) if len(kills) < KILLS else 3600)
        while process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        if process.poll() is None:
            kill(process)
        elif process.returncode != 0:
            raise RuntimeError(process.stderr.read().decode() if process.stderr else "failed")
        now = stored(machine, name) if (machine / name).exists() else {}
        for number, reward in rewards.items():
            if now[number][1] != reward:
                raise RuntimeError(f"trial {number}: reward {reward} was stored, now {now[number][1]}")
        rewards = {number: row[1] for number, row in now.items() if row[1] is not None}
        if process.returncode == 0:
            (machine / name).rename(root / name)
            counts = [0, *(each["finished"] for each in kills)]
            lives = sum(after > before for before, after in itertools.pairwise(counts))
            return {
                "kills": kills,
                "lives_in_which_a_trial_finished": lives,
                "finished": len(rewards),
                "numbers": sorted(now) == list(range(1, TRIALS + 1)),
            }
        kills.append({"finished": len(rewards), "handed_out": len(now)})
        print(f"{name}: kill {len(kills)}, {len(rewards)} finished", flush=True)
        before, machine = machine, root / f"{name}-machine-{len(kills)}"
        machine.mkdir()
        if (before / name).exists():
            (before / name).rename(machine / name)
        shutil.rmtree(before)
        again = ("resume", name) if (machine / name).exists() else ("run", str(path), "--name", name)
        process = nas(*again, "--root", str(machine))


def main() -> None:
    """Run all three campaigns and compare."""
    rng = random.Random(0)
    root = Path(tempfile.mkdtemp(prefix="nas-kills-"))
    found: dict[str, Any] = {}
    for runner in ("serial", "ray"):
        path = root / f"{runner}.yaml"
        path.write_text(yaml.safe_dump(config(runner)))
        found[runner] = killed_run(root, path, f"{runner}-killed", rng)
    alone = nas("run", str(root / "serial.yaml"), "--name", "alone", "--root", str(root))
    if alone.wait():
        raise RuntimeError(alone.stderr.read().decode() if alone.stderr else "failed")
    expected, killed = stored(root, "alone"), stored(root, "serial-killed")
    found["serial"]["same_genomes_rewards_and_order"] = expected == killed
    shutil.rmtree(root)
    (ROOT / "results" / "kills.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
