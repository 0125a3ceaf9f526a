"""What re-estimating batch norm statistics does: the same trainings, judged with either statistics.

    python -m experiments.statistics_effect [--report]

At 500 steps, the schedule shipped until the study (docs/proxy.md), whose re-estimated half comes from
experiments/proxy_signal.py, and at two shorter ones. Trainings are bit-equal for equal genome, seed and
schedule, so only the statistics differ. Writes experiments/results/statistics_effect.{jsonl,json}.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from experiments import proxy_signal
from experiments.trials import Job, read, run_jobs
from nas.proxy_study.genomes import depth
from proxy_trainer.config import ProxyConfig
from search_space.genome import Genome

RESULTS = Path(__file__).parent / "results" / "statistics_effect.jsonl"
GENOMES = 6
SHORTER = (100, 200)
SEED = proxy_signal.SEEDS[0]


def jobs(config: ProxyConfig) -> list[tuple[int, str, Job, Job]]:
    """By schedule and genome: the training judged with moving statistics, and with re-estimated ones."""
    pairs = []
    for steps in (*SHORTER, config.recipe.steps):
        shorter = config.with_recipe(steps=steps)
        moving = shorter.with_recipe(statistics_batches=0)
        genomes = [job for job in proxy_signal.jobs(config, choice=False) if job.arm == "proxy"]
        for job in genomes[:GENOMES]:
            estimated = Job("estimated", job.name, job.genome, SEED, shorter)
            pairs.append(
                (
                    steps,
                    job.name,
                    Job("moving", job.name, job.genome, SEED, moving),
                    job if steps == config.recipe.steps else estimated,
                )
            )
    return pairs


def report(pairs: list[tuple[int, str, Job, Job]]) -> list[dict[str, Any]]:
    """Both APs of every pair that has run."""
    ap = {row["key"]: row["metrics"]["AP"] for row in (*read(RESULTS), *read(proxy_signal.RESULTS))}
    return [
        {
            "steps": steps,
            "name": name,
            "depth": depth(Genome.from_text(moving.genome)),
            "AP_moving": round(ap[moving.key], 4),
            "AP_estimated": round(ap[estimated.key], 4),
        }
        for steps, name, moving, estimated in pairs
        if moving.key in ap and estimated.key in ap
    ]


def main() -> None:
    """Train what is missing, judge with both statistics."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    pairs = jobs(proxy_signal.studied())
    here = [job for *_, moving, estimated in pairs for job in (moving, estimated) if job.arm != "proxy"]
    run_jobs(here, RESULTS, 0 if options.report else 2)
    found = report(pairs)
    RESULTS.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
