"""A trained detector as a TensorFlow SavedModel: pictures in, decoded and suppressed detections out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_trainer.detector import Blueprint, Detector
from proxy_trainer.network.weights import flatten
from proxy_trainer.rebuild import Arrays
from proxy_trainer.recipe import Recipe

OUTPUTS = ("boxes", "probabilities", "classes", "count")
"""What the signature gives: [B, n, 4] as (top, left, bottom, right) in input pixels, [B, n], [B, n], [B]."""


def save_detector(blueprint: Blueprint, recipe: Recipe, classes: int, arrays: Arrays, path: Path) -> None:
    """Write it to a folder. The signature takes `images`, uint8 [B, R, R, 3], any number at once.

    Raises ValueError if an array is missing or has another shape than the blueprint declares.
    """
    detector = Detector(blueprint, recipe, classes, seed=0)
    module: Any = tf.Module()  # what is set on it is saved
    module.weights, module.statistics = (
        tf.Variable(tf.constant(flatten(part, arrays)), trainable=False)
        for part in (blueprint.layout.trained, blueprint.layout.statistics)
    )
    images = tf.TensorSpec([None, recipe.resolution, recipe.resolution, 3], tf.uint8, name="images")

    @tf.function(input_signature=[images], autograph=False)  # type: ignore[untyped-decorator] # TensorFlow's
    def detect(images: tf.Tensor) -> dict[str, tf.Tensor]:
        found = detector.predict(images, module.weights, module.statistics)
        return dict(zip(OUTPUTS, found, strict=True))

    tf.saved_model.save(module, str(path), signatures={"serving_default": detect})


def run_detector(
    blueprint: Blueprint, recipe: Recipe, classes: int, arrays: Arrays, images: NDArray[np.uint8]
) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """What the detector itself says of pictures: before suppression (`boxes`, `probabilities`), and after.

    Raises ValueError if an array is missing or has another shape than the blueprint declares.
    """
    detector = Detector(blueprint, recipe, classes, seed=0)
    parts = (blueprint.layout.trained, blueprint.layout.statistics)
    vectors = [tf.constant(flatten(part, arrays)) for part in parts]
    boxes, probabilities = detector.decode(tf.constant(images), *vectors)
    kept = detector.predict(tf.constant(images), *vectors)
    return (
        {"boxes": boxes.numpy(), "probabilities": probabilities.numpy()},
        {name: value.numpy() for name, value in zip(OUTPUTS, kept, strict=True)},
    )


def run_saved(path: Path, images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    """Load it and call its signature."""
    signature = tf.saved_model.load(str(path)).signatures["serving_default"]
    return {name: value.numpy() for name, value in signature(images=tf.constant(images)).items()}
