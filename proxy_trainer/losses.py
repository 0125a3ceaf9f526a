"""Focal and Huber loss of a batch, normalised as in the released RetinaNet configs."""

from __future__ import annotations

import tensorflow as tf

from proxy_trainer.anchors import BACKGROUND
from proxy_trainer.recipe import Recipe


def detection_loss(
    logits: tf.Tensor, offsets: tf.Tensor, classes: tf.Tensor, targets: tf.Tensor, recipe: Recipe
) -> tf.Tensor:
    """The loss of logits [B, A, K] and offsets [B, A, 4] given classes [B, A] and targets [B, A, 4].

    Both parts are divided by the number of positive anchors in the batch, plus one.
    """
    positive = tf.cast(tf.not_equal(classes, BACKGROUND), tf.float32)
    normaliser = tf.reduce_sum(positive) + 1.0
    # BACKGROUND is no valid index, so its row of the one-hot matrix is all zeros.
    wanted = tf.one_hot(classes, logits.shape[-1], dtype=tf.float32)
    class_loss = focal(logits, wanted, recipe.focal_alpha, recipe.focal_gamma)
    box_loss = huber(targets - offsets, recipe.huber_delta) * tf.expand_dims(positive, -1)
    # The mean over a box's four numbers, as Keras's Huber loss takes it.
    total = tf.reduce_sum(class_loss) + recipe.box_weight * tf.reduce_sum(box_loss) / 4.0
    return total / normaliser


def focal(logits: tf.Tensor, wanted: tf.Tensor, alpha: float, gamma: float) -> tf.Tensor:
    """Focal loss of each logit (Lin et al., 2017, equation 5); `wanted` is 0 or 1."""
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=wanted, logits=logits)
    # With p of the right answer, entropy is -log p and log(1 - p) is -(the logit of p + entropy): so the
    # released RetinaNet computes it, in half the time that a power takes.
    weighted_miss = (1.0 - alpha + wanted * (2.0 * alpha - 1.0)) * tf.exp(
        -gamma * ((2.0 * wanted - 1.0) * logits + entropy)
    )
    loss: tf.Tensor = weighted_miss * entropy
    return loss


def huber(error: tf.Tensor, delta: float) -> tf.Tensor:
    """Quadratic up to `delta`, linear beyond."""
    size = tf.abs(error)
    return tf.where(size <= delta, 0.5 * tf.square(error), delta * (size - 0.5 * delta))
