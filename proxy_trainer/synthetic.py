"""A stand-in for training: AP by arithmetic on the genome's text, to try a campaign's machinery."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from search_space.trial import Assignment, Measurement, Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticConfig:
    """`seconds` is how long a trial takes, `failures` the share of genomes that fail, by turns in every kind
    but data; `noise` the standard deviation of AP between seeds; `steps` how often progress is told."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    kind: Literal["synthetic"] = "synthetic"
    seconds: float = 0.0
    failures: float = 0.0
    noise: float = 0.005
    steps: int = 2


class SyntheticEvaluator:
    """Deterministic by genome and seed: similar genomes get similar AP."""

    def __init__(self, config: SyntheticConfig) -> None:
        self._config = config

    def evaluate(self, assignment: Assignment) -> Iterator[Progress | Measurement]:
        """As the protocol says."""
        raise NotImplementedError
