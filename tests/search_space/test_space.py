from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.protocol import Recombining, Space, Textual
from search_space.catalog import R0_SP53, R0_STEM, SPACES, SPINENET_49, space_by_name
from search_space.genome import BlockGene, BlockKind, Genome, InvalidGenome, Stem, StemNode
from search_space.space import InvalidSpace, NotInSpace, SpineNetSpace

BIG = space_by_name("spinenet-49")
R0 = space_by_name("r0-sp53")
LONG_STEM = Stem(
    tuple(StemNode(level, candidate=index > 4) for index, level in enumerate((2, 2, 3, 3, 4, 4, 5)))
)


def test_it_is_what_controllers_need() -> None:
    """The assignments are for the type checker, the loop for those who run it alone."""
    space: Space[Genome] = BIG
    textual: Textual[Genome] = BIG
    recombining: Recombining[Genome] = BIG
    for each, names in ((space, "sample mutate fingerprint"), (textual, "to_text from_text")):
        assert all(callable(getattr(each, name)) for name in names.split())
    assert callable(recombining.crossover)


@given(name=st.sampled_from(sorted(SPACES)), seed=st.integers(0, 2**32))
def test_samples_are_in_the_space(name: str, seed: int) -> None:
    space = SPACES[name]
    genome = space.sample(np.random.default_rng(seed))
    space.check(genome)
    check_by_hand(space, genome)
    assert space.from_text(space.to_text(genome)) == genome
    assert space.sample(np.random.default_rng(seed)) == genome


def check_by_hand(space: SpineNetSpace, genome: Genome) -> None:
    """Rules of the paper and of Vertex (docs/sources.md, 1 and 5); the last two stem nodes are candidates."""
    count, first = len(space.intermediates), len(genome.stem.nodes)
    inner, outer = genome.blocks[:count], genome.blocks[count:]
    assert [block.output for block in genome.blocks] == [False] * count + [True] * 5
    assert sorted(block.level for block in outer) == [3, 4, 5, 6, 7]
    window = 4 if space.name.startswith("vertex") else 5
    for node, block in enumerate(inner, first):
        assert all(max(first - 2, node - window) <= parent < node for parent in block.parents)
    if space is R0:
        assert Counter(block.level for block in inner) == {2: 1, 3: 3, 4: 5, 5: 1}
        assert {block.kind for block in genome.blocks} == {BlockKind.BOTTLENECK}


def test_samples_use_what_the_space_offers() -> None:
    rng = np.random.default_rng(1)
    genomes = [BIG.sample(rng) for _ in range(400)]
    inner = [block for genome in genomes for block in genome.blocks[:10]]
    assert {block.level for block in inner} == {1, 2, 3, 4, 5, 6, 7}
    assert {block.kind for block in inner} == {BlockKind.BOTTLENECK, BlockKind.RESIDUAL}
    last = {parent for genome in genomes for parent in genome.blocks[-1].parents}
    assert last == set(range(16))
    assert len({genome.blocks[-1].level for genome in genomes}) == 5


def test_a_longer_stem_gives_its_candidates_only() -> None:
    space = SpineNetSpace(name="r23", stem=LONG_STEM, intermediates=(2, 3, 4, 4, 4))
    assert space.allowed_parents(0) == (5, 6)
    assert space.allowed_parents(4) == (6, 7, 8, 9, 10)
    assert space.allowed_parents(5) == (5, 6, 7, 8, 9, 10, 11)
    space.check(space.sample(np.random.default_rng(0)))


# Logarithms, computed from the specs (docs/sources.md, 4).
@pytest.mark.parametrize(
    ("space", "free", "windowed", "distinct"),
    [
        (SpineNetSpace(name="r35-sp18", stem=R0_STEM, intermediates=(2,)), 6.8, 6.8, 6.8),
        (SpineNetSpace(name="r23-sp30", stem=R0_STEM, intermediates=(2, 3, 4, 4, 4)), 15.3, 15.1, None),
        (
            SpineNetSpace(name="r14-sp39", stem=R0_STEM, intermediates=(2, 2, 3, 3, 4, 4, 4, 4)),
            23.5,
            22.0,
            None,
        ),
        (R0, 29.6, 26.7, 23.8),
        (BIG, 40.1, 37.2, 34.3),
    ],
    ids=lambda value: value.name if isinstance(value, SpineNetSpace) else "",
)
def test_sizes_are_those_of_the_dossier(
    space: SpineNetSpace, free: float, windowed: float, distinct: float | None
) -> None:
    size = space.size()
    assert round(size.labelled, 1) == windowed
    assert round(replace(space, window=None).size().labelled, 1) == free
    assert distinct is None or round(size.distinct, 1) == distinct


def test_published_genomes_are_in_their_spaces() -> None:
    BIG.check(SPINENET_49)
    BIG.check(R0_SP53)
    R0.check(R0_SP53)
    assert not R0.contains(SPINENET_49)


def change(genome: Genome, node: int, **fields: Any) -> Genome:
    blocks = list(genome.blocks)
    blocks[node - 2] = replace(blocks[node - 2], **fields)
    return Genome(genome.stem, tuple(blocks))


