"""A campaign on Ray under a killer for hours: whatever it strikes, the audit finds nothing wrong.

    python -m experiments.soak --hours 2 --root DIR [--database URL]

Stopped and started again with the same --root it goes on. The evaluator sleeps; what is tried is the
machinery. Once the hours are over the campaign is left in peace to its end, then audited. Writes
experiments/results/soak.json.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psutil
import yaml

from nas import audit, launch
from nas.controllers import controller_of
from results_db.records import ENDED
from results_db.store import Store

NAME: Final = "soak"
STRIKES: Final = {"worker": 6, "driver": 2, "everything": 2, "pause": 1}
"""What is struck, and how often in relation to the others."""

TRIALS_AN_HOUR: Final = 9000
RESULT: Final = Path(__file__).parent / "results" / "soak.json"


def config(hours: float, database: str | None) -> dict[str, Any]:
    """So many trials that they last about as long as asked for."""
    return {
        "name": NAME,
        "space": "spinenet-49",
        "controller": {"kind": "regularized_evolution"},
        "evaluator": {"kind": "synthetic", "seconds": 1.0, "failures": 0.05, "steps": 2},
        "runner": {"kind": "ray", "workers": 4, "timeout_seconds": 60},
        "budget": {"trials": max(20, round(hours * TRIALS_AN_HOUR))},
        "failures": {"retries": {"lost_worker": 5}, "share": 1.0},
        **({"database": database} if database else {}),
    }


def start(root: Path) -> subprocess.Popen[str]:
    """The command line, as a user types it, in a process group of its own."""
    command = [sys.executable, "-c", "from nas.cli import main; main()"]
    return subprocess.Popen(
        [*command, "run", str(root / "config.yaml"), "--continue", "--root", str(root)],
        env={key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """All that the driver started, Ray's daemons too."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(process.pid).children(recursive=True)
    return []


def kill(processes: list[psutil.Process]) -> None:
    """SIGKILL to each that still lives."""
    for each in processes:
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            os.kill(each.pid, signal.SIGKILL)


def workers(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Ray's worker processes that hold one of our workers."""
    found = []
    for each in processes:
        with suppress(psutil.Error):
            if " ".join(each.cmdline()).startswith("ray::Actor"):
                found.append(each)
    return found


def strike(process: subprocess.Popen[str], what: str, rng: random.Random) -> bool:
    """Whether it was struck: there may be no worker just now."""
    others = family(process)
    if what == "worker":
        alive = workers(others)
        kill([rng.choice(alive)] if alive else [])
        return bool(alive)
    if what == "pause":
        process.send_signal(signal.SIGSTOP)
        time.sleep(rng.uniform(1, 20))
        process.send_signal(signal.SIGCONT)
        return True
    process.kill()
    if what == "driver":  # Ray goes by itself when its driver has gone
        time.sleep(rng.uniform(0, 5))
    kill(others)
    process.communicate()
    return True


def ended(root: Path) -> int:
    """How many trials have ended."""
    place, _ = launch.find(root, NAME)
    with Store.read(place.database) as store:
        counts = store.counts(NAME)
    return sum(counts[status] for status in ENDED)


def soak(root: Path, until: float, struck: Counter[str], rng: random.Random) -> None:
    """Strike it until the time is over, then let it end."""
    process = start(root)
    try:
        while process.poll() is None:
            time.sleep(rng.uniform(15, 90))
            if process.poll() is not None:
                break
            if time.time() < until:
                what = rng.choices(list(STRIKES), list(STRIKES.values()))[0]
                struck[what] += strike(process, what, rng)
                (root / "struck.json").write_text(json.dumps(struck))
                print(f"{time.strftime('%H:%M:%S')} {what}: {ended(root)} trials have ended", flush=True)
                if what in ("driver", "everything"):
                    process = start(root)
    finally:
        if process.poll() is None:
            others = family(process)
            process.kill()
            kill(others)
    if process.returncode:
        sys.exit(f"the driver ended with {process.returncode}: {process.communicate()[1]}")


def report(root: Path, struck: Counter[str], hours: float) -> dict[str, Any]:
    """What became of it."""
    place, known = launch.find(root, NAME)
    space = known.space.build()
    with Store.read(place.database) as store:
        wrong = audit.violations(store, NAME, known.rules, space, controller_of(known, space))
        counts, attempts = store.counts(NAME), store.attempts_by_end(NAME)
        drivers = store.fence(NAME).token
    return {
        "hours": hours,
        "strikes": dict(struck),
        "drivers": drivers,
        "trials": {status.value: count for status, count in counts.items()},
        "attempts": attempts.total,
        "cut_off": attempts.cut_off,
        "failed_attempts": {kind.value: count for kind, count in attempts.failed.items()},
        "wrong": wrong,
    }


def main(root: Path, hours: float, database: str | None) -> None:
    """Begin or go on, then report."""
    root.mkdir(parents=True, exist_ok=True)
    plan = root / "plan.json"
    if not plan.exists():
        (root / "config.yaml").write_text(yaml.safe_dump(config(hours, database)))
        plan.write_text(json.dumps({"until": time.time() + hours * 3600, "hours": hours}))
    known = json.loads(plan.read_text())
    so_far = root / "struck.json"
    struck = Counter(json.loads(so_far.read_text()) if so_far.exists() else {})
    soak(root, known["until"], struck, random.Random())
    found = report(root, struck, known["hours"])
    RESULT.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--database", default=None)
    options = parser.parse_args()
    main(options.root.absolute(), options.hours, options.database)
