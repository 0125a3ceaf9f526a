"""The operations on tensors while training: computed by `TensorOps`, with their gradients on a tape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import tensorflow as tf

from proxy_trainer.network.constants import constant
from proxy_trainer.network.fused_norm import CHANNELS, active_norm
from proxy_trainer.network.ops import NORM_EPSILON, Normal
from proxy_trainer.network.reshaping import reshaped, sizes
from proxy_trainer.network.tape import Tape
from proxy_trainer.network.tensor_ops import TensorOps

LANES: Final = 16
"""oneDNN's fast batch norms of bfloat16 take channels by the sixteen; the others take ten times as long."""


@dataclass(slots=True)
class TapedOps:
    """Bound to the weights of one step. All shapes are known."""

    ops: TensorOps
    tape: Tape
    fused: bool = False
    """Whether batch norm and ReLU may be one operation (fused_norm.py)."""

    def conv(self, name: str, x: tf.Tensor, filters: int, kernel: int, stride: int = 1) -> tf.Tensor:
        weights = self.ops.weights[f"{name}/kernel"]
        y = self.ops.conv(name, x, filters, kernel, stride)
        return self.tape.record(y, lambda above: self._conv_back(x, weights, above, stride))

    def predict(self, name: str, x: tf.Tensor, filters: int, init: Normal, bias: float = 0.0) -> tf.Tensor:
        y = self.ops.predict(name, x, filters, init, bias)
        return self.tape.record(y, lambda above: self._biased_back(name, x, above, 1))

    def biased(self, name: str, x: tf.Tensor, filters: int, kernel: int, stride: int = 1) -> tf.Tensor:
        y = self.ops.biased(name, x, filters, kernel, stride)
        return self.tape.record(y, lambda above: self._biased_back(name, x, above, stride))

    def channels(self, x: tf.Tensor) -> int:
        return self.ops.channels(x)

    def depthwise(self, name: str, x: tf.Tensor, stride: int = 1) -> tf.Tensor:
        return self._by_tensorflow(x, [f"{name}/kernel"], lambda ops, x: ops.depthwise(name, x, stride))

    def separable(self, name: str, x: tf.Tensor, filters: int, init: Normal, bias: float = 0.0) -> tf.Tensor:
        names = [f"{name}/{each}" for each in ("depthwise/kernel", "pointwise/kernel", "bias")]
        return self._by_tensorflow(x, names, lambda ops, x: ops.separable(name, x, filters, init, bias))

    def excite(self, name: str, x: tf.Tensor, squeezed: int) -> tf.Tensor:
        parts = ("squeeze/kernel", "squeeze/bias", "excite/kernel", "excite/bias")
        names = [f"{name}/{each}" for each in parts]
        return self._by_tensorflow(x, names, lambda ops, x: ops.excite(name, x, squeezed))

    def cast(self, x: tf.Tensor, to: tf.DType) -> tf.Tensor:
        """The same numbers, of another precision."""
        if x.dtype == to:
            return x
        return self.tape.record(tf.cast(x, to), lambda above: self._pass_on((x, tf.cast(above, x.dtype))))

    def norm(self, name: str, x: tf.Tensor, *, activated: bool = False) -> tf.Tensor:
        if x.dtype != tf.float32 and self.channels(x) % LANES:
            return self.cast(self.norm(name, self.cast(x, tf.float32), activated=activated), x.dtype)
        fused = activated and self.fused and self.ops.activation == "relu"
        fused = fused and self.channels(x) % CHANNELS == 0
        y = self._fused_norm(name, x) if fused else self.ops.norm(name, x)
        scale, offset = self._scale_and_offset(name)
        reserved = {f"reserve_space_{number}": each for number, each in enumerate(y.op.outputs[3:], start=1)}

        def back(above: tf.Tensor) -> None:
            if fused:
                above = tf.raw_ops.ReluGrad(gradients=above, features=y)
            by_x, by_scale, by_offset, *_ = tf.raw_ops.FusedBatchNormGradV3(
                y_backprop=above, x=x, scale=scale, epsilon=NORM_EPSILON, **reserved
            )
            self._pass_on((x, by_x), (scale, by_scale), (offset, by_offset))

        self.tape.record(y, back)
        return self.activate(y) if activated and not fused else y

    def _fused_norm(self, name: str, x: tf.Tensor) -> tf.Tensor:
        y, mean, variance = active_norm(x, *self._scale_and_offset(name))
        self.ops.batch_moments |= {f"{name}/mean": mean, f"{name}/variance": variance}
        return y

    def _scale_and_offset(self, name: str) -> tuple[tf.Tensor, tf.Tensor]:
        return self.ops.weights[f"{name}/scale"], self.ops.weights[f"{name}/offset"]

    def activate(self, x: tf.Tensor) -> tf.Tensor:
        if self.ops.activation != "relu":
            return self._by_tensorflow(x, [], lambda ops, x: ops.activate(x))
        y = self.ops.activate(x)
        return self.tape.record(
            y, lambda above: self._pass_on((x, tf.raw_ops.ReluGrad(gradients=above, features=y)))
        )

    def max_pool(self, x: tf.Tensor) -> tf.Tensor:
        y = self.ops.max_pool(x)

        def back(above: tf.Tensor) -> None:
            by_x = tf.raw_ops.MaxPoolGrad(
                orig_input=x,
                orig_output=y,
                grad=above,
                ksize=[1, 3, 3, 1],
                strides=[1, 2, 2, 1],
                padding="SAME",
            )
            self._pass_on((x, by_x))

        return self.tape.record(y, back)

    def upsample(self, x: tf.Tensor, factor: int) -> tf.Tensor:
        def back(above: tf.Tensor) -> None:
            # The sum over each square, as its mean times its size: sums over two axes are slow on a CPU.
            square = [1, factor, factor, 1]
            means = tf.raw_ops.AvgPool(value=above, ksize=square, strides=square, padding="VALID")
            self._pass_on((x, means * float(factor * factor)))

        return self.tape.record(self.ops.upsample(x, factor), back)

    def add(self, xs: Sequence[tf.Tensor]) -> tf.Tensor:
        if len(xs) == 1:
            return xs[0]
        return self.tape.record(self.ops.add(xs), lambda above: self._pass_on(*((x, above) for x in xs)))

    def _pass_on(self, *gradients: tuple[tf.Tensor, tf.Tensor]) -> None:
        for x, gradient in gradients:
            self.tape.pass_on(x, gradient)

    def _biased_back(self, name: str, x: tf.Tensor, above: tf.Tensor, stride: int) -> None:
        self._pass_on((self.ops.weights[f"{name}/bias"], tf.raw_ops.BiasAddGrad(out_backprop=above)))
        self._conv_back(x, self.ops.weights[f"{name}/kernel"], above, stride)

    def _conv_back(self, x: tf.Tensor, kernel: tf.Tensor, above: tf.Tensor, stride: int) -> None:
        if stride == 1 and sizes(kernel)[:2] == (1, 1):
            self._pointwise_back(x, kernel, above)
            return
        way = {"out_backprop": above, "strides": [1, stride, stride, 1], "padding": "SAME"}
        if self.tape.watched(x):
            known = constant(sizes(x), tf.int32)
            self._pass_on((x, tf.raw_ops.Conv2DBackpropInput(input_sizes=known, filter=kernel, **way)))
        known = constant(sizes(kernel), tf.int32)
        self._pass_on((kernel, tf.raw_ops.Conv2DBackpropFilter(input=x, filter_sizes=known, **way)))

    def _pointwise_back(self, x: tf.Tensor, kernel: tf.Tensor, above: tf.Tensor) -> None:
        """As products of matrices: the same sums, on a CPU in less time than as convs."""
        channels, filters = sizes(kernel)[2:]
        rows = reshaped(above, (-1, filters))
        if self.tape.watched(x):
            by_x = tf.raw_ops.MatMul(a=rows, b=reshaped(kernel, (channels, filters)), transpose_b=True)
            self._pass_on((x, reshaped(by_x, sizes(x))))
        by_kernel = tf.raw_ops.MatMul(a=reshaped(x, (-1, channels)), b=rows, transpose_a=True)
        self._pass_on((kernel, by_kernel))  # who wants it makes it flat, whatever its shape

    def _by_tensorflow(
        self, x: tf.Tensor, names: Sequence[str], compute: Callable[[TensorOps, tf.Tensor], tf.Tensor]
    ) -> tf.Tensor:
        weights = [self.ops.weights[name] for name in names]
        # tf.gradients looks for ways from y to these: without the identities, through the whole network.
        inner = [tf.identity(each) for each in (x, *weights)]
        ops = TensorOps(
            dict(zip(names, inner[1:], strict=True)), training=True, activation=self.ops.activation
        )
        y = compute(ops, inner[0])
        return self.tape.record(
            y,
            lambda above: self._pass_on(*zip((x, *weights), tf.gradients(y, inner, above), strict=True)),
        )
