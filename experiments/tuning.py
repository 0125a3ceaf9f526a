"""The same effort of tuning for every controller, on tables that nothing is reported of.

    OMP_NUM_THREADS=1 python -m experiments.tuning      goes on where it was stopped
    python -m experiments.tuning --report

Of every controller `SETTINGS` settings: its default at that time, and others drawn at random from
`RANGES`, which were written down before anything ran. Each makes campaigns of `BUDGETS` trials with the
seeds `CHOOSING` on the tuning tables; the one whose finds rank best is *tuned*. Where that is another than
the default, both then make campaigns with the seeds `JUDGING`, and the p-value is Wilcoxon's (signed
ranks, one-sided, over tables, budgets and seeds): a default is changed only where it is under 0.01. A find
ranks by the share of the table's genomes that are at least as good, as a power of ten (-3: one in a
thousand); less is better. The tuned settings are what docs/controllers.md compares on *other* tables.
Writes experiments/results/tuning.{jsonl,json}.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wilcoxon

from controller.bayesian import BayesianConfig
from controller.config import ControllerConfig, build, resolved
from controller.contenders import ContendersConfig
from controller.guided_evolution import GuidedEvolutionConfig
from controller.local_search import LocalSearchConfig
from controller.ppo import PpoConfig
from controller.regularized_evolution import RegularizedEvolutionConfig, scaled
from controller.reinforce import ReinforceConfig
from nas.processes import as_they_end
from nas.simulation.config import TableConfig
from nas.simulation.run import course, task_of
from nas.simulation.tables import Table

RESULTS = Path(__file__).parent / "results"
ROWS = RESULTS / "tuning.jsonl"

TABLES = (
    TableConfig(benchmark="nasbench201", dataset="cifar10"),
    TableConfig(benchmark="nasbenchgraph", dataset="cora"),
    TableConfig(benchmark="nasbenchgraph", dataset="citeseer"),
    TableConfig(benchmark="hpolib", dataset="protein_structure"),
    TableConfig(benchmark="hpobench", dataset="vehicle"),
)
BUDGETS = (100, 300)
SETTINGS = 16
CHOOSING, JUDGING = range(20), range(100, 130)

Setting = dict[str, Any]

DEFAULTS: dict[str, ControllerConfig] = {
    "evolution": RegularizedEvolutionConfig(),
    "evolution-contenders": RegularizedEvolutionConfig(contenders=ContendersConfig()),
    "local": LocalSearchConfig(),
    "guided": GuidedEvolutionConfig(),
    "bayesian": BayesianConfig(),
    "reinforce": ReinforceConfig(),
    "ppo": PpoConfig(),
}
SIZES = {"share": (3, 6, 12, 20), "tournament": (0.05, 0.1, 0.25, 0.5)}
"""The population is one `share`-th of the budget, a tournament a part of the population."""

LEARNING = {
    "learning_rate": (3.5e-4, 1e-3, 3.5e-3, 1e-2, 3.5e-2),
    "entropy": (0.0, 1e-5, 1e-3, 1e-2),
    "baseline": (0.8, 0.9, 0.95),
    "no_repeats": (False, True),
}
RANGES: dict[str, dict[str, tuple[Any, ...]]] = {
    "evolution": SIZES,
    "evolution-contenders": {**SIZES, "contenders": (0.1, 0.15, 0.25)},
    "local": {"start": (2, 5, 10, 20), "patience": (10, 25, 50, 100), "contenders": (None, 0.1, 0.15, 0.25)},
    "guided": {
        **SIZES,
        "children": (10, 20, 50),
        "start": (10, 20, 30),
        "trust": (0.0, 0.3, 0.5),
        "contenders": (None, 0.1, 0.15, 0.25),
    },
    "bayesian": {
        "start": (10, 20, 30),
        "near": (20, 40, 80),
        "far": (0, 10, 30),
        "elites": (3, 10, 20),
        "trust": (0.0, 0.3),
        "contenders": (None, 0.1, 0.15, 0.25),
    },
    "reinforce": {"batch": (1, 4, 8), **LEARNING},
    "ppo": {"batch": (5, 10, 20), "epochs": (2, 5, 10), **LEARNING},
}

BEFORE: dict[str, Setting] = {
    "guided": {
        "share": 12,
        "tournament": 0.25,
        "children": 20,
        "start": 20,
        "trust": 0.3,
        "contenders": 0.15,
    }
}
"""Defaults that are others since this was run."""

JUDGED_TOO = {"guided": 1}
"""The setting that became the default (docs/decisions/0064): judged after the tuned one, not by plan."""


def settings(controller: str) -> list[Setting]:
    """The default, which is empty but where it has changed since, and the others; always the same."""
    ranges = RANGES[controller]
    every = [dict(zip(ranges, values, strict=True)) for values in itertools.product(*ranges.values())]
    drawn = np.random.default_rng(list(DEFAULTS).index(controller)).permutation(len(every))
    return [BEFORE.get(controller, {}), *(every[place] for place in drawn[: SETTINGS - 1])]


def configured(controller: str, setting: Setting, trials: int) -> ControllerConfig:
    """The controller with a setting, for a budget."""
    changes = dict(setting)
    if "share" in changes:
        population, _ = scaled(trials, share=changes.pop("share"))
        changes |= {
            "population": population,
            "tournament": max(1, round(population * changes.pop("tournament"))),
        }
    if changes.get("contenders") is not None:
        changes["contenders"] = ContendersConfig(share=changes["contenders"])
    return resolved(replace(DEFAULTS[controller], **changes), trials)


@dataclass(frozen=True, slots=True)
class Job:
    """Campaigns of one setting on one table."""

    controller: str
    setting: int
    table: TableConfig
    trials: int
    judging: bool

    @property
    def key(self) -> str:
        """Names it in the results."""
        kind = "judging" if self.judging else "choosing"
        return f"{kind}/{self.controller}/{self.setting}/{self.table.dataset}/{self.trials}"

    @property
    def seeds(self) -> range:
        """Those that choose are none of those that judge."""
        return JUDGING if self.judging else CHOOSING


@lru_cache
def truths(config: TableConfig) -> NDArray[np.float64]:
    """Of all genomes, worst first."""
    table = task_of(config)
    assert isinstance(table, Table)  # noqa: S101, so is every task of TABLES
    return np.sort([table.truth(genome) for genome in table.values])


def run(job: Job) -> dict[str, Any]:
    """Where each campaign's find ranks."""
    task, known = task_of(job.table), truths(job.table)
    config = configured(job.controller, settings(job.controller)[job.setting], job.trials)
    ranks = []
    for seed in job.seeds:
        found = course(
            task, build(config, task.space), (job.key, job.controller), trials=job.trials, seed=seed
        ).best[-1]
        if found is None:
            raise RuntimeError(f"{job.key}: no trial of a table fails, and none finished")
        share = (len(known) - np.searchsorted(known, found)) / len(known)
        ranks.append(round(float(np.log10(share)), 4))
    return {"key": job.key, "ranks": ranks}


