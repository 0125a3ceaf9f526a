from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import networkx as nx
import numpy as np
import pytest

from search_space.catalog import SPINENET_49, space_by_name
from search_space.fingerprint import fingerprint
from search_space.genome import BlockGene, BlockKind, Genome
from search_space.graph import resolve

SIX = "2b* 2b* | " + "4b:0,1 " * 6

RandomGenome = Callable[[np.random.Generator], Genome]


def as_networkx(genome: Genome) -> nx.DiGraph:
    web = nx.DiGraph()
    for node in resolve(genome).nodes:
        web.add_node(node.number, label=(node.level, node.kind, node.output, node.stem))
        web.add_edges_from(((parent, node.number) for parent in node.parents), raw=False)
        web.add_edges_from(((other, node.number) for other in node.raw), raw=True)
    return web


def isomorphic(a: Genome, b: Genome) -> bool:
    return bool(
        nx.is_isomorphic(
            as_networkx(a),
            as_networkx(b),
            node_match=lambda x, y: x["label"] == y["label"],
            edge_match=lambda x, y: x["raw"] == y["raw"],
        )
    )


def renumbered(genome: Genome, rng: np.random.Generator) -> Genome:
    """The blocks in another order that keeps parents before children; often, not always, the same network."""
    first = len(genome.stem.nodes)
    place_of = {node: node for node in range(first)}
    blocks: list[BlockGene] = []
    waiting = list(range(first, len(genome)))
    while waiting:
        ready = [n for n in waiting if all(p in place_of for p in genome.blocks[n - first].parents)]
        node = ready[int(rng.integers(len(ready)))]
        waiting.remove(node)
        old = genome.blocks[node - first]
        place_of[node] = first + len(blocks)
        a, b = (place_of[parent] for parent in old.parents)
        blocks.append(BlockGene(old.level, old.kind, (a, b), old.output))
    return Genome(genome.stem, tuple(blocks))


def nearly(genome: Genome, rng: np.random.Generator) -> Genome:
    """One parent, level or kind is another one; the genome itself where that gives no genome."""
    first = len(genome.stem.nodes)
    place = int(rng.integers(len(genome.blocks)))
    old = genome.blocks[place]
    level, kind, parents = old.level, old.kind, old.parents
    match int(rng.integers(3)):
        case 0:
            nodes = [*genome.stem.candidates, *range(first, first + place)]
            a, b = rng.choice(nodes, size=2, replace=False).tolist()
            parents = (a, b)
        case 1 if not old.output:
            level = 3 + int(rng.integers(3))
        case _:
            other = {BlockKind.RESIDUAL: BlockKind.BOTTLENECK, BlockKind.BOTTLENECK: BlockKind.RESIDUAL}
            kind = other.get(kind, kind)
    blocks = list(genome.blocks)
    blocks[place] = BlockGene(level, kind, parents, old.output)
    return Genome(genome.stem, tuple(blocks))


def compare(any_genome: RandomGenome, pairs: int, seed: int) -> tuple[int, int]:
    """How many pairs are the same network, and how many of those are written differently."""
    rng = np.random.default_rng(seed)
    space = space_by_name("spinenet-49")
    same = written_differently = 0
    for number in range(pairs):
        a = space.sample(rng) if number % 4 == 0 else any_genome(rng)
        b = renumbered(a, rng) if number % 2 else nearly(renumbered(a, rng), rng)
        equal = isomorphic(a, b)
        assert (fingerprint(a) == fingerprint(b)) == equal, f"{a.to_text()} and {b.to_text()}"
        same += equal
        written_differently += equal and a != b
    return same, written_differently


def test_equal_exactly_when_isomorphic(any_genome: RandomGenome) -> None:
    same, differently = compare(any_genome, 600, seed=0)
    assert 150 < same < 500  # otherwise the pairs say nothing
    assert differently > 100


