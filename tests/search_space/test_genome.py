from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_space.genome import BlockGene, BlockKind, Genome, InvalidGenome, Stem, StemNode

B, R = BlockKind.BOTTLENECK, BlockKind.RESIDUAL
STEM = Stem((StemNode(2), StemNode(2)))


@given(seed=st.integers(0, 2**32))
def test_canonical_text_round_trips(any_genome: Callable[[np.random.Generator], Genome], seed: int) -> None:
    genome = any_genome(np.random.default_rng(seed))
    text = genome.to_text()
    assert Genome.from_text(text) == genome
    assert Genome.from_text(text).to_text() == text


@given(text=st.text("0123456789br:*^,| ", max_size=40))
def test_any_text_is_a_genome_or_a_typed_error(text: str) -> None:
    try:
        genome = Genome.from_text(text)
    except InvalidGenome:
        return
    assert Genome.from_text(genome.to_text()) == genome


def test_parents_are_unordered() -> None:
    assert BlockGene(3, B, (4, 1)) == BlockGene(3, B, (1, 4))
    assert Genome.from_text("2b* 2b* | 3b:1,0^") == Genome.from_text("2b* 2b* | 3b:0,1^")


def test_the_text_says_everything() -> None:
    stem = Stem((StemNode(2, R, candidate=False), StemNode(2), StemNode(3, R)))
    genome = Genome(stem, (BlockGene(4, R, (1, 2)), BlockGene(3, B, (2, 3), output=True)))
    assert genome.to_text() == "2r 2b* 3r* | 4r:1,2 3b:2,3^"


def test_nodes_are_numbered_through() -> None:
    genome = Genome.from_text("2r* 3b* | 4r:0,1 7b:1,2^ 5r:2,3^")
    assert len(genome) == 5
    assert [genome.level(node) for node in range(5)] == [2, 3, 4, 7, 5]
    assert [genome.kind(node) for node in range(5)] == [R, B, R, B, R]
    assert list(genome.outputs.items()) == [(5, 4), (7, 3)]


def block(
    level: int = 3, kind: BlockKind = B, parents: tuple[int, int] = (0, 1), output: bool = True
) -> BlockGene:
    return BlockGene(level, kind, parents, output)


@pytest.mark.parametrize(
    ("blocks", "reason"),
    [
        ((), "no block is an output"),
        ((block(output=False),), "no block is an output"),
        ((block(parents=(0, 0)),), r"node 2: parents=\(0, 0\)"),
        ((block(parents=(0, 2)),), r"node 2: parents=\(0, 2\), expected 0 <= a < b < 2"),
        ((block(parents=(-1, 1)),), r"node 2: parents=\(-1, 1\)"),
        ((block(level=0),), "node 2: level=0, expected 1 to 7"),
        ((block(level=8),), "node 2: level=8"),
        ((block(), block()), "node 3: a second output on level 3"),
        ((block(output=False),) * 254 + (block(),), "257 nodes, expected at most 256"),
    ],
)
def test_invalid_structures_are_named(blocks: tuple[BlockGene, ...], reason: str) -> None:
    with pytest.raises(InvalidGenome, match=reason):
        Genome(STEM, blocks)


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ((StemNode(2),), "1 candidate parents"),
        ((StemNode(2), StemNode(2, candidate=False)), "1 candidate parents"),
        ((StemNode(3), StemNode(2)), "stem node 1: level=2 is finer"),
        ((StemNode(2), StemNode(8)), "stem node 1: level=8"),
    ],
)
def test_invalid_stems_are_named(nodes: tuple[StemNode, ...], reason: str) -> None:
    with pytest.raises(InvalidGenome, match=reason):
        Stem(nodes)


def test_a_stem_node_that_is_no_candidate_is_no_parent() -> None:
    stem = Stem((StemNode(2), StemNode(2, candidate=False), StemNode(2)))
    assert stem.candidates == (0, 2)
    with pytest.raises(InvalidGenome, match="node 3: parent 1"):
        Genome(stem, (block(parents=(0, 1)),))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("2b* 2b*", r"0 '\|'"),
        ("2b* 2b* | 3b:0,1^ |", r"2 '\|'"),
        ("2b* 2x* | 3b:0,1^", "stem node '2x\\*'"),
        ("2b* 2b* | 3b:0,1^ 4b:0", "block '4b:0'"),
        ("2b* 2b* | 3b:0,\u0661^", "block"),  # an Arabic digit one
        ("2b* 2b* | " + "9" * 100, "block '9{40}'"),
    ],
)
def test_unreadable_text_is_quoted(text: str, reason: str) -> None:
    with pytest.raises(InvalidGenome, match=reason):
        Genome.from_text(text)
