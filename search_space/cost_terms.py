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
    """Trained parameters; multiply-adds of one image, as in the paper; numbers kept for its gradient.

    `kept` counts the elements of the feature maps of one image that training holds from the forward
    to the backward pass: what convs, batch norms and pools read and what activations and pools give.
    """

    params: int = 0
    flops: int = 0
    kept: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.params + other.params, self.flops + other.flops, self.kept + other.kept)


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
        image = self._kept(0, IMAGE_CHANNELS)
        if mobile:
            return image + self._active_unit(1, 3, IMAGE_CHANNELS, self.scaling.mobile_stem_width)
        pool = self._kept(STEM_INPUT_LEVEL, STEM_CONV_WIDTH)
        return image + self._active_unit(1, 7, IMAGE_CHANNELS, STEM_CONV_WIDTH) + pool

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
        """A searched node without its edges: their activated sum, then blocks with identity shortcuts."""
        fused = self._kept(level, self.scaling.output_width(level, kind))
        return fused + self._chain(level, kind, self.scaling.repeats)

    def edge(self, source: int, parent: BlockKind, level: int, kind: BlockKind) -> Cost:
        """From a parent to a child. 1x1 to alpha C of the parent, a 3x3/2 conv if the child is coarser,
        pools, 1x1 to the child; in a mobile network a depthwise 3x3/2 for every halving, then the 1x1.
        """
        channels = self.scaling.output_width(source, parent)
        cost = Cost()
        if parent is BlockKind.MBCONV:
            for coarser in range(source + 1, level + 1):
                cost += self._depthwise_unit(coarser, channels)
        else:
            reduced = self.scaling.reduced_width(source)
            cost += self._active_unit(source, 1, channels, reduced)
            if level > source:
                cost += self._active_unit(source + 1, 3, reduced, reduced)
            for coarser in range(source + 2, level + 1):
                cost += self._kept(coarser, reduced)
            channels = reduced
        if level < source:
            cost += self._kept(level, channels)
        return cost + self._unit(level, 1, channels, self.scaling.output_width(level, kind))

    def endpoint(self, level: int, kind: BlockKind) -> Cost:
        """The 1x1 conv that brings an output to the common width."""
        channels = self.scaling.output_width(level, kind)
        return self._active_unit(level, 1, channels, self.scaling.endpoint_width)

    def _stem_input(self, stem: Stem) -> tuple[int, int]:
        if stem.nodes[0].kind is BlockKind.MBCONV:
            return 1, self.scaling.mobile_stem_width
        return STEM_INPUT_LEVEL, STEM_CONV_WIDTH

    def _chain(self, level: int, kind: BlockKind, repeats: int) -> Cost:
        one = self._block(level, self.scaling.output_width(level, kind), level, kind)
        return Cost(repeats * one.params, repeats * one.flops, repeats * one.kept)

    def _block(self, source: int, channels: int, level: int, kind: BlockKind) -> Cost:
        """One block on a source level's channels; a 3x3 conv strides, a 1x1 conv projects if needed."""
        width, filters = self.scaling.feature_width(level, kind), self.scaling.output_width(level, kind)
        match kind:
            case BlockKind.BOTTLENECK:
                branch = (
                    self._active_unit(source, 1, channels, width)
                    + self._active_unit(level, 3, width, width)
                    + self._unit(level, 1, width, filters)
                )
            case BlockKind.RESIDUAL:
                branch = self._active_unit(level, 3, channels, width) + self._unit(level, 3, width, width)
            case BlockKind.MBCONV:
                branch = self._mbconv(source, channels, level, filters)
            case _:
                assert_never(kind)
        if kind is not BlockKind.MBCONV and (source, channels) != (level, filters):
            branch += self._unit(level, 1, channels, filters)
        return branch + self._kept(level, filters)

    def _mbconv(self, source: int, channels: int, level: int, filters: int) -> Cost:
        wide, squeezed = EXPANSION * channels, squeezed_width(channels)
        dense = 2 * wide * squeezed
        return (
            self._active_unit(source, 1, channels, wide)
            + self._depthwise_unit(level, wide)
            + Cost(dense + wide + squeezed, dense)
            + self._kept(level, wide)
            + self._unit(level, 1, wide, filters)
        )

    def _unit(self, level: int, kernel: int, channels: int, filters: int) -> Cost:
        """A conv and its batch norm, which reads the conv's output."""
        weights = kernel * kernel * channels * filters
        return Cost(weights + 2 * filters, self.pixels(level) * weights) + self._kept(level, filters)

    def _active_unit(self, level: int, kernel: int, channels: int, filters: int) -> Cost:
        return self._unit(level, kernel, channels, filters) + self._kept(level, filters)

    def _depthwise_unit(self, level: int, channels: int) -> Cost:
        return self._active_unit(level, 3, 1, channels)

    def _kept(self, level: int, channels: int) -> Cost:
        """A feature map that the backward pass reads."""
        return Cost(kept=self.pixels(level) * channels)
