"""How alike networks are: a distance that numbering does not touch, and counts taken by hand."""

from __future__ import annotations

import numpy as np
import pytest

from search_space.catalog import GENOMES, SPINENET_49, space_by_name
from search_space.genome import BlockGene, BlockKind, Genome, Stem, StemNode
from search_space.similarity import distance, wiring

SPACE = space_by_name("spinenet-49")


def samples(count: int, seed: int) -> list[Genome]:
    rng = np.random.default_rng(seed)
    return [SPACE.sample(rng) for _ in range(count)]


def test_it_is_a_distance_from_zero_to_one() -> None:
    for a, b in zip(samples(30, 0), samples(30, 1), strict=True):
        assert distance(a, a) == 0
        assert 0 < distance(a, b) == distance(b, a) <= 1


def test_equal_networks_are_at_distance_zero_whatever_their_order() -> None:
    stem = Stem((StemNode(2), StemNode(2)))

    def genome(first: int, second: int) -> Genome:
        """Two independent blocks in either order, joined by an output."""
        blocks = (
            BlockGene(first, BlockKind.BOTTLENECK, (0, 1)),
            BlockGene(second, BlockKind.BOTTLENECK, (0, 1)),
            BlockGene(4, BlockKind.BOTTLENECK, (2, 3), output=True),
        )
        return Genome(stem, blocks)

    assert distance(genome(3, 5), genome(5, 3)) == 0
    assert distance(genome(3, 5), genome(3, 6)) > 0


def test_more_moves_lead_farther_away() -> None:
    rng = np.random.default_rng(2)
    far = []
    for moves in (1, 4, 16, 64):
        total = 0.0
        for genome in samples(15, 3):
            moved = genome
            for _ in range(moves):
                moved = SPACE.mutate(moved, rng)
            total += distance(genome, moved)
        far.append(total / 15)
    assert far == sorted(far)
    assert far[0] < 0.45 < far[-1]


def test_published_networks_differ() -> None:
    assert distance(SPINENET_49, GENOMES["r0-sp53"]) > 0.3


def test_wiring_by_hand() -> None:
    stem = Stem((StemNode(2), StemNode(2)))
    blocks = (
        BlockGene(5, BlockKind.BOTTLENECK, (0, 1)),  # node 2, jumps 3 and 3
        BlockGene(3, BlockKind.BOTTLENECK, (0, 2)),  # node 3, jumps 1 and 2
        BlockGene(6, BlockKind.BOTTLENECK, (1, 2)),  # node 4: nobody needs it
        BlockGene(4, BlockKind.BOTTLENECK, (2, 3), output=True),  # node 5, jumps 1 and 1
        BlockGene(7, BlockKind.BOTTLENECK, (0, 5), output=True),  # node 6, jumps 5 and 3; 0 to 6 is long
    )
    found = wiring(Genome(stem, blocks))

    assert found.edges == 8
    assert found.jump == pytest.approx((3 + 3 + 1 + 2 + 1 + 1 + 5 + 3) / 8)
    assert found.jumping == 5 / 8
    assert found.long == 1 / 8
    assert found.turns == 3
    assert found.dead == 1
