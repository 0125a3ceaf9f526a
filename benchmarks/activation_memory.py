"""Predicted activation memory against what training takes: growth of the peak from batch to batch.

    python -m benchmarks.activation_memory [--fit] [--spaces spinenet-49 spinenet-mobile-49]

Ten random genomes, spread evenly from the least to the most predicted memory of a thousand. Each is
trained for two steps in a fresh process for each batch size; the growth of the process's peak
resident memory per image is held against the prediction. Writes benchmarks/results/activation_memory.json.
`--fit` measures nothing: it reads twenty other genomes that were measured the same way
(activation_memory_calibration.json), and prints what the two shares in search_space/cost.py come to by
least squares beside those that are shipped.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

import numpy as np
from scipy.stats import kendalltau

from benchmarks.record import RESULTS, write
from search_space.catalog import space_by_name
from search_space.cost import BACKBONE_SHARE, FLOAT_BYTES, HEADS_SHARE, Head, network_cost
from search_space.genome import Genome
from search_space.scaling import Scaling

SIZE = 256
BATCHES = (8, 16)
"""Large enough that the peak is that of a step, and not that of building the graph."""

POOL = 1000
HEAD = Head(convs=4, width=128, classes=20)
SCALING = Scaling()
SEED, COUNT = 4, 10
"""Of the random genomes, and how many are measured."""


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
    """Train for two steps and print by how much the process's memory rose at most, in bytes."""
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


def fit() -> None:
    """Least squares of the relative errors, and what the shipped shares make of the same genomes."""
    stored = json.loads((RESULTS / "activation_memory_calibration.json").read_text())
    rows = [row for space in stored.values() if isinstance(space, dict) for row in space["rows"]]
    costs = [network_cost(Genome.from_text(row["genome"]), SCALING, SIZE, HEAD) for row in rows]
    kept = FLOAT_BYTES * np.array([[cost.backbone.kept, cost.heads.kept] for cost in costs], float)
    grown = np.array([row["measured"] for row in rows])
    fitted, *_ = np.linalg.lstsq(kept / grown[:, np.newaxis], np.ones(len(rows)))
    for name, shares in (("least squares", fitted), ("shipped", (BACKBONE_SHARE, HEADS_SHARE))):
        ratios = kept @ np.asarray(shares) / grown
        print(
            f"{name:<14} backbone {shares[0]:.2f}, heads {shares[1]:.2f}: predicted over measured "
            f"{ratios.min():.2f} to {ratios.max():.2f} on {len(rows)} genomes"
        )


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--spaces", nargs="+", default=["spinenet-49"])
    parser.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        peak(options.peak[0], int(options.peak[1]))
        return
    if options.fit:
        fit()
        return
    spaces: dict[str, Any] = {}
    for space in options.spaces:
        rows: list[dict[str, Any]] = []
        for genome in genomes(space, SEED, COUNT):
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
    write("activation_memory", {"pixels": SIZE, "batches": BATCHES, **spaces})


if __name__ == "__main__":
    main()
