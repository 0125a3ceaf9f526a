"""What a network costs, by arithmetic on its resolved graph: parameters and multiply-adds.

Counted as the references count: trained parameters (kernels, biases, batch norm scale and offset; no
moving statistics) and multiply-adds of convolutions only. Every term belongs to one node or one edge
and depends on levels and kinds alone. Semantics: Du et al., CVPR 2020, section 3.2 and figure 5, and
TF Model Garden's SpineNet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, assert_never

from search_space.genome import BlockKind, Genome, InvalidGenome
from search_space.graph import Graph, GraphNode, resolve
from search_space.scaling import STEM_CONV_WIDTH, Scaling

IMAGE_CHANNELS: Final = 3
STEM_INPUT_LEVEL: Final = 2
"""The level after the first conv and its pool."""

BOX_CODE: Final = 4
"""Numbers that a box is predicted with."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Trained parameters, and FLOPs of one image, which are multiply-adds as in the paper."""

    params: int = 0
    flops: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.params + other.params, self.flops + other.flops)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """RetinaNet heads: two towers of `convs` 3x3 convs, `width` wide, then class and box predictors.

    Kernels are shared by all output levels, batch norms are not.
    """

    convs: int = 4
    width: int = 256
    classes: int = 91
    anchors: int = 9

    def __post_init__(self) -> None:
        if self.convs < 0 or min(self.width, self.classes, self.anchors) < 1:
            raise ValueError(f"head: {self}, expected convs of at least 0 and the rest of at least 1")


@dataclass(frozen=True, slots=True)
class NetworkCost:
    """Cost of the backbone, endpoint convs included, and of the heads on it (nothing without heads)."""

    backbone: Cost
    heads: Cost

    @property
    def total(self) -> Cost:
        """Backbone and heads together."""
        return self.backbone + self.heads


def network_cost(genome: Genome, scaling: Scaling, input_size: int, head: Head | None = None) -> NetworkCost:
    """The cost of a genome at a scaling, for square images of `input_size` pixels.

    Dead nodes cost nothing. Raises InvalidGenome for a stem that starts before its pool.
    """
    graph = resolve(genome)
    arithmetic = _Arithmetic(scaling, input_size)
    backbone = arithmetic.stem(genome)
    for node in graph.nodes:
        if node.stem:
            backbone += arithmetic.stem_node(genome, node)
        else:
            backbone += arithmetic.chain(node.level, node.kind, scaling.repeats)
            for parent in node.parents:
                backbone += arithmetic.edge(genome, parent, node)
        if node.output:
            backbone += arithmetic.endpoint(node)
    return NetworkCost(backbone, _heads(graph, arithmetic, head) if head else Cost())


def _conv(pixels: int, kernel: int, channels: int, filters: int) -> Cost:
    """A conv without bias; `pixels` is the area of its output."""
    weights = kernel * kernel * channels * filters
    return Cost(weights, pixels * weights)


def _norm(channels: int) -> Cost:
    return Cost(2 * channels)


@dataclass(frozen=True, slots=True)
class _Arithmetic:
    """The terms of the sum, at one scaling and one image size."""

    scaling: Scaling
    input_size: int

    def pixels(self, level: int) -> int:
        """Area of a feature map: SAME padding rounds up at every halving."""
        side = -(-self.input_size // (1 << level))
        return side * side

    def conv_norm(self, level: int, kernel: int, channels: int, filters: int) -> Cost:
        return _conv(self.pixels(level), kernel, channels, filters) + _norm(filters)

    def stem(self, genome: Genome) -> Cost:
        first = genome.stem.nodes[0].level
        if first < STEM_INPUT_LEVEL:
            raise InvalidGenome(
                f"stem node 0: level={first}, but the pool before it ends on {STEM_INPUT_LEVEL}"
            )
        return self.conv_norm(1, 7, IMAGE_CHANNELS, STEM_CONV_WIDTH)

    def stem_node(self, genome: Genome, node: GraphNode) -> Cost:
        """A block group after the pool or the stem node before; its first block strides down to its level."""
        level, channels = STEM_INPUT_LEVEL, STEM_CONV_WIDTH
        if node.parents:
            level = genome.level(node.parents[0])
            channels = self.scaling.output_width(level, genome.kind(node.parents[0]))
        first = self.block(level, channels, node.level, node.kind)
        return first + self.chain(node.level, node.kind, self.scaling.repeats - 1)

    def chain(self, level: int, kind: BlockKind, repeats: int) -> Cost:
        """Blocks with an identity shortcut, one after the other."""
        one = self.block(level, self.scaling.output_width(level, kind), level, kind)
        return Cost(repeats * one.params, repeats * one.flops)

    def block(self, source: int, channels: int, level: int, kind: BlockKind) -> Cost:
        """One block on a source level's channels; a 3x3 conv strides, a 1x1 conv projects if needed."""
        width, filters = self.scaling.feature_width(level), self.scaling.output_width(level, kind)
        convs: tuple[tuple[int, int, int, int], ...]
        match kind:
            case BlockKind.BOTTLENECK:
                convs = ((source, 1, channels, width), (level, 3, width, width), (level, 1, width, filters))
            case BlockKind.RESIDUAL:
                convs = ((level, 3, channels, width), (level, 3, width, width))
            case _:
                assert_never(kind)
        if (source, channels) != (level, filters):
            convs = (*convs, (level, 1, channels, filters))
        return sum((self.conv_norm(*conv) for conv in convs), Cost())

    def edge(self, genome: Genome, parent: int, child: GraphNode) -> Cost:
        """1x1 to alpha C of the parent, a 3x3/2 conv if the child is coarser, pools, 1x1 to the child."""
        level, kind = genome.level(parent), genome.kind(parent)
        reduced = self.scaling.reduced_width(level)
        cost = self.conv_norm(level, 1, self.scaling.output_width(level, kind), reduced)
        if child.level > level:
            cost += self.conv_norm(level + 1, 3, reduced, reduced)
        filters = self.scaling.output_width(child.level, child.kind)
        return cost + self.conv_norm(child.level, 1, reduced, filters)

    def endpoint(self, node: GraphNode) -> Cost:
        filters = self.scaling.output_width(node.level, node.kind)
        return self.conv_norm(node.level, 1, filters, self.scaling.endpoint_width)


def _heads(graph: Graph, arithmetic: _Arithmetic, head: Head) -> Cost:
    area = sum(arithmetic.pixels(level) for level in graph.outputs)
    cost = Cost()
    for filters in (head.classes * head.anchors, BOX_CODE * head.anchors):
        channels = arithmetic.scaling.endpoint_width
        for _ in range(head.convs):
            cost += _conv(area, 3, channels, head.width) + Cost(head.width)
            cost += Cost(len(graph.outputs) * _norm(head.width).params)
            channels = head.width
        cost += _conv(area, 3, channels, filters) + Cost(filters)
    return cost
