"""Where genomes stand by what was measured of them, some once and some again."""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, insort
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Sum:
    """Measurements of one genome, added up as Welford does, so that nothing is lost to rounding."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, value: float) -> None:
        self.count += 1
        before = value - self.mean
        self.mean += before / self.count
        self.squares += before * (value - self.mean)


@dataclass(slots=True)
class Standing:
    """A fold over measurements; genomes go by a key that is equal for equal networks.

    The noise of one measurement is taken to be the same for all that were measured again: those are
    the best, which lie near each other.
    """

    _sums: dict[str, _Sum] = field(default_factory=dict)
    _ordered: dict[int, list[tuple[float, str]]] = field(default_factory=dict)
    """By how often they were measured: means and keys, ascending."""
    _squares: float = 0.0
    freedom: int = 0
    """Degrees of freedom of the noise: measurements beyond the first of each genome."""

    def add(self, key: str, value: float) -> None:
        """Take in one measurement."""
        known = self._sums.get(key)
        if known is None:
            known = self._sums[key] = _Sum()
        else:
            self._leave(known, key)
            self._squares -= known.squares
            self.freedom += 1
        known.add(value)
        self._squares += known.squares
        insort(self._ordered.setdefault(known.count, []), (known.mean, key))

    def _leave(self, known: _Sum, key: str) -> None:
        """Out of the order, before its mean changes."""
        equals = self._ordered[known.count]
        del equals[bisect_left(equals, (known.mean, key))]
        if not equals:
            del self._ordered[known.count]

    def count(self, key: str) -> int:
        """How often it was measured."""
        return self._sums[key].count if key in self._sums else 0

    def mean(self, key: str) -> float:
        """Of its measurements."""
        return self._sums[key].mean

    @property
    def noise(self) -> float:
        """Standard deviation of one measurement, pooled; 0 while nothing was measured again."""
        return math.sqrt(max(0.0, self._squares) / self.freedom) if self.freedom else 0.0

    def error(self, key: str) -> float:
        """Standard error of its mean."""
        return self.noise / math.sqrt(self._sums[key].count)

    def surely(self, key: str) -> float:
        """The mean less its standard error, which is the value itself while nothing was measured again.

        A value seen once must be better by as much as it may owe to luck.
        """
        return self.mean(key) - self.error(key)

    def leaders(self, count: int) -> list[str]:
        """The keys of highest mean, best first."""
        return heapq.nlargest(count, self._candidates(count), key=lambda key: (self.mean(key), key))

    def ranked(self, count: int) -> list[str]:
        """The keys that are surely best, best first."""
        return heapq.nlargest(count, self._candidates(count), key=lambda key: (self.surely(key), key))

    def _candidates(self, count: int) -> list[str]:
        """Of the equally often measured, whose means have one error, no others can be among the best."""
        return [key for equals in self._ordered.values() for _, key in equals[-count:]]
