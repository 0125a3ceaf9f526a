"""Train many proxies on a few cores, resumably: what the studies in this folder share.

Each finished trial is one line of a JSON-lines file; a study that is started again does only what
is missing. Workers are separate processes, pinned to one core each.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nas.processes import as_they_end
from proxy_trainer.config import ProxyConfig
from proxy_trainer.data.config import PATHS, CocoData
from search_space.trial import Assignment, Measurement

CACHE = Path(os.environ.get("NAS_CACHE", Path.home() / ".cache" / "spinenas"))


@dataclass(frozen=True, slots=True)
class Job:
    """One trial of a study. `key` identifies it in the results; `name` is what tables call the genome."""

    arm: str
    name: str
    genome: str
    seed: int
    config: ProxyConfig

    @property
    def key(self) -> str:
        """Arm, genome, seed, recipe and data: where one of them has changed it is another trial."""
        data: object = self.config.data
        if isinstance(data, CocoData):  # wherever it lies
            data = {key: value for key, value in asdict(data).items() if key not in PATHS}
        digest = hashlib.blake2b(repr((data, self.config.splits)).encode(), digest_size=4).hexdigest()
        return f"{self.arm}/{self.name}/{self.seed}/{self.config.recipe.hash}/{digest}"


def run_jobs(jobs: Iterable[Job], results: Path, workers: int) -> list[dict[str, Any]]:
    """Run what has no result yet (nothing with 0 workers), and return the results there are."""
    wanted = {job.key: job for job in jobs}
    done = {row["key"]: row for row in read(results) if row["key"] in wanted}
    missing = [job for key, job in wanted.items() if key not in done]
    results.parent.mkdir(parents=True, exist_ok=True)
    if not missing or not workers:
        return [done[key] for key in wanted if key in done]
    cores = multiprocessing.get_context("spawn").Queue()
    for core in sorted(os.sched_getaffinity(0))[:workers]:
        cores.put(core)
    began = time.monotonic()
    calls = ((job,) for job in missing)
    for count, row in enumerate(as_they_end(_run, calls, workers, _pin, (cores,)), 1):
        done[row["key"]] = row
        with results.open("a") as file:
            file.write(json.dumps(row) + "\n")
        spent = time.monotonic() - began
        print(
            f"{count}/{len(missing)} {row['key']} AP={row['metrics'].get('AP', float('nan')):.4f} "
            f"AP50={row['metrics'].get('AP50', float('nan')):.3f} {row['metrics']['seconds']:.0f} s, "
            f"{spent / count * (len(missing) - count) / 60:.0f} min left",
            flush=True,
        )
    return [done[key] for key in wanted]


def read(results: Path) -> list[dict[str, Any]]:
    """All stored results."""
    if not results.exists():
        return []
    return [json.loads(line) for line in results.read_text().splitlines() if line]


def _pin(cores: Any) -> None:
    os.sched_setaffinity(0, {cores.get()})
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"


_EVALUATORS: dict[str, Any] = {}


def _run(job: Job) -> dict[str, Any]:
    # TensorFlow is loaded in the workers only.
    from proxy_trainer.evaluator import ProxyEvaluator

    config = repr(job.config)
    if config not in _EVALUATORS:
        _EVALUATORS[config] = ProxyEvaluator(job.config, cache=CACHE)
    assignment = Assignment(campaign="study", number=0, attempt=1, seed=job.seed, genome=job.genome)
    *_, last = _EVALUATORS[config].evaluate(assignment)
    if not isinstance(last, Measurement):
        raise TypeError(f"{job.key}: no measurement")
    return {
        "key": job.key,
        "arm": job.arm,
        "name": job.name,
        "genome": job.genome,
        "seed": job.seed,
        "metrics": dict(last.metrics),
        "provenance": dict(last.provenance),
    }
