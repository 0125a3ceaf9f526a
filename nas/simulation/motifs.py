"""A landscape of motifs: known structure, weighed, and hashed neighbourhoods of Weisfeiler and Lehman.

docs/sources.md, 6: long edges help, and large jumps between levels hurt. The weights are wide draws around
these signs, so that no landscape claims to be the real one. Hashed motifs make neighbours alike and the
landscape rugged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from search_space.graph_arrays import GraphArrays

Floats = NDArray[np.float64]
Codes = NDArray[np.uint64]

EFFECTS: Final = (0.5, 0.2, -0.6, 0.3, -0.2)
"""Expected weights of the facts below, each per standard deviation or so."""

DOUBT: Final = 0.4
"""Standard deviation of the weights: wide, since hardly any of them is published."""

DEPTHS: Final = (0.5, 0.35, 0.2)
"""How much motifs count that are a node; a node and its parents; and their parents too."""

THIRDS: Final = 3


def motif_quality(seed: int) -> Callable[[GraphArrays], Floats]:
    """The quality of graphs [G] on the landscape that this seed draws."""
    weights = np.random.default_rng([seed, 10]).normal(EFFECTS, DOUBT)
    salt = np.random.default_rng([seed, 11]).integers(2**63, size=len(DEPTHS), dtype=np.uint64)

    def quality(graphs: GraphArrays) -> Floats:
        positions = _positions(graphs)
        return _facts(graphs, positions) @ weights + _motifs(graphs, positions, salt)

    return quality


def _facts(graphs: GraphArrays, positions: Floats) -> Floats:
    """[G, 5]: long edges, links to the block before, jumps, turns, dead blocks.

    Of live blocks, and by their positions, so that equal networks have equal facts however their blocks are
    numbered.
    """
    first, nodes = len(graphs.stem.nodes), graphs.levels.shape[1]
    blocks, alive = nodes - first, graphs.alive[:, first:]
    distance = positions[:, first:, np.newaxis] - _of_parents(positions, graphs)[:, first:]
    steps = graphs.levels[:, :, np.newaxis] - _of_parents(graphs.levels, graphs)
    steps[:, :first] = 0
    before = _of_parents(steps.sum(axis=2), graphs)
    jumps = np.maximum(np.abs(steps[:, first:]) - 1, 0).sum(axis=2)
    turns = (steps * before < 0)[:, first:].any(axis=2)
    facts = (
        ((distance.max(axis=2) >= 5) & alive).sum(axis=1) / blocks * 6,
        ((distance.min(axis=2) <= 1) & alive).sum(axis=1) / blocks * 6,
        np.where(alive, jumps, 0).sum(axis=1) / blocks * 2,
        (turns & alive).sum(axis=1) / blocks * 6,
        (~alive).sum(axis=1) / 2,
    )
    return np.column_stack(facts).astype(np.float64)


def _of_parents(values: NDArray[Any], graphs: GraphArrays) -> NDArray[Any]:
    """[G, N, 2] of what nodes have, [G, N]: what their parents have."""
    parents = graphs.parents.reshape(len(values), -1).astype(np.intp)
    return np.take_along_axis(values, parents, axis=1).reshape(*values.shape, 2)


def _positions(graphs: GraphArrays) -> Floats:
    """[G, N]: a stem node's number; a live block's rank by its depth, which is its longest way from the
    stem's end. Blocks of one depth share their mean rank: nothing in the network orders them.
    """
    first, nodes = len(graphs.stem.nodes), graphs.levels.shape[1]
    rows = np.arange(len(graphs.levels))
    depths = np.zeros(graphs.levels.shape, np.int16)
    for node in range(first, nodes):
        depths[:, node] = 1 + np.maximum(*(depths[rows, graphs.parents[:, node, side]] for side in (0, 1)))
    positions = np.broadcast_to(np.arange(nodes, dtype=np.float64), depths.shape).copy()
    deep, alive = depths[:, first:], graphs.alive[:, first:]
    lower = ((deep[:, np.newaxis] < deep[:, :, np.newaxis]) & alive[:, np.newaxis]).sum(axis=2)
    equal = ((deep[:, np.newaxis] == deep[:, :, np.newaxis]) & alive[:, np.newaxis]).sum(axis=2)
    positions[:, first:] = first + lower + (equal - 1) / 2
    return positions


def _motifs(graphs: GraphArrays, positions: Floats, salt: Codes) -> Floats:
    """[G]: hashed normal weights of all motifs, scaled to a variance of about one a depth."""
    first, nodes = len(graphs.stem.nodes), graphs.levels.shape[1]
    places = (positions[:, first:] * THIRDS // nodes).astype(np.uint64)
    codes = (graphs.levels.astype(np.uint64) * np.uint64(8) + graphs.kinds.astype(np.uint64)) * np.uint64(8)
    found = np.zeros(len(codes))
    counted = graphs.alive[:, first:]
    scale = np.sqrt(nodes - first)
    for depth, (share, grain) in enumerate(zip(DEPTHS, salt, strict=True)):
        if depth:
            codes = _with_parents(codes, graphs)
        whole = _mixed(codes[:, first:] + places, grain)
        found += share * np.where(counted, _normal(whole), 0.0).sum(axis=1) / scale * 2
    return found


def _with_parents(codes: Codes, graphs: GraphArrays) -> Codes:
    """Every node's code with those of its parents, whose order does not count."""
    mixed = _mixed(_of_parents(codes, graphs), np.uint64(1)).sum(axis=2, dtype=np.uint64)
    joined: Codes = _mixed(codes, np.uint64(2)) + mixed
    return joined << np.uint64(3)


def _mixed(codes: Codes, grain: np.uint64) -> Codes:
    """splitmix64 (Steele, Lea and Flood, 2014): well mixed bits; sums run over on purpose."""
    with np.errstate(over="ignore"):
        x = codes + grain + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed: Codes = x ^ (x >> np.uint64(31))
    return mixed


def _normal(bits: Codes) -> Floats:
    """About normal numbers from mixed bits: four uniform ones, summed (Irwin-Hall)."""
    parts = [(bits >> np.uint64(16 * k)) & np.uint64(0xFFFF) for k in range(4)]
    total = np.sum([part.astype(np.float64) for part in parts], axis=0) / 2**16
    normal: Floats = (total - 2) * np.sqrt(3.0)
    return normal
