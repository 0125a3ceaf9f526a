"""Made-up landscapes over a SpineNet space: what proxies might say, for trying controllers at scale.

Never a claim about AP. Two families: `motifs`, linear in structure and hashed motifs, near to what
guided controllers see; and `network`, a random graph network, which is outside of their features. Each
has a truth of mean 0 and standard deviation 1 over random genomes, a bias of each genome's own that a
proxy would have (a second run does not remove it), and noise from seed to seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Final, Literal

import numpy as np
from numpy.typing import NDArray

from nas.simulation.motifs import motif_quality
from nas.simulation.random_network import network_quality
from nas.simulation.task import Measured
from search_space.catalog import SPACES, space_by_name
from search_space.genome import Genome
from search_space.graph_arrays import GraphArrays, resolve_all
from search_space.space import SpineNetSpace

Floats = NDArray[np.float64]
Quality = Callable[[GraphArrays], Floats]

CALIBRATION: Final = 2000
"""Random genomes that mean and standard deviation are taken of."""

_CALIBRATE, _BIAS = 0, 1

SPREAD: Final = 0.15
"""Of log seconds: trials of one campaign differ by about as much (docs/proxy.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LandscapeConfig:
    """`seed` draws the landscape; `bias` and `noise` are in standard deviations of the truth.

    The defaults are those of the shipped proxy (experiments/proxy_signal.py): noise from the seeds' share
    of the variance, bias such that its ranking agrees with longer training by a tau of about 0.8.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    kind: Literal["landscape"] = "landscape"
    space: str = "spinenet-49"
    family: Literal["motifs", "network"] = "motifs"
    seed: int = 0
    bias: float = 0.25
    noise: float = 0.18

    def __post_init__(self) -> None:
        if self.seed < 0 or self.bias < 0 or self.noise < 0:
            raise ValueError(
                f"landscape: seed={self.seed}, bias={self.bias}, noise={self.noise}, expected none below 0"
            )
        if self.space not in SPACES:
            raise ValueError(f"landscape: space={self.space!r}, expected one of {', '.join(SPACES)}")


@dataclass(frozen=True)
class Landscape:
    """A task over a space; trials take one second, more or less."""

    config: LandscapeConfig

    @cached_property
    def space(self) -> SpineNetSpace:
        """One of the catalog's."""
        return space_by_name(self.config.space)

    def measure(self, genome: Genome, rng: np.random.Generator) -> Measured:
        """Truth, the genome's own bias, and noise."""
        value = self.truth(genome) + self.config.bias * self._bias(genome)
        return Measured(value + self.config.noise * float(rng.normal()), float(np.exp(SPREAD * rng.normal())))

    def truth(self, genome: Genome) -> float:
        """In standard deviations from the mean of random genomes."""
        return float(self.truths([genome])[0])

    def truths(self, genomes: Sequence[Genome]) -> Floats:
        """The truth of many at once."""
        mean, deviation = self._calibration
        return (self._quality(resolve_all(genomes)) - mean) / deviation

    @cached_property
    def _quality(self) -> Quality:
        family = motif_quality if self.config.family == "motifs" else network_quality
        return family(self.config.seed)

    @cached_property
    def _calibration(self) -> tuple[float, float]:
        rng = np.random.default_rng([self.config.seed, _CALIBRATE])
        values = self._quality(resolve_all([self.space.sample(rng) for _ in range(CALIBRATION)]))
        return float(values.mean()), float(values.std())

    def _bias(self, genome: Genome) -> float:
        digits = int(self.space.fingerprint(genome)[:12], 16)
        return float(np.random.default_rng([self.config.seed, _BIAS, digits]).normal())
