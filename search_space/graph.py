"""The network that a genome means: every edge explicit, dead nodes gone.

The dangling rule (Du et al., section 5.1, from NAS-FPN) is resolved here once, the way TF Model
Garden does while it builds: walking the blocks in genome order, an output, once its own parents
are counted, also takes every earlier *intermediate* that nobody has consumed so far and that has
its shape (same level and kind), and adds it raw. The network, the cost and the fingerprint all
read this graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from search_space.genome import BlockKind, Genome


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A node that is computed. A stem node's only input is the node before it (none for node 0)."""

    number: int
    level: int
    kind: BlockKind
    parents: tuple[int, ...]
    raw: tuple[int, ...] = ()
    output: bool = False
    stem: bool = False


@dataclass(frozen=True, slots=True)
class Graph:
    """The computed nodes in genome order, and the numbers of those that were dropped."""

    nodes: tuple[GraphNode, ...]
    dead: tuple[int, ...]

    @property
    def outputs(self) -> dict[int, int]:
        """The output node of each output level, in order of level."""
        return dict(sorted((node.level, node.number) for node in self.nodes if node.output))


@lru_cache(maxsize=256)  # the same genome is named, vectorised and priced, one after the other
def resolve(genome: Genome) -> Graph:
    """The explicit graph of a genome."""
    first = len(genome.stem.nodes)
    nodes = [
        GraphNode(index, node.level, node.kind, (index - 1,) if index else (), stem=True)
        for index, node in enumerate(genome.stem.nodes)
    ]
    dangling: list[int] = []
    for number, block in enumerate(genome.blocks, start=first):
        dangling = [node for node in dangling if node not in block.parents]
        raw: tuple[int, ...] = ()
        if block.output:
            raw = tuple(
                node
                for node in dangling
                if (nodes[node].level, nodes[node].kind) == (block.level, block.kind)
            )
            dangling = [node for node in dangling if node not in raw]
        else:
            dangling.append(number)
        nodes.append(GraphNode(number, block.level, block.kind, block.parents, raw, block.output))
    return _prune(nodes)


def _prune(nodes: list[GraphNode]) -> Graph:
    needed = {node.number for node in nodes if node.output}
    for node in reversed(nodes):
        if node.number in needed:
            needed.update(node.parents, node.raw)
    alive = tuple(node for node in nodes if node.number in needed)
    return Graph(alive, tuple(node.number for node in nodes if node.number not in needed))
