"""Small constants that a graph keeps once: a training step asks for the same ones a thousand times."""

from __future__ import annotations

from typing import Final

import tensorflow as tf

_KEPT: Final = "spinenas/constants"
"""The collection in which a graph keeps them: they go with it."""


def constant(values: tuple[float, ...], dtype: tf.DType) -> tf.Tensor:
    """A vector of these values; making one takes longer to trace than most operations."""
    if tf.executing_eagerly():
        return tf.constant(values, dtype)
    graph = tf.compat.v1.get_default_graph()
    kept: list[dict[tuple[object, ...], tf.Tensor]] = graph.get_collection_ref(_KEPT)
    if not kept:
        kept.append({})
    if (key := (values, dtype.name)) not in kept[0]:
        with tf.control_dependencies(None):
            kept[0][key] = tf.constant(values, dtype)
    return kept[0][key]
