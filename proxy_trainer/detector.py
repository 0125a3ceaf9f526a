"""A proxy detector of one genome: its compiled step, statistics pass and prediction, and its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import tensorflow as tf

from proxy_trainer.anchors import PER_POSITION, Anchors, make_anchors
from proxy_trainer.clipping import ArrayClip
from proxy_trainer.losses import detection_loss
from proxy_trainer.network.declare import Declaration, declare
from proxy_trainer.network.forward import Pass, forward
from proxy_trainer.network.ops import NORM_MOMENTUM
from proxy_trainer.network.plan import Plan, backbone_plan, detector_plan
from proxy_trainer.network.reshaping import sizes
from proxy_trainer.network.weights import Array, Layout, decay_mask, initial
from proxy_trainer.recipe import Recipe
from search_space.genome import Genome

CHANNEL_MEAN: Final = (0.485, 0.456, 0.406)
CHANNEL_STDDEV: Final = (0.229, 0.224, 0.225)
"""ImageNet's, as in the references; of pixels from 0 to 1."""

LARGEST_SHIFT: Final = float(np.log(1000 / 16))
"""Log side ratios are cut off here before the exponential, as in the references."""


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What a detector of a genome is made of, before any weight exists."""

    plan: Plan
    declaration: Declaration
    layout: Layout
    anchors: Anchors

    @staticmethod
    def of(backbone: Genome | Plan, recipe: Recipe, classes: int) -> Blueprint:
        """The blueprint of a proxy: of a genome, or of a backbone that none describes (baseline.py)."""
        plan = detector_plan(
            backbone_plan(backbone, recipe.scaling) if isinstance(backbone, Genome) else backbone,
            convs=recipe.head_convs,
            width=recipe.head_width,
            classes=classes,
            anchors=PER_POSITION,
        )
        declaration = declare(plan, recipe.resolution)
        levels = tuple(plan.outputs)
        anchors = make_anchors(levels, recipe.resolution, recipe.anchor_size, recipe.anchor_growth)
        return Blueprint(plan, declaration, Layout.of(declaration), anchors)


def normalise(images: tf.Tensor) -> tf.Tensor:
    """uint8 images [B, H, W, 3], H and W known, to what the network takes."""
    height, width, channels = sizes(images)[-3:]
    # Whole rows at a time: by vectors of three numbers the same takes eight times as long on a CPU.
    scale = np.tile(1.0 / (255.0 * np.array(CHANNEL_STDDEV)), width)
    shift = np.tile(np.array(CHANNEL_MEAN) / CHANNEL_STDDEV, width)
    rows = tf.reshape(tf.cast(images, tf.float32), [-1, width * channels])
    return tf.reshape(
        rows * tf.constant(scale, tf.float32) - tf.constant(shift, tf.float32),
        [-1, height, width, channels],
    )


class Detector:
    """The mutable part of training: weights, momentum, averaged weights and statistics, all flat vectors.

    `step` changes them; `moments`, `decode` and `predict` take the vectors that they should use.
    """

    def __init__(self, blueprint: Blueprint, recipe: Recipe, classes: int, seed: int) -> None:
        self._blueprint = blueprint
        self._recipe = recipe
        self._classes = classes
        start = initial(blueprint.layout.trained, seed, branch_scale=recipe.branch_scale)
        self._weights = tf.Variable(tf.constant(start))
        self._momentum = tf.Variable(tf.zeros_like(start))
        self._average = tf.Variable(tf.constant(start))
        self._statistics = tf.Variable(tf.constant(initial(blueprint.layout.statistics, seed)))
        self._decay = tf.constant(decay_mask(blueprint.layout.trained) * recipe.weight_decay)
        self._clip = ArrayClip(blueprint.layout.trained, recipe.clip_ratio)
        self.step = tf.function(self._step, autograph=False)
        self.moments = tf.function(self._moments, autograph=False)
        self.decode = tf.function(self._decoded, autograph=False)
        self.predict = tf.function(self._predict, autograph=False)

    @property
    def weights(self) -> Array:
        """The trained weights, averaged if the recipe says so."""
        return np.asarray((self._average if self._recipe.average else self._weights).numpy())

    @property
    def statistics(self) -> Array:
        """The moving batch norm statistics."""
        return np.asarray(self._statistics.numpy())

    @property
    def state(self) -> dict[str, Array]:
        """All that `step` changes, by name."""
        return {name: np.asarray(variable.numpy()) for name, variable in self._variables().items()}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Be as another detector of the same blueprint was when it gave this `state`."""
        for name, variable in self._variables().items():
            variable.assign(state[name])

    def _variables(self) -> dict[str, tf.Variable]:
        return {
            "weights": self._weights,
            "momentum": self._momentum,
            "average": self._average,
            "statistics": self._statistics,
        }

    def _step(
        self, images: tf.Tensor, classes: tf.Tensor, targets: tf.Tensor, rate: tf.Tensor, average: tf.Tensor
    ) -> tf.Tensor:
        weights = self._weights.read_value()
        forwards = Pass.of(
            self._blueprint.plan,
            self._blueprint.layout,
            weights,
            normalise(images),
            tf.as_dtype(self._recipe.precision),
        )
        heads = forwards.outputs
        loss = detection_loss(*self._joined(heads), classes, targets, self._recipe)
        by_heads = [*self._parted(loss.by_logits), *self._parted(loss.by_offsets)]
        gradient = forwards.gradient(
            (head, tf.reshape(by_head, sizes(head))) for head, by_head in zip(heads, by_heads, strict=True)
        )
        gradient = self._clip(gradient + self._decay * weights, weights)
        # momentum = recipe.momentum * momentum + gradient; weights -= rate * momentum; in one pass.
        tf.raw_ops.ResourceApplyMomentum(
            var=self._weights.handle,
            accum=self._momentum.handle,
            lr=rate,
            grad=gradient,
            momentum=self._recipe.momentum,
        )
        if self._recipe.average:
            weights = self._weights.read_value()
            self._average.assign(average * self._average + (1.0 - average) * weights)
        self._statistics.assign(NORM_MOMENTUM * self._statistics + (1.0 - NORM_MOMENTUM) * forwards.moments)
        return loss.value

    def _moments(self, images: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        return self._forward((weights, self._statistics), images, training=True)[1]

    def _decoded(
        self, images: tf.Tensor, weights: tf.Tensor, statistics: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Before suppression: boxes [B, A, 4] in input pixels, within the image, probabilities [B, A, K]."""
        outputs, _ = self._forward((weights, statistics), images, training=False)
        logits, offsets = self._joined(outputs["head"])
        boxes = _boxes(tf.constant(self._blueprint.anchors.boxes), offsets)
        return tf.clip_by_value(boxes, 0.0, self._recipe.resolution), tf.sigmoid(logits)

    def _predict(self, images: tf.Tensor, weights: tf.Tensor, statistics: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Boxes [B, n, 4] in input pixels, probabilities [B, n], labels [B, n] and how many count [B]."""
        boxes, probabilities = self._decoded(images, weights, statistics)
        return tuple(
            tf.image.combined_non_max_suppression(
                boxes[:, :, tf.newaxis, :],
                probabilities,
                max_output_size_per_class=self._recipe.detections,
                max_total_size=self._recipe.detections,
                iou_threshold=self._recipe.nms_iou,
                score_threshold=self._recipe.score_threshold,
                clip_boxes=False,
            )
        )

    def _forward(
        self, vectors: tuple[tf.Tensor, tf.Tensor], images: tf.Tensor, *, training: bool
    ) -> tuple[dict[str, tuple[tf.Tensor, ...]], tf.Tensor]:
        blueprint = self._blueprint
        return forward(blueprint.plan, blueprint.layout, vectors, normalise(images), training=training)

    def _joined(self, heads: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, tf.Tensor]:
        """Logits [B, A, K] and offsets [B, A, 4] of all levels."""
        half = len(heads) // 2
        # Static numbers, so that the batch's size alone may be unknown.
        counts = self._counts
        logits = [tf.reshape(x, [-1, n, self._classes]) for x, n in zip(heads[:half], counts, strict=True)]
        offsets = [tf.reshape(x, [-1, n, 4]) for x, n in zip(heads[half:], counts, strict=True)]
        return tf.concat(logits, axis=1), tf.concat(offsets, axis=1)

    def _parted(self, of_anchors: tf.Tensor) -> list[tf.Tensor]:
        """What belongs to all anchors [B, A, n], by level."""
        parts: list[tf.Tensor] = tf.split(of_anchors, self._counts, axis=1)
        return parts

    @property
    def _counts(self) -> list[int]:
        """How many anchors each level has."""
        levels = self._blueprint.anchors.levels
        return [int((levels == level).sum()) for level in self._blueprint.plan.outputs]


def _boxes(anchors: tf.Tensor, offsets: tf.Tensor) -> tf.Tensor:
    sides = anchors[:, 2:] - anchors[:, :2]
    shifts, ratios = tf.split(offsets, 2, axis=-1)
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2 + shifts * sides
    halves = sides * tf.exp(tf.minimum(ratios, LARGEST_SHIFT)) / 2
    boxes: tf.Tensor = tf.concat([centres - halves, centres + halves], axis=-1)
    return boxes
