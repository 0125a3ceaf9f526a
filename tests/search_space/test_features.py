"""Vectors of genomes: their length, what they say, and what they tell apart."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from search_space.catalog import SPACES, SPINENET_49, space_by_name
from search_space.features import BY_BLOCK, KINDS, LEVELS, feature_count, features
from search_space.genome import MIN_LEVEL
from search_space.graph import resolve

SPACE = space_by_name("spinenet-49")


@pytest.mark.parametrize("name", SPACES)
def test_all_vectors_of_a_space_are_of_one_length(name: str) -> None:
    space = SPACES[name]
    for seed in range(20):
        found = space.features(space.sample(np.random.default_rng(seed)))
        assert found.shape == (feature_count(space.blocks),)
        assert np.isfinite(found).all()


def test_most_moves_move_the_vector() -> None:
    rng = np.random.default_rng(0)
    same = 0
    for _ in range(100):
        genome = SPACE.sample(rng)
        same += np.array_equal(features(genome), features(SPACE.mutate(genome, rng)))
    assert same <= 2


def test_blocks_nodes_and_edges_of_spinenet_49() -> None:
    found = features(SPINENET_49)
    blocks = found[: BY_BLOCK * len(SPINENET_49.blocks)].reshape(-1, BY_BLOCK)
    assert blocks[:, 0].tolist() == [block.level for block in SPINENET_49.blocks]

    graph = resolve(SPINENET_49)
    searched = [node for node in graph.nodes if not node.stem]
    nodes = found[blocks.size :][: LEVELS * len(KINDS)]
    assert nodes.sum() == len(searched)
    edges = found[blocks.size + len(nodes) :][: LEVELS * LEVELS].reshape(LEVELS, LEVELS)
    assert edges.sum() == sum(len(node.parents) + len(node.raw) for node in searched)
    level = {node.number: node.level for node in graph.nodes}
    to_level_5 = sum(level[parent] == 5 for node in searched for parent in (*node.parents, *node.raw))
    assert edges[5 - MIN_LEVEL].sum() == to_level_5


@pytest.mark.parametrize("seed", range(10))
def test_ways_to_the_outputs_are_those_of_networkx(seed: int) -> None:
    genome = SPACE.sample(np.random.default_rng(seed))
    graph = resolve(genome)
    web = nx.DiGraph((parent, node.number) for node in graph.nodes for parent in (*node.parents, *node.raw))
    found = features(genome)[-6 - 5 * LEVELS : -6].reshape(LEVELS, 5)
    for level, output in graph.outputs.items():
        before = nx.ancestors(web, output)
        longest = max(len(way) for way in nx.all_simple_paths(web, 0, output)) if seed < 3 else None
        row = found[level - MIN_LEVEL]
        assert longest is None or row[0] == longest
        assert row[1] == nx.shortest_path_length(web, 0, output) + 1
        assert row[3] == len(before) + 1
