"""A surrogate: what finished trials say of genomes never tried, and how far it is to be trusted.

It learns from vectors and values as they are told, is fitted anew at growing intervals, and keeps
account of how well it ranked what came after each fit: only where that rank correlation is high
enough may a controller go by it (docs/sources.md, 6).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from controller.protocol import Json

Floats = NDArray[np.float64]

CHECKED: Final = 50
"""Of how many of the latest unscreened outcomes the rank correlation is taken."""

LEAST_CHECKED: Final = 10

CHOSEN: Final = frozenset({"screened", "again"})
"""Words in the notes of proposals that were chosen for being good (guided_evolution.py, contenders.py)."""

UNSCREENED: Final = 0.1
"""Share of proposals that are not screened, so that there is always something to check it on."""

GROWTH: Final = 1.15
"""A surrogate is fitted anew when there are so many times the outcomes of its last fit."""


class Fit(Protocol):
    """What a regressor learned."""

    def mean(self, rows: Floats) -> Floats:
        """Expected values [n] of vectors [n, d]."""
        ...

    def draw(self, rows: Floats, rng: np.random.Generator) -> Floats:
        """Values [n] of vectors [n, d] under one draw from the posterior, for all of them together."""
        ...


Regressor = Callable[[Floats, Floats], Fit]
"""Vectors [n, d] and values [n], both standardised, to what was learned; must be deterministic."""


@dataclass(slots=True)
class Surrogate:
    """A fold over told values. `start` is the number of outcomes of its first fit, `most` of any.

    Beyond `most` it learns from the better half of these places' best outcomes and the latest ones.
    Values are replaced by the normal quantiles of their ranks, since only order matters and proxies
    have outliers; vectors are standardised by column.
    """

    regressor: Regressor
    start: int
    most: int
    trust: float
    _rows: list[Floats] = field(default_factory=list)
    _values: list[float] = field(default_factory=list)
    _checked: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=CHECKED))
    _scaled: Scaled | None = None
    _next: int = 0

    def learn(self, row: Floats, value: float, note: Mapping[str, Json]) -> None:
        """Take in an outcome; what was fitted before is checked on it first.

        Not on one that was chosen for being good, screened or measured again (its note says so): those are so
        much alike that only their noise could be ranked, however well they are told from the rest.
        """
        if self._scaled is not None and not note.keys() & CHOSEN:
            self._checked.append((float(self._scaled.mean(row[np.newaxis])[0]), value))
        self._rows.append(row)
        self._values.append(value)
        if len(self._values) >= max(self._next, self.start):
            self._scaled = self._fitted()
            self._next = math.ceil(GROWTH * len(self._values))

    @property
    def correlation(self) -> float:
        """Spearman's, of what was predicted and what came; NaN while too few were checked."""
        if len(self._checked) < LEAST_CHECKED:
            return math.nan
        predicted, came = np.array(self._checked).T
        ranks = [_ranks(predicted), _ranks(came)]
        if any(rank.std() == 0 for rank in ranks):
            return 0.0
        return float(np.asarray(np.corrcoef(ranks))[0, 1])

    @property
    def fit(self) -> Fit | None:
        """The last fit, where it is to be trusted."""
        return self._scaled if self.correlation >= self.trust else None

    def _fitted(self) -> Scaled:
        chosen = self._chosen()
        rows = np.stack([self._rows[index] for index in chosen])
        values = np.array([self._values[index] for index in chosen])
        centre, spread = rows.mean(axis=0), rows.std(axis=0)
        varying = np.ptp(rows, axis=0) > 0  # the spread of many times 0.1 is not quite 0
        scaled = (rows[:, varying] - centre[varying]) / spread[varying]
        fit = self.regressor(scaled, normal_scores(values))
        return Scaled(fit, varying, centre[varying], spread[varying])

    def _chosen(self) -> list[int]:
        count = len(self._values)
        if count <= self.most:
            return list(range(count))
        latest = range(count - self.most // 2, count)
        best = np.argsort(-np.array(self._values[: latest.start]), kind="stable")[: self.most - len(latest)]
        return sorted([*best.tolist(), *latest])


@dataclass(frozen=True, slots=True)
class Scaled:
    """A fit behind the scaling of its vectors."""

    inner: Fit
    varying: NDArray[np.bool_]
    centre: Floats
    spread: Floats

    def mean(self, rows: Floats) -> Floats:
        """Expected values [n]."""
        return self.inner.mean(self._scale(rows))

    def draw(self, rows: Floats, rng: np.random.Generator) -> Floats:
        """One draw of the values [n]."""
        return self.inner.draw(self._scale(rows), rng)

    def _scale(self, rows: Floats) -> Floats:
        return (rows[:, self.varying] - self.centre) / self.spread


def normal_scores(values: Floats) -> Floats:
    """Normal quantiles of the ranks, equal for equal values (Blom, 1958)."""
    quantiles = (_ranks(values) - 0.375) / (len(values) + 0.25)
    normal = NormalDist()
    return np.array([normal.inv_cdf(float(quantile)) for quantile in quantiles])


def _ranks(values: Floats) -> Floats:
    """From 1, equal values at their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Floats = (last - (counts - 1) / 2)[inverse]
    return ranks
