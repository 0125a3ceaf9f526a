"""Genomes as plans: raw inputs, dead nodes, stems of any length."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from proxy_trainer.network.declare import declare
from proxy_trainer.network.forward import forward
from proxy_trainer.network.pieces import Edge, HeadPiece, Node, StemGroup
from proxy_trainer.network.plan import IMAGES, Plan, backbone_plan, detector_plan
from proxy_trainer.network.weights import Layout, initial
from search_space.catalog import R0_SP53, SPINENET_49
from search_space.genome import BlockKind, Genome
from search_space.graph import resolve
from search_space.scaling import Scaling

SCALING = Scaling(width=0.25, alpha=0.5, endpoint_width=16)
RAW = Genome.from_text("2r* 2r* | 4r:0,1 4r:0,1 4r:0,1^ 5r:2,4^")
"""Nodes 2 and 3 go raw into output 4, before node 2 has its child, node 5."""


def endpoints(plan: Plan, scale: float = 1.0, scaled: str = "") -> dict[int, NDArray[np.float32]]:
    """Of a fixed picture; the weights of one step may be multiplied."""
    layout = Layout.of(declare(plan, 128))
    parts = [initial((weight,), 0) * (scale if weight.step == scaled else 1) for weight in layout.trained]
    vectors = tf.constant(np.concatenate(parts)), tf.constant(initial(layout.statistics, 0))
    images = tf.constant(np.random.default_rng(0).standard_normal((1, 128, 128, 3)), tf.float32)
    outputs, _ = forward(plan, layout, vectors, images, training=False)
    return {level: np.asarray(outputs[name][0]) for level, name in plan.outputs.items()}


def test_raw_inputs_are_inputs() -> None:
    steps = {step.name: step for step in backbone_plan(RAW, SCALING).steps}
    assert steps["node04"].inputs == ("node00", "node01", "node02", "node03")
    assert steps["node05"].inputs == ("node02", "node04")
    assert isinstance(steps["node04"].piece, Node)
    assert len(steps["node04"].piece.edges) == 2


def test_raw_inputs_are_added() -> None:
    plan = backbone_plan(RAW, SCALING)
    before = endpoints(plan)
    # Node 3 has no other consumer.
    after = endpoints(plan, 2.0, "node03")
    assert np.abs(after[4] - before[4]).max() > 0.01
    without = Plan(
        tuple(
            dataclasses.replace(step, inputs=step.inputs[:3]) if step.name == "node04" else step
            for step in plan.steps
            if step.name != "node03"
        ),
        plan.outputs,
    )
    assert np.abs(endpoints(without)[4] - before[4]).max() > 0.01


def test_dead_nodes_have_no_weights() -> None:
    # Node 4's only child would be an output of its shape, and there is none; nodes 2 and 3 feed only it.
    genome = Genome.from_text("2b* 2b* | 3b:0,1 3r:0,1 6b:2,3 5b:0,1^ 6r:1,5^")
    assert resolve(genome).dead == (2, 3, 4)
    plan = backbone_plan(genome, SCALING)
    steps = {weight.step for weight in declare(plan, 128).weights}
    assert steps == {"stem", "node00", "node01", "node05", "node06", "endpoint5", "endpoint6"}
    assert [step.name for step in plan.steps if step.name not in steps] == []


def test_the_stem_of_the_paper() -> None:
    stem, first, second, *_ = backbone_plan(SPINENET_49, Scaling()).steps
    assert stem.inputs == (IMAGES,)
    assert first.inputs == ("stem",)
    assert second.inputs == ("node00",)
    group = StemGroup(kind=BlockKind.BOTTLENECK, width=64, repeats=1, stride=1, project=True)
    assert first.piece == group
    assert second.piece == dataclasses.replace(group, project=False)


def test_a_longer_stem() -> None:
    genome = Genome.from_text("2b 2r 3b* 3b 4b* 5r* | 4b:2,4 5b:4,5^ 6r:5,6^")
    pieces = {step.name: step.piece for step in backbone_plan(genome, Scaling()).steps}
    groups = [pieces[f"node{number:02d}"] for number in range(6)]
    assert [(each.width, each.stride, each.project) for each in groups if isinstance(each, StemGroup)] == [
        (64, 1, True),
        (64, 1, True),  # from 256 channels to 64
        (128, 2, True),
        (128, 1, False),
        (256, 2, True),
        (256, 2, True),
    ]
    shapes = declare(backbone_plan(genome, Scaling()), 256).shapes
    assert [shapes[f"node{number:02d}"][0].height for number in range(6)] == [64, 64, 32, 32, 16, 8]


def test_a_residual_stem_of_64_channels_needs_no_projection() -> None:
    genome = Genome.from_text("2r* 2r* | 3r:0,1^")
    first = backbone_plan(genome, Scaling()).steps[1].piece
    assert isinstance(first, StemGroup)
    assert not first.project


def test_edges_reduce_by_the_width_of_the_parent() -> None:
    steps = {step.name: step for step in backbone_plan(SPINENET_49, Scaling(width=0.65)).steps}
    node = steps["node06"].piece
    assert isinstance(node, Node)
    # From node 3 (L4, residual) and node 5 (L4, bottleneck) alike: int(166 * 0.5), two octaves down.
    assert node.edges == (Edge(reduced=83, octaves=2), Edge(reduced=83, octaves=2))
    assert (node.width, node.filters) == (166, 166)


@pytest.mark.parametrize("genome", [SPINENET_49, R0_SP53])
def test_heads_see_all_endpoints(genome: Genome) -> None:
    backbone = backbone_plan(genome, SCALING)
    head = detector_plan(backbone, convs=2, width=8, classes=3, anchors=9).steps[-1]
    assert head.name == "head"
    assert head.inputs == ("endpoint3", "endpoint4", "endpoint5", "endpoint6", "endpoint7")
    assert head.piece == HeadPiece(levels=(3, 4, 5, 6, 7), convs=2, width=8, classes=3, anchors=9)
