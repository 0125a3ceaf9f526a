"""Judging: statistics re-estimated exactly, detections in the original pictures' coordinates."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from proxy_trainer.data.augment import Augment
from proxy_trainer.data.batches import Batch, batch_at
from proxy_trainer.data.image_set import ImageSet
from proxy_trainer.detector import Blueprint, Detector, normalise
from proxy_trainer.evaluation import Judged, detect, estimate_statistics, evaluate
from proxy_trainer.network.forward import split
from proxy_trainer.network.plan import apply
from proxy_trainer.network.tensor_ops import TensorOps
from proxy_trainer.network.weights import unflatten
from proxy_trainer.recipe import Recipe
from proxy_trainer.training import batch_targets
from search_space.genome import Genome


@dataclass
class Recording(TensorOps):
    """Keeps what goes into every batch norm."""

    inputs: dict[str, list[NDArray[Any]]] = field(default_factory=lambda: defaultdict(list))

    def norm(self, name: str, x: tf.Tensor, *, activated: bool = False) -> tf.Tensor:
        self.inputs[name].append(np.asarray(x, np.float64))
        return TensorOps.norm(self, name, x, activated=activated)


@pytest.fixture(scope="module")
def blueprint(small: Genome, recipe: Recipe, train_set: ImageSet) -> Blueprint:
    return Blueprint.of(small, recipe, len(train_set.categories))


@pytest.fixture(scope="module")
def detector(blueprint: Blueprint, recipe: Recipe, train_set: ImageSet) -> Detector:
    """Untrained, but its predictors tell anchors apart."""
    return Detector(blueprint, recipe, len(train_set.categories), 0)


@pytest.fixture(scope="module")
def batches(train_set: ImageSet) -> list[Batch]:
    return [batch_at(train_set, step, batch=2, seed=3, augment=Augment()) for step in range(4)]


@pytest.fixture(scope="module")
def judged(detector: Detector, blueprint: Blueprint, batches: list[Batch]) -> Judged:
    noise = np.random.default_rng(0).normal(0, 0.1, detector.weights.shape)
    weights = detector.weights + noise.astype(np.float32)
    return Judged(weights, estimate_statistics(detector, weights, batches, blueprint.layout))


def test_statistics_are_those_of_all_batches_together(
    judged: Judged, blueprint: Blueprint, batches: list[Batch]
) -> None:
    arrays = split(blueprint.layout.trained, tf.constant(judged.weights))
    ops = {step.name: Recording(arrays.get(step.name, {}), True) for step in blueprint.plan.steps}
    for batch in batches:
        apply(blueprint.plan, ops, normalise(tf.constant(batch.images)))
    found = unflatten(blueprint.layout.statistics, judged.statistics)
    assert len(found) == 2 * sum(len(each.inputs) for each in ops.values())
    for step, each in ops.items():
        for name, inputs in each.inputs.items():
            together = np.concatenate(inputs)
            wanted = together.var(axis=(0, 1, 2))
            scale = np.sqrt(wanted.mean())
            path = f"{step}/{name}"
            np.testing.assert_allclose(
                found[f"{path}/mean"],
                together.mean(axis=(0, 1, 2)),
                rtol=1e-2,
                atol=1e-3 * scale,
                err_msg=path,
            )
            np.testing.assert_allclose(
                found[f"{path}/variance"], wanted, rtol=1e-2, atol=1e-3 * scale**2, err_msg=path
            )


def test_moving_averages_lag_behind(blueprint: Blueprint, recipe: Recipe, batches: list[Batch]) -> None:
    """Even at frozen weights they hold much of their start after few steps, and less after many."""
    detector = Detector(blueprint, recipe, 3, 0)
    truth = estimate_statistics(detector, detector.weights, batches, blueprint.layout)
    variances = unflatten(blueprint.layout.statistics, np.arange(len(truth), dtype=np.float32))
    rows = np.concatenate([rows for path, rows in variances.items() if path.endswith("/variance")]).astype(
        int
    )
    lag = []
    for step in range(40):
        batch = batches[step % len(batches)]
        classes, offsets = batch_targets(batch, blueprint.anchors, 0.5)
        goals = (tf.constant(batch.images), tf.constant(classes), tf.constant(offsets))
        detector.step(*goals, tf.constant(0.0), tf.constant(0.0))
        lag.append(float(np.median(np.abs(np.log(detector.statistics[rows] / truth[rows])))))
    assert lag[2] > 1
    assert lag[2] > lag[20] > lag[39] > 0.1


def test_detections_are_in_the_pictures_own_pixels(
    detector: Detector, judged: Judged, reward_set: ImageSet
) -> None:
    found = detect(detector, judged, reward_set, 4)
    parts = detector.predict(
        tf.constant(reward_set.pixels[:]), tf.constant(judged.weights), tf.constant(judged.statistics)
    )
    boxes, probabilities, labels, valid = (np.asarray(part) for part in parts)
    assert len(found) == valid.sum() > 4
    for image, image_id in enumerate(reward_set.image_ids):
        mine = found.images == image_id
        rows = slice(0, int(valid[image]))
        # Pictures of 160 pixels at 128: boxes grow by 5/4, and end where the picture does.
        wanted = np.clip(boxes[image, rows] * 1.25, 0, 160)
        np.testing.assert_allclose(found.boxes[mine], wanted, rtol=1e-5)
        np.testing.assert_array_equal(found.probabilities[mine], probabilities[image, rows])
        ids = [category.id for category in reward_set.categories]
        assert found.categories[mine].tolist() == [ids[int(label)] for label in labels[image, rows]]


def test_boxes_end_where_the_picture_does(detector: Detector, judged: Judged, reward_set: ImageSet) -> None:
    # As if the pictures were 121 by 200, shrunk to 60 by 100 of the 128 by 128.
    shape = np.tile([60, 100], (len(reward_set), 1))
    wide = dataclasses.replace(reward_set, contents=shape, scales=shape / [121, 200])
    found = detect(detector, judged, wide, 4)
    assert found.boxes[:, 2].max() == 121
    assert found.boxes[:, 3].max() == 200
    assert found.boxes.min() == 0


def test_the_evaluation_batch_changes_nothing(
    detector: Detector, judged: Judged, reward_set: ImageSet
) -> None:
    wanted = detect(detector, judged, reward_set, 1)
    metrics = evaluate(detector, judged, reward_set, 1)
    # Four pictures: a short last batch, and one that is mostly filling.
    for batch in (3, 16):
        found = detect(detector, judged, reward_set, batch)
        np.testing.assert_array_equal(found.images, wanted.images)
        np.testing.assert_array_equal(found.categories, wanted.categories)
        np.testing.assert_allclose(found.probabilities, wanted.probabilities, rtol=1e-3)
        assert evaluate(detector, judged, reward_set, batch) == pytest.approx(metrics, abs=1e-9)
