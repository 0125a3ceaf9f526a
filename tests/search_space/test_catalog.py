from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from search_space.catalog import (
    GENOMES,
    MOBILE_49,
    R0_SP53,
    R23_SP30,
    SPACES,
    SPINENET_49,
    UnknownName,
    genome_by_name,
    space_by_name,
)
from search_space.family import FAMILY
from search_space.genome import BlockKind, Genome
from search_space.size import space_size


def test_blocks_per_level_are_those_of_the_paper() -> None:
    """Table 1 of the paper (docs/sources.md, 1), without the stem."""
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
    assert SPACES["r23-sp30"].inferred == ("stem",)


# Computed from the specs (docs/sources.md, 4 and 5): labelled with the window, without it; distinct.
SIZES = {
    "r35-sp18": (6.8, 6.8, None),
    "r23-sp30": (15.1, 15.3, None),
    "r14-sp39": (22.0, 23.5, None),
    "r0-sp53": (26.7, 29.6, 23.8),
    "spinenet-49": (37.2, 40.1, 34.3),
    "vertex-spinenet": (None, None, 35.5),
    "vertex-spinenet-v2": (None, None, 27.0),
    "vertex-spinenet-mbconv": (None, None, 30.4),
}


@pytest.mark.parametrize("name", SIZES)
def test_sizes_come_out_as_published(name: str) -> None:
    space = SPACES[name]
    size, unrestricted = space_size(space), space_size(replace(space, window=None))
    found = (size.labelled, unrestricted.labelled, size.distinct)
    for value, published in zip(found, SIZES[name], strict=True):
        assert published is None or round(value, 1) == published


@pytest.mark.parametrize(
    ("genome", "space"),
    [
        (R23_SP30, "r23-sp30"),
        (MOBILE_49, "spinenet-mobile-49"),
        (R0_SP53, "r0-sp53"),
        (SPINENET_49, "spinenet-49"),
    ],
)
def test_published_genomes_are_in_their_spaces(genome: Genome, space: str) -> None:
    SPACES[space].check(genome)


def test_the_family_names_what_there_is() -> None:
    assert {member.genome for member in FAMILY.values()} <= set(GENOMES)
    assert FAMILY["spinenet-96"].scaling.repeats == 2


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
