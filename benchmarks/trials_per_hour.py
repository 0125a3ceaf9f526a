"""Trials per hour on two cores, against loops over TF Model Garden's detector: the whole trial, to its AP.

    python -m benchmarks.trials_per_hour --garden PYTHON [--steps 250] [--trials 6] [--rounds 3] [--more]

The same genomes, images, steps, batch and evaluation set, one way after the other: a campaign with two
workers; one Model Garden process on both cores; two of them, pinned to one core each. Every process
warms up with one genome that is not counted; early stopping is off. Model Garden trains in float32 and
judges by pycocotools. All this in rounds; with --more they are added to those of an earlier run.
Prints a table and writes benchmarks/results/trials_per_hour_STEPS.json: medians over the rounds, and
every trial.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.record import read, write
from controller.listed import ListedConfig
from nas.budget import Budget
from nas.config import CampaignConfig, load
from nas.launch import create, driving, run
from nas.runners.options import RayOptions
from nas.space_config import SpaceConfig
from proxy_trainer.config import ProxyConfig
from proxy_trainer.data.config import Split
from proxy_trainer.data.image_set import open_split
from search_space.catalog import space_by_name

GARDEN = Path(__file__).parent / "garden_trials.py"
CONFIG = Path(__file__).parents[1] / "configs" / "proxy.yaml"
SEED = 8100
WORKERS = 2
MOST_BOXES = 32

Rows = list[dict[str, float]]


def texts(count: int) -> list[str]:
    """Genomes that no study has seen."""
    space = space_by_name("spinenet-49")
    return [space.sample(np.random.default_rng(SEED + number)).to_text() for number in range(count)]


def shipped(steps: int) -> ProxyConfig:
    """The shipped proxy with this many steps."""
    config = load(CONFIG).evaluator
    if not isinstance(config, ProxyConfig):
        raise TypeError("configs/proxy.yaml does not train proxies")
    return config.with_recipe(steps=steps, warmup_steps=min(config.recipe.warmup_steps, steps // 10))


def ours(evaluator: ProxyConfig, trials: int, root: Path, workers: int = WORKERS) -> tuple[float, Rows]:
    """Trials per hour once the workers are warm, and each trial's seconds by phase."""
    genomes = tuple(texts(trials + workers))
    config = CampaignConfig(
        name="trials",
        space=SpaceConfig(preset="spinenet-49").resolved(),
        controller=ListedConfig(genomes=genomes),
        evaluator=evaluator,
        runner=RayOptions(workers=workers),
        budget=Budget(trials=len(genomes)),
        keep_weights=0,
    )
    folder = create(config, root)
    with driving(folder, config) as drive:
        run(drive, lambda: None)
        attempts = drive.store.attempts(config.name)
        facts: dict[int, dict[str, float]] = defaultdict(dict)
        for metric in drive.store.metrics(config.name):
            if metric.final:
                facts[metric.number][metric.name] = metric.value
    by_worker: dict[str, list[Any]] = defaultdict(list)
    for attempt in attempts:
        by_worker[attempt.worker].append(attempt)
    rate, rows = 0.0, []
    for found in by_worker.values():
        counted = sorted(found, key=lambda attempt: attempt.started)[1:]
        # From the end of the first, so that what lies between trials counts too.
        first = min(attempt.ended for attempt in found)
        span = (max(attempt.ended for attempt in counted) - first).total_seconds()
        rate += 3600 * len(counted) / span
        for attempt in counted:
            known = facts[attempt.number]
            judged = known["seconds_statistics"] + known["seconds_evaluate"]
            rows.append(
                {
                    "start": known["seconds_start"],
                    "steps": known["seconds_train"],
                    "judge": judged,
                    "whole": (attempt.ended - attempt.started).total_seconds(),
                    "data": known["seconds_data"],
                    "memory_mb": known["memory_mb"],
                    "AP": known["AP"],
                }
            )
    return rate, rows


