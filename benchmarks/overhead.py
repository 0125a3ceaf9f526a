"""What a campaign costs beside its trials: seconds that warm workers wait for their next trial.

    python -m benchmarks.overhead [--trials 40] [--seconds 5]

Runs a campaign of sleeping trials on Ray with two workers: each trial takes exactly so long and tells
its progress twenty times, as proxies do. What a worker's time from its first trial to its last holds
beside sleep is overhead: scheduling, proposals, the database, progress. Writes
benchmarks/results/overhead.json.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median

from benchmarks.record import write
from controller.regularized_evolution import RegularizedEvolutionConfig
from nas.budget import Budget
from nas.config import CampaignConfig
from nas.launch import create, driving, run
from nas.runners.options import RayOptions
from nas.space_config import SpaceConfig
from proxy_trainer.synthetic import SyntheticConfig
from results_db.records import AttemptRecord

PROGRESS = 20
WORKERS = 2


def campaign(trials: int, seconds: float) -> tuple[AttemptRecord, ...]:
    """Its attempts."""
    config = CampaignConfig(
        name="overhead",
        space=SpaceConfig(preset="spinenet-49").resolved(),
        controller=RegularizedEvolutionConfig(population=10, tournament=4),
        evaluator=SyntheticConfig(seconds=seconds, steps=PROGRESS),
        runner=RayOptions(workers=WORKERS),
        budget=Budget(trials=trials),
    )
    with tempfile.TemporaryDirectory() as root:
        folder = create(config, Path(root))
        with driving(folder, config) as drive:
            run(drive, lambda: None)
            return drive.store.attempts(config.name)


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    by_worker: dict[str, list[AttemptRecord]] = defaultdict(list)
    for attempt in campaign(options.trials, options.seconds):
        by_worker[attempt.worker].append(attempt)
    idle = []
    for attempts in by_worker.values():
        ends = [attempt.ended for attempt in attempts if attempt.ended is not None]
        span = (max(ends) - min(attempt.started for attempt in attempts)).total_seconds()
        idle.append((span - len(attempts) * options.seconds) / len(attempts))
    each = median(idle)
    share = each / (each + options.seconds)
    print(f"{each * 1000:.0f} ms a trial: {share:.2%} of trials of {options.seconds:g} s")
    facts = {
        "trials": options.trials,
        "seconds": options.seconds,
        "idle": idle,
        "share": share,
    }
    write("overhead", facts)


if __name__ == "__main__":
    main()
