"""Which networks are compared with TF Model Garden's, and the weights that both are given.

Imported by the tests and, in Model Garden's own environment, by make_fixture.py: it may import no
more than numpy and our packages that need nothing else.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proxy_trainer.network.declare import Weight
from search_space.catalog import MOBILE_49, SPINENET_49, space_by_name
from search_space.genome import Genome
from search_space.graph import resolve
from search_space.scaling import Scaling

Array = NDArray[np.float32]

SIZE = 128
IMAGES = 4
SAMPLED = 400
"""Values of each endpoint that the fixture keeps, spread evenly over the flat array."""


@dataclass(frozen=True)
class Case:
    name: str
    genome: Genome
    scaling: Scaling


def cases() -> list[Case]:
    """The published networks at full width, and 20 random genomes, narrow, with every trait among them."""
    found = [
        Case("spinenet-49", SPINENET_49, Scaling()),
        Case("spinenet-49s", SPINENET_49, Scaling(width=0.65)),
        Case("spinenet-mobile-49", MOBILE_49, Scaling(endpoint_width=48)),
    ]
    narrow = Scaling(width=0.25, alpha=0.5, endpoint_width=32)
    big, mobile = space_by_name("spinenet-49"), space_by_name("vertex-spinenet-mbconv")
    for seed in range(16):
        genome = big.sample(np.random.default_rng(seed))
        found.append(Case(f"random-{seed}", genome, narrow))
    for seed in range(4):
        genome = mobile.sample(np.random.default_rng(seed))
        found.append(Case(f"mobile-{seed}", genome, Scaling(width=0.65, endpoint_width=32)))
    return found


def traits(genome: Genome) -> set[str]:
    """What makes a genome worth comparing."""
    graph = resolve(genome)
    found = set()
    if any(node.raw for node in graph.nodes):
        found.add("dangling")
    if any(node >= len(genome.stem.nodes) for node in graph.dead):
        found.add("dead")
    for node in graph.nodes:
        found.add(str(node.kind))
        if node.level == 1 and not node.stem:
            found.add("level 1")
    return found


def processor() -> str:
    """What decides which kernels compute: other ones round otherwise."""
    found = Path("/proc/cpuinfo")
    flags = found.read_text().partition("flags")[2].partition("\n")[0].split() if found.exists() else []
    return " ".join(flag for flag in ("avx2", "avx512f", "avx512_vnni", "amx_tile") if flag in flags)


def images() -> Array:
    return np.random.default_rng(7).standard_normal((IMAGES, SIZE, SIZE, 3)).astype(np.float32)


def array(path: str, shape: tuple[int, ...]) -> Array:
    """The value of a weight, from its path alone: kernels by fan-in, the rest far from its start."""
    rng = np.random.default_rng(zlib.crc32(path.encode()))
    if path.endswith("/kernel"):
        value = rng.standard_normal(shape) / math.sqrt(math.prod(shape[:-1]))
    elif path.endswith(("/scale", "/variance")):
        value = rng.uniform(0.5, 1.5, shape)
    else:
        value = rng.normal(0, 0.3, shape)
    return value.astype(np.float32)


def arrays(weights: Iterable[Weight]) -> dict[str, Array]:
    return {weight.path: array(weight.path, weight.shape) for weight in weights}


def sample(values: Array) -> Array:
    flat = values.ravel()
    return np.asarray(flat[np.linspace(0, flat.size - 1, SAMPLED).astype(int)])
