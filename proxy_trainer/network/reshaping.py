"""Reshapes that are cheap to trace: a step's graph has hundreds, and most of a start is tracing."""

from __future__ import annotations

import tensorflow as tf

from proxy_trainer.network.constants import constant


def reshaped(x: tf.Tensor, to: tuple[int, ...]) -> tf.Tensor:
    """As tf.reshape; one number of `to` may be -1."""
    y: tf.Tensor = tf.raw_ops.Reshape(tensor=x, shape=constant(to, tf.int32))
    return y


def sizes(x: tf.Tensor) -> tuple[int, ...]:
    """The shape of a tensor, all of which is known."""
    return tuple(size for size in x.shape.as_list() if size is not None)
