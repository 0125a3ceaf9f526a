"""How well one ranking tells another: Kendall's tau, with intervals, in parts, and as information."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DRAWS: Final = 2000


def tau(a: Floats, b: Floats) -> float:
    """Kendall's tau-b; NaN where one of them does not vary."""
    x, y = (np.sign(values[:, np.newaxis] - values) for values in (a, b))
    scale = math.sqrt(float((x * x).sum()) * float((y * y).sum()))
    return float((x * y).sum()) / scale if scale else math.nan


def partial_tau(a: Floats, b: Floats, given: Sequence[Floats]) -> float:
    """Tau of a and b with what the given values explain of both taken out (Kendall, 1942, for many).

    By the inverse of the matrix of taus; NaN where that has none.
    """
    columns = [a, b, *given]
    matrix = np.array([[tau(x, y) for y in columns] for x in columns])
    if not np.isfinite(matrix).all() or np.linalg.cond(matrix) > 1e10:
        return math.nan
    inverse = np.linalg.inv(matrix)
    return float(-inverse[0, 1] / math.sqrt(inverse[0, 0] * inverse[1, 1]))


def better_half(reference: Floats) -> NDArray[np.intp]:
    """Which genomes the reference puts in its better half, the middle one included."""
    return np.argsort(-reference, kind="stable")[: (len(reference) + 1) // 2]


def interval(statistic: Callable[[NDArray[np.intp]], float], genomes: int) -> tuple[float, float]:
    """A 95 % bootstrap interval over genomes; `statistic` is given which ones were drawn."""
    rng = np.random.default_rng(0)
    draws = [statistic(rng.integers(genomes, size=genomes)) for _ in range(DRAWS)]
    kept = [draw for draw in draws if math.isfinite(draw)]
    if not kept:
        return math.nan, math.nan
    low, high = np.percentile(kept, [2.5, 97.5])
    return float(low), float(high)


def mean(values: list[float]) -> float:
    """Of those that are numbers; NaN where none is."""
    found = [value for value in values if math.isfinite(value)]
    return float(np.mean(found)) if found else math.nan


def variances(table: Floats) -> tuple[float, float]:
    """Of values [genomes, seeds]: variance between genomes, less the seeds' part in it, and between seeds.

    NaN is a value that there is not; every genome has one at least.
    """
    counts = (~np.isnan(table)).sum(axis=1)
    means = np.nanmean(table, axis=1)
    between, repeats = float(means.var(ddof=1)), int((counts - 1).sum())
    if not repeats:
        return between, math.nan
    seed = float(np.nansum((table - means[:, np.newaxis]) ** 2)) / repeats
    return between - seed * float((1 / counts).mean()), seed


def bits(rank_correlation: float) -> float:
    """What one trial says about the reference's value: mutual information in bits.

    For a Gaussian copula with this Kendall tau, r = sin(pi tau / 2) and -log2(1 - r^2) / 2; none
    for a tau of zero or less, which no search could use.
    """
    if not rank_correlation > 0:
        return 0.0
    r = math.sin(math.pi * min(rank_correlation, 0.999) / 2)
    return -0.5 * math.log2(1 - r * r)
