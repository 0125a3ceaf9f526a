"""The network run on shapes that remember who reads them: what training keeps for the backward pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from proxy_trainer.network.declare import Shape, ShapeOps
from proxy_trainer.network.ops import Normal
from proxy_trainer.network.plan import Plan, apply


@dataclass(slots=True, eq=False)
class Map:
    """A feature map of one image; `kept` once a gradient needs it."""

    shape: Shape
    kept: bool = False


@dataclass(slots=True)
class KeptOps:
    """The operations on maps. Gradients of convs, batch norms and pools read their inputs, those of
    activations and pools their outputs; sums and biases need nothing.
    """

    shapes: ShapeOps
    made: list[Map] = field(default_factory=list)

    def conv(self, name: str, x: Map, filters: int, kernel: int, stride: int = 1) -> Map:
        return self._reading(x, self.shapes.conv(name, x.shape, filters, kernel, stride))

    def predict(self, name: str, x: Map, filters: int, init: Normal, bias: float = 0.0) -> Map:
        return self._reading(x, self.shapes.predict(name, x.shape, filters, init, bias))

    def biased(self, name: str, x: Map, filters: int, kernel: int, stride: int = 1) -> Map:
        return self._reading(x, self.shapes.biased(name, x.shape, filters, kernel, stride))

    def channels(self, x: Map) -> int:
        return self.shapes.channels(x.shape)

    def depthwise(self, name: str, x: Map, stride: int = 1) -> Map:
        return self._reading(x, self.shapes.depthwise(name, x.shape, stride))

    def separable(self, name: str, x: Map, filters: int, init: Normal, bias: float = 0.0) -> Map:
        self._reading(x, x.shape).kept = True  # between its halves
        return self._new(self.shapes.separable(name, x.shape, filters, init, bias))

    def excite(self, name: str, x: Map, squeezed: int) -> Map:
        return self._reading(x, self.shapes.excite(name, x.shape, squeezed))

    def norm(self, name: str, x: Map, *, activated: bool = False) -> Map:
        y = self._reading(x, self.shapes.norm(name, x.shape))
        return self.activate(y) if activated else y

    def activate(self, x: Map) -> Map:
        return self._new(self.shapes.activate(x.shape), kept=True)

    def max_pool(self, x: Map) -> Map:
        out = self._reading(x, self.shapes.max_pool(x.shape))
        out.kept = True
        return out

    def upsample(self, x: Map, factor: int) -> Map:
        return self._new(self.shapes.upsample(x.shape, factor))

    def add(self, xs: Sequence[Map]) -> Map:
        return self._new(self.shapes.add([x.shape for x in xs]))

    def _reading(self, x: Map, out: Shape) -> Map:
        x.kept = True
        return self._new(out)

    def _new(self, shape: Shape, *, kept: bool = False) -> Map:
        self.made.append(Map(shape, kept))
        return self.made[-1]


def kept_elements(plan: Plan, size: int) -> int:
    """Elements of one square image's maps that training keeps; what a piece hands on is always kept."""
    ops = {step.name: KeptOps(ShapeOps(step.name)) for step in plan.steps}
    images = Map(Shape(size, size, 3))
    for outputs in apply(plan, ops, images).values():
        for each in outputs:
            each.kept = True
    maps = [images, *(each for one in ops.values() for each in one.made)]
    return sum(each.shape.height * each.shape.width * each.shape.channels for each in maps if each.kept)
