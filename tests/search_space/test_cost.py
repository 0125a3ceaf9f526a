from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from search_space.catalog import MOBILE_49, R0_SP53, R23_SP30, SPACES, SPINENET_49, space_by_name
from search_space.cost import Head, network_cost, network_costs
from search_space.cost_terms import Cost
from search_space.genome import Genome, InvalidGenome
from search_space.scaling import Scaling


@dataclass(frozen=True)
class Published:
    genome: Genome
    scaling: Scaling
    head: Head
    size: int
    backbone: str  # parameters
    detector: str
    flops: str  # multiply-adds of the detector, in B


# Computed from the specs before our code was written (docs/sources.md, 4); as many digits as that gave.
FAMILY = {
    "49": Published(SPINENET_49, Scaling(), Head(), 640, "21831488", "28543383", "85.28"),
    "49 at 896": Published(SPINENET_49, Scaling(), Head(), 896, "21831488", "28543383", "167.15"),
    "96": Published(SPINENET_49, Scaling(repeats=2), Head(), 1024, "36.263", "42.975", "265.0"),
    "143": Published(SPINENET_49, Scaling(repeats=3, alpha=1.0), Head(), 1280, "60.248", "66.960", "523.3"),
    "190": Published(
        SPINENET_49,
        Scaling(repeats=4, alpha=1.0, width=1.3, endpoint_width=512),
        Head(convs=7, width=512),
        1280,
        "126.588",
        "163.637",
        "1881.7",
    ),
    "49S": Published(
        SPINENET_49,
        Scaling(width=0.65, endpoint_width=128),
        Head(width=128),
        640,
        "9089215",
        "11.266",
        "30.8",
    ),
    "49S, released": Published(
        SPINENET_49, Scaling(width=0.65), Head(width=128), 640, "9.473", "11.945", "33.75"
    ),
    "R0-SP53": Published(R0_SP53, Scaling(), Head(), 640, "19344320", "26.056", "94.8"),
    "MB-49": Published(MOBILE_49, Scaling(endpoint_width=48), Head(width=48), 384, "2.269", "2.338", "0.981"),
    "MB-49S": Published(
        MOBILE_49, Scaling(width=0.65, endpoint_width=40), Head(width=40), 384, "0.976", "1.031", "0.496"
    ),
    "MB-49XS": Published(
        MOBILE_49, Scaling(width=0.6, endpoint_width=24), Head(width=24), 256, "0.842", "0.873", "0.166"
    ),
    # Section 3: the proxy of the search.
    "proxy": Published(
        SPINENET_49,
        Scaling(width=0.25, alpha=0.25, endpoint_width=64),
        Head(width=64),
        512,
        "1.17",
        "1.96",
        "5.84",
    ),
}


def as_printed(value: int, like: str, unit: float) -> str:
    if "." not in like:
        return str(value)
    return f"{value / unit:.{len(like.split('.')[1])}f}"


@pytest.mark.parametrize("name", FAMILY)
def test_the_family_comes_out_as_published(name: str) -> None:
    known = FAMILY[name]
    cost = network_cost(known.genome, known.scaling, known.size, known.head)
    assert as_printed(cost.backbone.params, known.backbone, 1e6) == known.backbone
    assert as_printed(cost.total.params, known.detector, 1e6) == known.detector
    assert as_printed(cost.total.flops, known.flops, 1e9) == known.flops


def test_backbone_and_heads_add_up() -> None:
    cost = network_cost(SPINENET_49, Scaling(), 640, Head())
    assert cost.total == cost.backbone + cost.heads
    assert f"{cost.backbone.flops / 1e9:.2f}" == "28.26"  # section 6.6
    assert network_cost(SPINENET_49, Scaling(), 640).heads == Cost(0, 0)
    assert network_cost(SPINENET_49, Scaling(), 640).backbone == cost.backbone


def test_dead_blocks_cost_nothing() -> None:
    with_dead = Genome.from_text("2b* 2b* | 6b:0,1 3b:0,1^")
    without = Genome.from_text("2b* 2b* | 3b:0,1^")
    assert network_cost(with_dead, Scaling(), 256, Head()) == network_cost(without, Scaling(), 256, Head())


def test_a_raw_edge_costs_nothing_itself() -> None:
    """One more bottleneck on level 3 with its two edges, and that is all."""
    one = network_cost(Genome.from_text("2b* 2b* | 3b:0,1^"), Scaling(), 256).backbone
    two = network_cost(Genome.from_text("2b* 2b* | 3b:0,1 3b:0,1^"), Scaling(), 256).backbone
    three = network_cost(Genome.from_text("2b* 2b* | 3b:0,1 3b:0,1 3b:0,1^"), Scaling(), 256).backbone
    assert two.params - one.params == three.params - two.params > 0
    assert two.flops - one.flops == three.flops - two.flops


def test_a_stem_that_starts_before_its_pool_is_refused() -> None:
    genome = Genome.from_text("1b* 2b* | 3b:0,1^")
    with pytest.raises(InvalidGenome, match="stem node 0: level=1"):
        network_cost(genome, Scaling(), 256)


def test_genomes_of_a_space_differ_in_cost() -> None:
    rng = np.random.default_rng(0)
    for name in SPACES:
        costs = [network_cost(space_by_name(name).sample(rng), Scaling(), 256).total.flops for _ in range(20)]
        assert len(set(costs)) > 15


@pytest.mark.parametrize("fields", [{"convs": -1}, {"width": 0}, {"classes": 0}, {"anchors": 0}])
def test_impossible_heads_are_refused(fields: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(fields))):
        Head(**fields)


def test_the_genome_that_was_read_off_a_figure_costs_what_it_should() -> None:
    """Section 4.3: 95.5 B with a stem of 256 features on level 5."""
    assert f"{network_cost(R23_SP30, Scaling(), 640, Head()).total.flops / 1e9:.1f}" == "95.5"


def test_many_at_once_are_each_alone(any_genome: Callable[[np.random.Generator], Genome]) -> None:
    rng = np.random.default_rng(3)
    mixed = [any_genome(rng) for _ in range(60)]
    alike = [space_by_name("spinenet-49").sample(rng) for _ in range(60)]
    scaling, head = Scaling(width=0.65, repeats=2), Head(convs=2, classes=5)
    for genomes in (mixed, alike, [*alike, *mixed]):
        costs = network_costs(genomes, scaling, 256, head)
        for row, genome in enumerate(genomes):
            alone = network_cost(genome, scaling, 256, head)
            assert costs.backbone[row].tolist() == list(dataclasses.astuple(alone.backbone))
            assert costs.total[row].tolist() == list(dataclasses.astuple(alone.total))
