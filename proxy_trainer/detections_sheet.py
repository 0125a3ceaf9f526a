"""A contact sheet of what a trained proxy finds: the first thing to look at after a campaign."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf
from PIL import Image

from proxy_trainer.data.image_set import ImageSet
from proxy_trainer.data.sheet import contact_sheet
from proxy_trainer.detector import Blueprint, Detector
from proxy_trainer.network.weights import flatten
from proxy_trainer.rebuild import Arrays
from proxy_trainer.recipe import Recipe
from search_space.genome import Genome


def detections_sheet(
    genome: Genome, recipe: Recipe, arrays: Arrays, images: ImageSet, *, probability: float, count: int = 12
) -> Image.Image:
    """The first pictures of a set with the boxes that the proxy is at least so sure of.

    Raises ValueError if the arrays are not those of this genome and recipe.
    """
    classes = len(images.categories)
    blueprint = Blueprint.of(genome, recipe, classes)
    detector = Detector(blueprint, recipe, classes, seed=0)
    vectors = [
        tf.constant(flatten(part, arrays)) for part in (blueprint.layout.trained, blueprint.layout.statistics)
    ]
    pixels = np.asarray(images.pixels[0:count])
    boxes, probabilities, labels, _ = (
        part.numpy() for part in detector.predict(tf.constant(pixels), *vectors)
    )
    sure = probabilities >= probability
    limits = np.tile(images.contents[:count], 2).astype(np.float32)
    found = [np.clip(boxes[row][sure[row]], 0, limits[row]).astype(np.float32) for row in range(len(pixels))]
    shown = dataclasses.replace(
        images,
        boxes=(*found, *images.boxes[len(found) :]),
        labels=(
            *(labels[row][sure[row]].astype(np.int32) for row in range(len(found))),
            *images.labels[len(found) :],
        ),
    )
    return contact_sheet(shown, count=len(found), columns=6, tile=192)
