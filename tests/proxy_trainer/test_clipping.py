"""Gradients clipped array by array, by hand."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from proxy_trainer.clipping import ArrayClip
from proxy_trainer.network.declare import Weight
from proxy_trainer.network.ops import FAN_IN
from proxy_trainer.network.weights import flatten, size, unflatten

KERNEL = Weight("node00", "a/conv/kernel", (1, 1, 2, 2), FAN_IN)
BIAS = Weight("node00", "a/bias", (2,), 0.0)
TINY = Weight("node00", "b/conv/kernel", (1, 1, 1, 1), FAN_IN)


def clipped(gradient: list[float]) -> list[float]:
    """With a kernel of norm 2, a bias of zeros and a kernel of almost nothing; a tenth of each is allowed."""
    arrays = (KERNEL, BIAS, TINY)
    clip = ArrayClip(arrays, 0.1)
    flat = [vector(arrays, numbers) for numbers in (gradient, [1.0, -1.0, 1.0, 1.0, 0.0, 0.0, 1e-6])]
    found = unflatten(arrays, np.asarray(clip(*flat)))
    return [round(float(number), 6) for array in arrays for number in found[array.path].ravel()]


def vector(arrays: tuple[Weight, ...], numbers: list[float]) -> tf.Tensor:
    """A flat vector of these numbers, array after array."""
    rest = iter(numbers)
    return tf.constant(
        flatten(
            arrays,
            {w.path: np.array([next(rest) for _ in range(size(w))]).reshape(w.shape) for w in arrays},
        )
    )


def test_short_gradients_pass() -> None:
    gradient = [0.1, 0.0, -0.1, 0.1, 0.05, -0.1, 0.0009]
    assert clipped(gradient) == gradient


def test_long_ones_are_shortened_each_by_its_own_array() -> None:
    # Allowed are 0.2, 0.1 * sqrt(2) (biases count as 1 each) and 0.001 (kernels as 0.01 at least).
    found = clipped([0.0, 3.0, -4.0, 0.0, 0.3, -0.4, 7.0])
    root = 0.1 * 2**0.5
    wanted = [0.0, 0.12, -0.16, 0.0, 0.6 * root, -0.8 * root, 0.001]
    np.testing.assert_allclose(found, wanted, atol=2e-6)


def test_no_gradient_stays_none() -> None:
    assert clipped([0.0] * 7) == [0.0] * 7
