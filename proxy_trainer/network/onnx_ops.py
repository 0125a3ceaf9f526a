"""The operations as an ONNX graph, with the weights in it. Maps are NCHW inside, as ONNX wants them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from proxy_trainer.network.declare import Shape, ShapeOps
from proxy_trainer.network.ops import NORM_EPSILON, Normal
from proxy_trainer.network.tensor_ops import SIXTH


@dataclass(frozen=True, slots=True)
class Value:
    """The name of a tensor in the graph, and the shape of one image's."""

    name: str
    shape: Shape


@dataclass(slots=True)
class Graph:
    """Nodes and constants so far."""

    nodes: list[NodeProto] = field(default_factory=list)
    constants: dict[str, TensorProto] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def node(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a node with one output, and name that."""
        name = f"{kind.lower()}{next(self._numbers)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, array: NDArray[Any] | np.generic) -> str:
        """Add a constant; the same name means the same one."""
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.asarray(array, order="C"), name)
        return name


@dataclass(slots=True)
class OnnxOps:
    """Bound to the weights of one step; shapes are worked out by `ShapeOps`. Batch norms use statistics."""

    step: str
    weights: Mapping[str, NDArray[np.float32]]
    graph: Graph
    shapes: ShapeOps

    def conv(self, name: str, x: Value, filters: int, kernel: int, stride: int = 1) -> Value:
        shape = self.shapes.conv(name, x.shape, filters, kernel, stride)
        return Value(self._convolve(name, x.name, stride), shape)

    def predict(self, name: str, x: Value, filters: int, init: Normal, bias: float = 0.0) -> Value:
        shape = self.shapes.predict(name, x.shape, filters, init, bias)
        return Value(self._convolve(name, x.name, bias=f"{name}/bias"), shape)

    def biased(self, name: str, x: Value, filters: int, kernel: int, stride: int = 1) -> Value:
        shape = self.shapes.biased(name, x.shape, filters, kernel, stride)
        return Value(self._convolve(name, x.name, stride, bias=f"{name}/bias"), shape)

    def channels(self, x: Value) -> int:
        return x.shape.channels

    def depthwise(self, name: str, x: Value, stride: int = 1) -> Value:
        shape = self.shapes.depthwise(name, x.shape, stride)
        return Value(self._convolve(name, x.name, stride, groups=x.shape.channels), shape)

    def separable(self, name: str, x: Value, filters: int, init: Normal, bias: float = 0.0) -> Value:
        shape = self.shapes.separable(name, x.shape, filters, init, bias)
        half = self._convolve(f"{name}/depthwise", x.name, groups=x.shape.channels)
        return Value(self._convolve(f"{name}/pointwise", half, bias=f"{name}/bias"), shape)

    def excite(self, name: str, x: Value, squeezed: int) -> Value:
        shape = self.shapes.excite(name, x.shape, squeezed)
        gate = self.graph.node("GlobalAveragePool", [x.name])
        gate = self._convolve(f"{name}/squeeze", gate, bias=f"{name}/squeeze/bias")
        gate = self.graph.node("Relu", [gate])
        gate = self._convolve(f"{name}/excite", gate, bias=f"{name}/excite/bias")
        # Hard sigmoid: relu6(x + 3) / 6, with the sixth that TF Model Garden rounds to.
        three, zero, six, sixth = (
            self.graph.constant(f"excite/{number}", np.float32(number)) for number in (3.0, 0.0, 6.0, SIXTH)
        )
        gate = self.graph.node("Clip", [self.graph.node("Add", [gate, three]), zero, six])
        return Value(self.graph.node("Mul", [x.name, self.graph.node("Mul", [gate, sixth])]), shape)

    def norm(self, name: str, x: Value, *, activated: bool = False) -> Value:
        parts = [self._weight(f"{name}/{part}") for part in ("scale", "offset", "mean", "variance")]
        y = Value(
            self.graph.node("BatchNormalization", [x.name, *parts], epsilon=NORM_EPSILON),
            self.shapes.norm(name, x.shape),
        )
        return self.activate(y) if activated else y

    def activate(self, x: Value) -> Value:
        return Value(self.graph.node("Relu", [x.name]), x.shape)

    def max_pool(self, x: Value) -> Value:
        name = self.graph.node(
            "MaxPool", [x.name], kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"
        )
        return Value(name, self.shapes.max_pool(x.shape))

    def upsample(self, x: Value, factor: int) -> Value:
        scales = self.graph.constant(f"upsample/{factor}", np.array([1, 1, factor, factor], np.float32))
        name = self.graph.node(
            "Resize",
            [x.name, "", scales],
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )
        return Value(name, self.shapes.upsample(x.shape, factor))

    def add(self, xs: Sequence[Value]) -> Value:
        shape = self.shapes.add([x.shape for x in xs])
        return Value(self.graph.node("Sum", [x.name for x in xs]), shape)

    def _convolve(
        self, name: str, x: str, stride: int = 1, *, groups: int = 1, bias: str | None = None
    ) -> str:
        kernel = self.weights[f"{name}/kernel"]
        # HWIO to OIHW; a depthwise kernel, [H, W, C, 1], to [C, 1, H, W].
        turned = kernel.transpose(3, 2, 0, 1) if groups == 1 else kernel.transpose(2, 3, 0, 1)
        inputs = [x, self.graph.constant(f"{self.step}/{name}/kernel", turned)]
        if bias is not None:
            inputs.append(self._weight(bias))
        return self.graph.node(
            "Conv",
            inputs,
            kernel_shape=list(kernel.shape[:2]),
            strides=[stride, stride],
            group=groups,
            auto_pad="SAME_UPPER",
        )

    def _weight(self, name: str) -> str:
        return self.graph.constant(f"{self.step}/{name}", self.weights[name])
