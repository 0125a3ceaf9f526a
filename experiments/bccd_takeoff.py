"""What keeps trainings on photographs from learning? The recipe of configs/bccd.yaml, one setting changed.

    python -m experiments.bccd_takeoff [ARM ...]     train what is missing, report
    python -m experiments.bccd_takeoff --report      report what is there

Eight random genomes that are none of those of configs/proxy_confirm_bccd.yaml, one seed each. Writes
experiments/results/bccd_takeoff.jsonl.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.trials import Job, run_jobs
from nas.config import load
from proxy_trainer.config import ProxyConfig
from search_space.catalog import space_by_name

ROOT = Path(__file__).parent
RESULTS = ROOT / "results" / "bccd_takeoff.jsonl"
GENOMES = tuple(range(6000, 6008))
TAKEN_OFF = 0.85
"""A loss below this was never seen of a network that ignores the picture."""

ARMS: Mapping[str, Mapping[str, Any]] = {
    "shipped": {},
    "rate-0.3": {"learning_rate": 0.3},
    "rate-1.2": {"learning_rate": 1.2},
    "clip-0.01": {"clip_ratio": 0.01},
    "clip-0.05": {"clip_ratio": 0.05},
    "branch-0.3": {"branch_scale": 0.3},
    "branch-1": {"branch_scale": 1.0},
    "iou-0.5": {"match_iou": 0.5},
    "anchors-1.5-1.45": {"anchor_size": 1.5, "anchor_growth": 1.45},
    "anchors-2-1.45": {"anchor_size": 2.0, "anchor_growth": 1.45},
    "anchors-2.5-1.45": {"anchor_size": 2.5, "anchor_growth": 1.45},
    "anchors-3-1.6": {"anchor_size": 3.0, "anchor_growth": 1.6},
    "anchors-3-2": {"anchor_size": 3.0, "anchor_growth": 2.0},
    "anchors-2-1.45-again": {"anchor_size": 2.0, "anchor_growth": 1.45, "learning_rate": 0.5},
    "anchors-2-1.45-long": {"anchor_size": 2.0, "anchor_growth": 1.45, "steps": 1500, "warmup_steps": 90},
    "momentum-0.8": {"momentum": 0.8},
    "box-10": {"box_weight": 10.0},
    "decay-0": {"weight_decay": 0.0},
}


def jobs(name: str) -> list[Job]:
    """An arm's trainings."""
    config = load(ROOT.parent / "configs" / "bccd.yaml").evaluator
    if not isinstance(config, ProxyConfig):
        raise TypeError("configs/bccd.yaml does not train proxies")
    changed = config.with_recipe(**({"precision": "bfloat16"} | dict(ARMS[name])))
    space = space_by_name("spinenet-49")
    return [
        Job(name, f"random-{seed}", space.sample(np.random.default_rng(seed)).to_text(), 0, changed)
        for seed in GENOMES
    ]


def main() -> None:
    """Train and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("arms", nargs="*", metavar="ARM")
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    print("| arm | mean AP | AP of each | taken off | mean loss |")
    print("|---|---|---|---|---|")
    for name in options.arms or ARMS:
        rows = run_jobs(jobs(name), RESULTS, 0 if options.report else 2)
        if not rows:
            continue
        found = [row["metrics"]["AP"] for row in rows]
        losses = [row["metrics"]["loss"] for row in rows]
        off = sum(loss < TAKEN_OFF for loss in losses)
        each = " ".join(f"{ap:.3f}" for ap in found)
        print(f"| {name} | {np.mean(found):.3f} | {each} | {off} | {np.mean(losses):.3f} |", flush=True)


if __name__ == "__main__":
    main()
