"""The graphs of many genomes at once, as arrays: the same rule as in graph.py, for counting costs quickly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from search_space.genome import BlockKind, Genome, Stem

KINDS: Final = tuple(BlockKind)
"""A kind's number is its place here."""

Bools = NDArray[np.bool_]
Bytes = NDArray[np.int16]


@dataclass(frozen=True, slots=True, eq=False)
class GraphArrays:
    """G genomes of one stem with N nodes each.

    `levels`, `kinds` (places in KINDS), `outputs` and `alive` are [G, N], `parents` [G, N, 2] (zeros
    in the stem); `raw` [G, N] is the output that a dangling intermediate is added to raw, or -1.
    """

    stem: Stem
    levels: Bytes
    kinds: Bytes
    parents: Bytes
    outputs: Bools
    alive: Bools
    raw: Bytes


def resolve_all(genomes: Sequence[Genome]) -> GraphArrays:
    """The graphs of genomes that share a stem and a number of blocks; raises ValueError for others."""
    stem, count = genomes[0].stem, len(genomes[0].blocks)
    if any(genome.stem != stem or len(genome.blocks) != count for genome in genomes):
        raise ValueError("genomes: expected one stem and one number of blocks in all")
    place = {kind: index for index, kind in enumerate(KINDS)}
    numbers = np.array(
        [
            [
                number
                for block in genome.blocks
                for number in (block.level, place[block.kind], *block.parents, block.output)
            ]
            for genome in genomes
        ],
        np.int16,
    ).reshape(len(genomes), count, 5)
    fixed = np.array([[node.level, place[node.kind], 0, 0, 0] for node in stem.nodes], np.int16)
    numbers = np.concatenate([np.broadcast_to(fixed, (len(genomes), *fixed.shape)), numbers], axis=1)
    levels, kinds = (np.ascontiguousarray(numbers[:, :, column]) for column in (0, 1))
    parents, outputs = np.ascontiguousarray(numbers[:, :, 2:4]), numbers[:, :, 4] == 1
    raw = _raw(len(stem.nodes), levels, kinds, parents, outputs)
    alive = _alive(len(stem.nodes), parents, outputs, raw)
    return GraphArrays(stem, levels, kinds, parents, outputs, alive, raw)


def _raw(first: int, levels: Bytes, kinds: Bytes, parents: Bytes, outputs: Bools) -> Bytes:
    """Every output takes the dangling intermediates of its shape, once its own parents are counted."""
    genomes, nodes = levels.shape
    rows = np.arange(genomes)
    consumed = np.zeros((genomes, nodes), bool)
    raw = np.full((genomes, nodes), -1, np.int16)
    for node in range(first, nodes):
        for side in (0, 1):
            consumed[rows, parents[:, node, side]] = True
        here = np.flatnonzero(outputs[:, node])
        if not len(here):
            continue
        before = np.s_[here, first:node]
        dangling, others = np.nonzero(
            ~consumed[before]
            & ~outputs[before]
            & (levels[before] == levels[here, node, np.newaxis])
            & (kinds[before] == kinds[here, node, np.newaxis])
        )
        taken = here[dangling], first + others
        consumed[taken] = True
        raw[taken] = node
    return raw


def _alive(first: int, parents: Bytes, outputs: Bools, raw: Bytes) -> Bools:
    """What an output needs, however indirectly; outputs themselves need no reason."""
    alive = outputs | (raw >= 0)
    for node in range(parents.shape[1] - 1, 0, -1):
        needed = np.flatnonzero(alive[:, node])
        if node < first:
            alive[needed, node - 1] = True
        else:
            for side in (0, 1):
                alive[needed, parents[needed, node, side]] = True
    return alive