def store_images(path: Path, steps: int, cache: Path) -> None:
    """The images and boxes of the shipped proxy, for the other environment."""
    evaluator = shipped(steps)
    train, judged = (
        open_split(evaluator.data, evaluator.splits, split, evaluator.recipe.resolution, cache)
        for split in (Split.TRAIN, Split.REWARD)
    )
    boxes = np.zeros((len(train), MOST_BOXES, 4), np.float32)
    classes = np.zeros((len(train), MOST_BOXES), np.int32)
    counts = np.array([len(each) for each in train.boxes], np.int32)
    for number, (each, labels) in enumerate(zip(train.boxes, train.labels, strict=True)):
        boxes[number, : len(each)] = each / evaluator.recipe.resolution
        classes[number, : len(each)] = labels + 1
    np.savez(
        path,
        images=train.pixels[:],
        boxes=boxes,
        classes=classes,
        counts=counts,
        judged=judged.pixels[:],
        ids=judged.image_ids,
        scales=judged.scales,
    )
    path.with_suffix(".json").write_text(json.dumps(judged.ground_truth()))


def garden(python: str, data: Path, steps: int, shares: list[list[str]]) -> tuple[float, Rows]:
    """As many processes as shares of genomes, each with as many cores as there are for it."""
    cores = sorted(os.sched_getaffinity(0))[:WORKERS]
    threads = WORKERS // len(shares)
    running = []
    for number, share in enumerate(shares):
        own = cores[number * threads : (number + 1) * threads]
        command = ["/usr/bin/env", "taskset", "-c", ",".join(map(str, own))]
        command += [python, str(GARDEN), str(data), str(steps), str(threads)]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": str(threads)}
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        if process.stdin is None:
            raise RuntimeError("no pipe")
        process.stdin.write("\n".join([texts(1)[0], *share]))
        process.stdin.close()
        process.stdin = None
        running.append(process)
    rate, rows = 0.0, []
    for process in running:
        out, errors = process.communicate()
        if process.returncode:
            raise SystemExit(errors[-3000:])
        found: Rows = json.loads(out.splitlines()[-1])
        rate += 3600 * len(found) / sum(row["whole"] for row in found)
        rows += found
    return rate, rows


def report(ways: dict[str, list[tuple[float, Rows]]]) -> dict[str, Any]:
    """A line for each way: medians, and the ratio of ours to it, least to most over the rounds."""
    facts: dict[str, Any] = {}
    ours = [rate for rate, _ in next(iter(ways.values()))]
    for name, rounds in ways.items():
        rates = [rate for rate, _ in rounds]
        ratios = [mine / rate for mine, rate in zip(ours, rates, strict=True)]
        rows = [row for _, found in rounds for row in found]
        parts = {each: median(row[each] for row in rows) for each in ("start", "steps", "judge")}
        facts[name] = {"trials_an_hour": rates, "ratio": median(ratios), **parts, "rows": rows}
        print(
            f"{name:<26} {median(rates):6.1f} trials an hour [{min(rates):.1f}, {max(rates):.1f}]   "
            f"ours {median(ratios):.2f} times [{min(ratios):.2f}, {max(ratios):.2f}]   "
            + ", ".join(f"{each} {seconds:.1f} s" for each, seconds in parts.items()),
            flush=True,
        )
    return facts


def earlier(steps: int) -> dict[str, list[tuple[float, Rows]]]:
    """The rounds in the results file."""
    found: dict[str, list[tuple[float, Rows]]] = {}
    for name, facts in read(f"trials_per_hour_{steps}")["ways"].items():
        rates, rows = facts["trials_an_hour"], facts["rows"]
        share = len(rows) // len(rates)
        found[name] = [(rate, rows[share * each : share * (each + 1)]) for each, rate in enumerate(rates)]
    return found


def main() -> None:
    """Measure the three ways."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--garden", required=True, help="Python of TF Model Garden's environment")
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--trials", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--more", action="store_true", help="keep the rounds in the results file")
    options = parser.parse_args()
    genomes = texts(options.trials + WORKERS)[WORKERS:]
    loops = {
        "Model Garden, one process": [genomes],
        "Model Garden, two pinned": [genomes[::2], genomes[1::2]],
    }
    ways: dict[str, list[tuple[float, Rows]]] = {name: [] for name in ("campaign, 2 workers", *loops)}
    if options.more:
        ways = earlier(options.steps)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        store_images(root / "data.npz", options.steps, root / "cache")
        for number in range(options.rounds):
            ways["campaign, 2 workers"].append(
                ours(shipped(options.steps), options.trials, root / f"campaigns{number}")
            )
            for name, shares in loops.items():
                ways[name].append(garden(options.garden, root / "data.npz", options.steps, shares))
            print(f"round {number + 1} of {options.rounds}", flush=True)
            facts = report(ways)
            write(f"trials_per_hour_{options.steps}", {"steps": options.steps, "ways": facts})


if __name__ == "__main__":
    main()
