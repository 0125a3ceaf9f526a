from __future__ import annotations

from collections.abc import Callable

import networkx as nx
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from search_space.catalog import R0_SP53, SPINENET_49
from search_space.genome import Genome
from search_space.graph import resolve
from search_space.scaling import Scaling


def raw_edges_as_released(genome: Genome) -> dict[int, tuple[int, ...]]:
    """The released rule word for word (docs/sources.md, 2): out-degrees and shapes; intermediates only."""
    scaling = Scaling()
    first = len(genome.stem.nodes)
    out_degree = [0] * len(genome)
    shape = [
        (2 ** (7 - genome.level(node)), scaling.output_width(genome.level(node), genome.kind(node)))
        for node in range(len(genome))
    ]
    raw: dict[int, tuple[int, ...]] = {}
    for node, block in enumerate(genome.blocks, first):
        for parent in block.parents:
            out_degree[parent] += 1
        if block.output:
            taken = []
            for earlier in range(first, node):
                if genome.blocks[earlier - first].output:
                    continue
                if out_degree[earlier] == 0 and shape[earlier] == shape[node]:
                    taken.append(earlier)
                    out_degree[earlier] = 1
            raw[node] = tuple(taken)
    return raw


@given(seed=st.integers(0, 2**32))
@example(seed=0)
def test_raw_edges_follow_the_dangling_rule(
    any_genome: Callable[[np.random.Generator], Genome], seed: int
) -> None:
    genome = any_genome(np.random.default_rng(seed))
    graph = resolve(genome)
    expected = raw_edges_as_released(genome)
    assert {node.number: node.raw for node in graph.nodes if node.output} == expected
    assert not any(node.raw for node in graph.nodes if not node.output)


def test_the_random_genomes_do_dangle(any_genome: Callable[[np.random.Generator], Genome]) -> None:
    """The property above would say nothing on genomes without raw edges."""
    genomes = [any_genome(np.random.default_rng(seed)) for seed in range(200)]
    assert sum(any(raw_edges_as_released(genome).values()) for genome in genomes) > 40
    assert sum(bool(resolve(genome).dead) for genome in genomes) > 40


@given(seed=st.integers(0, 2**32))
def test_what_no_output_needs_is_dropped(
    any_genome: Callable[[np.random.Generator], Genome], seed: int
) -> None:
    genome = any_genome(np.random.default_rng(seed))
    web = nx.DiGraph()
    for node in range(1, len(genome.stem.nodes)):
        web.add_edge(node - 1, node)
    raw = raw_edges_as_released(genome)
    for node, block in enumerate(genome.blocks, len(genome.stem.nodes)):
        web.add_edges_from((parent, node) for parent in (*block.parents, *raw.get(node, ())))
    needed = set(genome.outputs.values())
    needed |= {ancestor for output in list(needed) for ancestor in nx.ancestors(web, output)}
    graph = resolve(genome)
    assert [node.number for node in graph.nodes] == sorted(needed)
    assert list(graph.dead) == sorted(set(range(len(genome))) - needed)
    assert graph.outputs == genome.outputs


@pytest.mark.parametrize(("genome", "output"), [(SPINENET_49, 14), (R0_SP53, 13)])
def test_the_published_genomes_have_one_raw_edge(genome: Genome, output: int) -> None:
    """Node 11 dangles in both (docs/sources.md, 3)."""
    graph = resolve(genome)
    assert graph.dead == ()
    assert {node.number: node.raw for node in graph.nodes if node.raw} == {output: (11,)}


def test_a_residual_block_does_not_dangle_into_a_bottleneck() -> None:
    graph = resolve(Genome.from_text("2b* 2b* | 3r:0,1 3b:0,1 3b:0,1^"))
    assert graph.nodes[-1].raw == (3,)
    assert graph.dead == (2,)


def test_an_output_consumes_its_parents_before_it_looks_for_dangling_blocks() -> None:
    graph = resolve(Genome.from_text("2b* 2b* | 3b:0,1 3b:0,2^"))
    assert graph.nodes[-1].raw == ()
