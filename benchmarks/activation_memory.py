"""Predicted activation memory against what training takes: growth of the peak from batch to batch.

    python -m benchmarks.activation_memory [--calibrate] [--spaces spinenet-49 spinenet-mobile-49]

Ten random genomes, spread evenly from the least to the most predicted memory of a thousand. Each is
trained for two steps in a fresh process for each batch size; the growth of the process's peak
resident memory per image is held against the prediction. `--calibrate` does the same on the genomes that
the shares in search_space/cost.py were fitted to. Writes benchmarks/results/activation_memory.json, or
activation_memory_calibration.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kendalltau

from search_space.catalog import space_by_name
from search_space.cost import Head, network_cost
from search_space.genome import Genome
from search_space.scaling import Scaling

SIZE = 256
BATCHES = (8, 16)
"""Large enough that the peak is that of a step, and not that of building the graph."""

POOL = 1000
HEAD = Head(convs=4, width=128, classes=20)
SCALING = Scaling()
REPORTED, CALIBRATION = (4, 10), (2, 10)
"""Seed of the random genomes, and how many are measured."""


def genomes(space: str, seed: int, count: int) -> list[Genome]:
    """Spread evenly over the range of predicted memory."""
    rng = np.random.default_rng(seed)
    found = [space_by_name(space).sample(rng) for _ in range(POOL)]
    memory = np.array([predicted(genome) for genome in found])
    wanted = np.linspace(memory.min(), memory.max(), count)
    return [found[int(np.abs(memory - each).argmin())] for each in wanted]


def predicted(genome: Genome) -> int:
    """Bytes an image."""
    return network_cost(genome, SCALING, SIZE, HEAD).training_memory


def peak(genome: str, batch: int) -> None:
    """Train for two steps and print the process's peak resident memory in bytes."""
    import tensorflow as tf

    from proxy_trainer.detector import Blueprint, Detector
    from proxy_trainer.memory import PeakMemory
    from proxy_trainer.recipe import Recipe
    from proxy_trainer.runtime import prepare

    prepare(1)
    memory = PeakMemory()
    recipe = Recipe(
        resolution=SIZE,
        batch=batch,
        width=SCALING.width,
        alpha=SCALING.alpha,
        endpoint_width=SCALING.endpoint_width,
        head_convs=HEAD.convs,
        head_width=HEAD.width,
    )
    blueprint = Blueprint.of(Genome.from_text(genome), recipe, HEAD.classes)
    detector = Detector(blueprint, recipe, HEAD.classes, seed=0)
    anchors = len(blueprint.anchors.boxes)
    pixels = np.random.default_rng(0).integers(0, 256, (batch, SIZE, SIZE, 3), dtype=np.uint8)
    for _ in range(2):
        detector.step(
            tf.constant(pixels),
            tf.fill([batch, anchors], -1),
            tf.zeros([batch, anchors, 4]),
            tf.constant(0.01),
            tf.constant(0.0),
        )
    print(int(memory.megabytes() * 2**20))


def measured(genome: Genome) -> float:
    """Bytes an image."""
    found = []
    for batch in BATCHES:
        command = [
            sys.executable,
            "-m",
            "benchmarks.activation_memory",
            "--peak",
            genome.to_text(),
            str(batch),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found.append(int(done.stdout.split()[-1]))
    return (found[1] - found[0]) / (BATCHES[1] - BATCHES[0])


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calibrate", action="store_true")
    parser.add_argument("--spaces", nargs="+", default=["spinenet-49"])
    parser.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        peak(options.peak[0], int(options.peak[1]))
        return
    spaces: dict[str, Any] = {}
    for space in options.spaces:
        rows: list[dict[str, Any]] = []
        for genome in genomes(space, *(CALIBRATION if options.calibrate else REPORTED)):
            rows.append(
                {"genome": genome.to_text(), "predicted": predicted(genome), "measured": measured(genome)}
            )
            ratio = rows[-1]["predicted"] / rows[-1]["measured"]
            print(
                f"{space}: {rows[-1]['measured'] / 1e6:.1f} MB an image, predicted {ratio:.2f} times",
                flush=True,
            )
        pair = [[row[key] for row in rows] for key in ("predicted", "measured")]
        spaces[space] = {"tau": float(kendalltau(*pair).statistic), "rows": rows}
        print(f"{space}: Kendall tau {spaces[space]['tau']:.2f}")
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    facts = {"machine": machine, "pixels": SIZE, "batches": BATCHES, **spaces}
    name = "activation_memory_calibration" if options.calibrate else "activation_memory"
    out = Path(__file__).parent / "results" / f"{name}.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
