"""Random genomes that belong to no space: longer stems, unused blocks, blocks after outputs, many twins."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pytest

from search_space.genome import BlockGene, BlockKind, Genome, Stem, StemNode

RandomGenome: TypeAlias = Callable[[np.random.Generator], Genome]

REGULAR = (BlockKind.BOTTLENECK, BlockKind.RESIDUAL)
MOBILE = (BlockKind.MBCONV, BlockKind.MBCONV)


def random_genome(rng: np.random.Generator) -> Genome:
    length = int(rng.integers(2, 5))
    mobile = rng.random() < 0.25
    levels = sorted(int(level) for level in rng.integers(1 if mobile else 2, 4, size=length))
    of_kinds = MOBILE if mobile else REGULAR
    chosen = set(rng.choice(length, size=int(rng.integers(2, length + 1)), replace=False).tolist())
    stem = Stem(
        tuple(
            StemNode(level, of_kinds[int(rng.integers(2))], index in chosen)
            for index, level in enumerate(levels)
        )
    )
    # Few levels, kinds and parents, so that twins and dangling blocks are common.
    used, kinds = int(rng.integers(1, 4)), int(rng.integers(1, 3))
    blocks: list[BlockGene] = []
    outputs: set[int] = set()
    count = int(rng.integers(1, 12))
    for place in range(count):
        nodes = [*stem.candidates, *range(length, length + place)][-int(rng.integers(2, 12)) :]
        a, b = rng.choice(nodes, size=2, replace=False).tolist()
        level = 3 + int(rng.integers(used))
        output = level not in outputs and (rng.random() < 0.3 or (place == count - 1 and not outputs))
        if output:
            outputs.add(level)
        blocks.append(BlockGene(level, of_kinds[int(rng.integers(kinds))], (a, b), output))
    return Genome(stem, tuple(blocks))


@pytest.fixture(scope="session")
def any_genome() -> RandomGenome:
    return random_genome
