"""Reshapes that are cheap to trace: a step's graph has hundreds, and most of a start is tracing."""

from __future__ import annotations

from typing import Final

import tensorflow as tf

from proxy_trainer.network.constants import constant

_BACK: Final = "SpineNasReshapeBack"


@tf.RegisterGradient(_BACK)  # type: ignore[untyped-decorator] # TensorFlow's
def _back(op: tf.Operation, upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
    return reshaped(upstream, tuple(op.inputs[0].shape)), None


def reshaped(x: tf.Tensor, sizes: tuple[int, ...]) -> tf.Tensor:
    """As tf.reshape, and differentiable by tf.gradients; one of `sizes` may be -1."""
    if tf.executing_eagerly() or not x.shape.is_fully_defined():
        return tf.reshape(x, sizes)
    with tf.compat.v1.get_default_graph().gradient_override_map({"Reshape": _BACK}):
        return tf.raw_ops.Reshape(tensor=x, shape=constant(sizes, tf.int32))
