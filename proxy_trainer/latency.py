"""How long a trained proxy takes for one image, suppression included, on the device that trained it."""

from __future__ import annotations

import time
from statistics import median
from typing import Final

import tensorflow as tf

from proxy_trainer.detector import Detector
from proxy_trainer.recipe import Recipe
from proxy_trainer.training import Trained

WARM: Final = 3
"""Runs that do not count: the first traces the graph, and caches are cold."""


def latency_ms(trained: Trained, recipe: Recipe, classes: int, runs: int) -> float:
    """Milliseconds, the median of so many runs one after the other.

    Of the proxy, not of the full-size network; other workers of the same machine make it longer.
    """
    detector = Detector(trained.blueprint, recipe, classes, seed=0)
    image = tf.zeros([1, recipe.resolution, recipe.resolution, 3], tf.uint8)
    weights, statistics = tf.constant(trained.judged.weights), tf.constant(trained.judged.statistics)
    laps = []
    for _ in range(WARM + runs):
        began = time.perf_counter()
        detector.predict(image, weights, statistics)[0].numpy()  # waits for the device
        laps.append(time.perf_counter() - began)
    return 1000 * median(laps[WARM:])
