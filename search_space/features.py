"""A genome as a vector of structural features: what surrogates learn from, without any training.

Of the resolved graph, so that equal networks get equal vectors wherever order does not matter. Motifs
follow the Weisfeiler-Lehman view of a graph (NAS-BOWL, Ru et al., ICLR 2021): a node by itself, then
with its parents. The vector's length depends on the space's blocks only.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from search_space.genome import MAX_LEVEL, MAX_NODES, MIN_LEVEL, BlockKind, Genome
from search_space.graph import Graph, resolve

LEVELS: Final = MAX_LEVEL - MIN_LEVEL + 1
KINDS: Final = tuple(BlockKind)
BY_BLOCK: Final = 5
JUMPS: Final = 5
DISTANCES: Final = 6
BY_OUTPUT: Final = 5
WHOLE: Final = 6
LOG2: Final = (0.0, *(math.log2(distance) for distance in range(1, MAX_NODES + 1)))
"""By distance; no parent is at distance 0."""


def feature_count(blocks: int) -> int:
    """How long the vector of a genome with this many blocks is."""
    edges = LEVELS * LEVELS + JUMPS + DISTANCES
    return BY_BLOCK * blocks + LEVELS * len(KINDS) + edges + BY_OUTPUT * LEVELS + WHOLE


def features(genome: Genome) -> NDArray[np.float64]:
    """By block, by motif, by output level and of the whole, in this order."""
    graph = resolve(genome)
    levels = {node.number: node.level for node in graph.nodes}
    found = [
        *_blocks(genome),
        *_nodes(graph),
        *_edges(graph, levels),
        *_outputs(graph),
        *_whole(genome, graph),
    ]
    return np.array(found, np.float64)


def _blocks(genome: Genome) -> list[float]:
    """Of every block in order: level, kind, how far back its parents lie, their levels less its own."""
    first = len(genome.stem.nodes)
    levels = [node.level for node in genome.stem.nodes] + [block.level for block in genome.blocks]
    found: list[float] = []
    for number, block in enumerate(genome.blocks, start=first):
        far, near = block.parents
        found += (block.level, KINDS.index(block.kind), LOG2[number - near], LOG2[number - far])
        found.append(levels[far] + levels[near] - 2 * block.level)
    return found


def _nodes(graph: Graph) -> list[float]:
    """How many searched nodes there are of each level and kind."""
    counts = [0.0] * (LEVELS * len(KINDS))
    for node in graph.nodes:
        if not node.stem:
            counts[(node.level - MIN_LEVEL) * len(KINDS) + KINDS.index(node.kind)] += 1
    return counts


def _edges(graph: Graph, levels: dict[int, int]) -> list[float]:
    """Edges by level of parent and child, by how many levels they jump, and by how many nodes."""
    by_levels, jumps, distances = [0.0] * (LEVELS * LEVELS), [0.0] * JUMPS, [0.0] * DISTANCES
    for node in graph.nodes:
        if node.stem:
            continue
        for parent in (*node.parents, *node.raw):
            by_levels[(levels[parent] - MIN_LEVEL) * LEVELS + node.level - MIN_LEVEL] += 1
            jumps[min(abs(levels[parent] - node.level), JUMPS - 1)] += 1
            distances[min(node.number - parent, DISTANCES) - 1] += 1
    return [*by_levels, *jumps, *distances]


def _outputs(graph: Graph) -> list[float]:
    """Of every output level: longest and shortest way from the images, nodes and finest level it draws on.

    The finest level that a way has to pass is what decides how much detail arrives: a way is as coarse
    as its coarsest node.
    """
    longest: dict[int, int] = {}
    shortest: dict[int, int] = {}
    finest: dict[int, int] = {}
    before: dict[int, int] = {}  # a node and all it draws on, a bit for each
    on_level = dict.fromkeys(range(MIN_LEVEL, MAX_LEVEL + 1), 0)  # likewise the nodes of a level
    for node in graph.nodes:
        inputs = (*node.parents, *node.raw)
        longest[node.number] = 1 + max((longest[each] for each in inputs), default=0)
        shortest[node.number] = 1 + min((shortest[each] for each in inputs), default=0)
        arrives = min((finest[each] for each in inputs), default=node.level)
        finest[node.number] = max(node.level, arrives)
        own = drawn = 1 << node.number
        for each in inputs:
            drawn |= before[each]
        before[node.number] = drawn
        on_level[node.level] |= own
    found: list[float] = []
    outputs = graph.outputs
    for level in range(MIN_LEVEL, MAX_LEVEL + 1):
        number = outputs.get(level)
        if number is None:
            found += (0,) * BY_OUTPUT
        else:
            drawn = before[number]
            spread = sum(bool(drawn & nodes) for nodes in on_level.values())
            found += (longest[number], shortest[number], finest[number], drawn.bit_count(), spread)
    return found


def _whole(genome: Genome, graph: Graph) -> list[float]:
    """Dead nodes, raw edges, blocks linked to the one before, turns of the level, its travel, long edges."""
    first = len(genome.stem.nodes)
    order = [block.level for block in genome.blocks]
    steps = [b - a for a, b in pairwise(order) if a != b]
    return [
        float(len(graph.dead)),
        float(sum(len(node.raw) for node in graph.nodes)),
        float(sum(number - 1 in block.parents for number, block in enumerate(genome.blocks, start=first))),
        float(sum((a > 0) != (b > 0) for a, b in pairwise(steps))),
        float(sum(map(abs, steps))),
        float(sum(number - block.parents[0] >= 5 for number, block in enumerate(genome.blocks, start=first))),
    ]