def rows() -> dict[str, list[float]]:
    """What is there."""
    lines = ROWS.read_text().splitlines() if ROWS.exists() else []
    return {row["key"]: row["ranks"] for row in map(json.loads, lines)}


def jobs(controller: str, numbers: Iterable[int], *, judging: bool) -> Iterator[Job]:
    """Of some settings of a controller."""
    for setting, table, trials in itertools.product(numbers, TABLES, BUDGETS):
        yield Job(controller, setting, table, trials, judging)


def ranks(found: dict[str, list[float]], controller: str, setting: int, *, judging: bool) -> list[float]:
    """Of all tables, budgets and seeds."""
    return [rank for job in jobs(controller, (setting,), judging=judging) for rank in found[job.key]]


def tuned(found: dict[str, list[float]], controller: str) -> int:
    """Which setting ranks best; of equals the first."""
    means = [np.mean(ranks(found, controller, each, judging=False)) for each in range(SETTINGS)]
    return int(np.argmin(means))


def judged(controller: str, best: int) -> list[int]:
    """The settings that are held against the default."""
    return [each for each in dict.fromkeys((best, JUDGED_TOO.get(controller, 0))) if each]


def run_missing(wanted: Iterable[Job], processes: int) -> None:
    """A line each, as it ends."""
    done = rows()
    missing = [job for job in wanted if job.key not in done]
    calls = ((job,) for job in missing)
    with ROWS.open("a") as file:
        for count, row in enumerate(as_they_end(run, calls, processes), start=1):
            file.write(json.dumps(row) + "\n")
            file.flush()
            print(f"{count} of {len(missing)}", flush=True)


def report() -> list[dict[str, Any]]:
    """Of each controller: every setting's mean rank, the tuned one, and how it does against the default."""
    found, out = rows(), []
    for controller in DEFAULTS:
        best = tuned(found, controller)
        row: dict[str, Any] = {
            "controller": controller,
            "settings": [
                {**setting, "rank": round(float(np.mean(ranks(found, controller, each, judging=False))), 3)}
                for each, setting in enumerate(settings(controller))
            ],
            "tuned": best,
        }
        if others := judged(controller, best):
            old = np.array(ranks(found, controller, 0, judging=True))
            row["judged"] = {"default": round(float(old.mean()), 3)}
            for each in others:
                new = np.array(ranks(found, controller, each, judging=True))
                row["judged"][f"setting {each}"] = {
                    "rank": round(float(new.mean()), 3),
                    "p": float(wilcoxon(new, old, alternative="less", zero_method="zsplit").pvalue),
                }
        out.append(row)
    return out


def main() -> None:
    """Choose, judge, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    if not options.report:
        every = [job for name in DEFAULTS for job in jobs(name, range(SETTINGS), judging=False)]
        run_missing(every, options.processes)
        found = rows()
        run_missing(
            (
                job
                for name in DEFAULTS
                if (others := judged(name, tuned(found, name)))
                for job in jobs(name, (0, *others), judging=True)
            ),
            options.processes,
        )
    facts = report()
    ROWS.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")
    for row in facts:
        print(json.dumps(row))


if __name__ == "__main__":
    main()
