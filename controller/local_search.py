"""Local search: try the neighbours of the best genome so far, in the order in which they are drawn.

The strong simple baseline of White, Nolen and Savani, "Exploring the Loss Landscape in Neural
Architecture Search", UAI 2021: stochastic hill climbing by single moves, begun anew where no
neighbour was better for a while.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Generic, Literal

import numpy as np

from controller.contenders import ContendersConfig
from controller.protocol import G, Outcome, Pending, Proposal, Space, check_single
from search_space.trial import FailureKind

STRANDED: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSearchConfig:
    """`start` random genomes, the best of which is climbed from; after `patience` failed moves, anew."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    kind: Literal["local_search"] = "local_search"
    start: int = 10
    patience: int = 50
    no_repeats: bool = True
    contenders: ContendersConfig | None = None

    def __post_init__(self) -> None:
        if self.start < 1 or self.patience < 1:
            raise ValueError(
                f"local search: start={self.start}, patience={self.patience}, expected at least 1"
            )


class LocalSearch(Generic[G]):
    """Moves to whatever was told to be better, at once: with many trials in flight neighbours of several
    incumbents overlap.

    A climb that saw `patience` moves from its present incumbent lead nowhere ends; the next begins with
    `start` random genomes, counted told and pending together. Moves that failed or were stopped early led
    nowhere too, and so did what a wrapper proposed in a move's place (no_repeats.py, cost_gate.py). What
    was under way before the incumbent was told is no move from it, and what is measured again
    (contenders.py) is left out. Where nobody can tell, because no move from the incumbent was ever
    told (all its neighbours were known before), a climb ends after `STRANDED` times its patience.
    """

    def __init__(self, space: Space[G], config: LocalSearchConfig) -> None:
        self._space = space
        self._config = config
        self._climb = 0
        self._seen = 0
        self._failed_moves = 0
        self._first_move: int | None = None  # the lowest number of those told from the incumbent
        self._elsewhere = 0  # what wrappers proposed, told since the incumbent was
        self._top: Outcome[G] | None = None
        self._height = float("-inf")

    def ask(self, rng: np.random.Generator, pending: Sequence[Pending[G]]) -> Proposal[G]:
        """A neighbour of the incumbent, whose note names its number; a random genome where a climb starts."""
        climb = {"climb": self._climb}
        under_way = sum(trial.note.get("climb") == self._climb for trial in pending)
        if self._top is None or self._seen + under_way < self._config.start:
            return Proposal(self._space.sample(rng), climb)
        child = self._space.mutate(self._top.genome, rng)
        return Proposal(child, {**climb, "parents": [self._top.number]})

    def tell(self, outcome: Outcome[G]) -> None:
        """Climbs, or counts a move that led nowhere. Raises ValueError for several objectives."""
        check_single("local search", outcome)
        if "again" in outcome.note or outcome.note.get("climb", self._climb) != self._climb:
            return  # measured again, or of a climb that was given up
        self._seen += 1
        if (
            not isinstance(outcome.result, FailureKind)
            and outcome.fidelity is None
            and outcome.result[0] > self._height
        ):
            self._top, self._height = outcome, outcome.result[0]
            self._failed_moves, self._first_move, self._elsewhere = 0, None, 0
        else:
            self._failed_moves += self._is_move(outcome)
            self._elsewhere += self._is_elsewhere(outcome)
        stranded = self._first_move is None and self._elsewhere >= STRANDED * self._config.patience
        if self._failed_moves >= self._config.patience or stranded:
            self._climb += 1
            self._seen = self._failed_moves = self._elsewhere = 0
            self._top, self._height, self._first_move = None, float("-inf"), None

    def _is_elsewhere(self, outcome: Outcome[G]) -> bool:
        """Whether a wrapper proposed it after the incumbent; what a campaign began with was no move."""
        after = self._top is not None and outcome.number > self._top.number
        return after and not outcome.note.keys() & {"climb", "warm_start"}

    def _is_move(self, outcome: Outcome[G]) -> bool:
        """Whether it was proposed from the present incumbent, or by a wrapper in place of such a move.

        The latter has no note of ours; its number tells whether it came after the incumbent's first move.
        """
        first = self._first_move
        if self._top is not None and outcome.note.get("parents") == [self._top.number]:
            self._first_move = outcome.number if first is None else min(first, outcome.number)
            return True
        return "climb" not in outcome.note and first is not None and outcome.number > first