@pytest.mark.parametrize(
    ("space", "genome", "message"),
    [
        (R0, SPINENET_49, "node 3: kind=residual, expected bottleneck (space r0-sp53)"),
        (R0, change(R0_SP53, 9, parents=(3, 8)), "node 9: parents=[3, 8], expected two of [4, 5, 6, 7, 8]"),
        # With one level-5 base block, the second block on level 5 is the one too many.
        (R0, change(R0_SP53, 9, level=5), "node 9: level=5, expected what the blocks before it leave"),
        (BIG, change(SPINENET_49, 9, level=1), "node 9: level=1, expected what the blocks before it leave"),
        (R0, change(R0_SP53, 11, output=True, level=2), "node 11: output=True, expected False"),
        (R0, change(R0_SP53, 12, output=False), "node 12: output=False, expected True"),
        (R0, change(R0_SP53, 12, level=2), "node 12: level=2, expected one of [3, 4, 5, 6, 7]"),
        (R0, Genome(R0_STEM, R0_SP53.blocks[:-1]), "14 blocks, expected 15"),
        (R0, Genome(Stem((StemNode(2), StemNode(3))), R0_SP53.blocks), "stem: found another one"),
    ],
)
def test_a_foreign_genome_is_told_where(space: SpineNetSpace, genome: Genome, message: str) -> None:
    if "level=1" in message:
        # Only one base block reaches level 1, so fill it before.
        genome = change(genome, 2, level=1)
    with pytest.raises(NotInSpace) as caught:
        space.check(genome)
    assert message in str(caught.value)
    assert not space.contains(genome)
    with pytest.raises(NotInSpace):
        space.mutate(genome, np.random.default_rng(0))
    with pytest.raises(NotInSpace):
        space.crossover(genome, genome, np.random.default_rng(0))
    with pytest.raises(NotInSpace):
        space.from_text(genome.to_text())


def test_from_text_names_unreadable_text() -> None:
    with pytest.raises(InvalidGenome):
        BIG.from_text("nonsense")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"intermediates": (6,), "offsets": (0, 2)}, "base level 6 with offset 2 gives level 8"),
        ({"intermediates": (1,), "offsets": (-1,)}, "base level 1 with offset -1 gives level 0"),
        ({"outputs": ()}, "outputs=(), expected one or more, each once"),
        ({"outputs": (3, 3)}, "outputs=(3, 3), expected one or more, each once"),
        ({"outputs": (2, 3)}, "output level 2, expected 3 to 7"),
        ({"outputs": (3, 8)}, "output level 8, expected 3 to 7"),
        ({"offsets": ()}, "offsets=()"),
        ({"kinds": ()}, "kinds=()"),
        (
            {"stem": Stem((StemNode(1), StemNode(2)))},
            "stem node 0: level=1, but the pool before it ends on 2",
        ),
        ({"window": 1}, "window=1, expected 2 or more"),
        ({"intermediates": (3,) * 250}, "257 nodes, expected at most 256"),
    ],
)
def test_impossible_spaces_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpace) as caught:
        SpineNetSpace(**{"name": "mine", "stem": R0_STEM, "intermediates": (3, 4), **fields})
    assert message in str(caught.value)
    assert str(caught.value).startswith("mine: ")


def test_order_of_writing_makes_no_other_space() -> None:
    a = SpineNetSpace(name="s", stem=R0_STEM, intermediates=(4, 2), outputs=(5, 3), offsets=(1, 0))
    b = SpineNetSpace(name="s", stem=R0_STEM, intermediates=(2, 4), outputs=(3, 5), offsets=(0, 1))
    assert a == b
    assert hash(a) == hash(b)


def test_a_space_without_intermediates_works() -> None:
    space = SpineNetSpace(name="outputs only", stem=R0_STEM, intermediates=())
    genome = space.sample(np.random.default_rng(0))
    space.check(genome)
    assert genome.blocks[0].parents == (0, 1)
    assert space.fingerprint(space.mutate(genome, np.random.default_rng(0))) != space.fingerprint(genome)


def test_importing_the_space_loads_nothing_heavy() -> None:
    code = (
        "import sys, search_space.space, search_space.catalog, search_space.cost\n"
        "heavy = {'pydantic', 'scipy', 'networkx', 'yaml', 'tensorflow'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_two_blocks_may_share_a_base_level_only_as_often_as_it_is_there() -> None:
    space = SpineNetSpace(name="s", stem=R0_STEM, intermediates=(2, 5), offsets=(-1, 0, 2), outputs=(3,))

    def genome(first: int, second: int) -> Genome:
        b = BlockKind.BOTTLENECK
        blocks = (
            BlockGene(first, b, (0, 1)),
            BlockGene(second, b, (0, 1)),
            BlockGene(3, b, (2, 3), output=True),
        )
        return Genome(R0_STEM, blocks)

    possible = {(x, y) for x in range(1, 8) for y in range(1, 8) if space.contains(genome(x, y))}
    one_way = {(x, y) for x in (1, 2, 4) for y in (4, 5, 7)}
    assert possible == one_way | {(y, x) for x, y in one_way}
