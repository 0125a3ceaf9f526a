"""What keeps trainings on photographs from learning? Four sets of anchors.

    python -m experiments.bccd_anchors [ARM ...]     train what is missing, report
    python -m experiments.bccd_anchors --report      report what is there

The shipped recipe on the blood cells of configs/bccd.yaml. Eight random genomes that are none of those of
configs/proxy_confirm_bccd.yaml, one seed each: what was found here could be used there. Writes
experiments/results/bccd_anchors.jsonl.
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
RESULTS = ROOT / "results" / "bccd_anchors.jsonl"
GENOMES = tuple(range(6000, 6008))
TAKEN_OFF = 0.05
"""AP from which a training counts as one that learned to look at the picture."""

ARMS: Mapping[str, Mapping[str, Any]] = {
    f"anchors-{size:g}-{growth:g}": {"anchor_size": size, "anchor_growth": growth}
    for size, growth in ((1.25, 1.35), (2.0, 1.45), (3.0, 1.6), (3.0, 2.0))
}


def jobs(name: str) -> list[Job]:
    """An arm's trainings."""
    config = load(ROOT.parent / "configs" / "bccd.yaml").evaluator
    if not isinstance(config, ProxyConfig):
        raise TypeError("configs/bccd.yaml does not train proxies")
    changed = config.with_recipe(**ARMS[name])
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
    print("| arm | mean AP | AP of each | taken off |")
    print("|---|---|---|---|")
    for name in options.arms or ARMS:
        rows = run_jobs(jobs(name), RESULTS, 0 if options.report else 2)
        if not rows:
            continue
        found = [row["metrics"]["AP"] for row in rows]
        off = sum(ap > TAKEN_OFF for ap in found)
        each = " ".join(f"{ap:.3f}" for ap in found)
        print(f"| {name} | {np.mean(found):.3f} | {each} | {off} |", flush=True)


if __name__ == "__main__":
    main()
