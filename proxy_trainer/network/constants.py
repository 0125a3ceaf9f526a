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
    found = kept[0].get(key := (values, dtype.name))
    # A graph within a graph begins with the collections of the outer one.
    if found is None or found.graph is not graph:
        with tf.control_dependencies(None):
            found = kept[0][key] = tf.constant(values, dtype)
    return found
