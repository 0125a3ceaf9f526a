"""Bayesian search: a Gaussian process over genomes' vectors, and Thompson's rule for what to try next.

Candidates are mostly neighbours of the best genomes told, which is where model-based architecture
search finds its gains ("Mutation is all you need", Schneider et al., 2021), and some random ones. A
joint draw from the posterior (Thompson, 1933) needs no care for trials in flight.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Generic, Literal

import numpy as np

from controller.contenders import ContendersConfig
from controller.protocol import FeaturedSpace, G, Outcome, Pending, Proposal, check_single
from controller.regressors import gaussian_process
from controller.surrogate import UNSCREENED, Surrogate
from search_space.trial import FailureKind

MOST: Final = 400
"""Outcomes that the process is fitted to: its cost grows with their cube."""

MOVES: Final = 3
"""A neighbour is one to so many moves away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BayesianConfig:
    """`start` random genomes first; then one of `near` neighbours of the best `elites` and `far` random ones.

    `trust`: least rank correlation, on ten outcomes or more that it had not seen, at which the process is
    gone by; so -1 waits for those ten too.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    kind: Literal["bayesian"] = "bayesian"
    start: int = 20
    near: int = 40
    far: int = 10
    elites: int = 10
    trust: float = 0.0
    no_repeats: bool = True
    contenders: ContendersConfig | None = None

    def __post_init__(self) -> None:
        if self.start < 4 or self.elites < 1 or min(self.near, self.far) < 0 or self.near + self.far < 2:
            raise ValueError(
                f"bayesian: start={self.start}, near={self.near}, far={self.far}, elites={self.elites}, "
                "expected a start of at least 4, an elite, and two candidates"
            )
        if not -1 <= self.trust <= 1:
            raise ValueError(f"bayesian: trust={self.trust}, expected -1 to 1")


class Bayesian(Generic[G]):
    """Random genomes until `start` trials were proposed; then the candidate that a posterior draw likes best.

    Where the process is not to be trusted, and one time in ten anyway, a neighbour is proposed as it
    comes. Trials that failed or were stopped early teach nothing and are no elites.
    """

    def __init__(self, space: FeaturedSpace[G], config: BayesianConfig) -> None:
        self._space = space
        self._config = config
        self._surrogate = Surrogate(gaussian_process, config.start, MOST, config.trust)
        self._told = 0
        self._elites: list[tuple[float, int, Outcome[G]]] = []  # a heap, the worst first

    def ask(self, rng: np.random.Generator, pending: Sequence[Pending[G]]) -> Proposal[G]:
        """A candidate whose note names its parent, or a random genome."""
        config = self._config
        if not self._elites or self._told + len(pending) < config.start:
            return Proposal(self._space.sample(rng))
        fit = self._surrogate.fit
        if fit is None or rng.random() < UNSCREENED:
            return self._neighbour(rng)
        candidates = [self._neighbour(rng) for _ in range(config.near)]
        candidates += [Proposal(self._space.sample(rng)) for _ in range(config.far)]
        rows = np.stack([self._space.features(each.genome) for each in candidates])
        best = candidates[int(np.argmax(fit.draw(rows, rng)))]
        return Proposal(best.genome, {**best.note, "screened": len(candidates)})

    def tell(self, outcome: Outcome[G]) -> None:
        """Takes the outcome in. Raises ValueError for several objectives."""
        self._told += 1
        if isinstance(outcome.result, FailureKind) or outcome.fidelity is not None:
            return
        check_single("bayesian", outcome)
        value = outcome.result[0]
        self._surrogate.learn(self._space.features(outcome.genome), value, outcome.note)
        heapq.heappush(self._elites, (value, -self._told, outcome))
        if len(self._elites) > self._config.elites:
            heapq.heappop(self._elites)

    def _neighbour(self, rng: np.random.Generator) -> Proposal[G]:
        _, _, elite = self._elites[int(rng.integers(len(self._elites)))]
        genome = elite.genome
        for _ in range(int(rng.integers(1, MOVES + 1))):
            genome = self._space.mutate(genome, rng)
        return Proposal(genome, {"parents": [elite.number]})
