"""Focal and Huber loss of a batch, normalised as in the released RetinaNet configs, with their gradients.

The gradients are written out: those by TensorFlow take three times as long, a fortieth of a step.
"""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from proxy_trainer.anchors import BACKGROUND
from proxy_trainer.recipe import Recipe


@dataclass(frozen=True, slots=True, eq=False)
class Loss:
    """A number, and the gradients by logits [B, A, K] and offsets [B, A, 4]."""

    value: tf.Tensor
    by_logits: tf.Tensor
    by_offsets: tf.Tensor


def detection_loss(
    logits: tf.Tensor, offsets: tf.Tensor, classes: tf.Tensor, targets: tf.Tensor, recipe: Recipe
) -> Loss:
    """The loss of logits [B, A, K] and offsets [B, A, 4] given classes [B, A] and targets [B, A, 4].

    Both parts are divided by the number of positive anchors in the batch, plus one.
    """
    positive = tf.cast(tf.not_equal(classes, BACKGROUND), tf.float32)
    share = 1.0 / (tf.reduce_sum(positive) + 1.0)
    # BACKGROUND is no valid index, so its row of the one-hot matrix is all zeros.
    wanted = tf.one_hot(classes, logits.shape[-1], dtype=tf.float32)
    class_loss, by_logits = focal(logits, wanted, recipe.focal_alpha, recipe.focal_gamma)
    box_loss, by_error = huber(targets - offsets, recipe.huber_delta)
    # The mean over a box's four numbers, as Keras's Huber loss takes it; background has no box.
    counted = tf.expand_dims(positive * (share * recipe.box_weight / 4.0), -1)
    return Loss(
        share * tf.reduce_sum(class_loss) + tf.reduce_sum(counted * box_loss),
        share * by_logits,
        -counted * by_error,
    )


def focal(logits: tf.Tensor, wanted: tf.Tensor, alpha: float, gamma: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Focal loss of each logit (Lin et al., 2017, equation 5), and its gradient; `wanted` is 0 or 1."""
    side = 2.0 * wanted - 1.0
    right = side * logits
    # With p of the right answer, this is -log p, and its slope by `right` is p - 1, the miss.
    entropy = tf.math.softplus(-right)
    # log(1 - p): so the released RetinaNet computes it, in half the time that a power takes.
    log_miss = -(right + entropy)
    miss = tf.exp(log_miss)
    weight = (1.0 - alpha + wanted * (2.0 * alpha - 1.0)) * tf.exp(gamma * log_miss)
    # The slope of log(1 - p) is -p.
    return weight * entropy, side * weight * (gamma * (miss - 1.0) * entropy - miss)


def huber(error: tf.Tensor, delta: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Quadratic up to `delta`, linear beyond; and the gradient by the error."""
    near = tf.clip_by_value(error, -delta, delta)
    return near * (error - 0.5 * near), near
