"""The network run on shapes: which weights it has, and what it costs. No framework in here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from proxy_trainer.network.ops import FAN_IN, Normal
from proxy_trainer.network.plan import Plan, apply


@dataclass(frozen=True, slots=True)
class Shape:
    """Height, width and channels of a feature map of one image."""

    height: int
    width: int
    channels: int


@dataclass(frozen=True, slots=True)
class Weight:
    """One array of weights: its step and name, and how it starts (an initialiser or a constant).

    The moving mean and variance of a batch norm are weights that are not trained; `positions` is how many
    numbers of an image, channel by channel, they are taken over.
    """

    step: str
    name: str
    shape: tuple[int, ...]
    start: Normal | float
    trained: bool = True
    positions: int = 0

    @property
    def path(self) -> str:
        """The name within the whole network."""
        return f"{self.step}/{self.name}"

    @property
    def is_kernel(self) -> bool:
        """Whether weight decay applies: kernels only, no batch norm and no bias."""
        return self.name.endswith("/kernel")

    @property
    def of_norm(self) -> bool:
        """Whether it is the scale or the offset of a batch norm, which stay exact in mixed precision."""
        return self.name.endswith(("/scale", "/offset"))

    @property
    def ends_branch(self) -> bool:
        """Whether it is the scale of the last batch norm of a block, just before the sum."""
        ends = ("/expand/norm/scale", "/narrow/norm/scale")
        return self.name.startswith("block") and self.name.endswith(ends)


@dataclass(slots=True)
class ShapeOps:
    """The operations on shapes; collects the weights they would need and their multiply-adds."""

    step: str
    weights: dict[str, Weight] = field(default_factory=dict)
    multiply_adds: int = 0

    def conv(self, name: str, x: Shape, filters: int, kernel: int, stride: int = 1) -> Shape:
        self._declare(f"{name}/kernel", (kernel, kernel, x.channels, filters), FAN_IN)
        out = Shape(-(-x.height // stride), -(-x.width // stride), filters)
        self.multiply_adds += out.height * out.width * kernel * kernel * x.channels * filters
        return out

    def predict(self, name: str, x: Shape, filters: int, init: Normal, bias: float = 0.0) -> Shape:
        self._declare(f"{name}/kernel", (3, 3, x.channels, filters), init)
        self._declare(f"{name}/bias", (filters,), bias)
        self.multiply_adds += x.height * x.width * 9 * x.channels * filters
        return Shape(x.height, x.width, filters)

    def channels(self, x: Shape) -> int:
        return x.channels

    def depthwise(self, name: str, x: Shape, stride: int = 1) -> Shape:
        self._declare(f"{name}/kernel", (3, 3, x.channels, 1), FAN_IN)
        out = Shape(-(-x.height // stride), -(-x.width // stride), x.channels)
        self.multiply_adds += out.height * out.width * 9 * x.channels
        return out

    def separable(self, name: str, x: Shape, filters: int, init: Normal, bias: float = 0.0) -> Shape:
        self._declare(f"{name}/depthwise/kernel", (3, 3, x.channels, 1), init)
        self._declare(f"{name}/pointwise/kernel", (1, 1, x.channels, filters), init)
        self._declare(f"{name}/bias", (filters,), bias)
        self.multiply_adds += x.height * x.width * x.channels * (9 + filters)
        return Shape(x.height, x.width, filters)

    def excite(self, name: str, x: Shape, squeezed: int) -> Shape:
        for part, source, filters in (("squeeze", x.channels, squeezed), ("excite", squeezed, x.channels)):
            self._declare(f"{name}/{part}/kernel", (1, 1, source, filters), FAN_IN)
            self._declare(f"{name}/{part}/bias", (filters,), 0.0)
            self.multiply_adds += source * filters
        return x

    def biased(self, name: str, x: Shape, filters: int, kernel: int, stride: int = 1) -> Shape:
        self._declare(f"{name}/bias", (filters,), 0.0)
        return self.conv(name, x, filters, kernel, stride)

    def norm(self, name: str, x: Shape, *, activated: bool = False) -> Shape:  # noqa: ARG002 - of no weight
        for weight, start in (("scale", 1.0), ("offset", 0.0)):
            self._declare(f"{name}/{weight}", (x.channels,), start)
        for weight, start in (("mean", 0.0), ("variance", 1.0)):
            self._declare(f"{name}/{weight}", (x.channels,), start, positions=x.height * x.width)
        return x

    def activate(self, x: Shape) -> Shape:
        return x

    def max_pool(self, x: Shape) -> Shape:
        return Shape(-(-x.height // 2), -(-x.width // 2), x.channels)

    def upsample(self, x: Shape, factor: int) -> Shape:
        return Shape(x.height * factor, x.width * factor, x.channels)

    def add(self, xs: Sequence[Shape]) -> Shape:
        if len(set(xs)) != 1:
            raise ValueError(f"{self.step}: cannot add {xs}, expected equal shapes; is the input divisible?")
        return xs[0]

    def _declare(
        self, name: str, shape: tuple[int, ...], start: Normal | float, *, positions: int = 0
    ) -> None:
        # Shared convs are declared once a level; the same name must then mean the same weight.
        weight = Weight(self.step, name, shape, start, trained=not positions, positions=positions)
        if self.weights.setdefault(name, weight) != weight:
            raise ValueError(f"{weight.path}: shape {shape}, but {self.weights[name].shape} before")


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a plan needs at an image size: its weights in order, and multiply-adds by step."""

    weights: tuple[Weight, ...]
    multiply_adds: dict[str, int]
    shapes: dict[str, tuple[Shape, ...]]

    @property
    def parameters(self) -> int:
        """Trained parameters: kernels, biases, batch norm scales and offsets."""
        total = 0
        for weight in self.weights:
            if weight.trained:
                size = 1
                for side in weight.shape:
                    size *= side
                total += size
        return total


def declare(plan: Plan, size: int) -> Declaration:
    """Run a plan on the shape of a square image. Raises ValueError if `size` does not divide evenly."""
    ops = {step.name: ShapeOps(step.name) for step in plan.steps}
    shapes = apply(plan, ops, Shape(size, size, 3))
    return Declaration(
        tuple(weight for each in ops.values() for weight in each.weights.values()),
        {name: each.multiply_adds for name, each in ops.items()},
        shapes,
    )
