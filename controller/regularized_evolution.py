"""Regularized (ageing) evolution: mutate the winner of a tournament, let the oldest die.

Real, Aggarwal, Huang and Le, "Regularized Evolution for Image Classifier Architecture Search",
AAAI 2019, algorithm 1 (https://arxiv.org/abs/1802.01548).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Generic, Literal

import numpy as np

from controller.contenders import ContendersConfig
from controller.protocol import G, Outcome, Pending, Proposal, Space, check_single
from search_space.trial import FailureKind

SMALLEST: Final = 17
LARGEST: Final = 100
"""Population sizes; the largest is the paper's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegularizedEvolutionConfig:
    """Population P and tournament size S; None: scaled to the budget (`scaled`)."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    kind: Literal["regularized_evolution"] = "regularized_evolution"
    population: int | None = None
    tournament: int | None = None
    no_repeats: bool = True
    contenders: ContendersConfig | None = None

    def __post_init__(self) -> None:
        check_sizes("regularized evolution", self.population, self.tournament)

    def resolved(self, trials: int) -> RegularizedEvolutionConfig:
        """The same with sizes for a budget of so many trials."""
        population, tournament = scaled(trials, self.population, self.tournament)
        return replace(self, population=population, tournament=tournament)


def check_sizes(kind: str, population: int | None, tournament: int | None) -> None:
    """Raise ValueError for sizes with which no tournament can be held."""
    least, most = 1 if tournament is None else tournament, LARGEST if population is None else population
    if not 1 <= least <= most:
        raise ValueError(
            f"{kind}: tournament={tournament}, population={population}, "
            "expected 1 <= tournament <= population"
        )


def scaled(
    trials: int,
    population: int | None = None,
    tournament: int | None = None,
    *,
    share: int = 6,
    part: int = 4,
) -> tuple[int, int]:
    """Population and tournament size for a budget; what is given stays.

    The population is one `share`-th of the budget, `LARGEST`, the paper's, at most: the rest of the trials
    are children then. The tournament is one `part`-th of it.
    """
    if population is None:
        population = max(tournament or 0, min(LARGEST, max(SMALLEST, round(trials / share))))
    if tournament is None:
        tournament = max(1, population // part)
    return population, tournament


class RegularizedEvolution(Generic[G]):
    """The population is the last P outcomes in finish order: age is counted in outcomes.

    Random genomes are proposed until P trials were *proposed*, told and pending together. (Waiting
    for P to be told, as PyGlove does, spends one more random trial for every further worker.) So a
    tournament may be held while fewer than P outcomes are in; with none in, it can't be, and a
    random genome is proposed. The S of a tournament are drawn with replacement, as in the authors'
    notebook; of equals the first drawn wins.

    Failures take their place in the population and age like others, but win no tournament; one
    that only failures entered ends in a random genome. So do trials that were stopped early: their
    values are of another fidelity. Needs outcomes of one objective.
    """

    def __init__(self, space: Space[G], config: RegularizedEvolutionConfig) -> None:
        if config.population is None or config.tournament is None:
            raise ValueError("regularized evolution: sizes are not resolved yet, expected numbers")
        self._space = space
        self._size = config.population
        self._entrants = config.tournament
        self._population: deque[Outcome[G]] = deque(maxlen=config.population)

    def ask(self, rng: np.random.Generator, pending: Sequence[Pending[G]]) -> Proposal[G]:
        """A child, whose note names its parent's number; or a random genome, with an empty note."""
        if len(self._population) + len(pending) < self._size:
            return Proposal(self._space.sample(rng))
        parent = self._tournament(rng)
        if parent is None:
            return Proposal(self._space.sample(rng))
        return Proposal(self._space.mutate(parent.genome, rng), {"parents": [parent.number]})

    def tell(self, outcome: Outcome[G]) -> None:
        """Takes the outcome in; beyond P the oldest dies. Raises ValueError for several objectives."""
        check_single("regularized evolution", outcome)
        self._population.append(outcome)

    def _tournament(self, rng: np.random.Generator) -> Outcome[G] | None:
        if not self._population:
            return None
        winner, best = None, float("-inf")
        for index in rng.integers(len(self._population), size=self._entrants):
            entrant = self._population[index]
            if isinstance(entrant.result, FailureKind) or entrant.fidelity is not None:
                continue
            if winner is None or entrant.result[0] > best:
                winner, best = entrant, entrant.result[0]
        return winner
