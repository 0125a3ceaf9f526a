"""Made-up landscapes: scaled as said, noisy as said, rugged, and blind to what makes no difference."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from nas.simulation.landscapes import Landscape, LandscapeConfig, lost_detail
from search_space.catalog import space_by_name
from search_space.features import features
from search_space.genome import BlockGene, Genome
from search_space.graph import resolve
from search_space.graph_arrays import resolve_all

SPACE = space_by_name("spinenet-49")
FAMILIES = ["motifs", "network"]


@pytest.fixture(scope="module", params=FAMILIES)
def landscape(request: pytest.FixtureRequest) -> Landscape:
    return Landscape(LandscapeConfig(family=request.param, seed=3))


def test_random_genomes_have_mean_zero_and_deviation_one(landscape: Landscape) -> None:
    rng = np.random.default_rng(99)
    truths = landscape.truths([SPACE.sample(rng) for _ in range(2000)])
    assert abs(truths.mean()) < 0.1
    assert 0.9 < truths.std() < 1.1


def test_one_by_one_is_the_same_as_all_at_once(landscape: Landscape) -> None:
    rng = np.random.default_rng(1)
    genomes = [SPACE.sample(rng) for _ in range(30)]
    np.testing.assert_allclose([landscape.truth(each) for each in genomes], landscape.truths(genomes))


def test_a_measurement_is_truth_and_bias_and_noise(landscape: Landscape) -> None:
    genome = SPACE.sample(np.random.default_rng(2))
    rng = np.random.default_rng(3)
    values = np.array([landscape.measure(genome, rng).value for _ in range(600)])

    assert values.std() == pytest.approx(landscape.config.noise, rel=0.1)
    bias = values.mean() - landscape.truth(genome)
    again = np.mean([landscape.measure(genome, rng).value for _ in range(600)]) - landscape.truth(genome)
    assert bias == pytest.approx(again, abs=0.05)  # the same whatever the noise
    rng = np.random.default_rng(4)
    many = [SPACE.sample(rng) for _ in range(300)]
    measured = [landscape.measure(each, rng).value for each in many]
    assert 0.7 < kendalltau(measured, landscape.truths(many)).statistic < 0.95


def test_networks_that_are_alike_share_their_bias(landscape: Landscape) -> None:
    """As with real proxies, whose children differ from their parents by little more than noise."""
    quiet = Landscape(LandscapeConfig(family=landscape.config.family, seed=3, noise=0.0, bias=1.0))
    rng = np.random.default_rng(13)
    genomes = [SPACE.sample(rng) for _ in range(300)]
    near = [SPACE.mutate(each, rng) for each in genomes]
    here, there = (
        np.array([quiet.measure(each, rng).value - quiet.truth(each) for each in some])
        for some in (genomes, near)
    )
    assert 0.8 < here.std() < 1.2
    assert abs(spearmanr(here, quiet.truths(genomes)).statistic) < 0.9  # another thing than the truth
    assert 0.5 < spearmanr(here, there).statistic < 0.97


def test_lost_detail_is_the_finest_level_on_the_best_way_to_the_finest_output() -> None:
    rng = np.random.default_rng(11)
    genomes = [SPACE.sample(rng) for _ in range(200)]
    for genome, lost in zip(genomes, lost_detail(resolve_all(genomes)), strict=True):
        graph = resolve(genome)
        finest: dict[int, int] = {}
        for node in graph.nodes:
            arrives = min((finest[each] for each in node.parents), default=node.level)
            finest[node.number] = max(node.level, arrives)
        assert lost == finest[graph.outputs[3]] - 3


def test_who_loses_detail_is_behind(landscape: Landscape) -> None:
    rng = np.random.default_rng(12)
    genomes = [SPACE.sample(rng) for _ in range(1000)]
    lost = lost_detail(resolve_all(genomes)) > 0
    truths = landscape.truths(genomes)
    assert truths[~lost].mean() - truths[lost].mean() > 1


def test_neighbours_are_alike_but_not_equal(landscape: Landscape) -> None:
    rng = np.random.default_rng(5)
    genomes = [SPACE.sample(rng) for _ in range(300)]
    near = [SPACE.mutate(each, rng) for each in genomes]
    here, there = landscape.truths(genomes), landscape.truths(near)

    assert 0.4 < spearmanr(here, there).statistic < 0.97
    assert abs(spearmanr(here, landscape.truths(genomes[1:] + genomes[:1])).statistic) < 0.2


def renumbered(genome: Genome, rng: np.random.Generator) -> Genome:
    """The blocks in another order that keeps parents before children; often the same network."""
    first = len(genome.stem.nodes)
    place_of = {node: node for node in range(first)}
    blocks: list[BlockGene] = []
    waiting = dict(enumerate(genome.blocks, start=first))
    while waiting:
        ready = [node for node, block in waiting.items() if place_of.keys() >= set(block.parents)]
        node = ready[int(rng.integers(len(ready)))]
        old = waiting.pop(node)
        place_of[node] = first + len(blocks)
        a, b = sorted(place_of[parent] for parent in old.parents)
        blocks.append(BlockGene(old.level, old.kind, (a, b), old.output))
    return Genome(genome.stem, tuple(blocks))


def with_other_dead_blocks(genome: Genome) -> Genome:
    """Where nothing reads a block, its level and parents are nobody's business."""
    first = len(genome.stem.nodes)
    dead = {number - first for number in resolve(genome).dead if number >= first}
    blocks = (
        BlockGene(2 + block.level % 6, block.kind, (0, 1), block.output) if place in dead else block
        for place, block in enumerate(genome.blocks)
    )
    return Genome(genome.stem, tuple(blocks))


