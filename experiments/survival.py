"""How many trials it takes to get somewhere, when not every campaign gets there."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from scipy.stats import CensoredData, ecdf

RESAMPLES = 2000


def kaplan_meier(reached: list[int | None], budget: int) -> dict[str, float | None]:
    """Median trials and a 95 % interval; None where less than half of them, or of the bound, got there.

    A campaign that did not get there within its budget of trials counts as censored there.
    """
    seen = [count for count in reached if count is not None]
    if not seen:
        return {"median": None, "low": None, "high": None, "share": 0.0}
    censored = CensoredData(uncensored=seen, right=[budget] * (len(reached) - len(seen)))
    survival = ecdf(censored).sf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no interval where all or none are left
        bounds = survival.confidence_interval(0.95, method="log-log")

    def median(curve: Any) -> float | None:
        below = np.flatnonzero(curve.probabilities <= 0.5)
        return float(curve.quantiles[below[0]]) if len(below) else None

    return {
        "median": median(survival),
        "low": median(bounds.low),
        "high": median(bounds.high),
        "share": len(seen) / len(reached),
    }


def others(reached: dict[tuple[int, int], int | None]) -> list[float | None]:
    """A 95 % interval of the median over landscapes, then seeds; None beyond the budget."""
    rng = np.random.default_rng(0)
    by_landscape: dict[int, list[float]] = {}
    for (landscape, _), count in reached.items():
        by_landscape.setdefault(landscape, []).append(math.inf if count is None else count)
    groups = [np.array(each) for each in by_landscape.values()]
    medians = []
    for _ in range(RESAMPLES):
        drawn = [groups[place] for place in rng.integers(len(groups), size=len(groups))]
        medians.append(np.median(np.concatenate([rng.choice(each, len(each)) for each in drawn])))
    bounds = np.quantile(medians, (0.025, 0.975), method="nearest")
    return [float(bound) if math.isfinite(bound) else None for bound in bounds]
