from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from search_space.catalog import R0_SP53, SPACES, SPINENET_49, space_by_name
from search_space.crossover import order_crossover
from search_space.decisions import Decisions

BIG = space_by_name("spinenet-49")


@given(name=st.sampled_from(sorted(SPACES)), seed=st.integers(0, 2**32))
def test_children_are_valid_and_take_after_their_parents(name: str, seed: int) -> None:
    space = SPACES[name]
    rng = np.random.default_rng(seed)
    a, b = space.sample(rng), space.sample(rng)
    child = space.crossover(a, b, rng)
    space.check(child)
    for place, block in enumerate(child.blocks):
        assert block.parents in (a.blocks[place].parents, b.blocks[place].parents)


@given(seed=st.integers(0, 2**32))
def test_a_genome_crossed_with_itself_stays(seed: int) -> None:
    rng = np.random.default_rng(seed)
    genome = BIG.sample(rng)
    assert BIG.crossover(genome, genome, rng) == genome


def test_offsets_and_kinds_stay_with_their_blocks() -> None:
    """A labelled block of the child has the level and kind that it has in one of the parents."""
    decisions = Decisions(BIG)
    rng = np.random.default_rng(5)
    for _ in range(50):
        a, b = BIG.sample(rng), BIG.sample(rng)
        child = BIG.crossover(a, b, rng)
        inner = [
            {
                (BIG.intermediates[label], block.level, block.kind)
                for label, block in zip(
                    decisions.encode_groups(genome).order, genome.blocks[:10], strict=True
                )
            }
            for genome in (a, b)
        ]
        outer = [{(block.level, block.kind) for block in genome.blocks[10:]} for genome in (a, b)]
        assert {(block.level, block.kind) for block in child.blocks[10:]} <= outer[0] | outer[1]
        levels = {(level, kind) for _, level, kind in inner[0] | inner[1]}
        assert {(block.level, block.kind) for block in child.blocks[:10]} <= levels


def test_children_mix() -> None:
    rng = np.random.default_rng(2)
    children = {BIG.crossover(SPINENET_49, R0_SP53, rng) for _ in range(50)}
    assert len(children) > 45
    assert not children & {SPINENET_49, R0_SP53}
    assert BIG.crossover(SPINENET_49, R0_SP53, np.random.default_rng(3)) == BIG.crossover(
        SPINENET_49, R0_SP53, np.random.default_rng(3)
    )


@given(seed=st.integers(0, 2**32), length=st.integers(0, 8))
def test_order_crossover_keeps_a_stretch_of_one_and_the_order_of_the_other(seed: int, length: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = tuple(rng.permutation(length).tolist()), tuple(rng.permutation(length).tolist())
    child = order_crossover(a, b, rng)
    assert sorted(child) == list(range(length))

    def descends(kept: tuple[int, ...], other: tuple[int, ...]) -> bool:
        return any(
            child[start:stop] == kept[start:stop]
            and [x for x in other if x not in kept[start:stop]] == [*child[:start], *child[stop:]]
            for start in range(length + 1)
            for stop in range(start, length + 1)
        )

    assert descends(a, b) or descends(b, a)


def test_order_crossover_takes_from_both() -> None:
    a, b = (0, 1, 2, 3, 4, 5), (5, 4, 3, 2, 1, 0)
    rng = np.random.default_rng(0)
    children = {order_crossover(a, b, rng) for _ in range(2000)}
    assert {a, b} < children
    assert (5, 1, 2, 4, 3, 0) in children  # 1, 2 of the first in their places, the rest as in the second
    assert len(children) > 15
