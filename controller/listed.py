"""Genomes from a list, in its order: for studies, where what is tried is decided beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, Literal

import numpy as np

from controller.protocol import G, Outcome, Pending, Proposal, Textual


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedConfig:
    """`genomes` as canonical texts; after the last one the list begins anew."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    kind: Literal["listed"] = "listed"
    genomes: tuple[str, ...]
    no_repeats: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not self.genomes:
            raise ValueError("genomes: empty, expected at least one")


class Listed(Generic[G]):
    """Trial n gets genome n of the list, whatever became of the others."""

    def __init__(self, space: Textual[G], config: ListedConfig) -> None:
        self._genomes = [space.from_text(text) for text in config.genomes]
        self._told = 0

    def ask(
        self,
        rng: np.random.Generator,  # noqa: ARG002 - nothing is drawn
        pending: Sequence[Pending[G]],
    ) -> Proposal[G]:
        """The next genome of the list."""
        return Proposal(self._genomes[(self._told + len(pending)) % len(self._genomes)])

    def tell(self, outcome: Outcome[G]) -> None:  # noqa: ARG002 - only that it ended counts
        """Counts it."""
        self._told += 1
