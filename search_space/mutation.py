"""One small change to a genome: moves that know what an order is.

Swap two intermediates, shift one, swap two outputs, re-draw one parent, change one level offset or
one block kind. Stock mutation of a permutation almost never moves it (docs/sources.md, 6),
hence the explicit moves. Every child is in the space.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from functools import lru_cache
from math import isfinite
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from search_space.fingerprint import fingerprint
from search_space.genome import MAX_LEVEL, MIN_LEVEL, BlockGene, Genome

if TYPE_CHECKING:  # space.py delegates to this module
    from search_space.space import SpineNetSpace

TRIES: Final = 20
"""How often a move is drawn afresh while its child has its parent's fingerprint."""


class NoMutation(ValueError):
    """No move of the space gives this genome a child with another fingerprint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveWeights:
    """How often each move is drawn; only ratios count. Moves that a space cannot make are never drawn."""

    swap_intermediates: float = 0.2
    shift_intermediate: float = 0.1
    swap_outputs: float = 0.05
    rewire: float = 0.4
    offset: float = 0.15
    kind: float = 0.1

    def __post_init__(self) -> None:
        weights = astuple(self)
        if not all(isfinite(weight) and weight >= 0 for weight in weights) or sum(weights) <= 0:
            raise ValueError(f"move weights {weights}, expected none negative and one above 0")


USUAL: Final = MoveWeights()

Move: TypeAlias = "Callable[[SpineNetSpace, Genome, np.random.Generator], Genome | None]"
"""A move may come to nothing (None): the block it drew has no other choice."""


def mutate(space: SpineNetSpace, genome: Genome, rng: np.random.Generator, weights: MoveWeights) -> Genome:
    """A child of a genome of the space, one move away, with another fingerprint.

    The move is drawn once and then tried afresh, so that its rate is its weight; a move that
    changes nothing in `TRIES` draws is given up for another. Raises NoMutation.
    """
    before = fingerprint(genome)
    moves = list(possible_moves(space, weights))
    while moves:
        total = np.cumsum([weight for weight, _ in moves])
        index = int(np.searchsorted(total, rng.random() * total[-1], side="right"))
        _, move = moves[index]
        for _ in range(TRIES):
            child = move(space, genome, rng)
            if child is not None and fingerprint(child) != before:
                return child
        del moves[index]
    raise NoMutation(f"space {space.name}: no move changes the network of {genome.to_text()}")


@lru_cache(maxsize=16)  # the same for every child of a search, and half of a child's cost
def possible_moves(space: SpineNetSpace, weights: MoveWeights) -> tuple[tuple[float, Move], ...]:
    """The moves that a space can make and that have weight."""
    inner, outputs = len(space.intermediates), len(space.outputs)
    moves: list[tuple[bool, float, Move]] = [
        (inner > 1, weights.swap_intermediates, swap_intermediates),
        (inner > 1, weights.shift_intermediate, shift_intermediate),
        (outputs > 1, weights.swap_outputs, swap_outputs),
        (bool(_rewirable(space)), weights.rewire, rewire),
        (inner > 0 and len(space.offsets) > 1, weights.offset, change_offset),
        (len(space.kinds) > 1, weights.kind, change_kind),
    ]
    return tuple((weight, move) for possible, weight, move in moves if possible and weight > 0)


def swap_intermediates(space: SpineNetSpace, genome: Genome, rng: np.random.Generator) -> Genome:
    """Exchange the places of two intermediates."""
    order = list(range(space.blocks))
    a, b = _two(rng, len(space.intermediates))
    order[a], order[b] = order[b], order[a]
    return reorder(space, genome, order, rng)


def shift_intermediate(space: SpineNetSpace, genome: Genome, rng: np.random.Generator) -> Genome:
    """Take one intermediate out and put it back at another place."""
    order = list(range(space.blocks))
    a, b = _two(rng, len(space.intermediates))
    order.insert(b, order.pop(a))
    return reorder(space, genome, order, rng)


def swap_outputs(space: SpineNetSpace, genome: Genome, rng: np.random.Generator) -> Genome:
    """Exchange the places of two outputs."""
    order = list(range(space.blocks))
    inner = len(space.intermediates)
    a, b = _two(rng, len(space.outputs))
    order[inner + a], order[inner + b] = order[inner + b], order[inner + a]
    return reorder(space, genome, order, rng)


def reorder(space: SpineNetSpace, genome: Genome, order: Sequence[int], rng: np.random.Generator) -> Genome:
    """The genome with block `order[place]` at each place; blocks keep level, kind and, by identity, parents.

    Only parents that are no longer allowed (later than the child, or outside its window) are re-drawn.
    """
    first = len(space.stem.nodes)
    moved = {first + old: first + new for new, old in enumerate(order)}
    blocks = []
    for place, old in enumerate(order):
        allowed = space.allowed_parents(place)
        parents = (moved.get(parent, parent) for parent in genome.blocks[old].parents)
        kept = [parent for parent in parents if parent in allowed]
        while len(kept) < 2:
            kept.append(_one([node for node in allowed if node not in kept], rng))
        gene = genome.blocks[old]
        blocks.append(BlockGene(gene.level, gene.kind, (kept[0], kept[1]), gene.output))
    return Genome(genome.stem, tuple(blocks))


def rewire(space: SpineNetSpace, genome: Genome, rng: np.random.Generator) -> Genome:
    """Re-draw one parent of one block, among the other nodes that it may take."""
    place = _one(_rewirable(space), rng)
    block = genome.blocks[place]
    others = [node for node in space.allowed_parents(place) if node not in block.parents]
    kept = block.parents[int(rng.integers(2))]
    return _with_block(genome, place, replace(block, parents=(kept, _one(others, rng))))


def change_offset(space: SpineNetSpace, genome: Genome, rng: np.random.Generator) -> Genome | None:
    """Give one intermediate another level, such that base levels and offsets still match."""
    inner = len(space.intermediates)
    place = int(rng.integers(inner))
    levels = [block.level for block in genome.blocks[:inner]]
    options = [
        level
        for level in range(MIN_LEVEL, MAX_LEVEL + 1)
        if level != levels[place] and space.has_levels((*levels[:place], level, *levels[place + 1 :]))
    ]
    if not options:
        return None
    return _with_block(genome, place, replace(genome.blocks[place], level=_one(options, rng)))


def change_kind(space: SpineNetSpace, genome: Genome, rng: np.random.Generator) -> Genome:
    """Give one block another kind."""
    place = int(rng.integers(space.blocks))
    block = genome.blocks[place]
    kind = space.kinds[_one([k for k, kind in enumerate(space.kinds) if kind != block.kind], rng)]
    return _with_block(genome, place, replace(block, kind=kind))


@lru_cache(maxsize=16)
def _rewirable(space: SpineNetSpace) -> tuple[int, ...]:
    """The places whose block has a choice of parents."""
    return tuple(place for place in range(space.blocks) if len(space.allowed_parents(place)) > 2)


def _with_block(genome: Genome, place: int, block: BlockGene) -> Genome:
    return Genome(genome.stem, (*genome.blocks[:place], block, *genome.blocks[place + 1 :]))


def _one(options: Sequence[int], rng: np.random.Generator) -> int:
    return options[int(rng.integers(len(options)))]


def _two(rng: np.random.Generator, count: int) -> tuple[int, int]:
    a = int(rng.integers(count))
    b = int(rng.integers(count - 1))
    return a, b + (b >= a)