def test_equal_networks_have_equal_truths(landscape: Landscape) -> None:
    rng = np.random.default_rng(9)
    genomes = [SPACE.sample(rng) for _ in range(300)]
    pairs = [(genome, renumbered(genome, rng)) for genome in genomes]
    pairs += [(genome, with_other_dead_blocks(genome)) for genome in genomes]
    equal = [(a, b) for a, b in pairs if a != b and SPACE.fingerprint(a) == SPACE.fingerprint(b)]
    assert len(equal) > 100
    first, second = zip(*equal, strict=True)
    np.testing.assert_allclose(landscape.truths(first), landscape.truths(second), atol=1e-9)


def test_seeds_and_families_give_other_landscapes(landscape: Landscape) -> None:
    rng = np.random.default_rng(6)
    genomes = [SPACE.sample(rng) for _ in range(200)]
    other = Landscape(LandscapeConfig(family=landscape.config.family, seed=4))
    assert spearmanr(landscape.truths(genomes), other.truths(genomes)).statistic < 0.9


def test_climbing_ends_on_many_tops(landscape: Landscape) -> None:
    """Twelve climbs without noise, of up to 100 steps: a smooth hill would give one value."""
    tops = []
    for start in range(12):
        rng = np.random.default_rng([7, start])
        genome = SPACE.sample(rng)
        height = landscape.truth(genome)
        for _ in range(100):
            child = SPACE.mutate(genome, rng)
            if landscape.truth(child) > height:
                genome, height = child, landscape.truth(child)
        tops.append(height)
    assert len({round(top, 3) for top in tops}) >= 6
    assert min(tops) > 1  # climbing helps: every one is above 84 % of random genomes


@pytest.mark.parametrize("family", FAMILIES)
def test_how_far_features_explain_them(family: str) -> None:
    """The motifs are near to what guided controllers see, the network is not: ridge, out of sample."""
    from controller.regressors import bayesian_ridge

    landscape = Landscape(LandscapeConfig(family=family, seed=5))  # type: ignore[arg-type]
    rng = np.random.default_rng(8)
    genomes = [SPACE.sample(rng) for _ in range(900)]
    rows, truths = np.stack([features(each) for each in genomes]), landscape.truths(genomes)
    varying = rows.std(axis=0) > 0
    rows = (rows[:, varying] - rows[:, varying].mean(axis=0)) / rows[:, varying].std(axis=0)
    found = spearmanr(bayesian_ridge(rows[:700], truths[:700]).mean(rows[700:]), truths[700:]).statistic
    assert 0.3 < found < 0.97
