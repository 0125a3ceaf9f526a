"""Random search: every proposal is a fresh draw from the space. The baseline of every comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, Literal

import numpy as np

from controller.contenders import ContendersConfig
from controller.protocol import G, Outcome, Pending, Proposal, Space


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomSearchConfig:
    """Random search in a config file; it has no sizes."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    kind: Literal["random_search"] = "random_search"
    no_repeats: bool = True
    contenders: ContendersConfig | None = None


class RandomSearch(Generic[G]):
    """Draws from the space, whatever it is told."""

    def __init__(self, space: Space[G]) -> None:
        self._space = space

    def ask(
        self,
        rng: np.random.Generator,
        pending: Sequence[Pending[G]],  # noqa: ARG002 - random search looks at nothing
    ) -> Proposal[G]:
        """A genome as the space draws it."""
        return Proposal(self._space.sample(rng))

    def tell(self, outcome: Outcome[G]) -> None:
        """Forgets it."""
