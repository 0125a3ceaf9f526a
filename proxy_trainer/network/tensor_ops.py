"""The operations on TensorFlow tensors: the only file of the network that computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import tensorflow as tf

from proxy_trainer.network.constants import constant
from proxy_trainer.network.ops import NORM_EPSILON, Normal
from proxy_trainer.network.reshaping import reshaped, sizes

SIXTH: Final = 0.16667
"""TF Model Garden's hard sigmoid rounds so."""

Activation = Literal["relu", "swish"]


_BY_PRODUCTS: Final = "SpineNasConvByProducts"


@tf.RegisterGradient(_BY_PRODUCTS)  # type: ignore[untyped-decorator] # TensorFlow's
def _products(op: tf.Operation, upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The gradients of a 1x1 conv as products of matrices: the same sums, on a CPU in less time."""
    x, kernel = op.inputs
    channels, filters = sizes(kernel)[-2:]
    rows, columns = reshaped(upstream, (-1, filters)), reshaped(x, (-1, channels))
    by_input = _product(rows, reshaped(kernel, (channels, filters)), transpose_b=True)
    by_kernel = _product(columns, rows, transpose_a=True)
    known = x.shape.is_fully_defined()
    by_input = reshaped(by_input, sizes(x)) if known else tf.reshape(by_input, tf.shape(x))
    return by_input, reshaped(by_kernel, sizes(kernel))


def _product(
    a: tf.Tensor, b: tf.Tensor, *, transpose_a: bool = False, transpose_b: bool = False
) -> tf.Tensor:
    """As tf.matmul, which looks at what may be passed to it for longer than it takes to trace."""
    product: tf.Tensor = tf.raw_ops.MatMul(a=a, b=b, transpose_a=transpose_a, transpose_b=transpose_b)
    return product


def pointwise(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """A 1x1 conv, [B, H, W, C] by [1, 1, C, F], whose gradients by tf.gradients are products.

    Not by tf.custom_gradient, which keeps every graph it was ever used in.
    """
    with tf.compat.v1.get_default_graph().gradient_override_map({"Conv2D": _BY_PRODUCTS}):
        return tf.nn.conv2d(x, kernel, strides=1, padding="SAME")


@dataclass(slots=True)
class TensorOps:
    """Bound to the weights of one step, by name.

    While training, batch norms use the batch and leave its mean and variance in `batch_moments`,
    in the order in which they ran; otherwise they use the moving statistics.
    """

    weights: Mapping[str, tf.Tensor]
    training: bool
    activation: Activation = "relu"
    batch_moments: dict[str, tf.Tensor] = field(default_factory=dict)

    def conv(self, name: str, x: tf.Tensor, filters: int, kernel: int, stride: int = 1) -> tf.Tensor:  # noqa: ARG002 - shapes are in the weights
        weights = self.weights[f"{name}/kernel"]
        y: tf.Tensor
        if kernel == stride == 1 and self.training:
            y = pointwise(x, weights)
        else:
            y = tf.nn.conv2d(x, weights, strides=stride, padding="SAME")
        return y

    def predict(self, name: str, x: tf.Tensor, filters: int, init: Normal, bias: float = 0.0) -> tf.Tensor:  # noqa: ARG002 - shapes and starts are in the weights
        x = tf.nn.conv2d(x, self.weights[f"{name}/kernel"], strides=1, padding="SAME")
        y: tf.Tensor = tf.nn.bias_add(x, self.weights[f"{name}/bias"])
        return y

    def biased(self, name: str, x: tf.Tensor, filters: int, kernel: int, stride: int = 1) -> tf.Tensor:
        y: tf.Tensor = tf.nn.bias_add(
            self.conv(name, x, filters, kernel, stride), self.weights[f"{name}/bias"]
        )
        return y

    def channels(self, x: tf.Tensor) -> int:
        count = x.shape[-1]
        if count is None:
            raise ValueError("a feature map without a number of channels")
        return int(count)

    def depthwise(self, name: str, x: tf.Tensor, stride: int = 1) -> tf.Tensor:
        kernel = self.weights[f"{name}/kernel"]
        y: tf.Tensor = tf.nn.depthwise_conv2d(x, kernel, strides=[1, stride, stride, 1], padding="SAME")
        return y

    def separable(self, name: str, x: tf.Tensor, filters: int, init: Normal, bias: float = 0.0) -> tf.Tensor:  # noqa: ARG002 - shapes and starts are in the weights
        x = self.depthwise(f"{name}/depthwise", x)
        x = tf.nn.conv2d(x, self.weights[f"{name}/pointwise/kernel"], strides=1, padding="SAME")
        y: tf.Tensor = tf.nn.bias_add(x, self.weights[f"{name}/bias"])
        return y

    def excite(self, name: str, x: tf.Tensor, squeezed: int) -> tf.Tensor:  # noqa: ARG002 - shapes are in the weights
        get = self.weights
        gate = tf.reduce_mean(x, axis=[1, 2], keepdims=True)
        gate = tf.nn.conv2d(gate, get[f"{name}/squeeze/kernel"], strides=1, padding="SAME")
        gate = tf.nn.relu(tf.nn.bias_add(gate, get[f"{name}/squeeze/bias"]))
        gate = tf.nn.conv2d(gate, get[f"{name}/excite/kernel"], strides=1, padding="SAME")
        gate = tf.nn.bias_add(gate, get[f"{name}/excite/bias"])
        y: tf.Tensor = x * (tf.nn.relu6(gate + 3.0) * SIXTH)
        return y

    def norm(self, name: str, x: tf.Tensor) -> tf.Tensor:
        get = self.weights
        scale, offset = get[f"{name}/scale"], get[f"{name}/offset"]
        y: tf.Tensor
        if not self.training:
            y, _, _ = tf.compat.v1.nn.fused_batch_norm(
                x,
                scale,
                offset,
                mean=get[f"{name}/mean"],
                variance=get[f"{name}/variance"],
                epsilon=NORM_EPSILON,
                is_training=False,
            )
            return y
        nothing = constant((), tf.float32)
        y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x, scale=scale, offset=offset, mean=nothing, variance=nothing, epsilon=NORM_EPSILON
        )
        self.batch_moments[f"{name}/mean"] = mean
        self.batch_moments[f"{name}/variance"] = variance
        return y

    def activate(self, x: tf.Tensor) -> tf.Tensor:
        y: tf.Tensor = tf.nn.relu(x) if self.activation == "relu" else tf.nn.silu(x)
        return y

    def max_pool(self, x: tf.Tensor) -> tf.Tensor:
        y: tf.Tensor = tf.nn.max_pool2d(x, ksize=3, strides=2, padding="SAME")
        return y

    def upsample(self, x: tf.Tensor, factor: int) -> tf.Tensor:
        # Repeating by broadcast: cheaper than a gather, and its gradient is a plain sum.
        _, height, width, channels = x.shape
        if height is None or width is None:
            y: tf.Tensor = tf.repeat(tf.repeat(x, factor, axis=1), factor, axis=2)
            return y
        y = tf.broadcast_to(
            x[:, :, tf.newaxis, :, tf.newaxis, :],
            [tf.shape(x)[0], height, factor, width, factor, channels],
        )
        return tf.reshape(y, [-1, height * factor, width * factor, channels])

    def add(self, xs: Sequence[tf.Tensor]) -> tf.Tensor:
        return xs[0] if len(xs) == 1 else tf.add_n(list(xs))
