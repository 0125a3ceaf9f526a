"""How the parts of a trial grow with the proxy's resolution and width, and with the workers on the machine.

    python -m benchmarks.scaling [--steps 40] [--trials 3]

Campaigns of the shipped proxy with one thing changed and few steps: each worker trains a genome to warm
up and then so many unseen ones, on a core each. Writes benchmarks/results/scaling.json: medians of the
start (genome to first step), a step, judging a picture of the reward split, and peak memory.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.record import write
from benchmarks.trials_per_hour import ours, shipped

CASES: tuple[tuple[int, dict[str, Any]], ...] = (
    (1, {}),
    (2, {}),
    (2, {"resolution": 256}),
    (2, {"resolution": 384}),
    (2, {"width": 0.5}),
    (2, {"width": 1.0}),
)


def measure(workers: int, changed: dict[str, Any], steps: int, trials: int) -> dict[str, Any]:
    """Medians over the trials, and their range."""
    evaluator = shipped(steps).with_recipe(**changed)
    with tempfile.TemporaryDirectory() as root:
        _, rows = ours(evaluator, trials * workers, Path(root), workers=workers)
    parts = {
        "start": [row["start"] for row in rows],
        "step": [row["steps"] / (steps - 1) for row in rows],
        "judge_picture": [row["judge"] / evaluator.splits.reward for row in rows],
        "memory_mb": [row["memory_mb"] for row in rows],
    }
    spread = {name: [median(values), min(values), max(values)] for name, values in parts.items()}
    return {"workers": workers, "changed": changed, **spread}


def main() -> None:
    """Measure every case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--trials", type=int, default=3, help="of each worker")
    options = parser.parse_args()
    cases = []
    for workers, changed in CASES:
        found = measure(workers, changed, options.steps, options.trials)
        cases.append(found)
        what = ", ".join(f"{name} {value}" for name, value in changed.items()) or "as shipped"
        print(
            f"{workers} worker{'s' if workers > 1 else ' '}, {what:<16} start {found['start'][0]:5.2f} s   "
            f"step {1000 * found['step'][0]:5.0f} ms   judging {1000 * found['judge_picture'][0]:5.1f} ms a "
            f"picture   memory {found['memory_mb'][0]:5.0f} MB",
            flush=True,
        )
        write("scaling", {"steps": options.steps, "trials": options.trials, "cases": cases})


if __name__ == "__main__":
    main()
