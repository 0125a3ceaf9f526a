"""Clipping of gradients, array by array: what lets a scale-permuted network start to learn quickly."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import tensorflow as tf

from proxy_trainer.network.declare import Weight
from proxy_trainer.network.weights import ROW, room, size

KERNEL_FLOOR: Final = 0.01
"""Root mean square below which a kernel counts as this large: predictors start at almost nothing."""


class ArrayClip:
    """Scales down the gradient of every array whose norm exceeds `ratio` times that of the array itself.

    Adaptive gradient clipping (Brock et al., 2021, section 4), by array instead of by unit. In a
    scale-permuted network the batch norms of the coarsest levels see a handful of positions; at
    first a few arrays get gradients tens of times too large, and clipping all of them together
    starves the others. Norms of vectors (biases, batch norms) count as 1 a number at least.
    """

    def __init__(self, weights: tuple[Weight, ...], ratio: float) -> None:
        rows = [room(weight) // ROW for weight in weights]
        floors = [(KERNEL_FLOOR if weight.is_kernel else 1.0) * math.sqrt(size(weight)) for weight in weights]
        self._owner = tf.constant(np.repeat(np.arange(len(weights), dtype=np.int32), rows))
        self._floor = tf.constant(floors, tf.float32)
        self._ratio = ratio

    def __call__(self, gradient: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """The clipped flat gradient at flat weights."""
        allowed = self._ratio * tf.maximum(self._norms(weights), self._floor)
        factor = tf.minimum(1.0, allowed / tf.maximum(self._norms(gradient), 1e-12))
        by_row = tf.gather(factor, self._owner)[:, tf.newaxis]
        return tf.reshape(tf.reshape(gradient, [-1, ROW]) * by_row, [-1])

    def _norms(self, vector: tf.Tensor) -> tf.Tensor:
        squares = tf.reduce_sum(tf.square(tf.reshape(vector, [-1, ROW])), axis=1)
        return tf.sqrt(tf.math.segment_sum(squares, self._owner))
