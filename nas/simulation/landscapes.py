"""Made-up landscapes over a SpineNet space: what proxies might say, for trying controllers at scale.

Never a claim about AP. Two families: `motifs`, linear in structure and hashed motifs, near to what
guided controllers see; and `network`, a random graph network, which is outside of their features. To
either is added what real proxies say loudest: detail must not be lost on its way to the finest output.
Each has a truth of mean 0 and standard deviation 1 over random genomes, a bias that a proxy would have (a
second run does not remove it, and networks that are alike share it), and noise from seed to seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
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

KEPT: Final = 4096
"""Genomes whose truth and bias are kept: more than are ever in flight."""

_CALIBRATE: Final = 0

_OTHER: Final = 2**40
"""Added to a landscape's seed gives that of its bias. Of motifs it leans to the truth by a correlation of
0.1 to 0.3, since both draw their weights around the same expectations."""

DETAIL: Final = {"motifs": 2.0, "network": 3.0}
"""How much lost detail counts, in standard deviations of the rest: so that landscapes are about as
predictable as the real proxy (experiments/landscape_fit.py), and as rugged (ruggedness.py)."""

SPREAD: Final = 0.15
"""Of log seconds: trials of one campaign differ by about as much (docs/proxy.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LandscapeConfig:
    """`seed` draws the landscape; `bias` and `noise` are in standard deviations of the truth.

    The defaults are those of the shipped proxy (docs/proxy.md, the study): seeds differ by 0.17 of what
    genomes do, and its ranking agrees with longer training by a tau of about 0.8.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    kind: Literal["landscape"] = "landscape"
    space: str = "spinenet-49"
    family: Literal["motifs", "network"] = "motifs"
    seed: int = 0
    bias: float = 0.25
    noise: float = 0.18

    def __post_init__(self) -> None:
        if self.seed < 0 or not (0 <= self.bias < math.inf and 0 <= self.noise < math.inf):
            raise ValueError(
                f"landscape: seed={self.seed}, bias={self.bias}, noise={self.noise}, "
                "expected none below 0, nor infinite"
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
        """Truth, the bias of networks like it, and noise."""
        truth, bias = self._known(genome)
        value = truth + self.config.bias * bias + self.config.noise * float(rng.normal())
        return Measured(value, float(np.exp(SPREAD * rng.normal())))

    def truth(self, genome: Genome) -> float:
        """In standard deviations from the mean of random genomes."""
        return self._known(genome)[0]

    def truths(self, genomes: Sequence[Genome]) -> Floats:
        """The truth of many at once."""
        return self._qualities[0](resolve_all(genomes))

    @cached_property
    def _known(self) -> Callable[[Genome], tuple[float, float]]:
        """Truth and bias; asked when a trial begins, when it ends, and by whoever judges."""

        def both(genome: Genome) -> tuple[float, float]:
            graph = resolve_all([genome])
            truth, bias = (float(quality(graph)[0]) for quality in self._qualities)
            return truth, bias

        return lru_cache(maxsize=KEPT)(both)

    @cached_property
    def _qualities(self) -> tuple[Quality, Quality]:
        """Truth and bias, each of standard deviation 1."""
        rng = np.random.default_rng([self.config.seed, _CALIBRATE])
        some = resolve_all([self.space.sample(rng) for _ in range(CALIBRATION)])
        family = motif_quality if self.config.family == "motifs" else network_quality
        rest, lost = _standard(family(self.config.seed), some), _standard(lost_detail, some)
        share = DETAIL[self.config.family]
        truth = _standard(lambda graphs: rest(graphs) - share * lost(graphs), some)
        return truth, _standard(family(self.config.seed + _OTHER), some)


def lost_detail(graphs: GraphArrays) -> Floats:
    """[G]: levels by which the finest features that arrive at the finest output are coarser than it is.

    A way is as coarse as its coarsest node. It alone ranks the 48 rewards that the shipped proxy was
    studied on by a correlation of 0.82.
    """
    first, nodes = len(graphs.stem.nodes), graphs.levels.shape[1]
    rows = np.arange(len(graphs.levels))
    finest = graphs.levels.astype(np.int16).copy()
    for node in range(first, nodes):
        near, far = (finest[rows, graphs.parents[:, node, side]] for side in (0, 1))
        finest[:, node] = np.maximum(graphs.levels[:, node], np.minimum(near, far))
    output = np.where(graphs.outputs, graphs.levels, np.iinfo(np.int16).max).argmin(axis=1)
    lost: Floats = (finest[rows, output] - graphs.levels[rows, output]).astype(np.float64)
    return lost


def _standard(quality: Quality, some: GraphArrays) -> Quality:
    """The same with mean 0 and standard deviation 1 over some graphs; 0 where they are all alike."""
    values = quality(some)
    mean, deviation = values.mean(), values.std() or 1.0
    return lambda graphs: (quality(graphs) - mean) / deviation
