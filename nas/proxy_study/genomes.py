"""Genomes to study proxies on, spread out over what a proxy might confuse with quality."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nas.designs import DEFAULT
from search_space.cost import network_costs
from search_space.genome import Genome
from search_space.graph import resolve
from search_space.space import SpineNetSpace

Floats = NDArray[np.float64]

POOL: Final = 20
"""Random genomes that each chosen one stands out of."""


def spread(space: SpineNetSpace, count: int, seed: int) -> list[Genome]:
    """Random genomes, evenly over cost and, within each cost, over depth.

    The pool is cut into strata of equal size by FLOPs, and one genome is drawn of each; the drawn one
    lies at a depth quantile that goes round from stratum to stratum.
    """
    if not count:
        return []
    rng = np.random.default_rng(seed)
    pool = [space.sample(rng) for _ in range(POOL * count)]
    facts = features(pool)
    order = np.argsort(facts["log_flops"], kind="stable").reshape(count, POOL)
    quantiles = (np.arange(count) * (math.sqrt(5) - 1) / 2) % 1  # golden ratio: even, never in step
    chosen = []
    for stratum, quantile in zip(order, quantiles, strict=True):
        by_depth = stratum[np.argsort(facts["depth"][stratum], kind="stable")]
        chosen.append(pool[by_depth[int(quantile * POOL)]])
    return chosen


def features(genomes: Sequence[Genome]) -> dict[str, Floats]:
    """What is known of genomes without training: log FLOPs, log parameters (full size), depth in nodes."""
    costs = network_costs(genomes, DEFAULT.scaling, DEFAULT.input_size).backbone
    return {
        "log_flops": np.log(costs[:, 1].astype(float)),
        "log_parameters": np.log(costs[:, 0].astype(float)),
        "depth": np.array([depth(genome) for genome in genomes], float),
    }


def depth(genome: Genome) -> int:
    """Nodes on the longest path from the images to an output."""
    longest: dict[int, int] = {}
    for node in resolve(genome).nodes:
        before: list[Any] = [longest[parent] for parent in (*node.parents, *node.raw)]
        longest[node.number] = 1 + max(before, default=0)
    return max(longest.values())
