"""The losses against the papers' equations in double precision."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from proxy_trainer.anchors import BACKGROUND
from proxy_trainer.losses import detection_loss, focal, huber
from proxy_trainer.recipe import Recipe

RECIPE = Recipe()


def naive_focal(logits: Any, wanted: Any, alpha: float, gamma: float) -> NDArray[np.float64]:
    """Lin et al., 2017, equations 2 and 5: -alpha_t (1 - p_t)^gamma log(p_t)."""
    p = 1 / (1 + np.exp(-np.asarray(logits, np.float64)))
    p_t = np.where(wanted == 1, p, 1 - p)
    alpha_t = np.where(wanted == 1, alpha, 1 - alpha)
    return -alpha_t * (1 - p_t) ** gamma * np.log(p_t)


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 1.5), (0.25, 2.0), (0.5, 0.0), (0.9, 3.0)])
@pytest.mark.parametrize("positive", [0.0, 1.0])
def test_focal_loss_is_the_papers(alpha: float, gamma: float, positive: float) -> None:
    logits = np.linspace(-12, 12, 97).astype(np.float32)
    wanted = np.full_like(logits, positive)
    found = np.asarray(focal(tf.constant(logits), tf.constant(wanted), alpha, gamma)[0])
    np.testing.assert_allclose(found, naive_focal(logits, wanted, alpha, gamma), rtol=2e-3, atol=1e-9)


@pytest.mark.parametrize("positive", [0.0, 1.0])
def test_the_gradient_is_finite_where_probabilities_round_to_0_and_1(positive: float) -> None:
    logits = tf.constant([-300.0, -100.0, -30.0, 30.0, 100.0, 300.0])
    loss, gradient = focal(logits, tf.fill(logits.shape, positive), 0.25, 1.5)
    sign = 2 * positive - 1
    wrong = np.asarray(logits) * sign < 0  # there the loss is alpha times the logit, elsewhere nothing
    slope = -sign * (0.25 if positive else 0.75)
    np.testing.assert_allclose(gradient, np.where(wrong, slope, 0.0), atol=1e-5)
    np.testing.assert_allclose(loss, np.where(wrong, abs(slope * np.asarray(logits)), 0.0), atol=1e-4)


def test_half_of_cross_entropy_without_focus() -> None:
    logits = tf.constant([-3.0, 0.0, 5.0])
    entropy = keras.losses.binary_crossentropy(tf.ones((3, 1)), logits[:, tf.newaxis], from_logits=True)
    np.testing.assert_allclose(focal(logits, tf.ones(3), 0.5, 0.0)[0], entropy / 2, rtol=1e-5)


@pytest.mark.parametrize("delta", [0.1, 1.0])
def test_huber_is_that_of_keras(delta: float) -> None:
    rng = np.random.default_rng(0)
    wanted, found = rng.normal(0, 3 * delta, (2, 40, 4)).astype(np.float32)
    ours = np.asarray(huber(tf.constant(wanted - found), delta)[0]).mean(axis=-1)
    theirs = keras.losses.Huber(delta, reduction=None)(wanted, found)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-8)


def naive_loss(
    logits: NDArray[Any], offsets: NDArray[Any], classes: NDArray[Any], goal: NDArray[Any], recipe: Recipe
) -> float:
    """Loops over images and anchors."""
    total_class = total_box = positives = 0.0
    for image in range(logits.shape[0]):
        for anchor in range(logits.shape[1]):
            label = classes[image, anchor]
            wanted = np.arange(logits.shape[2]) == label
            total_class += naive_focal(
                logits[image, anchor], wanted, recipe.focal_alpha, recipe.focal_gamma
            ).sum()
            if label != BACKGROUND:
                positives += 1
                for error in np.abs(goal[image, anchor] - offsets[image, anchor]):
                    small = error <= recipe.huber_delta
                    linear = recipe.huber_delta * (error - recipe.huber_delta / 2)
                    total_box += (error**2 / 2 if small else linear) / 4
    return float((total_class + recipe.box_weight * total_box) / (positives + 1))


def example(positives: float, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(-2, 2, (3, 50, 4)).astype(np.float32)
    offsets, goal = rng.normal(0, 0.1, (2, 3, 50, 4)).astype(np.float32)
    classes = np.where(rng.random((3, 50)) < positives, rng.integers(0, 4, (3, 50)), BACKGROUND).astype(
        np.int32
    )
    return logits, offsets, classes, goal


def loss_of(parts: tuple[NDArray[Any], ...], recipe: Recipe) -> float:
    logits, offsets, classes, goal = map(tf.constant, parts)
    return float(detection_loss(logits, offsets, classes, goal, recipe).value)


@pytest.mark.parametrize("positives", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("recipe", [RECIPE, Recipe(box_weight=3.0, huber_delta=0.02, focal_gamma=2.0)])
def test_the_loss_of_a_batch(positives: float, recipe: Recipe) -> None:
    parts = example(positives)
    assert loss_of(parts, recipe) == pytest.approx(naive_loss(*parts, recipe), rel=1e-4)


@pytest.mark.parametrize("positives", [0.1, 1.0])
@pytest.mark.parametrize("recipe", [RECIPE, Recipe(box_weight=3.0, huber_delta=0.02, focal_gamma=2.0)])
def test_the_gradients_are_those_of_tensorflow(positives: float, recipe: Recipe) -> None:
    logits, offsets, classes, goal = map(tf.constant, example(positives, seed=1))
    with tf.GradientTape() as tape:
        tape.watch([logits, offsets])
        loss = detection_loss(logits, offsets, classes, goal, recipe)
    theirs = map(tf.convert_to_tensor, tape.gradient(loss.value, [logits, offsets]))
    for found, wanted in zip((loss.by_logits, loss.by_offsets), theirs, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-6)


def test_the_normaliser_is_the_number_of_positives_and_one() -> None:
    logits, offsets, classes, goal = parts = example(0.2)
    once = loss_of(parts, RECIPE)
    # The same batch three times over has three times the positives, and one still.
    thrice = loss_of(tuple(np.concatenate([part] * 3) for part in (logits, offsets, classes, goal)), RECIPE)
    positives = int((classes != BACKGROUND).sum())
    assert thrice == pytest.approx(once * 3 * (positives + 1) / (3 * positives + 1), rel=1e-4)


def test_a_batch_without_boxes_teaches_no_boxes() -> None:
    logits, offsets, classes, goal = map(tf.constant, example(0.0))
    loss = detection_loss(logits, offsets, classes, goal, RECIPE)
    assert float(loss.value) > 0
    assert np.asarray(loss.by_logits).all()
    assert not np.asarray(loss.by_offsets).any()


@pytest.mark.parametrize("size", [100.0, 1000.0])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_extreme_logits_have_finite_gradients(size: float, sign: float) -> None:
    _, offsets, classes, goal = map(tf.constant, example(0.5))
    logits = tf.fill((3, 50, 4), sign * size)
    loss = detection_loss(logits, offsets, classes, goal, RECIPE)
    gradient = np.asarray(loss.by_logits)
    assert np.isfinite(float(loss.value))
    assert np.isfinite(gradient).all()
    # Where it is wrong, it is told so: -alpha, or 1 - alpha for background.
    found = np.asarray(classes)
    wanted = found[..., np.newaxis] == np.arange(4)
    positives = (found != BACKGROUND).sum() + 1
    if sign > 0:
        np.testing.assert_allclose(gradient[~wanted] * positives, 0.75, rtol=1e-3)
        np.testing.assert_allclose(gradient[wanted], 0, atol=1e-6)
    else:
        np.testing.assert_allclose(gradient[wanted] * positives, -0.25, rtol=1e-3)
        np.testing.assert_allclose(gradient[~wanted], 0, atol=1e-6)
