"""Running a campaign on Ray, on this machine or on a cluster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nas.campaign import Campaign
from nas.runners.options import RayOptions
from nas.runners.ray.cluster import engine
from nas.runners.ray.pool import Pool
from proxy_trainer.protocol import Evaluator
from results_db.records import ENDED


def run(
    campaign: Campaign[Any],
    make_evaluator: Callable[[], Evaluator],
    options: RayOptions,
    tick: Callable[[], None],
    log: Path | None = None,
) -> None:
    """Run the campaign to its end; `tick` is called about five times a second.

    Each worker calls `make_evaluator` once. On this machine workers print to `log`. Raises
    RunnerError; KeyboardInterrupt passes through, as everything does, once all workers are gone.
    """
    snapshot = campaign.snapshot()
    left = snapshot.budget - sum(snapshot.counts[status] for status in ENDED)
    with engine(options, max(1, left)) as cluster:
        pool = Pool(campaign, make_evaluator, options, cluster, log)
        try:
            while not pool.finished:
                pool.turn(tick)
                tick()
        finally:
            pool.close()
