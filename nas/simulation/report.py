"""What a simulation comes to: how good the best is after so many trials, and who is ahead, seed by seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.stats import wilcoxon

from nas.simulation.config import SimulationConfig
from nas.simulation.run import Course

Floats = NDArray[np.float64]


def simulation_facts(config: SimulationConfig, courses: Sequence[Course]) -> list[dict[str, Any]]:
    """A row for each task, controller and moment, JSON-ready.

    `better` is the p-value of a one-sided paired Wilcoxon test, that this controller's best is better
    than the first controller's with the same seeds; `worse` the other way round.
    """
    by_key = {(each.task, each.controller, each.seed): each for each in courses}
    rows = []
    for task in config.tasks:
        for moment in config.moments:
            first: Floats | None = None
            for name in config.controllers:
                values = _values([by_key[task, name, seed] for seed in range(config.seeds)], moment)
                row = {"task": task, "trials": moment, "controller": name, **_spread(values)}
                if first is None:
                    first = values
                else:
                    row |= {"better": _p(values, first, "greater"), "worse": _p(values, first, "less")}
                rows.append(row)
    return rows


def print_simulation(console: Console, config: SimulationConfig, rows: list[dict[str, Any]]) -> None:
    """The same for people, a table a task."""
    first = next(iter(config.controllers))
    for task in config.tasks:
        table = Table(
            title=f"{task}: best of {config.seeds} simulated campaigns, {config.workers} workers",
            title_justify="left",
        )
        for heading in ("trials", "controller", "median", "quartiles", f"against {first}"):
            table.add_column(heading, justify="left" if heading == "controller" else "right")
        for row in rows:
            if row["task"] == task:
                low, high = row["quartiles"]
                table.add_row(
                    str(row["trials"]),
                    row["controller"],
                    f"{row['median']:.4g}",
                    f"{low:.4g} to {high:.4g}",
                    _against(row),
                )
        console.print(table)


def _against(row: dict[str, Any]) -> str:
    if "better" not in row:
        return ""
    word = "better" if row["better"] <= row["worse"] else "worse"
    return f"{word}, p = {row[word]:.2g}"


def _values(courses: Sequence[Course], moment: int) -> Floats:
    found = [course.best[moment - 1] for course in courses]
    return np.array([-math.inf if value is None else value for value in found])


def _spread(values: Floats) -> dict[str, Any]:
    method: Literal["linear", "nearest"] = "linear" if np.isfinite(values).all() else "nearest"
    return {
        "median": float(np.median(values)),
        "mean": float(values.mean()) if np.isfinite(values).all() else None,
        "quartiles": np.percentile(values, [25, 75], method=method).tolist(),
    }


def _p(values: Floats, others: Floats, alternative: str) -> float:
    """1 where nothing differs. What has no best yet is worse than what has, and like what has none either."""
    if (values == others).all():
        return 1.0
    known = np.concatenate([values, others])
    known = known[np.isfinite(known)]
    least = known.min() - np.ptp(known) - 1
    differences = np.maximum(values, least) - np.maximum(others, least)
    return float(wilcoxon(differences, alternative=alternative, zero_method="zsplit").pvalue)
