"""Judging a trained detector on a split: re-estimated statistics, detections, COCO metrics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from proxy_trainer.coco_metrics import coco_metrics
from proxy_trainer.data.batches import Batch
from proxy_trainer.data.image_set import ImageSet
from proxy_trainer.detections import Detections
from proxy_trainer.detector import Detector
from proxy_trainer.network.weights import Array, Layout, flatten, unflatten


@dataclass(frozen=True, slots=True)
class Judged:
    """What is judged: the weights of a detector and the batch norm statistics that go with them."""

    weights: Array
    statistics: Array


def estimate_statistics(
    detector: Detector, weights: Array, batches: Iterable[Batch], layout: Layout
) -> Array:
    """Batch norm statistics over some training batches at frozen weights.

    After a few hundred steps the moving averages still hold much of their start (0.99^300 = 5 %,
    and those of older weights), more so in deep networks. The mean of the batches' means and, by
    the law of total variance, the mean of their variances plus the variance of their means replace
    them. All batches are of one size.
    """
    vector = tf.constant(weights)
    rows, images = [], 0
    for batch in batches:
        rows.append(detector.moments(tf.constant(batch.images), vector).numpy())
        images = len(batch.images)
    moments = np.stack(rows)
    found = unflatten(layout.statistics, moments.mean(axis=0, dtype=np.float64).astype(np.float32))
    between = unflatten(layout.statistics, moments.var(axis=0, dtype=np.float64).astype(np.float32))
    for weight in layout.statistics:
        if (path := weight.path).endswith("/variance"):
            count = images * weight.positions
            # TensorFlow tells the unbiased variance of a batch; the law is of the biased one.
            within = found[path] * ((count - 1) / count)
            found[path] = within + between[path.removesuffix("variance") + "mean"]
    return flatten(layout.statistics, found)


def detect(detector: Detector, judged: Judged, images: ImageSet, batch: int) -> Detections:
    """The detections on all images of a set, in the coordinates of the original pictures."""
    found: list[Detections] = []
    weights, statistics = tf.constant(judged.weights), tf.constant(judged.statistics)
    for first in range(0, len(images.image_ids), batch):
        pixels = np.asarray(images.pixels[first : first + batch])
        count = len(pixels)
        # A last, short batch is filled up: one compiled prediction serves all.
        if count < batch:
            pixels = np.concatenate([pixels, np.zeros((batch - count, *pixels.shape[1:]), np.uint8)])
        parts = detector.predict(tf.constant(pixels), weights, statistics)
        boxes, probabilities, labels, valid = (part.numpy() for part in parts)
        kept = np.arange(boxes.shape[1]) < valid[:count, np.newaxis]
        owners = first + np.nonzero(kept)[0]
        found.append(
            _in_original(
                images, owners, (boxes[:count][kept], probabilities[:count][kept], labels[:count][kept])
            )
        )
    return Detections.join(found)


def evaluate(detector: Detector, judged: Judged, images: ImageSet, batch: int) -> dict[str, float]:
    """COCO metrics of a detector on a split."""
    return coco_metrics(images.ground_truth(), detect(detector, judged, images, batch))


def _in_original(images: ImageSet, owners: Any, rows: tuple[Any, Any, Any]) -> Detections:
    boxes, probabilities, labels = rows
    ids = np.array([category.id for category in images.categories], np.int64)
    limits = np.tile(images.contents, 2)[owners]
    clipped = np.clip(boxes.astype(np.float64), 0, limits) / np.tile(images.scales, 2)[owners]
    return Detections(
        images=np.asarray(images.image_ids, np.int64)[owners],
        categories=ids[labels.astype(np.int64)],
        boxes=clipped,
        probabilities=probabilities.astype(np.float64),
    )
