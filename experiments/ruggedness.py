"""How alike are parents and their children: with real proxies, and on made-up landscapes?

    python -m experiments.ruggedness            15 minutes on 2 cores; goes on where it was stopped
    python -m experiments.ruggedness --report

Each of the 48 genomes that the shipped proxy was studied and confirmed on gets one child, by one move that
makes another network; the children are trained as their parents were. What is compared is Spearman's
correlation between the rewards of parents and of children, with a bootstrap interval over pairs for the real
ones. The same of what ten landscapes of each family (seeds 100 to 109) say of the very same pairs.
A landscape is rugged where it is low. Writes experiments/results/ruggedness.{jsonl,json}.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from experiments.landscape_fit import LANDSCAPES, RESAMPLES, correlation, real
from experiments.trials import Job, run_jobs
from nas.config import load
from nas.simulation.landscapes import Landscape, LandscapeConfig
from proxy_trainer.config import ProxyConfig
from search_space.catalog import space_by_name
from search_space.genome import Genome

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "ruggedness.jsonl"


def children(parents: list[Genome]) -> list[Genome]:
    """One each, always the same."""
    space, rng = space_by_name("spinenet-49"), np.random.default_rng(7000)
    made = []
    for parent in parents:
        child = space.mutate(parent, rng)
        while space.fingerprint(child) == space.fingerprint(parent):
            child = space.mutate(parent, rng)
        made.append(child)
    return made


def jobs(genomes: list[Genome]) -> list[Job]:
    """A training of each child."""
    config = load(HERE.parent / "configs" / "proxy.yaml").evaluator
    if not isinstance(config, ProxyConfig):
        raise TypeError("configs/proxy.yaml does not train proxies")
    return [
        Job("children", f"child-{place}", genome.to_text(), 0, config) for place, genome in enumerate(genomes)
    ]


def main() -> None:
    """Train what is missing, report what is there."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    rewards = real()
    parents = [Genome.from_text(text) for text in rewards]
    bred = children(parents)
    rows = {
        row["genome"]: row["metrics"]["AP"]
        for row in run_jobs(jobs(bred), RESULTS, 0 if options.report else 2)
    }
    pairs = [(parent, child) for parent, child in zip(parents, bred, strict=True) if child.to_text() in rows]
    before = np.array([rewards[parent.to_text()] for parent, _ in pairs])
    after = np.array([rows[child.to_text()] for _, child in pairs])
    rng = np.random.default_rng(0)
    draws = [rng.integers(len(pairs), size=len(pairs)) for _ in range(RESAMPLES)]
    bounds = np.quantile([correlation(before[draw], after[draw]) for draw in draws], (0.025, 0.975))
    found: dict[str, Any] = {
        "pairs": len(pairs),
        "real": {"correlation": correlation(before, after), "interval": bounds.tolist()},
    }
    for family in ("motifs", "network"):
        some = []
        for seed in LANDSCAPES:
            landscape = Landscape(LandscapeConfig(family=family, seed=seed))
            said = np.array([[landscape.measure(each, rng).value for each in pair] for pair in pairs])
            some.append(correlation(said[:, 0], said[:, 1]))
        found[family] = {"median": float(np.median(some)), "least": min(some), "most": max(some)}
    RESULTS.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
