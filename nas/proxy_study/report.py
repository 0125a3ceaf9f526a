"""What a proxy study comes to: for every candidate how it ranks, how surely, and at what cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table

from nas.proxy_study.config import REFERENCE
from nas.proxy_study.genomes import features
from nas.proxy_study.ranks import Floats, better_half, bits, interval, mean, partial_tau, tau, variances
from nas.proxy_study.rungs import print_rungs, rung_facts
from search_space.genome import Genome

FAILED: Final = 0.0
"""What a candidate's failed training counts as: worst, as a search takes it."""


@dataclass(frozen=True, slots=True)
class ArmTable:
    """What an arm's trainings came to, by genome and seed; a failed one's value is NaN.

    `core_seconds` is what cores worked for it, or, where that is not known, what they were held for:
    on a machine that does other things too the first says what a proxy costs, and the clock does not.
    """

    values: Floats
    core_seconds: Floats
    rungs: Mapping[int, Floats] = field(default_factory=dict)
    """By step: the values that were told on the way; NaN where none was."""

    @property
    def failures(self) -> int:
        """How many failed."""
        return int(np.isnan(self.values).sum())

    @property
    def ranked(self) -> Floats:
        """The values with failures as the worst."""
        return np.nan_to_num(self.values, nan=FAILED)

    def of(self, rows: Any) -> ArmTable:
        """Of some genomes."""
        rungs = {step: values[rows] for step, values in self.rungs.items()}
        return ArmTable(self.values[rows], self.core_seconds[rows], rungs)


def study_facts(texts: tuple[str, ...], tables: Mapping[str, ArmTable]) -> dict[str, Any]:
    """Everything as JSON-ready facts, of the arms that are complete; the reference must be.

    The reference's value of a genome is the mean of its finished seeds; genomes without any are left out.
    """
    known = ~np.isnan(tables[REFERENCE].values).all(axis=1)
    rows = np.flatnonzero(known)
    kept = {name: table.of(rows) for name, table in tables.items()}
    return _facts(tuple(texts[row] for row in rows), kept) | {"left_out": int((~known).sum())}


def _facts(texts: tuple[str, ...], tables: Mapping[str, ArmTable]) -> dict[str, Any]:
    known = features([Genome.from_text(text) for text in texts])
    given = [known["log_flops"], known["depth"]]
    reference = tables[REFERENCE]
    truth = np.nanmean(reference.values, axis=1)
    return {
        "genomes": len(texts),
        "reference": {
            "seeds": reference.values.shape[1],
            "failures": reference.failures,
            "hours": _core_hours(reference),
            "ceiling": _ceiling(reference.values),
            "tau_with_depth": tau(truth, known["depth"]),
            **_variances(reference.values),
        },
        "alone": {name: _tau_facts(values[:, np.newaxis], truth) for name, values in known.items()},
        "candidates": [
            {
                "name": name,
                "seeds": table.values.shape[1],
                "failures": table.failures,
                "core_seconds": float(np.nanmean(table.core_seconds)),
                **_tau_facts(table.ranked, truth),
                "better_half": _tau(table.ranked, truth, better_half(truth)),
                "partial": mean([partial_tau(column, truth, given) for column in table.ranked.T]),
                "tau_with_depth": mean([tau(column, known["depth"]) for column in table.ranked.T]),
                **_variances(table.ranked),
                "bits_per_core_hour": _information(table, truth),
                "rungs": rung_facts(
                    {step: np.nan_to_num(each, nan=FAILED) for step, each in table.rungs.items()},
                    table.ranked,
                    truth,
                ),
            }
            for name, table in tables.items()
            if name != REFERENCE
        ],
    }


def print_study(console: Console, name: str, facts: dict[str, Any]) -> None:
    """The same for people."""
    reference = facts["reference"]
    console.print(f"{name}: {facts['genomes']} genomes\n")
    console.print(_table(facts["candidates"]))
    failures = f", {reference['failures']} failed" if reference["failures"] else ""
    seeds = "1 seed" if reference["seeds"] == 1 else f"{reference['seeds']} seeds"
    console.print(
        f"\nreference: {seeds}, {reference['hours']:.1f} core-hours{failures}; "
        f"tau between two halves of its seeds {_number(reference['ceiling'])}; "
        f"tau with depth {_number(reference['tau_with_depth'])}"
    )
    alone = ", ".join(f"{word} {_number(each['tau'])}" for word, each in facts["alone"].items())
    console.print(f"tau to the reference without any training: {alone}")
    print_rungs(console, facts["candidates"])
    if facts["left_out"]:
        console.print(f"left out: {facts['left_out']} genomes of which no reference training finished")
    if facts["untrained"]:
        console.print(f"not trained yet, and not above: {', '.join(facts['untrained'])}")
    best = max(facts["candidates"], key=lambda row: row["bits_per_core_hour"], default=None)
    if best is not None:
        console.print(
            f"most rank information per core-hour: {best['name']} ({best['bits_per_core_hour']:.1f} bits)"
        )


def _table(candidates: list[dict[str, Any]]) -> Table:
    """Of 80 columns at most: only a name is folded where there is no room."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("\nproxy", overflow="fold")
    for heading in (
        "core-s\na trial", "tau to the\nreference", "better\nhalf", "\npartial", "with\ndepth",
        "sd of\ngenomes", "sd of\nseeds", "bits a\ncore-h",
    ):  # fmt: skip
        table.add_column(heading, justify="right", no_wrap=True)
    for row in sorted(candidates, key=lambda row: -row["bits_per_core_hour"]):
        low, high = row["interval"]
        table.add_row(
            row["name"] + (f" ({row['failures']} failed)" if row["failures"] else ""),
            f"{row['core_seconds']:.0f}",
            f"{row['tau']:.2f} [{low:.2f}, {high:.2f}]",
            _number(row["better_half"]),
            _number(row["partial"]),
            _number(row["tau_with_depth"]),
            f"{row['genome_sd']:.3f}",
            _number(row["seed_sd"], 3),
            f"{row['bits_per_core_hour']:.1f}",
        )
    return table


def _tau(values: Floats, truth: Floats, rows: Any = slice(None)) -> float:
    """Of one trial: the mean over seeds of each seed's tau."""
    return mean([tau(column[rows], truth[rows]) for column in values.T])


def _tau_facts(values: Floats, truth: Floats) -> dict[str, Any]:
    bounds = interval(lambda rows: _tau(values, truth, rows), len(truth))
    return {"tau": _tau(values, truth), "interval": list(bounds)}


def _ceiling(values: Floats) -> float:
    """Tau between the means of two halves of the seeds: what no proxy can be expected to exceed by far.

    Of the genomes of which all seeds finished.
    """
    values = values[~np.isnan(values).any(axis=1)]
    half = values.shape[1] // 2
    if not half:
        return math.nan
    return tau(values[:, :half].mean(axis=1), values[:, half:].mean(axis=1))


def _variances(values: Floats) -> dict[str, float]:
    between, seed = variances(values)
    return {"genome_sd": math.sqrt(max(0.0, between)), "seed_sd": math.sqrt(seed)}


def _core_hours(table: ArmTable) -> float:
    return float(np.nansum(table.core_seconds)) / 3600


def _information(table: ArmTable, truth: Floats) -> float:
    hours = float(np.nanmean(table.core_seconds)) / 3600
    return bits(_tau(table.ranked, truth)) / hours


def _number(value: float, digits: int = 2) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "-"
