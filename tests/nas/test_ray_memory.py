"""A worker that takes too much memory is ended by Ray; the trial fails as such and the campaign goes on.

Ray's limit is set just above what the machine uses now, in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest

from controller.random_search import RandomSearch
from nas.campaign import Campaign
from nas.rules import CampaignRules
from nas.runners.options import RayOptions
from proxy_trainer.protocol import Evaluator
from results_db.records import NewCampaign
from results_db.store import Store
from search_space.catalog import SPACES
from search_space.trial import Assignment, Measurement, Progress

GIB = 2**30


@dataclass(frozen=True)
class Greedy:
    """Trial 2 takes more and more memory; the others finish."""

    def __call__(self) -> Evaluator:
        return self

    def evaluate(self, assignment: Assignment) -> Iterator[Progress | Measurement]:
        taken = []
        for _ in range(60 if assignment.number == 2 else 0):
            taken.append(np.ones(GIB // 8 // 10))
            time.sleep(0.2)
        yield Measurement(step=1, metrics={"AP": 0.5 + len(taken)})


def main(url: str) -> None:
    """Run a campaign of four trials on two workers."""
    import ray
    from ray.cloudpickle import register_pickle_by_value

    from nas.runners.ray import run as runner

    ray.init("local", num_cpus=2, include_dashboard=False, object_store_memory=100 * 2**20)
    register_pickle_by_value(sys.modules["__main__"])  # type: ignore[no-untyped-call] # Ray's own omission
    space = SPACES["r0-sp53"]
    with Store.create(url) as store:
        store.add(NewCampaign(name="c", seed=1, config={}, config_hash="", code_version=""))
        with store.take("c") as writer:
            rules = CampaignRules(trials=4, retries={}, alone=frozenset(), failure_share=1.0)
            campaign = Campaign(writer, rules, space, RandomSearch(space))
            runner.run(campaign, Greedy(), RayOptions(workers=2), lambda: None)


@pytest.mark.full
@pytest.mark.timeout(900)  # Ray takes minutes to notice
def test_a_worker_that_ray_ends_for_its_memory(tmp_path: Path) -> None:
    memory = psutil.virtual_memory()
    if memory.available < 8 * GIB:
        pytest.skip("less than 8 GiB are free")
    share = (memory.total - memory.available + 2.5 * GIB) / memory.total
    settings = {
        "RAY_memory_usage_threshold": f"{share:.3f}",
        "RAY_memory_monitor_refresh_ms": "100",
        # Ray would start the task again itself; the campaign decides.
        "RAY_task_oom_retries": "0",
    }
    url = f"sqlite:///{tmp_path / 'c.sqlite'}"
    done = subprocess.run(
        [sys.executable, __file__, url], env={**os.environ, **settings}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    with Store.read(url) as store:
        failures = {trial.number: trial.failure for trial in store.trials("c") if trial.failure is not None}
        assert [(number, str(failure.kind)) for number, failure in failures.items()] == [
            (2, "out_of_memory")
        ], failures
        assert [trial.number for trial in store.trials("c") if trial.reward is not None] == [1, 3, 4]


if __name__ == "__main__":
    main(sys.argv[1])
