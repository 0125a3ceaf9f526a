"""Reshapes that are cheap to trace: a step's graph has hundreds, and most of a start is tracing."""

from __future__ import annotations

from typing import Final

import tensorflow as tf

from proxy_trainer.network.constants import constant

_BACK: Final = "SpineNasReshapeBack"


@tf.RegisterGradient(_BACK)  # type: ignore[untyped-decorator] # TensorFlow's
def _back(op: tf.Operation, upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
    return reshaped(upstream, sizes(op.inputs[0])), None


def reshaped(x: tf.Tensor, to: tuple[int, ...]) -> tf.Tensor:
    """As tf.reshape, and differentiable by tf.gradients; one number of `to` may be -1."""
    if tf.executing_eagerly() or not x.shape.is_fully_defined():
        return tf.reshape(x, to)
    with tf.compat.v1.get_default_graph().gradient_override_map({"Reshape": _BACK}):
        y: tf.Tensor = tf.raw_ops.Reshape(tensor=x, shape=constant(to, tf.int32))
    return y


def sizes(x: tf.Tensor) -> tuple[int, ...]:
    """The shape of a tensor, all of which is known."""
    return tuple(size for size in x.shape.as_list() if size is not None)
