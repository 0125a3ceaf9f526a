"""Thousands of trials on 100 Ray workers of this machine, with failures and lost nodes among them.

    python -m benchmarks.scale [--trials 14000] [--workers 100] [--seconds 6]

The workers sleep, so that nothing but the machinery is measured. They are spread over several nodes (real
raylets); every so often one is killed and another joins. The driver is `nas run`, as on any cluster. Writes
benchmarks/results/scale.json: trials a second, the memory of the driver and of everything together, the
size of the database, and how long `nas status` takes on the machine that does all this (what it asks of the
open database; and the whole command, by the clock and in seconds of a core), each over time, and what
nas/audit.py finds.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml

from benchmarks.record import write
from nas import audit, folder, launch
from nas.cli_words import uncollected
from nas.controllers import controller_of
from nas.runners.ray.cluster import WORKING_NICENESS, give_way
from nas.status_facts import status
from results_db.records import ENDED
from results_db.store import Store

NAME = "scale"
NODES = 4
WARM = 200
MIB = 2**20
LOOK_SECONDS = 30.0  # to look takes a second of the cores that the workers share
LOSS_SECONDS = 120.0
NODE = {"object_store_memory": 80 * MIB, "include_dashboard": False}


@contextmanager
def cluster(cpus: int) -> Iterator[Any]:
    """A head that does no work, and nodes that do."""
    # A hundred processes that start at once on two cores take longer than Ray has patience for.
    os.environ.update(
        RAY_USAGE_STATS_ENABLED="0",
        RAY_enable_worker_prestart="0",
        RAY_worker_maximum_startup_concurrency="1",
        RAY_worker_register_timeout_seconds="600",
        RAY_worker_niceness=str(WORKING_NICENESS),  # as where a campaign starts Ray; docs/cluster.md
    )
    from ray.cluster_utils import Cluster

    made: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **NODE})
    try:
        for _ in range(NODES):
            made.add_node(num_cpus=cpus, **NODE)
        give_way()
        yield made
    finally:
        made.shutdown()


def config(trials: int, workers: int, seconds: float) -> dict[str, Any]:
    """A campaign that costs nothing but time; one genome of twenty fails."""
    return {
        "name": NAME,
        "space": "spinenet-49",
        "controller": {"kind": "regularized_evolution"},
        "evaluator": {"kind": "synthetic", "seconds": seconds, "failures": 0.05, "steps": 1},
        "runner": {"kind": "ray", "workers": workers},
        "budget": {"trials": trials},
        # Made-up failures say nothing of memory, and a node of 25 workers would be emptied for one trial.
        "failures": {"alone": []},
    }


def main(trials: int, workers: int, seconds: float) -> None:
    """Run it, look at it, lose nodes meanwhile, and write down what was seen."""
    with tempfile.TemporaryDirectory(prefix="nas-scale-") as path:
        run(Path(path), trials, workers, seconds)


def run(root: Path, trials: int, workers: int, seconds: float) -> None:
    """The same, in this folder."""
    (root / "config.yaml").write_text(yaml.safe_dump(config(trials, workers, seconds)))
    with cluster(-(-workers // NODES)) as made:
        command = [sys.executable, "-c", "from nas.cli import main; main()", "run", str(root / "config.yaml")]
        driver = subprocess.Popen(
            [*command, "--root", str(root)],
            env={**os.environ, "RAY_ADDRESS": made.address},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        seen, lost = watch(driver, root, made, -(-workers // NODES))
        _, errors = driver.communicate()
    if driver.returncode:
        sys.exit(errors)
    place, known = launch.find(root, NAME)
    space = known.space.build()
    with Store.read(place.database) as store:
        wrong = audit.violations(store, NAME, known.rules, space, controller_of(known, space))
        counts, attempts = store.counts(NAME), store.attempts_by_end(NAME)
    write(
        "scale",
        {
            "trials": trials,
            "workers": workers,
            "seconds_a_trial": seconds,
            "nodes": NODES,
            "nodes_lost": lost,
            "trials_a_second": steady(seen),
            "seconds": seen[-1]["second"],
            "memory_mib_at_most": max(each["memory_mib"] for each in seen),
            "driver": line(seen, "driver_mib"),
            "database": line(seen, "database_mib"),
            "status": {what: most(seen, what) for what in ("query_s", "command_s", "command_cpu_s")},
            "counts": {status.value: count for status, count in counts.items()},
            "failed_attempts": {kind.value: count for kind, count in attempts.failed.items()},
            "wrong": wrong,
            "seen": seen,
        },
    )


def watch(
    driver: subprocess.Popen[str], root: Path, made: Any, cpus: int
) -> tuple[list[dict[str, float]], int]:
    """What was seen until the driver ended, and how many nodes were lost."""
    seen: list[dict[str, float]] = []
    began, lost, since = time.monotonic(), 0, 0.0
    for turn in itertools.count(1):
        with suppress(subprocess.TimeoutExpired):
            driver.wait(timeout=max(0.0, began + turn * LOOK_SECONDS - time.monotonic()))
        done = ended(root)
        if driver.poll() is not None:
            seen.append({**seen[-1], "second": round(time.monotonic() - began, 1), "ended": done})
            return seen, lost
        now = time.monotonic() - began
        seen.append({"second": round(now, 1), "ended": done, **sizes(driver.pid, root), **asked(root)})
        print(seen[-1], flush=True)
        since = since if done > WARM else now
        if now > since + (lost + 1) * LOSS_SECONDS:
            made.remove_node(made.worker_nodes and sorted(made.worker_nodes, key=id)[0], allow_graceful=False)
            made.add_node(num_cpus=cpus, **NODE)
            give_way()
            lost += 1
    raise AssertionError


def ended(root: Path) -> int:
    """How many trials have ended."""
    path = root / NAME / "campaign.sqlite"
    if not path.exists():
        return 0
    with Store.read(f"sqlite:///{path}") as store:
        counts = store.counts(NAME)
    return sum(counts[status] for status in ENDED)


def sizes(driver: int, root: Path) -> dict[str, float]:
    """MiB: of the driver, of it and all of Ray (shared pages counted once), and of the database."""
    files = [path.stat().st_size for path in (root / NAME).glob("campaign.sqlite*")]
    total = 0.0
    for each in psutil.Process().children(recursive=True):
        with suppress(psutil.Error, OSError):
            total += each.memory_full_info().pss
    return {
        "driver_mib": round(psutil.Process(driver).memory_info().rss / MIB, 1),
        "memory_mib": round(total / MIB, 1),
        "database_mib": round(sum(files) / MIB, 2),
    }


def asked(root: Path) -> dict[str, float]:
    """Seconds that `nas status` takes; nothing before there is a campaign."""
    if not (root / NAME / "campaign.sqlite").exists():
        return {}
    place = folder.find(root, NAME)
    with Store.read(place.database) as store:
        store.counts(NAME)  # to be open is no part of the query
        with uncollected():  # as the command itself
            began = time.monotonic()
            status(store, place)
            query = time.monotonic() - began
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [sys.executable, "-c", "from nas.cli import main; main()", "status", NAME, "--root", str(root)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    seconds = {"query_s": query, "command_s": time.monotonic() - began, "command_cpu_s": cpu}
    return {word: round(value, 3) for word, value in seconds.items()}


def most(seen: Sequence[dict[str, float]], what: str) -> dict[str, float]:
    """Median and worst of what was seen once all processes had started."""
    own = seen[:-1]  # the last one repeats what was seen before it
    values = [each[what] for each in own if what in each and each["ended"] >= WARM] or [math.nan]
    return {"median": float(np.median(values)), "worst": max(values)}


def steady(seen: Sequence[dict[str, float]]) -> float:
    """Trials a second once all processes have started: after so many trials that each had two."""
    first = next(each for each in seen if each["ended"] >= WARM)
    return round((seen[-1]["ended"] - first["ended"]) / (seen[-1]["second"] - first["second"]), 2)


def line(seen: Sequence[dict[str, float]], what: str) -> dict[str, float]:
    """MiB for each thousand trials by least squares, and how far from that line any reading is."""
    rows = [(each["ended"], each[what]) for each in seen if each["ended"]]
    trials, values = np.array(rows, float).T
    slope, start = np.polyfit(trials, values, 1)
    off = float(np.abs(values - (slope * trials + start)).max())
    return {
        "mib_a_thousand": round(float(slope) * 1000, 2),
        "start_mib": round(float(start), 1),
        "off_by_at_most_mib": round(off, 1),
        "last_mib": float(values[-1]),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--trials", type=int, default=14_000)
    parser.add_argument("--workers", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=6.0)
    main(**vars(parser.parse_args()))
