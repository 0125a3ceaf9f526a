"""How wide a genome is built: the numbers that turn one genome into a family of networks.

Base widths and scaling rules: Du et al., CVPR 2020, sections 3.2 to 3.4, and the constants of
TF Model Garden's SpineNet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from search_space.genome import BlockKind

BASE_WIDTH: Final = {1: 32, 2: 64, 3: 128, 4: 256, 5: 256, 6: 256, 7: 256}
"""Feature dimension C of the 3x3 conv in a block, by level, at width 1."""

STEM_CONV_WIDTH: Final = 64
"""Channels of the first 7x7 conv: the same at every width."""

MOBILE_WIDTH: Final = {0: 8, 1: 16, 2: 24, 3: 40, 4: 80, 5: 112, 6: 112, 7: 112}
"""Channels of an MBConv block, by level, at width 1; level 0 stands for the first 3x3 conv."""

EXPANSION: Final = 6
"""How much wider an MBConv block is inside than the channels that it is given."""

SQUEEZE: Final = 0.2
"""Share of the channels it is given that an MBConv block's squeeze-and-excitation keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """Width multiplier, resampling factor alpha, endpoint channels and block repeats of a network.

    A mobile network's edges have no reduced width, so that `alpha` means nothing to it.
    """

    width: float = 1.0
    alpha: float = 0.5
    endpoint_width: int = 256
    repeats: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.width <= 8 or not 0 < self.alpha <= 8:
            raise ValueError(
                f"scaling: width={self.width}, alpha={self.alpha}, expected above 0 and at most 8"
            )
        if not 1 <= self.endpoint_width <= 4096 or not 1 <= self.repeats <= 16:
            raise ValueError(
                f"scaling: endpoint_width={self.endpoint_width}, repeats={self.repeats}, "
                "expected 1 to 4096 and 1 to 16"
            )
        if self.reduced_width(1) < 1:
            raise ValueError(
                f"scaling: width={self.width}, alpha={self.alpha} leave no channel on an edge from level 1, "
                "expected a product of at least 1/32"
            )

    def feature_width(self, level: int, kind: BlockKind = BlockKind.BOTTLENECK) -> int:
        """C of a level; truncated, as the references do."""
        table = MOBILE_WIDTH if kind is BlockKind.MBCONV else BASE_WIDTH
        return int(table[level] * self.width)

    def output_width(self, level: int, kind: BlockKind) -> int:
        """Channels that a block hands to its children: 4C for a bottleneck, else C."""
        factor = 4 if kind is BlockKind.BOTTLENECK else 1
        return factor * self.feature_width(level, kind)

    def reduced_width(self, level: int) -> int:
        """Channels between the two 1x1 convs of a resampling edge, from a parent of this level."""
        return int(self.feature_width(level) * self.alpha)

    @property
    def mobile_stem_width(self) -> int:
        """Channels of a mobile network's first 3x3 conv."""
        return int(MOBILE_WIDTH[0] * self.width)


def squeezed_width(channels: int) -> int:
    """Channels between the two layers of the squeeze-and-excitation of an MBConv block on `channels`."""
    return max(1, int(SQUEEZE * channels))
