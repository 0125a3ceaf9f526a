"""The terms that a network's cost is the sum of: one node, one edge, one endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, assert_never

from search_space.genome import BlockKind, InvalidGenome, Stem
from search_space.scaling import EXPANSION, STEM_CONV_WIDTH, Scaling, squeezed_width

IMAGE_CHANNELS: Final = 3
STEM_INPUT_LEVEL: Final = 2
"""The level after the first conv and its pool; a mobile network has no pool."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Trained parameters, and FLOPs of one image, which are multiply-adds as in the paper."""

    params: int = 0
    flops: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.params + other.params, self.flops + other.flops)


def _conv(pixels: int, kernel: int, channels: int, filters: int) -> Cost:
    """A conv without bias; `pixels` is the area of its output."""
    weights = kernel * kernel * channels * filters
    return Cost(weights, pixels * weights)


def _norm(channels: int) -> Cost:
    return Cost(2 * channels)


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms at one scaling and one image size."""

    scaling: Scaling
    input_size: int

    def pixels(self, level: int) -> int:
        """Area of a feature map: SAME padding rounds up at every halving."""
        side = -(-self.input_size // (1 << level))
        return side * side

    def stem(self, stem: Stem) -> Cost:
        """What stands before the stem's first node. Raises InvalidGenome."""
        first, mobile = stem.nodes[0].level, stem.nodes[0].kind is BlockKind.MBCONV
        if first < self._stem_input(stem)[0]:
            raise InvalidGenome(
                f"stem node 0: level={first}, but the pool before it ends on {STEM_INPUT_LEVEL}"
            )
        if mobile:
            return self._conv_norm(1, 3, IMAGE_CHANNELS, self.scaling.mobile_stem_width)
        return self._conv_norm(1, 7, IMAGE_CHANNELS, STEM_CONV_WIDTH)

    def stem_node(self, stem: Stem, node: int) -> Cost:
        """A block group after what stands before it; its first block strides down to its level."""
        here = stem.nodes[node]
        level, channels = self._stem_input(stem)
        if node:
            before = stem.nodes[node - 1]
            level, channels = before.level, self.scaling.output_width(before.level, before.kind)
        rest = self._chain(here.level, here.kind, self.scaling.repeats - 1)
        return self._block(level, channels, here.level, here.kind) + rest

    def group(self, level: int, kind: BlockKind) -> Cost:
        """A searched node without its edges: blocks with an identity shortcut, one after the other."""
        return self._chain(level, kind, self.scaling.repeats)

    def edge(self, source: int, parent: BlockKind, level: int, kind: BlockKind) -> Cost:
        """From a parent to a child. 1x1 to alpha C of the parent, a 3x3/2 conv if the child is coarser,
        pools, 1x1 to the child; in a mobile network a depthwise 3x3/2 for every halving, then the 1x1.
        """
        channels = self.scaling.output_width(source, parent)
        cost = Cost()
        if parent is BlockKind.MBCONV:
            for coarser in range(source + 1, level + 1):
                cost += self._depthwise_norm(coarser, channels)
        else:
            reduced = self.scaling.reduced_width(source)
            cost = self._conv_norm(source, 1, channels, reduced)
            if level > source:
                cost += self._conv_norm(source + 1, 3, reduced, reduced)
            channels = reduced
        return cost + self._conv_norm(level, 1, channels, self.scaling.output_width(level, kind))

    def endpoint(self, level: int, kind: BlockKind) -> Cost:
        """The 1x1 conv that brings an output to the common width."""
        return self._conv_norm(level, 1, self.scaling.output_width(level, kind), self.scaling.endpoint_width)

    def _stem_input(self, stem: Stem) -> tuple[int, int]:
        if stem.nodes[0].kind is BlockKind.MBCONV:
            return 1, self.scaling.mobile_stem_width
        return STEM_INPUT_LEVEL, STEM_CONV_WIDTH

    def _chain(self, level: int, kind: BlockKind, repeats: int) -> Cost:
        one = self._block(level, self.scaling.output_width(level, kind), level, kind)
        return Cost(repeats * one.params, repeats * one.flops)

    def _block(self, source: int, channels: int, level: int, kind: BlockKind) -> Cost:
        """One block on a source level's channels; a 3x3 conv strides, a 1x1 conv projects if needed."""
        width, filters = self.scaling.feature_width(level, kind), self.scaling.output_width(level, kind)
        convs: tuple[tuple[int, int, int, int], ...]
        match kind:
            case BlockKind.BOTTLENECK:
                convs = ((source, 1, channels, width), (level, 3, width, width), (level, 1, width, filters))
            case BlockKind.RESIDUAL:
                convs = ((level, 3, channels, width), (level, 3, width, width))
            case BlockKind.MBCONV:
                return self._mbconv(source, channels, level, filters)
            case _:
                assert_never(kind)
        if (source, channels) != (level, filters):
            convs = (*convs, (level, 1, channels, filters))
        return sum((self._conv_norm(*conv) for conv in convs), Cost())

    def _mbconv(self, source: int, channels: int, level: int, filters: int) -> Cost:
        wide, squeezed = EXPANSION * channels, squeezed_width(channels)
        dense = 2 * wide * squeezed
        return (
            self._conv_norm(source, 1, channels, wide)
            + self._depthwise_norm(level, wide)
            + Cost(dense + wide + squeezed, dense)
            + self._conv_norm(level, 1, wide, filters)
        )

    def _conv_norm(self, level: int, kernel: int, channels: int, filters: int) -> Cost:
        return _conv(self.pixels(level), kernel, channels, filters) + _norm(filters)

    def _depthwise_norm(self, level: int, channels: int) -> Cost:
        return _conv(self.pixels(level), 3, 1, channels) + _norm(channels)
