"""Every operation the network is made of, as a seam: the network is written once over `Ops`.

`declare.ShapeOps` runs it on shapes (weights, parameters, multiply-adds), `tensor_ops.TensorOps`
on TensorFlow tensors; another backend is one more file. Images are NHWC; padding is SAME, as in
TF Model Garden.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

NORM_EPSILON: Final = 1e-3
"""Batch norm epsilon of TF Model Garden's SpineNet."""

NORM_MOMENTUM: Final = 0.99
"""Share of the old moving statistics that a training step keeps (Du et al., section 5.1)."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Normal:
    """Kernel initialiser: normal with this standard deviation; None means variance scaling, fan-in."""

    stddev: float | None = None


FAN_IN: Final = Normal()


class Ops(Protocol[T]):
    """The operations. `name` is that of the weights, unique within a piece of the network."""

    def conv(self, name: str, x: T, filters: int, kernel: int, stride: int = 1) -> T:
        """A convolution without bias, initialised by fan-in."""
        ...

    def predict(self, name: str, x: T, filters: int, init: Normal, bias: float = 0.0) -> T:
        """A 3x3 convolution with a bias, for heads."""
        ...

    def biased(self, name: str, x: T, filters: int, kernel: int, stride: int = 1) -> T:
        """A convolution with a bias, initialised by fan-in, for pyramids."""
        ...

    def channels(self, x: T) -> int:
        """How many channels there are."""
        ...

    def depthwise(self, name: str, x: T, stride: int = 1) -> T:
        """A 3x3 convolution of each channel by itself, without bias, initialised by fan-in."""
        ...

    def separable(self, name: str, x: T, filters: int, init: Normal, bias: float = 0.0) -> T:
        """A 3x3 convolution of each channel, then a 1x1 one with a bias, for mobile heads."""
        ...

    def excite(self, name: str, x: T, squeezed: int) -> T:
        """Squeeze and excitation: mean, 1x1 to `squeezed`, ReLU, 1x1 back, hard sigmoid, times x."""
        ...

    def norm(self, name: str, x: T, *, activated: bool = False) -> T:
        """Batch normalisation over images and positions, with a scale and an offset; then the activation,
        if `activated`.
        """
        ...

    def activate(self, x: T) -> T: ...

    def max_pool(self, x: T) -> T:
        """A 3x3 max-pool with stride 2."""
        ...

    def upsample(self, x: T, factor: int) -> T:
        """Nearest-neighbour upsampling by a whole factor."""
        ...

    def add(self, xs: Sequence[T]) -> T: ...
