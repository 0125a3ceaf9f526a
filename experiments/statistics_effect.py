"""What re-estimating batch norm statistics does: the same trainings, judged with either statistics.

    python -m experiments.statistics_effect

Needs the results of experiments/proxy_signal.py (the re-estimated half). Trainings are bit-equal for
equal genome, seed and schedule, so only the statistics differ. Writes
experiments/results/statistics_effect.{jsonl,json}.
"""

from __future__ import annotations

import json
from pathlib import Path

from experiments import proxy_signal
from experiments.trials import Job, read, run_jobs
from nas.config import load
from proxy_trainer.config import ProxyConfig
from search_space.genome import Genome
from search_space.graph import resolve

RESULTS = Path(__file__).parent / "results" / "statistics_effect.jsonl"
GENOMES = 4


def depth(text: str) -> int:
    """Nodes on the longest path from the images to an output."""
    longest: dict[int, int] = {}
    for node in resolve(Genome.from_text(text)).nodes:
        longest[node.number] = 1 + max((longest[parent] for parent in (*node.parents, *node.raw)), default=0)
    return max(longest.values())


def main() -> None:
    """Judge with moving statistics what proxy_signal judged with re-estimated ones."""
    config = load(Path(__file__).parent.parent / "configs" / "proxy.yaml").evaluator
    if not isinstance(config, ProxyConfig):
        raise TypeError("configs/proxy.yaml does not train proxies")
    seed = proxy_signal.SEEDS[0]
    pairs = [
        job for job in proxy_signal.jobs(config, choice=False) if job.arm == "proxy" and job.seed == seed
    ]
    pairs = pairs[:GENOMES]
    moving = config.with_recipe(statistics_batches=0)
    rows = run_jobs([Job("moving", job.name, job.genome, seed, moving) for job in pairs], RESULTS, 2)
    estimated = {row["key"]: row["metrics"]["AP"] for row in read(proxy_signal.RESULTS)}
    found = [
        {
            "name": row["name"],
            "depth": depth(row["genome"]),
            "AP_moving": round(row["metrics"]["AP"], 4),
            "AP_estimated": round(estimated[job.key], 4),
        }
        for row, job in zip(rows, pairs, strict=True)
    ]
    RESULTS.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
