from __future__ import annotations

from collections import Counter

import pytest

from search_space.catalog import (
    GENOMES,
    R0_SP53,
    SPACES,
    SPINENET_49,
    UnknownName,
    genome_by_name,
    space_by_name,
)
from search_space.genome import BlockKind


def test_blocks_per_level_are_those_of_the_paper() -> None:
    """Table 1 of the paper (reference/spinenet.md, section 2.4), without the stem."""
    counts = Counter(block.level for block in SPINENET_49.blocks)
    assert counts == {2: 1, 3: 2, 4: 4, 5: 4, 6: 2, 7: 2}
    counts = Counter(block.level for block in R0_SP53.blocks)
    assert counts == {2: 1, 3: 4, 4: 6, 5: 2, 6: 1, 7: 1}


def test_spinenet_49_has_four_residual_blocks() -> None:
    """17 bottlenecks of three convs would be 53 layers; four residual blocks make it 49."""
    assert sum(block.kind is BlockKind.RESIDUAL for block in SPINENET_49.blocks) == 4
    assert list(SPINENET_49.outputs) == [3, 4, 5, 6, 7]
    assert [block.level for block in SPINENET_49.blocks if block.output] == [4, 3, 5, 7, 6]


def test_every_genome_is_in_the_space_of_its_name() -> None:
    for name, genome in GENOMES.items():
        space_by_name(name).check(genome)
        assert genome_by_name(name) is genome


def test_what_is_inferred_is_marked() -> None:
    assert SPACES["spinenet-49"].inferred == ("intermediates",)
    assert SPACES["r0-sp53"].inferred == ()


@pytest.mark.parametrize("name", ["spinenet49", "SPINENET-49", "spinet-49", "spinenet_49"])
def test_an_unknown_name_is_answered_with_the_nearest(name: str) -> None:
    with pytest.raises(
        UnknownName, match=f"space '{name}' is not in the catalog: did you mean 'spinenet-49'"
    ):
        space_by_name(name)


def test_a_name_like_none_is_answered_with_all() -> None:
    with pytest.raises(
        UnknownName, match="genome 'xyz' is not in the catalog: expected one of spinenet-49, r0"
    ):
        genome_by_name("xyz")
