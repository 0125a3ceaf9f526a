"""The operations on tensors that no block test reaches: upsampling of any input, batch norm by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from proxy_trainer.network.ops import NORM_EPSILON
from proxy_trainer.network.tensor_ops import TensorOps

OPS = TensorOps({}, training=False)


def picture() -> tf.Tensor:
    return tf.constant(np.random.default_rng(0).standard_normal((2, 3, 5, 3)), tf.float32)


def resized(x: tf.Tensor, factor: int) -> Any:
    size = (3 * factor, 5 * factor)
    return tf.image.resize(x, size, method=tf.image.ResizeMethod.NEAREST_NEIGHBOR)


@pytest.mark.parametrize("factor", [2, 4, 32])
def test_upsampling_is_nearest_neighbour(factor: int) -> None:
    x = picture()
    np.testing.assert_array_equal(OPS.upsample(x, factor), resized(x, factor))


@pytest.mark.parametrize("shape", [(None, None, None, 3), (None, 3, 5, 3), (2, None, 5, 3)])
def test_upsampling_of_unknown_sizes(shape: tuple[int | None, ...]) -> None:
    x = picture()
    upsample = tf.function(lambda y: OPS.upsample(y, 4), input_signature=[tf.TensorSpec(shape, tf.float32)])
    np.testing.assert_array_equal(upsample(x), resized(x, 4))


def test_the_gradient_of_upsampling_is_a_sum() -> None:
    x = picture()
    seeds = tf.constant(np.random.default_rng(1).standard_normal((2, 12, 20, 3)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(OPS.upsample(x, 4) * seeds)
    blocks = np.asarray(seeds).reshape(2, 3, 4, 5, 4, 3).sum(axis=(2, 4))
    np.testing.assert_allclose(np.asarray(tape.gradient(total, x)), blocks, rtol=1e-4, atol=1e-5)


def test_batch_norm_by_hand() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(3, 2, (4, 6, 5, 7)).astype(np.float32)
    parts = {
        part: rng.uniform(0.5, 2, 7).astype(np.float32) for part in ("scale", "offset", "mean", "variance")
    }
    weights = {f"n/{part}": tf.constant(array) for part, array in parts.items()}
    ops = TensorOps(weights, training=True)
    trained = ops.norm("n", tf.constant(x))
    for given, mean, variance in (
        (trained, x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))),
        (TensorOps(weights, training=False).norm("n", tf.constant(x)), parts["mean"], parts["variance"]),
    ):
        wanted = (x - mean) / np.sqrt(variance + NORM_EPSILON) * parts["scale"] + parts["offset"]
        np.testing.assert_allclose(given, wanted, rtol=1e-4, atol=1e-4)
    assert list(ops.batch_moments) == ["n/mean", "n/variance"]
    np.testing.assert_allclose(ops.batch_moments["n/mean"], x.mean(axis=(0, 1, 2)), rtol=1e-5)
