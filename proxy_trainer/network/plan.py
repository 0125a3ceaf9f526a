"""A genome and its scaling as a list of pieces in the order they are computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from proxy_trainer.network.ops import Ops
from proxy_trainer.network.pieces import (
    Edge,
    Endpoint,
    HeadPiece,
    MobileEdge,
    MobileStemInput,
    Node,
    Piece,
    StemGroup,
    StemInput,
    run,
)
from search_space.genome import Genome
from search_space.graph import GraphNode, resolve
from search_space.scaling import STEM_CONV_WIDTH, Scaling

T = TypeVar("T")

EdgeName = tuple[str, int]
"""The name of the step that an edge leads to, and which of its edges it is."""

IMAGES = "images"
"""The name of the network's input: float images, normalised, [batch, height, width, 3]."""


@dataclass(frozen=True, slots=True)
class Step:
    """One piece, the name of its weights and of its (first) output, and the names of its inputs."""

    name: str
    piece: Piece
    inputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of a network; `outputs` names the endpoint of each level, P3 to P7 as a rule."""

    steps: tuple[Step, ...]
    outputs: Mapping[int, str]


def backbone_plan(genome: Genome, scaling: Scaling) -> Plan:
    """The backbone up to and with the endpoint convs; dead nodes are not in it."""
    graph = resolve(genome)
    stem = MobileStemInput(filters=scaling.mobile_stem_width) if genome.mobile else StemInput()
    steps = [Step("stem", stem, (IMAGES,))]
    for node in graph.nodes:
        steps.append(_stem_step(genome, node, scaling) if node.stem else _node_step(genome, node, scaling))
    outputs = {}
    for level, number in graph.outputs.items():
        outputs[level] = f"endpoint{level}"
        steps.append(Step(outputs[level], Endpoint(filters=scaling.endpoint_width), (node_name(number),)))
    return Plan(tuple(steps), outputs)


def detector_plan(backbone: Plan, *, convs: int, width: int, classes: int, anchors: int) -> Plan:
    """A backbone with RetinaNet heads, the step "head", on all of its endpoints."""
    head = HeadPiece(
        levels=tuple(backbone.outputs),
        convs=convs,
        width=width,
        classes=classes,
        anchors=anchors,
        separable=any(isinstance(step.piece, MobileStemInput) for step in backbone.steps),
    )
    step = Step("head", head, tuple(backbone.outputs.values()))
    return Plan((*backbone.steps, step), backbone.outputs)


def node_name(number: int) -> str:
    """The name of a node's step."""
    return f"node{number:02d}"


def _stem_step(genome: Genome, node: GraphNode, scaling: Scaling) -> Step:
    before = node.parents[0] if node.parents else None
    first = (1, scaling.mobile_stem_width) if genome.mobile else (2, STEM_CONV_WIDTH)
    level = first[0] if before is None else genome.level(before)
    channels = first[1] if before is None else scaling.output_width(level, genome.kind(before))
    piece = StemGroup(
        kind=node.kind,
        width=scaling.feature_width(node.level, node.kind),
        repeats=scaling.repeats,
        stride=2 ** (node.level - level),
        project=node.level != level or channels != scaling.output_width(node.level, node.kind),
    )
    return Step(node_name(node.number), piece, ("stem" if before is None else node_name(before),))


def _node_step(genome: Genome, node: GraphNode, scaling: Scaling) -> Step:
    first, second = (_edge(genome, parent, node, scaling) for parent in node.parents)
    piece = Node(
        kind=node.kind,
        width=scaling.feature_width(node.level, node.kind),
        filters=scaling.output_width(node.level, node.kind),
        repeats=scaling.repeats,
        edges=(first, second),
    )
    return Step(node_name(node.number), piece, tuple(node_name(n) for n in (*node.parents, *node.raw)))


def _edge(genome: Genome, parent: int, node: GraphNode, scaling: Scaling) -> Edge | MobileEdge:
    octaves = node.level - genome.level(parent)
    if genome.mobile:
        return MobileEdge(octaves=octaves)
    return Edge(reduced=scaling.reduced_width(genome.level(parent)), octaves=octaves)


Begin = Callable[[str, T], Mapping[EdgeName, T]]
"""Given a step's name and output: the reduced maps of the edges that leave it, or of some of them."""


def apply(
    plan: Plan, ops_of: Mapping[str, Ops[T]], images: T, begin: Begin[T] | None = None
) -> dict[str, tuple[T, ...]]:
    """Run a plan; `ops_of` gives each step the operations bound to its weights. Outputs by step name."""
    values: dict[str, tuple[T, ...]] = {IMAGES: (images,)}
    begun: dict[EdgeName, T] = {}
    for step in plan.steps:
        inputs = [values[name][0] for name in step.inputs]
        own = {index: begun[step.name, index] for index in (0, 1) if (step.name, index) in begun}
        values[step.name] = run(step.piece, ops_of[step.name], inputs, own)
        if begin is not None:
            begun |= begin(step.name, values[step.name][0])
    return values
