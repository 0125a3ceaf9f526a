"""How many trials each controller needs, with 100 workers, on made-up landscapes of the SpineNet space.

    python -m experiments.simulated_search --targets      the targets, before anything is searched
    python -m experiments.simulated_search                what is missing (hours on 2 cores), then the report
    python -m experiments.simulated_search --report       report what is there

Five landscapes of each family and twenty seeds. A target is a quantile of the truth of a million random
genomes; it is reached when the truth of the genome with the best value so far is there. What did not
reach it within the budget is censored; medians are Kaplan-Meier's, and so are the intervals `low` to
`high`, which are over seeds, on these very landscapes. `others`: the interval of a bootstrap that draws
landscapes first and then seeds, for what other landscapes would give. Reported are the campaigns that all
controllers have made, those left out that have made less than half of theirs. `bayesian` is left out: it
would take 5 core-hours more. A row is kept with a hash of what it was made with, and made again where that
is another now. These are simulations: they say nothing of AP. Writes
experiments/results/simulated_targets.json and simulated_search.{jsonl,json,png}.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from controller.config import ControllerConfig, build, resolved
from controller.guided_evolution import GuidedEvolutionConfig
from controller.local_search import LocalSearchConfig
from controller.ppo import PpoConfig
from controller.random_search import RandomSearchConfig
from controller.regularized_evolution import RegularizedEvolutionConfig
from controller.reinforce import ReinforceConfig
from controller.standing import Standing
from experiments.survival import kaplan_meier, others
from nas.processes import as_they_end
from nas.simulation.clock import Weather, simulate
from nas.simulation.landscapes import Landscape, LandscapeConfig
from search_space.catalog import space_by_name
from search_space.genome import Genome

RESULTS = Path(__file__).parent / "results"
TARGETS, ROWS = RESULTS / "simulated_targets.json", RESULTS / "simulated_search.jsonl"

FAMILIES: tuple[Literal["motifs", "network"], ...] = ("motifs", "network")
LANDSCAPES = range(100, 105)
SEEDS = range(20)
WORKERS, TRIALS = 100, 2000
WEATHER = Weather(failures=0.03, stragglers=0.02)
RANDOM = 1_000_000
CHUNK = 20_000
QUANTILES = (0.999, 0.9999, 0.99999)

CONTROLLERS: dict[str, ControllerConfig] = {
    "random": RandomSearchConfig(),
    "evolution": RegularizedEvolutionConfig(),
    "evolution-tuned": RegularizedEvolutionConfig(population=100, tournament=50),
    "local": LocalSearchConfig(),
    "guided": GuidedEvolutionConfig(),
    "reinforce": ReinforceConfig(batch=4, learning_rate=0.01, baseline=0.9, no_repeats=True),
    "ppo": PpoConfig(batch=5, epochs=10, learning_rate=0.0035, no_repeats=True),
}
"""The defaults; what tuning.py chose of evolution, and of the policies, whose defaults need more trials."""

VERSION = 1
"""Counted up by hand whenever a change of the code would make rows of another kind."""

TICKS = (100, 200, 500, 1000, 2000)


@dataclass(frozen=True, slots=True)
class Job:
    """One simulated campaign."""

    family: Literal["motifs", "network"]
    landscape: int
    controller: str
    seed: int

    @property
    def key(self) -> str:
        """Names it in the results."""
        return f"{self.family}/{self.landscape}/{self.controller}/{self.seed}"


def jobs() -> Iterator[Job]:
    """Seed after seed, so that what is there is balanced whenever it is stopped."""
    for seed in SEEDS:
        for family in FAMILIES:
            for landscape in LANDSCAPES:
                for controller in CONTROLLERS:
                    yield Job(family, landscape, controller, seed)


def landscapes() -> dict[str, Landscape]:
    """All of them, by family and number."""
    return {
        f"{family}/{seed}": Landscape(LandscapeConfig(family=family, seed=seed))
        for family in FAMILIES
        for seed in LANDSCAPES
    }


def marks() -> dict[str, list[float]]:
    """What tells landscapes from others of the same name: the truths of a few genomes."""
    space, rng = space_by_name("spinenet-49"), np.random.default_rng(2**41)
    genomes: list[Genome] = [space.sample(rng) for _ in range(5)]
    return {
        name: [round(float(each), 6) for each in landscape.truths(genomes)]
        for name, landscape in landscapes().items()
    }


def targets() -> dict[str, list[float]]:
    """The quantiles of every landscape, all over the same million genomes."""
    space, known = space_by_name("spinenet-49"), landscapes()
    truths: dict[str, list[Any]] = {name: [] for name in known}
    rng = np.random.default_rng(2**40)
    for _ in range(RANDOM // CHUNK):
        genomes: list[Genome] = [space.sample(rng) for _ in range(CHUNK)]
        for name, landscape in known.items():
            truths[name].append(landscape.truths(genomes))
    return {name: np.quantile(np.concatenate(each), QUANTILES).tolist() for name, each in truths.items()}


def run(job: Job, wanted: list[float]) -> dict[str, Any]:
    """Trials until each target was reached, or None."""
    task = Landscape(LandscapeConfig(family=job.family, seed=job.landscape))
    controller = build(resolved(CONTROLLERS[job.controller], TRIALS), task.space)
    reached: list[int | None] = [None] * len(wanted)
    standing, truths, worth = Standing(), dict[str, float](), -math.inf
    for count, ended in enumerate(
        simulate(controller, task, trials=TRIALS, workers=WORKERS, seed=job.seed, weather=WEATHER), start=1
    ):
        if ended.value is not None:
            standing.add(ended.genome, ended.value)
            truths[ended.genome] = ended.truth
            worth = truths[standing.ranked(1)[0]]
            reached = [
                count if before is None and worth >= target else before
                for before, target in zip(reached, wanted, strict=True)
            ]
    return {"key": job.key, "reached": reached, "end": worth}


def states() -> dict[str, str]:
    """By key, a hash of what the row of a job depends on: settings, conditions, landscape, targets."""
    stored = json.loads(TARGETS.read_text())
    out = {}
    for job in jobs():
        name = f"{job.family}/{job.landscape}"
        facts = (
            repr(resolved(CONTROLLERS[job.controller], TRIALS)),
            repr((TRIALS, WORKERS, WEATHER, VERSION)),
            repr(LandscapeConfig(family=job.family, seed=job.landscape)),
            stored["marks"][name],
            stored["targets"][name],
        )
        out[job.key] = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
    return out


def rows() -> dict[str, dict[str, Any]]:
    """What is there of what would be made now."""
    lines = ROWS.read_text().splitlines() if ROWS.exists() else []
    known = states()
    return {row["key"]: row for row in map(json.loads, lines) if known.get(row["key"]) == row["of"]}


def search(processes: int) -> None:
    """Run what is missing; a line each, as it ends."""
    stored = json.loads(TARGETS.read_text())
    if stored.get("marks") != marks():
        raise SystemExit(f"{TARGETS}: of other landscapes than there are now; make them anew with --targets")
    wanted = stored["targets"]
    done, known = rows(), states()
    missing = [job for job in jobs() if job.key not in done]
    calls = ((job, wanted[f"{job.family}/{job.landscape}"]) for job in missing)
    with ROWS.open("a") as file:
        for count, row in enumerate(as_they_end(run, calls, processes), start=1):
            file.write(json.dumps({**row, "of": known[row["key"]]}) + "\n")
            file.flush()
            print(f"{count} of {len(missing)}", flush=True)


def report() -> list[dict[str, Any]]:
    """By family, target and controller, over what is complete for all controllers that are half done."""
    found = rows()
    made = Counter(key.split("/")[2] for key in found)
    half = len(FAMILIES) * len(LANDSCAPES) * len(SEEDS) / 2
    begun = [name for name in CONTROLLERS if made[name] >= half]
    out = []
    for family in FAMILIES:
        complete = [
            (landscape, seed)
            for seed in SEEDS
            for landscape in LANDSCAPES
            if all(Job(family, landscape, name, seed).key in found for name in begun)
        ]
        for place, quantile in enumerate(QUANTILES):
            for name in begun:
                reached = {
                    (landscape, seed): found[Job(family, landscape, name, seed).key]["reached"][place]
                    for landscape, seed in complete
                }
                row: dict[str, Any] = {"family": family, "quantile": quantile, "controller": name}
                row["campaigns"] = len(reached)
                if reached:
                    row |= {**kaplan_meier(list(reached.values()), TRIALS), "others": others(reached)}
                out.append(row)
    return out


def plot(facts: list[dict[str, Any]], path: Path) -> None:
    """Median trials to each target, with its interval."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(FAMILIES), figsize=(10, 4), layout="constrained", sharey=True)
    names = list(dict.fromkeys(row["controller"] for row in facts))
    for axis, family in zip(axes, FAMILIES, strict=True):
        for shift, name in enumerate(names):
            some = [
                row
                for row in facts
                if (row["family"], row["controller"]) == (family, name) and row["campaigns"]
            ]
            for place, row in enumerate(some):
                x = place + 0.8 / len(names) * (shift - (len(names) - 1) / 2)
                middle = row.get("median") or TRIALS
                low, high = (bound or TRIALS for bound in row.get("others", (None, None)))
                axis.plot([x, x], [low, high], color=f"C{shift}", linewidth=1)
                marker = "o" if row.get("median") else "^"
                axis.plot(x, middle, marker, color=f"C{shift}", label=name if place == 0 else None)
        axis.set_title(f"simulated: {family}")
        axis.set_xticks(range(len(QUANTILES)), [f"best 1 in {round(1 / (1 - q)):,}" for q in QUANTILES])
        axis.set_yscale("log")
        axis.set_yticks(TICKS, [f"{tick:,}" for tick in TICKS])
        axis.minorticks_off()
    axes[0].set_ylabel(f"trials, 100 workers (triangle: over {TRIALS:,})")
    axes[0].legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Targets, campaigns, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", action="store_true")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    if options.targets:
        TARGETS.write_text(json.dumps({"marks": marks(), "targets": targets()}, indent=1) + "\n")
        return
    if not options.report:
        search(options.processes)
    facts = report()
    ROWS.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")
    plot(facts, ROWS.with_suffix(".png"))
    for row in facts:
        print(json.dumps(row))


if __name__ == "__main__":
    main()
