"""The arithmetic against the network itself, run on shapes: two ways to the same numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_trainer.network.declare import declare
from proxy_trainer.network.kept import kept_elements
from proxy_trainer.network.plan import Plan, backbone_plan, detector_plan
from search_space.catalog import SPACES
from search_space.cost import LOSS_MAPS, Head, network_cost, network_costs
from search_space.cost_terms import Cost
from search_space.genome import Genome
from search_space.scaling import Scaling

SCALINGS = st.builds(
    Scaling,
    width=st.sampled_from([0.25, 0.5, 0.65, 1.0, 1.3]),
    alpha=st.sampled_from([0.25, 0.5, 1.0]),
    endpoint_width=st.sampled_from([24, 64, 256]),
    repeats=st.integers(1, 3),
)
HEADS = st.builds(
    Head,
    convs=st.integers(0, 4),
    width=st.sampled_from([32, 64]),
    classes=st.integers(1, 91),
    anchors=st.integers(1, 9),
)


def counted(plan: Plan, size: int) -> Cost:
    """By the network run on shapes."""
    declared = declare(plan, size)
    return Cost(declared.parameters, sum(declared.multiply_adds.values()), kept_elements(plan, size))


def loss_maps(plan: Plan, size: int, head: Head) -> Cost:
    """What the focal loss keeps: it is not a part of the network."""
    positions = sum((size // 2**level) ** 2 for level in plan.outputs)
    return Cost(kept=LOSS_MAPS * positions * head.anchors * head.classes)


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), scaling=SCALINGS, head=HEADS, size=st.sampled_from([128, 256, 384]))
def test_cost_is_what_the_network_declares(
    any_genome: Callable[[np.random.Generator], Genome], seed: int, scaling: Scaling, head: Head, size: int
) -> None:
    genome = any_genome(np.random.default_rng(seed))
    cost = network_cost(genome, scaling, size, head)
    backbone = backbone_plan(genome, scaling)
    detector = detector_plan(
        backbone, convs=head.convs, width=head.width, classes=head.classes, anchors=head.anchors
    )
    assert counted(backbone, size) == cost.backbone
    assert counted(detector, size) + loss_maps(detector, size, head) == cost.total


@pytest.mark.parametrize("count", [6, pytest.param(300, marks=[pytest.mark.full, pytest.mark.timeout(900)])])
@pytest.mark.parametrize("name", SPACES)
def test_cost_in_every_space(name: str, count: int) -> None:
    """All of the sample at once, against the network of each, run on shapes."""
    rng = np.random.default_rng(0)
    genomes = [SPACES[name].sample(rng) for _ in range(count)]
    scaling, head = Scaling(width=0.65, alpha=0.5, endpoint_width=64), Head(convs=2, width=48, classes=7)
    costs = network_costs(genomes, scaling, 256, head)
    for row, genome in enumerate(genomes):
        backbone = backbone_plan(genome, scaling)
        detector = detector_plan(
            backbone, convs=head.convs, width=head.width, classes=head.classes, anchors=head.anchors
        )
        assert counted(backbone, 256) == Cost(*costs.backbone[row].tolist())
        assert counted(detector, 256) + loss_maps(detector, 256, head) == Cost(*costs.total[row].tolist())
