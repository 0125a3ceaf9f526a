"""A detector's step, number by number, and its predictions against a naive suppression."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from proxy_trainer.anchors import encode, iou
from proxy_trainer.data.augment import Augment
from proxy_trainer.data.batches import batch_at
from proxy_trainer.data.image_set import ImageSet
from proxy_trainer.detector import Blueprint, Detector, _boxes, normalise
from proxy_trainer.network.forward import forward
from proxy_trainer.network.weights import decay_mask, initial, size, unflatten
from proxy_trainer.recipe import Recipe
from proxy_trainer.training import batch_targets
from search_space.genome import Genome

GENOME = Genome.from_text("2r* 2r* | 5r:0,1^ 6r:1,2^")
CLASSES = 3


@pytest.fixture
def plain(recipe: Recipe) -> Recipe:
    """A recipe whose step is the gradient and nothing else."""
    return dataclasses.replace(recipe, momentum=0.0, weight_decay=0.0, clip_ratio=1e9, branch_scale=1.0)


@dataclass(frozen=True)
class Rig:
    """Detectors on one batch."""

    batch: tuple[tf.Tensor, tf.Tensor, tf.Tensor]
    start: NDArray[np.float32]

    def detector(self, recipe: Recipe) -> Detector:
        return Detector(Blueprint.of(GENOME, recipe, CLASSES), recipe, CLASSES, 0)

    def step(self, detector: Detector, rate: float, average: float = 0.0) -> float:
        return float(detector.step(*self.batch, tf.constant(rate), tf.constant(average)))

    def change(self, recipe: Recipe, rate: float = 1.0) -> NDArray[np.float32]:
        """What one step from the start changes."""
        detector = self.detector(recipe)
        self.step(detector, rate)
        return detector.weights - self.start


@pytest.fixture
def rig(train_set: ImageSet, recipe: Recipe) -> Rig:
    """Two pictures."""
    blueprint = Blueprint.of(GENOME, recipe, CLASSES)
    batch = batch_at(train_set, 0, batch=2, seed=0, augment=Augment())
    parts = (batch.images, *batch_targets(batch, blueprint.anchors, 0.5))
    images, classes, offsets = (tf.constant(part) for part in parts)
    return Rig((images, classes, offsets), initial(blueprint.layout.trained, 0))


def test_a_step_goes_down_the_slope(rig: Rig, plain: Recipe) -> None:
    change = rig.change(plain, 1e-3)
    np.testing.assert_allclose(rig.change(plain, 2e-3), 2 * change, rtol=1e-3, atol=1e-6)
    detector = rig.detector(plain)
    before, after = rig.step(detector, 1e-4), rig.step(detector, 0.0)
    # To first order, the loss falls by rate times the square of the gradient's norm.
    expected = 1e-4 * float(np.square(change / 1e-3, dtype=np.float64).sum())
    assert before - after == pytest.approx(expected, rel=0.1)


def test_gradients_are_cut_array_by_array(rig: Rig, plain: Recipe) -> None:
    ratio = 0.05
    weights = Blueprint.of(GENOME, plain, CLASSES).layout.trained
    whole, cut = (
        unflatten(weights, change)
        for change in (rig.change(plain), rig.change(dataclasses.replace(plain, clip_ratio=ratio)))
    )
    start = unflatten(weights, rig.start)
    shortened = 0
    for weight in weights:
        floor = (0.01 if weight.is_kernel else 1.0) * math.sqrt(size(weight))
        allowed = ratio * max(float(np.linalg.norm(start[weight.path])), floor)
        norm = float(np.linalg.norm(whole[weight.path]))
        factor = min(1.0, allowed / max(norm, 1e-12))
        shortened += factor < 1
        # Changes are read off weights of size 1 to 5: rounding shows.
        np.testing.assert_allclose(cut[weight.path], whole[weight.path] * factor, rtol=1e-2, atol=2e-6)
    assert 0 < shortened < len(weights)


def test_blocks_start_as_identities_if_the_recipe_says_so(plain: Recipe) -> None:
    blueprint = Blueprint.of(GENOME, plain, CLASSES)
    start = Detector(blueprint, dataclasses.replace(plain, branch_scale=0.0), CLASSES, 0).weights
    arrays = unflatten(blueprint.layout.trained, start)
    ends = {path for path in arrays if path.endswith("block0/expand/norm/scale")}
    # Two stem groups and two nodes, one block each.
    assert len(ends) == 4
    assert {path for path in arrays if path.endswith("/scale") and not arrays[path].any()} == ends


def test_kernels_decay(rig: Rig, plain: Recipe) -> None:
    mask = decay_mask(Blueprint.of(GENOME, plain, CLASSES).layout.trained)
    decayed = rig.change(dataclasses.replace(plain, weight_decay=0.1)) - rig.change(plain)
    np.testing.assert_allclose(decayed, -0.1 * rig.start * mask, atol=2e-6)


def test_momentum_remembers(rig: Rig, plain: Recipe) -> None:
    gradient = -rig.change(plain, 1e-3) / 1e-3
    detector = rig.detector(dataclasses.replace(plain, momentum=0.9))
    # The first two at rate 0: the weights stay, and so does the gradient.
    for rate in (0.0, 0.0, 1e-3):
        rig.step(detector, rate)
    wanted = -1e-3 * gradient * (1 + 0.9 + 0.81)
    np.testing.assert_allclose(detector.weights - rig.start, wanted, rtol=1e-2, atol=1e-6)


def test_averages(rig: Rig, plain: Recipe) -> None:
    averaged, bare = rig.detector(dataclasses.replace(plain, average=0.9)), rig.detector(plain)
    wanted = rig.start
    for share in (0.25, 0.5):
        rig.step(averaged, 1e-2, share)
        rig.step(bare, 1e-2)
        wanted = share * wanted + (1 - share) * bare.weights
    np.testing.assert_allclose(averaged.weights, wanted, atol=1e-6)
    assert np.abs(bare.weights - wanted).max() > 1e-4


def test_moving_statistics(rig: Rig, plain: Recipe) -> None:
    detector = rig.detector(plain)
    before = detector.statistics
    moments = np.asarray(detector.moments.python_function(rig.batch[0], tf.constant(rig.start)))
    rig.step(detector, 0.1)
    np.testing.assert_allclose(detector.statistics, 0.99 * before + 0.01 * moments, rtol=1e-5, atol=1e-6)


def test_a_step_is_of_the_recipes_precision_and_weights_are_exact(rig: Rig, plain: Recipe) -> None:
    exact, rough = (
        rig.change(dataclasses.replace(plain, precision=each)) for each in ("float32", "bfloat16")
    )
    assert rough.dtype == np.float32
    error = np.linalg.norm(rough - exact) / np.linalg.norm(exact)
    assert 1e-6 < error < 0.2, "rounded otherwise, to the same end"


def test_seeds_start_apart(plain: Recipe) -> None:
    blueprint = Blueprint.of(GENOME, plain, CLASSES)
    first, again, second = (Detector(blueprint, plain, CLASSES, seed).weights for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)


def test_pixels_are_normalised_by_channel() -> None:
    images = np.array([[[[0, 0, 0], [255, 255, 255], [124, 116, 104]]]], np.uint8)
    found = np.asarray(normalise(tf.constant(images)))[0, 0]
    # Black, white, and ImageNet's mean colour to the nearest whole number.
    np.testing.assert_allclose(found[0], [-2.1179, -2.0357, -1.8044], atol=1e-4)
    np.testing.assert_allclose(found[1], [2.2489, 2.4286, 2.64], atol=1e-4)
    np.testing.assert_allclose(found[2], np.zeros(3), atol=0.01)


sides = hnp.arrays(np.float32, (5, 4), elements=st.floats(1, 500, width=32))


@given(sides, sides)
def test_decoding_undoes_encoding(a: NDArray[Any], b: NDArray[Any]) -> None:
    anchors, boxes = (np.concatenate([each[:, :2], each[:, :2] + each[:, 2:]], axis=1) for each in (a, b))
    offsets = encode(anchors, boxes)
    # Sides of more than 62 anchors are cut off, see below.
    sensible = (offsets[:, 2:] < 4).all(axis=1)
    found = np.asarray(_boxes(tf.constant(anchors), tf.constant(offsets)[tf.newaxis]))[0]
    np.testing.assert_allclose(found[sensible], boxes[sensible], rtol=1e-3, atol=1e-2)


def test_wild_offsets_stay_finite() -> None:
    anchors = tf.constant([[0.0, 0.0, 8.0, 8.0]])
    found = np.asarray(_boxes(anchors, tf.constant([[[0.0, 0.0, 1000.0, 1000.0]]])))[0, 0]
    np.testing.assert_allclose(found, [-246, -246, 254, 254])  # 8 * 1000 / 16 long, as in the references


def suppressed(
    boxes: NDArray[Any], probabilities: NDArray[Any], recipe: Recipe
) -> list[tuple[float, int, tuple[float, ...]]]:
    """Greedy suppression per class, then the most probable over all classes."""
    found = []
    for label in range(probabilities.shape[1]):
        kept: list[int] = []
        for index in np.argsort(-probabilities[:, label], kind="stable"):
            if probabilities[index, label] > recipe.score_threshold and not any(
                iou(boxes[[index]], boxes[[other]]).item() > recipe.nms_iou for other in kept
            ):
                kept.append(int(index))
        found += [(float(probabilities[i, label]), label, tuple(boxes[i].tolist())) for i in kept]
    return sorted(found, reverse=True)[: recipe.detections]


def test_predictions(rig: Rig, recipe: Recipe) -> None:
    recipe = dataclasses.replace(recipe, score_threshold=0.02, nms_iou=0.4, detections=30)
    blueprint = Blueprint.of(GENOME, recipe, CLASSES)
    rng = np.random.default_rng(1)
    # Predictors start at one probability for all; these tell anchors and classes apart.
    weights = tf.constant(rig.start + rng.normal(0, 0.08, rig.start.shape).astype(np.float32))
    statistics = tf.constant(initial(blueprint.layout.statistics, 0))
    detector = Detector(blueprint, recipe, CLASSES, 0)
    parts = detector.predict.python_function(rig.batch[0], weights, statistics)
    boxes, probabilities, labels, valid = (np.asarray(part) for part in parts)

    outputs, _ = forward(
        blueprint.plan, blueprint.layout, (weights, statistics), normalise(rig.batch[0]), training=False
    )
    five, six, box_five, box_six = (np.asarray(each) for each in outputs["head"])
    for image in range(2):
        logits = np.concatenate([each[image].reshape(-1, CLASSES) for each in (five, six)])
        offsets = np.concatenate([each[image].reshape(-1, 4) for each in (box_five, box_six)])
        boundless = np.asarray(_boxes(tf.constant(blueprint.anchors.boxes), tf.constant(offsets)))
        decoded = np.clip(boundless, 0, recipe.resolution)  # before suppression, as in Model Garden
        wanted = suppressed(decoded, 1 / (1 + np.exp(-logits.astype(np.float64))), recipe)
        count = int(valid[image])
        assert count == len(wanted) > 5
        np.testing.assert_allclose(probabilities[image, :count], [each[0] for each in wanted], rtol=1e-4)
        assert labels[image, :count].tolist() == [each[1] for each in wanted]
        np.testing.assert_allclose(boxes[image, :count], [each[2] for each in wanted], rtol=1e-3, atol=1e-2)
