"""The operations on TensorFlow tensors: the only file of the network that computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import tensorflow as tf

from proxy_trainer.network.constants import constant
from proxy_trainer.network.ops import NORM_EPSILON, Normal
from proxy_trainer.network.reshaping import reshaped

SIXTH: Final = 0.16667
"""TF Model Garden's hard sigmoid rounds so."""

Activation = Literal["relu", "swish"]


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
        y: tf.Tensor = tf.nn.conv2d(x, self.weights[f"{name}/kernel"], strides=stride, padding="SAME")
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

    def norm(self, name: str, x: tf.Tensor, *, activated: bool = False) -> tf.Tensor:
        y = self._norm(name, x)
        return self.activate(y) if activated else y

    def _norm(self, name: str, x: tf.Tensor) -> tf.Tensor:
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
        batch, height, width, _ = x.shape
        channels = self.channels(x)
        y: tf.Tensor
        if height is None or width is None:
            y = tf.repeat(tf.repeat(x, factor, axis=1), factor, axis=2)
            return y
        rest = (height, factor, width, factor, channels)
        wide = [tf.shape(x)[0], *rest] if batch is None else constant((batch, *rest), tf.int32)
        squares = tf.broadcast_to(reshaped(x, (-1, height, 1, width, 1, channels)), wide)
        y = reshaped(squares, (-1, height * factor, width * factor, channels))
        return y

    def add(self, xs: Sequence[tf.Tensor]) -> tf.Tensor:
        return xs[0] if len(xs) == 1 else tf.add_n(list(xs))
