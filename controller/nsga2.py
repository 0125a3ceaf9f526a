"""NSGA-II: evolution towards several objectives at once, the survivors being ranked by dominance.

Deb, Pratap, Agarwal and Meyarivan, "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II",
IEEE TEC 6(2), 2002, in its steady-state form: Durillo, Nebro, Luna and Alba, "On the Effect of the
Steady-State Selection Scheme in Multi-Objective Genetic Algorithms", EMO 2009.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, Literal

import numpy as np
from numpy.typing import NDArray

from controller.dominance import crowding_by_front, ranks
from controller.protocol import G, Outcome, Pending, Proposal, Recombining, Space
from search_space.trial import FailureKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Nsga2Config:
    """Population N, and how many of the children have two parents (where the space can cross genomes)."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    kind: Literal["nsga2"] = "nsga2"
    population: int = 30
    crossover: float = 0.9
    no_repeats: bool = True

    def __post_init__(self) -> None:
        if self.population < 2:
            raise ValueError(f"nsga2: population={self.population}, expected at least 2")
        if not 0 <= self.crossover <= 1:
            raise ValueError(f"nsga2: crossover={self.crossover}, expected a share from 0 to 1")


class Nsga2(Generic[G]):
    """The population is the best N of all outcomes so far, by rank, then by crowding distance.

    Survival is steady: every outcome enters at once and, beyond N, the worst leaves (of equals, the
    oldest). No worker waits for a generation to be complete, whatever the order in which trials end.

    Random genomes are proposed until N trials were proposed, told and pending together, and while no
    outcome is in. After that each parent wins a binary tournament on (rank, crowding). A child is
    crossed and then moved by one mutation: Deb's rate of 1/n a gene is one gene a child.

    Failures never enter the population, nor do trials that were stopped early: their values are of
    another fidelity. Works with any number of objectives that stays the same; one included.
    """

    def __init__(self, space: Space[G], config: Nsga2Config) -> None:
        self._space = space
        self._config = config
        self._cross = space.crossover if isinstance(space, Recombining) else None
        self._told = 0
        self._population: list[Outcome[G]] = []
        self._values = np.empty((0, 0))  # [population, objectives]
        self._ranks: NDArray[np.intp] = np.empty(0, np.intp)
        self._crowding: NDArray[np.float64] = np.empty(0)

    def ask(self, rng: np.random.Generator, pending: Sequence[Pending[G]]) -> Proposal[G]:
        """A child, whose note names its parents' numbers; or a random genome, with an empty note."""
        if not self._population or self._told + len(pending) < self._config.population:
            return Proposal(self._space.sample(rng))
        mother = self._tournament(rng)
        if self._cross is None or rng.random() >= self._config.crossover:
            return Proposal(self._space.mutate(mother.genome, rng), {"parents": [mother.number]})
        father = self._tournament(rng)
        child = self._cross(mother.genome, father.genome, rng)
        return Proposal(self._space.mutate(child, rng), {"parents": [mother.number, father.number]})

    def tell(self, outcome: Outcome[G]) -> None:
        """Takes the outcome in. Raises ValueError for another number of objectives than before."""
        self._told += 1
        if isinstance(outcome.result, FailureKind) or outcome.fidelity is not None:
            return
        if self._population and len(outcome.result) != self._values.shape[1]:
            raise ValueError(
                f"nsga2: trial {outcome.number} has {len(outcome.result)} objectives, "
                f"expected {self._values.shape[1]} as before"
            )
        self._population.append(outcome)
        self._values = np.append(self._values.reshape(-1, len(outcome.result)), [outcome.result], axis=0)
        self._ranks = ranks(self._values)
        self._crowding = crowding_by_front(self._values, self._ranks)
        if len(self._population) > self._config.population:
            worst = np.lexsort((self._crowding, -self._ranks))[0]
            del self._population[worst]
            self._values = np.delete(self._values, worst, axis=0)
            self._ranks = np.delete(self._ranks, worst)  # who is of the last front dominates nobody
            self._crowding = crowding_by_front(self._values, self._ranks)

    def _tournament(self, rng: np.random.Generator) -> Outcome[G]:
        """The better of two that are drawn with replacement; of equals the first."""
        drawn: list[int] = rng.integers(len(self._population), size=2).tolist()
        return self._population[min(drawn, key=lambda place: (self._ranks[place], -self._crowding[place]))]
