from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_space.catalog import R0_STEM, SPACES, SPINENET_49, space_by_name
from search_space.decisions import Decisions, InvalidDecisions
from search_space.genome import BlockKind
from search_space.space import SpineNetSpace

SMALL = SpineNetSpace(name="small", stem=R0_STEM, intermediates=(3, 4, 4), outputs=(3, 5), window=2)
OFFSETS = SpineNetSpace(
    name="offsets",
    stem=R0_STEM,
    intermediates=(3, 4),
    outputs=(3,),
    offsets=(0, 1),
    kinds=(BlockKind.BOTTLENECK, BlockKind.RESIDUAL),
)


def sequences(decisions: Decisions, prefix: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    if len(prefix) == len(decisions.sites):
        yield prefix
        return
    for choice in np.flatnonzero(decisions.mask(prefix)).tolist():
        yield from sequences(decisions, (*prefix, choice))


@given(name=st.sampled_from(sorted(SPACES)), seed=st.integers(0, 2**32))
def test_encode_is_a_preimage(name: str, seed: int) -> None:
    space = SPACES[name]
    decisions = Decisions(space)
    choices = decisions.draw(np.random.default_rng(seed))
    genome = decisions.decode(choices)
    space.check(genome)
    canonical = decisions.encode(genome)
    assert decisions.decode(canonical) == genome
    for place, choice in enumerate(canonical):
        assert decisions.mask(canonical[:place])[choice]


def test_the_sites_are_in_the_order_of_the_paper() -> None:
    decisions = Decisions(space_by_name("spinenet-49"))
    names = [site.name.rsplit(" ", 1)[0] for site in decisions.sites]
    assert list(Counter(names).items()) == [
        ("order", 10),
        ("output order", 5),
        ("parents", 15),
        ("offset", 10),
        ("kind", 15),
    ]
    # Pairs of allowed nodes: 2, 3, 4, 5, 5, ... for the intermediates, 12 to 16 for the outputs.
    pairs = [site.options for site in decisions.sites[15:30]]
    assert pairs == [1, 3, 6, 10, 10, 10, 10, 10, 10, 10, 66, 78, 91, 105, 120]
    assert len(Decisions(space_by_name("r0-sp53")).sites) == 30


@pytest.mark.parametrize("space", [SMALL, OFFSETS, replace(SMALL, window=None)])
def test_all_sequences_are_all_genomes(space: SpineNetSpace) -> None:
    decisions = Decisions(space)
    every = list(sequences(decisions))
    genomes = Counter(decisions.decode(choices) for choices in every)
    assert len(every) == round(10 ** space.size().labelled)
    if space is not OFFSETS:  # with offsets, a level can come from several base levels
        assert len(genomes) == round(10 ** space.size().distinct)
        assert set(genomes.values()) == {2}
    for genome in islice(genomes, 200):
        space.check(genome)
        assert decisions.decode(decisions.encode(genome)) == genome


def test_the_encoding_does_not_depend_on_where_a_genome_came_from() -> None:
    decisions = Decisions(OFFSETS)
    seen: dict[str, tuple[int, ...]] = {}
    for choices in sequences(decisions):
        genome = decisions.decode(choices)
        assert seen.setdefault(genome.to_text(), decisions.encode(genome)) == decisions.encode(genome)
    assert len(seen) < len(list(sequences(decisions)))


def test_drawing_is_uniform_over_sequences() -> None:
    decisions = Decisions(replace(SMALL, outputs=(3,)))
    every = list(sequences(decisions))
    rng = np.random.default_rng(0)
    count = 40 * len(every)
    found = Counter(decisions.draw(rng) for _ in range(count))
    assert set(found) == set(every)
    # Chi-square over n cells: mean n - 1, variance 2 (n - 1).
    chi = sum((found[choices] - 40) ** 2 / 40 for choices in every)
    assert abs(chi - len(every) + 1) < 4 * (2 * len(every)) ** 0.5


def test_masks_leave_each_order_the_probability_of_a_permutation() -> None:
    decisions = Decisions(space_by_name("spinenet-49"))
    choices = decisions.encode(SPINENET_49)
    open_options = [int(decisions.mask(choices[:place]).sum()) for place in range(len(choices))]
    assert open_options[:15] == [10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 5, 4, 3, 2, 1]
    assert np.log10(float(prod(open_options))) == pytest.approx(space_by_name("spinenet-49").size().labelled)
    assert all(
        len(decisions.mask(choices[:place])) == site.options for place, site in enumerate(decisions.sites)
    )


@pytest.mark.parametrize(
    ("place", "choice", "message"),
    [
        (0, 3, "order 0: choice 3, expected 0 to 2"),
        (0, -1, "order 0: choice -1"),
        (1, 0, "order: [0, 0, 2], expected each block once"),
        (4, 0, "output order: [0, 0], expected each block once"),
        (5, 1, "parents 0: choice 1, expected 0 to 0"),
    ],
)
def test_choices_that_are_not_open_are_named(place: int, choice: int, message: str) -> None:
    decisions = Decisions(SMALL)
    choices = [0, 1, 2, 0, 1, 0, 0, 0, 0, 0]
    decisions.decode(choices)
    choices[place] = choice
    with pytest.raises(InvalidDecisions) as caught:
        decisions.decode(choices)
    assert message in str(caught.value)


def test_a_sequence_of_another_length_is_refused() -> None:
    with pytest.raises(InvalidDecisions, match="1 choices, expected 10"):
        Decisions(SMALL).decode([0])
