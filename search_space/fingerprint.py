"""The identity of a network: equal exactly when two genomes build the same one.

The resolved graph is brought into a canonical form and hashed. Nodes get colours that do not
depend on their numbers: first from their ancestors, and, should that leave ties, from all their
neighbours, again and again (colour refinement). Ties that remain are broken in every way that
matters, and the smallest form wins (individualisation, as in McKay's nauty). Colours only order the
nodes; the form spells out every edge, so a collision of colours cannot make two networks equal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

from search_space.genome import Genome
from search_space.graph import Graph, resolve


@lru_cache(maxsize=256)  # a move asks for its parent's and its child's, and the child is soon a parent
def fingerprint(genome: Genome) -> str:
    """32 hexadecimal digits, equal exactly when the resolved labelled graphs are isomorphic.

    Labels are level, kind, output and stem; parents are unordered; raw edges are of another type.
    """
    return blake2b(canonical_form(resolve(genome)), digest_size=16).hexdigest()


def canonical_form(graph: Graph) -> bytes:
    """Bytes that spell out the graph, in an order that does not depend on node numbers."""
    web = _weave(graph)
    colours = _ancestor_colours(web)
    if len(set(colours)) < len(colours):
        return _smallest_form(web, colours)
    return _spell(web, colours)


@dataclass(frozen=True, slots=True)
class _Web:
    """The graph by index in its own node list: labels, and who is next to whom.

    `neighbours` holds, for each node, its parents, raw inputs, children and raw children, each
    ascending.
    """

    labels: list[bytes]
    neighbours: list[tuple[list[int], list[int], list[int], list[int]]]


def _weave(graph: Graph) -> _Web:
    index = {node.number: place for place, node in enumerate(graph.nodes)}
    labels = []
    neighbours: list[tuple[list[int], list[int], list[int], list[int]]] = []
    for place, node in enumerate(graph.nodes):
        labels.append(b"%d%c%d%d" % (node.level, ord(node.kind.value[0]), node.output, node.stem))
        parents = [index[parent] for parent in node.parents]
        raw = [index[other] for other in node.raw]
        for parent in parents:
            neighbours[parent][2].append(place)
        for other in raw:
            neighbours[other][3].append(place)
        neighbours.append((parents, raw, [], []))
    return _Web(labels, neighbours)


def _mix(own: bytes, *groups: list[bytes]) -> bytes:
    """A colour from a node's own and those around it; the order within a group does not count."""
    parts = [own]
    for group in groups:
        group.sort()
        parts.append(b"%d:" % len(group))
        parts += group
    return blake2b(b"".join(parts), digest_size=8).digest()


def _ancestor_colours(web: _Web) -> list[bytes]:
    """One sweep in topological order: a colour tells a node's whole ancestry apart."""
    colours: list[bytes] = []
    for label, (parents, raw, _, _) in zip(web.labels, web.neighbours, strict=True):
        colours.append(_mix(label, [colours[p] for p in parents], [colours[r] for r in raw]))
    return colours


def _refine(web: _Web, colours: list[bytes]) -> list[bytes]:
    """Colours that also tell the neighbours' colours apart, until that finds no more differences."""
    classes = len(set(colours))
    while classes < len(colours):
        finer = [
            _mix(colour, *([colours[other] for other in group] for group in groups))
            for colour, groups in zip(colours, web.neighbours, strict=True)
        ]
        found = len(set(finer))
        if found == classes:
            break
        colours, classes = finer, found
    return colours


def _part_twins(web: _Web, colours: list[bytes]) -> list[bytes]:
    """Number the nodes that share a colour and all neighbours: any numbering gives the same network."""
    seen: Counter[str] = Counter()
    parted = []
    for colour, groups in zip(colours, web.neighbours, strict=True):
        key = f"{colour.hex()}{groups}"
        parted.append(colour + bytes([seen[key]]))
        seen[key] += 1
    return parted


def _smallest_form(web: _Web, colours: list[bytes]) -> bytes:
    colours = _refine(web, _part_twins(web, _refine(web, colours)))
    branches: dict[bytes, list[bytes]] = {}
    for node in _tied(colours):
        marked = _mark(colours, node)
        # Two branches whose first leaves look the same are images of each other: one is enough.
        leaf = _first_leaf(web, marked)
        look = _spell(web, leaf) + b"".join(marked[other] for other in _order(leaf))
        branches.setdefault(look, marked)
    if not branches:
        return _spell(web, colours)
    return min(_smallest_form(web, marked) for marked in branches.values())


def _first_leaf(web: _Web, colours: list[bytes]) -> list[bytes]:
    colours = _refine(web, colours)
    while tied := _tied(colours):
        colours = _refine(web, _mark(colours, tied[0]))
    return colours


def _tied(colours: list[bytes]) -> list[int]:
    """The nodes of the smallest colour that several nodes have; empty if there is none."""
    shared = [colour for colour, count in Counter(colours).items() if count > 1]
    return [node for node, colour in enumerate(colours) if colour == min(shared)] if shared else []


def _mark(colours: list[bytes], node: int) -> list[bytes]:
    return [colour + bytes([other == node]) for other, colour in enumerate(colours)]


def _order(colours: Sequence[bytes]) -> list[int]:
    return sorted(range(len(colours)), key=colours.__getitem__)


def _spell(web: _Web, colours: list[bytes]) -> bytes:
    """Every node in the order of the colours: its label, then its inputs by their place in that order."""
    order = _order(colours)
    rank = [0] * len(order)
    for place, node in enumerate(order):
        rank[node] = place
    parts = []
    for node in order:
        parents, raw, _, _ = web.neighbours[node]
        parts.append(web.labels[node])
        for group in (parents, raw):
            places = sorted([rank[other] for other in group])
            parts.append(bytes([len(places), *places]))
    return b"".join(parts)