@pytest.mark.full
@pytest.mark.timeout(1200)
def test_equal_exactly_when_isomorphic_on_20_000_pairs(any_genome: RandomGenome) -> None:
    same, _ = compare(any_genome, 20_000, seed=1)
    assert 5_000 < same < 18_000


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        # Nodes 2 and 3 are twins by their parents; their children differ.
        (
            "2b* 2b* | 4b:0,1 4b:0,1 5b:0,2 3b:2,4^ 4b:3,4^",
            "2b* 2b* | 4b:0,1 4b:0,1 5b:0,3 3b:3,4^ 4b:2,4^",
            True,
        ),
        (
            "2b* 2b* | 4b:0,1 4b:0,1 5b:0,2 3b:2,4^ 4b:3,4^",
            "2b* 2b* | 4b:0,1 4b:0,1 5b:0,2 3b:3,4^ 4b:2,4^",
            False,
        ),
        # Two twins with twin children: straight or crossed is the same, both on one is not.
        (
            "2b* 2b* | 4b:0,1 4b:0,1 5b:0,2 5b:0,3 3b:4,5^",
            "2b* 2b* | 4b:0,1 4b:0,1 5b:0,3 5b:0,2 3b:4,5^",
            True,
        ),
        (
            "2b* 2b* | 4b:0,1 4b:0,1 5b:0,2 5b:0,3 3b:4,5^",
            "2b* 2b* | 4b:0,1 4b:0,1 5b:0,2 5b:0,2 3b:4,5^",
            False,
        ),
        # A ring of six against two rings of three: refinement alone cannot tell them apart.
        (
            f"{SIX}5b:2,3 5b:3,4 5b:4,5 5b:5,6 5b:6,7 5b:2,7 5b:0,1^",
            f"{SIX}5b:2,3 5b:3,4 5b:2,4 5b:5,6 5b:6,7 5b:5,7 5b:0,1^",
            False,
        ),
        (
            f"{SIX}5b:2,3 5b:3,4 5b:4,5 5b:5,6 5b:6,7 5b:2,7 5b:0,1^",
            f"{SIX}5b:2,5 5b:3,5 5b:3,7 5b:6,7 5b:4,6 5b:2,4 5b:0,1^",
            True,
        ),
        # A dead block, a candidate that nobody takes and the order of outputs change nothing.
        ("2b* 2b* | 6b:0,1 3b:0,1^", "2b* 2b* | 3b:0,1^", True),
        ("2b* 2b* 3b* | 3b:0,1^", "2b* 2b* 3b | 3b:0,1^", True),
        ("2b* 2b* | 3b:0,1^ 4b:0,1^", "2b* 2b* | 4b:0,1^ 3b:0,1^", True),
        # A raw edge is no parent edge; labels count.
        ("2b* 2b* | 3b:0,1 3b:0,1^", "2b* 2b* | 3b:0,1 3b:0,2^", False),
        ("2b* 2b* | 3b:0,1^", "2b* 2b* | 3r:0,1^", False),
        ("2b* 2b* | 3b:0,1^", "2b* 2b* | 4b:0,1^", False),
        ("2b* 2b* | 3b:0,1^", "2b* 2r* | 3b:0,1^", False),
        ("2b* 2b* 2b* | 3b:0,1^", "2b* 2b* 2b* | 3b:1,2^", False),
    ],
)
def test_hard_cases(a: str, b: str, same: bool) -> None:
    first, second = Genome.from_text(a), Genome.from_text(b)
    assert isomorphic(first, second) == same
    assert (fingerprint(first) == fingerprint(second)) == same


def rings(rng: np.random.Generator) -> Genome:
    """A ring of four and one of three, their corners and sides in any order."""
    sides = [(0, 1), (1, 2), (2, 3), (0, 3), (4, 5), (5, 6), (4, 6)]
    corner = (2 + rng.permutation(7)).tolist()
    ends = (sides[index] for index in rng.permutation(7).tolist())
    text = " ".join(f"5b:{corner[a]},{corner[b]}" for a, b in ends)
    return Genome.from_text(f"2b* 2b* | {'4b:0,1 ' * 7}{text} 5b:0,1^")


def test_nodes_that_only_look_alike_are_all_tried() -> None:
    """Refinement gives all corners one colour, but those of different rings are not interchangeable."""
    rng = np.random.default_rng(0)
    genomes = [rings(rng) for _ in range(20)]
    assert all(isomorphic(genomes[0], other) for other in genomes[:5])
    assert len({fingerprint(genome) for genome in genomes}) == 1


def chains(count: int, rng: np.random.Generator) -> Genome:
    """`count` times the same two blocks in a row, interleaved at random, all ending in one output."""
    turns = rng.permutation([chain for chain in range(count) for _ in range(2)]).tolist()
    blocks: list[BlockGene] = []
    begun: dict[int, int] = {}
    for chain in turns:
        level, parents = (3, (0, begun[chain])) if chain in begun else (4, (0, 1))
        begun[chain] = 2 + len(blocks)
        blocks.append(BlockGene(level, BlockKind.BOTTLENECK, parents))
    blocks.append(BlockGene(3, BlockKind.BOTTLENECK, (0, 1), output=True))
    return Genome(SPINENET_49.stem, tuple(blocks))


def test_symmetry_does_not_explode() -> None:
    """Ten equal chains have ten factorial orders; 200 equal blocks many more."""
    rng = np.random.default_rng(0)
    assert fingerprint(chains(10, rng)) == fingerprint(chains(10, rng))
    twins = "3b:0,1 " * 200
    assert fingerprint(Genome.from_text(f"2b* 2b* | {twins}3b:0,1^")) != fingerprint(chains(10, rng))


def test_it_is_the_same_in_every_process() -> None:
    """Stored fingerprints are compared for ever: this one must not change.

    Computed by this code at the first release.
    """
    assert fingerprint(SPINENET_49) == "ee558267534a439235f2695e8d0b095e"
    code = (
        "from search_space.catalog import SPINENET_49 as s\n"
        "from search_space.fingerprint import fingerprint\nprint(fingerprint(s))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == fingerprint(SPINENET_49)
