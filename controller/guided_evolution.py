"""Surrogate-guided evolution: of many children of regularized evolution, the one a surrogate likes best.

Screening is what model-based searches owe most of their gain to (White et al., AAAI 2021, BANANAS; White
et al., NeurIPS 2021). Children are compared under one draw from the surrogate's posterior (Thompson,
1933), so that many trials in flight explore by themselves; and only while its measured rank
correlation is high enough (surrogate.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Generic, Literal

import numpy as np

from controller.contenders import ContendersConfig
from controller.no_repeats import NoRepeats, SpaceExhausted
from controller.protocol import Controller, FeaturedSpace, G, Outcome, Pending, Proposal
from controller.regressors import bayesian_ridge
from controller.regularized_evolution import (
    RegularizedEvolution,
    RegularizedEvolutionConfig,
    check_sizes,
    scaled,
)
from controller.surrogate import UNSCREENED, Surrogate
from search_space.trial import FailureKind

MOST: Final = 2000
"""Outcomes that the surrogate learns from."""

SHARE: Final = 3
"""The population is this part of the budget. This, `PART` and the defaults below are a setting that tuning
found (docs/decisions/0064)."""

PART: Final = 2
"""A tournament is this part of the population."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidedEvolutionConfig:
    """Sizes as in regularized evolution. `children` are screened for each proposal.

    The surrogate is first fitted to `start` outcomes. `trust`: least rank correlation, on outcomes it
    had not seen, at which it is gone by. The last part of the budget measures `contenders` again.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    kind: Literal["guided_evolution"] = "guided_evolution"
    population: int | None = None
    tournament: int | None = None
    children: int = 10
    start: int = 30
    trust: float = 0.3
    no_repeats: bool = True
    contenders: ContendersConfig | None = ContendersConfig()

    def __post_init__(self) -> None:
        check_sizes("guided evolution", self.population, self.tournament)
        if self.children < 2 or self.start < 4:
            raise ValueError(
                f"guided evolution: children={self.children}, start={self.start}, "
                "expected at least 2 children and a start of at least 4"
            )
        if not -1 <= self.trust <= 1:
            raise ValueError(f"guided evolution: trust={self.trust}, expected -1 to 1")

    def resolved(self, trials: int) -> GuidedEvolutionConfig:
        """The same with sizes for a budget of so many trials."""
        population, tournament = scaled(trials, self.population, self.tournament, share=SHARE, part=PART)
        return replace(self, population=population, tournament=tournament)


class GuidedEvolution(Generic[G]):
    """Regularized evolution until the surrogate is trusted, screened by it from then on.

    One proposal in ten is not screened, for the surrogate to be checked on. Trials that failed or were
    stopped early teach it nothing. A proposal that was chosen among children says so in its note,
    under `screened`.
    """

    def __init__(self, space: FeaturedSpace[G], config: GuidedEvolutionConfig) -> None:
        sizes = RegularizedEvolutionConfig(population=config.population, tournament=config.tournament)
        evolution: Controller[G] = RegularizedEvolution(space, sizes)
        self._evolution = NoRepeats(evolution, space) if config.no_repeats else evolution
        self._space = space
        self._children = config.children
        self._surrogate = Surrogate(bayesian_ridge, config.start, MOST, config.trust)

    def ask(self, rng: np.random.Generator, pending: Sequence[Pending[G]]) -> Proposal[G] | None:
        """The best child under one draw of the surrogate; evolution's only one where it is not trusted."""
        first = self._evolution.ask(rng, pending)
        fit = self._surrogate.fit
        if first is None or fit is None or "parents" not in first.note or rng.random() < UNSCREENED:
            return first
        children = [first, *self._siblings(rng, pending)]
        rows = np.stack([self._space.features(child.genome) for child in children])
        best = children[int(np.argmax(fit.draw(rows, rng)))]
        return Proposal(best.genome, {**best.note, "screened": len(children)})

    def _siblings(self, rng: np.random.Generator, pending: Sequence[Pending[G]]) -> list[Proposal[G]]:
        """The other children; fewer where nothing new turns up any more: there is one to propose."""
        found = []
        for _ in range(self._children - 1):
            try:
                child = self._evolution.ask(rng, pending)
            except SpaceExhausted:
                break
            if child is not None:
                found.append(child)
        return found

    def tell(self, outcome: Outcome[G]) -> None:
        """Takes the outcome in, on both sides. Raises ValueError for several objectives."""
        self._evolution.tell(outcome)
        if not isinstance(outcome.result, FailureKind) and outcome.fidelity is None:
            self._surrogate.learn(self._space.features(outcome.genome), outcome.result[0], outcome.note)
