from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_space.catalog import R0_STEM, SPACES, SPINENET_49, space_by_name
from search_space.genome import BlockKind, Genome
from search_space.mutation import (
    Move,
    MoveWeights,
    NoMutation,
    change_kind,
    change_offset,
    mutate,
    possible_moves,
    reorder,
    rewire,
    shift_intermediate,
    swap_intermediates,
    swap_outputs,
)
from search_space.space import SpineNetSpace

BIG = space_by_name("spinenet-49")
R0 = space_by_name("r0-sp53")
NONE = MoveWeights(swap_intermediates=0, shift_intermediate=0, swap_outputs=0, rewire=1e-9, offset=0, kind=0)
NAMES = list(MoveWeights.__slots__)
KINDS = (BlockKind.BOTTLENECK, BlockKind.RESIDUAL)


def only(name: str) -> MoveWeights:
    return replace(NONE, **{"rewire": 0.0, name: 1.0})


@given(name=st.sampled_from(sorted(SPACES)), seed=st.integers(0, 2**32))
def test_children_are_valid_and_different(name: str, seed: int) -> None:
    space = SPACES[name]
    rng = np.random.default_rng(seed)
    genome = space.sample(rng)
    child = space.mutate(genome, rng)
    space.check(child)
    assert space.fingerprint(child) != space.fingerprint(genome)


def test_equal_generators_give_equal_children() -> None:
    children = {BIG.mutate(SPINENET_49, np.random.default_rng(7)) for _ in range(3)}
    assert len(children) == 1


def changed_blocks(a: Genome, b: Genome) -> list[int]:
    return [place for place, (x, y) in enumerate(zip(a.blocks, b.blocks, strict=True)) if x != y]


def identities(genome: Genome) -> list[tuple[int, BlockKind]]:
    return [(block.level, block.kind) for block in genome.blocks]


@given(seed=st.integers(0, 2**32), move=st.sampled_from([rewire, change_offset, change_kind]))
def test_a_small_move_changes_one_thing_of_one_block(move: Move, seed: int) -> None:
    rng = np.random.default_rng(seed)
    genome = BIG.sample(rng)
    child = move(BIG, genome, rng)
    if child is None:
        assert move is change_offset
        return
    BIG.check(child)
    (place,) = changed_blocks(genome, child)
    before, after = genome.blocks[place], child.blocks[place]
    if move is rewire:
        assert replace(before, parents=after.parents) == after
        assert len(set(before.parents) & set(after.parents)) == 1
    elif move is change_offset:
        assert replace(before, level=after.level) == after
    else:
        assert replace(before, kind=after.kind) == after


@given(
    seed=st.integers(0, 2**32),
    move=st.sampled_from([swap_intermediates, shift_intermediate, swap_outputs]),
)
def test_a_reorder_moves_what_it_says(move: Move, seed: int) -> None:
    rng = np.random.default_rng(seed)
    genome = BIG.sample(rng)
    child = move(BIG, genome, rng)
    assert child is not None
    BIG.check(child)
    before, after = identities(genome), identities(child)
    assert sorted(before[:10]) == sorted(after[:10])
    assert sorted(before[10:]) == sorted(after[10:])
    moved = [place for place in range(15) if before[place] != after[place]]
    if move is swap_outputs:
        assert len(moved) == 2
        assert min(moved) >= 10
        assert genome.blocks[:10] == child.blocks[:10]
        return
    assert all(place < 10 for place in moved)
    if move is swap_intermediates:
        assert len(moved) in (0, 2)
    elif moved:
        first, last = min(moved), max(moved)
        stretch = before[first : last + 1]
        assert after[first : last + 1] in ([*stretch[1:], stretch[0]], [stretch[-1], *stretch[:-1]])


def test_a_reorder_keeps_identities_and_repairs_only_what_became_illegal() -> None:
    space = SpineNetSpace(name="s", stem=R0_STEM, intermediates=(2, 3, 4, 5), outputs=(3, 4), window=3)
    genome = Genome.from_text("2b* 2b* | 2b:0,1 3b:0,2 4b:1,3 5b:3,4 3b:2,5^ 4b:0,6^")
    space.check(genome)
    for seed in range(20):
        # The first and the third exchange places: 2, 3, 4 become 4, 3, 2.
        child = reorder(space, genome, [2, 1, 0, 3, 4, 5], np.random.default_rng(seed))
        space.check(child)
        assert [block.level for block in child.blocks] == [4, 3, 2, 5, 3, 4]
        assert child.blocks[0].parents == (0, 1)  # was 1 and the block that is now its child
        assert 0 in child.blocks[1].parents  # was 0 and the block that now comes later
        assert set(child.blocks[2].parents) <= {1, 2, 3}  # was 0, 1: 0 has left the window
        assert 1 in child.blocks[2].parents
        assert child.blocks[3].parents == (2, 3)  # follows its parents to their new places
        assert child.blocks[4].parents == (4, 5)  # an output likewise
        assert child.blocks[5].parents == (0, 6)
    redrawn = {reorder(space, genome, [2, 1, 0, 3, 4, 5], np.random.default_rng(seed)) for seed in range(40)}
    assert len(redrawn) == 4  # two choices in block 1, two in block 2


