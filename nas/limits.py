"""What a searched network may cost: hard limits, checked by arithmetic before anything is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from nas.designs import full_size
from search_space.cost import network_cost
from search_space.genome import Genome


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of the full-size detector, backbone and heads, as `nas cost` counts it.

    `max_flops` are multiply-adds for one image, `max_memory` is in bytes by which the peak of training
    grows with one more image in the batch.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    max_flops: float | None = None
    max_parameters: float | None = None
    max_memory: float | None = None

    def __post_init__(self) -> None:
        given = {word: value for word, value in self._words.items() if value is not None}
        if not given:
            raise ValueError(f"expected one at least of {', '.join(self._words)}")
        for word, value in given.items():
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{word}={value}, expected more than 0")

    @property
    def _words(self) -> dict[str, float | None]:
        return {
            "max_flops": self.max_flops,
            "max_parameters": self.max_parameters,
            "max_memory": self.max_memory,
        }

    def excess(self, genome: Genome) -> str:
        """The first limit that the genome breaks, in words; empty if it keeps them all."""
        built = full_size(genome)
        cost = network_cost(genome, built.scaling, built.input_size, built.head)
        measured = (cost.total.flops, cost.total.params, cost.training_memory)
        for (word, limit), value in zip(self._words.items(), measured, strict=True):
            if limit is not None and value > limit:
                return f"{value:,} is more than {word}={limit:,.0f}"
        return ""

    def keeps(self, genome: Genome) -> bool:
        """Whether the genome keeps them all."""
        return not self.excess(genome)
