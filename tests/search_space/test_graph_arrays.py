"""The graphs of many genomes at once against the graph of each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from search_space.catalog import SPACES, space_by_name
from search_space.genome import Genome
from search_space.graph import resolve
from search_space.graph_arrays import KINDS, resolve_all


def _same(genomes: list[Genome]) -> None:
    graphs = resolve_all(genomes)
    for row, genome in enumerate(genomes):
        graph = resolve(genome)
        assert np.flatnonzero(~graphs.alive[row]).tolist() == list(graph.dead)
        raw = {(int(n), int(graphs.raw[row, n])) for n in np.flatnonzero(graphs.raw[row] >= 0)}
        assert raw == {(source, node.number) for node in graph.nodes for source in node.raw}
        assert graphs.levels[row].tolist() == [genome.level(node) for node in range(len(genome))]
        assert [KINDS[kind] for kind in graphs.kinds[row]] == [genome.kind(n) for n in range(len(genome))]


@pytest.mark.parametrize("name", SPACES)
def test_of_a_space(name: str) -> None:
    rng = np.random.default_rng(0)
    _same([space_by_name(name).sample(rng) for _ in range(200)])


def test_of_genomes_that_belong_to_no_space(any_genome: Callable[[np.random.Generator], Genome]) -> None:
    rng = np.random.default_rng(1)
    found = 0
    for _ in range(300):
        genome = any_genome(rng)
        found += bool(resolve(genome).dead) or any(node.raw for node in resolve(genome).nodes)
        _same([genome])
    assert found > 100


def test_different_stems_are_refused() -> None:
    texts = ("2b* 2b* | 3b:0,1^", "2b* 3b* | 3b:0,1^")
    with pytest.raises(ValueError, match="one stem"):
        resolve_all([Genome.from_text(text) for text in texts])