def test_moves_are_drawn_as_often_as_configured() -> None:
    weights = MoveWeights()
    rng = np.random.default_rng(3)
    count = 3000
    found = Counter(classify(SPINENET_49, BIG.mutate(SPINENET_49, rng, weights)) for _ in range(count))
    expected = {
        "reorder": weights.swap_intermediates + weights.shift_intermediate,
        "swap_outputs": weights.swap_outputs,
        "rewire": weights.rewire,
        "offset": weights.offset,
        "kind": weights.kind,
    }
    for name, rate in expected.items():
        spread = (rate * (1 - rate) / count) ** 0.5
        # A reorder of equal blocks can look like a rewiring, hence the extra percent.
        assert found[name] / count == pytest.approx(rate, abs=4 * spread + 0.01), name


def classify(genome: Genome, child: Genome) -> str:
    changed = changed_blocks(genome, child)
    before, after = identities(genome), identities(child)
    if len(changed) == 1:
        if before == after:
            return "rewire"
        return "kind" if before[changed[0]][0] == after[changed[0]][0] else "offset"
    return "swap_outputs" if genome.blocks[:10] == child.blocks[:10] else "reorder"


def test_impossible_moves_get_no_weight() -> None:
    def names(space: SpineNetSpace) -> set[str]:
        return {move.__name__ for _, move in possible_moves(space, MoveWeights())}

    reorders = {"swap_intermediates", "shift_intermediate", "swap_outputs"}
    assert names(BIG) == reorders | {"rewire", "change_offset", "change_kind"}
    assert names(R0) == reorders | {"rewire"}
    assert names(SpineNetSpace(name="s", stem=R0_STEM, intermediates=(3,), outputs=(3,))) == {"rewire"}
    assert names(SpineNetSpace(name="s", stem=R0_STEM, intermediates=(), outputs=(3,))) == set()


def test_a_genome_that_nothing_changes_is_a_typed_error() -> None:
    space = SpineNetSpace(name="one", stem=R0_STEM, intermediates=(), outputs=(3,))
    with pytest.raises(NoMutation, match=r"space one: no move changes the network of 2b\* 2b\* \| 3b:0,1"):
        space.mutate(space.sample(np.random.default_rng(0)), np.random.default_rng(0))
    # Both intermediates are dead whatever their kind, and a kind is all that may change.
    genome = Genome.from_text("2b* 2b* | 4b:0,1 4b:0,1 3b:0,1^")
    kinds = SpineNetSpace(name="dead", stem=R0_STEM, intermediates=(4, 4), outputs=(3,), kinds=KINDS)
    child = mutate(kinds, genome, np.random.default_rng(0), only("kind"))
    assert changed_blocks(genome, child) == [2]
    with pytest.raises(NoMutation):
        mutate(kinds, genome, np.random.default_rng(0), only("swap_intermediates"))


@pytest.mark.parametrize(("offsets", "kinds"), [((0, 1), KINDS[:1]), ((0,), KINDS)])
def test_every_network_of_a_small_space_is_reached(
    offsets: tuple[int, ...], kinds: tuple[BlockKind, ...]
) -> None:
    space = SpineNetSpace(
        name="small", stem=R0_STEM, intermediates=(3, 4), outputs=(3,), offsets=offsets, kinds=kinds
    )
    rng = np.random.default_rng(0)
    everything = {space.fingerprint(space.sample(rng)) for _ in range(3000)}
    genome = space.sample(rng)
    reached = {space.fingerprint(genome)}
    for _ in range(3000):
        genome = space.mutate(genome, rng)
        reached.add(space.fingerprint(genome))
    assert len(everything) > 50
    assert everything == reached


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_weights_are_checked(value: float) -> None:
    with pytest.raises(ValueError, match="move weights"):
        MoveWeights(kind=value)
    with pytest.raises(ValueError, match="one above 0"):
        MoveWeights(**dict.fromkeys(NAMES, 0.0))


@pytest.mark.full
def test_ten_thousand_children_are_valid_and_different() -> None:
    rng = np.random.default_rng(11)
    genome = SPINENET_49
    for _ in range(10_000):
        child = BIG.mutate(genome, rng)
        BIG.check(child)
        assert BIG.fingerprint(child) != BIG.fingerprint(genome)
        genome = child
