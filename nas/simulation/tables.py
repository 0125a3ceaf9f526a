"""Tabular benchmarks: spaces of independent choices, whose every genome was measured beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from controller.protocol import Site
from nas.simulation.task import Measured

Digits = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice among so many options."""

    options: int


@dataclass(frozen=True, slots=True)
class ChoiceSpace:
    """Genomes are tuples of independent choices; `options` says how many each has."""

    options: tuple[int, ...]
    sites: Sequence[Site] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sites", tuple(Choice(count) for count in self.options))

    def sample(self, rng: np.random.Generator) -> Digits:
        """Uniform choices."""
        return tuple(rng.integers(self.options).tolist())

    def mutate(self, genome: Digits, rng: np.random.Generator) -> Digits:
        """One choice, made anew, of those that have another option; the same genome where none has."""
        places = [place for place, count in enumerate(self.options) if count > 1]
        if not places:
            return genome
        place = places[int(rng.integers(len(places)))]
        step = int(rng.integers(1, self.options[place]))
        moved = (genome[place] + step) % self.options[place]
        return (*genome[:place], moved, *genome[place + 1 :])

    def crossover(self, a: Digits, b: Digits, rng: np.random.Generator) -> Digits:
        """Every choice from either parent."""
        return tuple((x, y)[int(rng.integers(2))] for x, y in zip(a, b, strict=True))

    def fingerprint(self, genome: Digits) -> str:
        """Every genome is its own network."""
        return self.to_text(genome)

    def to_text(self, genome: Digits) -> str:
        """Choices, separated by blanks."""
        return " ".join(map(str, genome))

    def from_text(self, text: str) -> Digits:
        """The inverse of `to_text`. Raises ValueError for what is no genome of this space."""
        genome = tuple(map(int, text.split()))
        if len(genome) != len(self.options) or not all(
            0 <= choice < count for choice, count in zip(genome, self.options, strict=True)
        ):
            raise ValueError(f"genome {text[:80]!r}, expected one choice each of {self.options}")
        return genome

    def features(self, genome: Digits) -> NDArray[np.float64]:
        """One-hot."""
        return np.concatenate([np.eye(count)[k] for count, k in zip(self.options, genome, strict=True)])

    def decisions(self) -> ChoiceSpace:
        """A genome is its own sequence of decisions."""
        return self

    def mask(self, prefix: Sequence[int]) -> NDArray[np.bool_]:
        """Every option is open."""
        return np.ones(self.options[len(prefix)], np.bool_)

    def decode(self, choices: Sequence[int]) -> Digits:
        """As a tuple."""
        return tuple(choices)

    def encode(self, genome: Digits) -> Digits:
        """As it is."""
        return genome


@dataclass(frozen=True, slots=True)
class Table:
    """Every genome's measurements: `values` of the repetitions (more is better), `seconds` of one.

    A trial sees one repetition, drawn at random; the truth is their mean.
    """

    space: ChoiceSpace
    values: Mapping[Digits, tuple[float, ...]]
    seconds: Mapping[Digits, float]

    def measure(self, genome: Digits, rng: np.random.Generator) -> Measured:
        """One of the repetitions."""
        values = self.values[genome]
        return Measured(values[int(rng.integers(len(values)))], self.seconds[genome])

    def truth(self, genome: Digits) -> float:
        """The mean of the repetitions."""
        values = self.values[genome]
        return sum(values) / len(values)

    @property
    def best(self) -> float:
        """The truth of the best genome there is."""
        return max(map(self.truth, self.values))
