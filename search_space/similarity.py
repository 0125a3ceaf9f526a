"""How alike two networks are, and what their wiring looks like, by their resolved graphs alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias

from search_space.genome import Genome
from search_space.graph import Graph, resolve

DEPTH: Final = 2
"""Motifs reach so many parents back."""

LONG: Final = 5
"""An edge is long-range from so many nodes on (Du et al., CVPR 2020, section 6.5.3)."""

Motif: TypeAlias = "tuple[object, ...]"


def distance(a: Genome, b: Genome) -> float:
    """Share of two networks' motifs that the other one has not: 0 for the same, 1 for nothing in common.

    Motifs are every node by itself, with its parents, and with theirs: the subtree kernel of
    Weisfeiler and Lehman (Shervashidze et al., JMLR 2011) as a distance of multisets.
    """
    mine, others = _motifs(resolve(a)), _motifs(resolve(b))
    shared = sum((mine & others).values())
    return 1 - 2 * shared / (mine.total() + others.total())


def _motifs(graph: Graph) -> Counter[Motif]:
    words: dict[int, Motif] = {
        node.number: (node.level, str(node.kind), node.output, node.stem) for node in graph.nodes
    }
    found = Counter(words.values())
    for _ in range(DEPTH):
        words = {
            node.number: (
                words[node.number],
                tuple(sorted(map(repr, (words[parent] for parent in node.parents)))),
                tuple(sorted(map(repr, (words[other] for other in node.raw)))),
            )
            for node in graph.nodes
        }
        found.update(words.values())
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """Of the computed edges between searched nodes: shares and means.

    `jump` is the mean difference of the levels that an edge joins, `jumping` the share of edges that
    join levels two apart or more, `long` the share that spans `LONG` nodes or more. `turns`: how often
    the level turns from growing to falling or back along the order of the blocks.
    """

    edges: int
    jump: float
    jumping: float
    long: float
    turns: int
    dead: int


def wiring(genome: Genome) -> Wiring:
    """What a genome's edges are like."""
    graph = resolve(genome)
    levels = {node.number: node.level for node in graph.nodes}
    edges = [
        (parent, node.number)
        for node in graph.nodes
        if not node.stem
        for parent in (*node.parents, *node.raw)
    ]
    jumps = [abs(levels[a] - levels[b]) for a, b in edges]
    order = [block.level for block in genome.blocks]
    steps = [b > a for a, b in pairwise(order) if a != b]
    return Wiring(
        edges=len(edges),
        jump=sum(jumps) / len(edges),
        jumping=sum(jump >= 2 for jump in jumps) / len(edges),
        long=sum(b - a >= LONG for a, b in edges) / len(edges),
        turns=sum(a != b for a, b in pairwise(steps)),
        dead=len(graph.dead),
    )
