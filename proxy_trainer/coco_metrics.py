"""The twelve COCO numbers of a set of detections, by pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from proxy_trainer.config import COCO_METRICS


@dataclass(frozen=True, slots=True)
class Detection:
    """One detected box in the coordinates of its original image; `category` is the data set's own id."""

    image: int
    category: int
    top: float
    left: float
    bottom: float
    right: float
    probability: float


def coco_metrics(ground_truth: Mapping[str, Any], detections: Sequence[Detection]) -> dict[str, float]:
    """The metrics by name, 0 to 1. One that the data leave undefined (no box of that size) is missing."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = dict(ground_truth)
        truth.createIndex()
        # loadRes refuses an empty list, so the result index is built the same way as the truth's.
        found = COCO()
        found.dataset = {
            "images": truth.dataset["images"],
            "categories": truth.dataset["categories"],
            "annotations": [_annotation(number, each) for number, each in enumerate(detections, 1)],
        }
        found.createIndex()
        judge = COCOeval(truth, found, "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    values = zip(COCO_METRICS, np.asarray(judge.stats, float), strict=True)
    return {name: float(value) for name, value in values if value >= 0}


def _annotation(number: int, detection: Detection) -> dict[str, Any]:
    height = max(0.0, detection.bottom - detection.top)
    width = max(0.0, detection.right - detection.left)
    return {
        "id": number,
        "image_id": detection.image,
        "category_id": detection.category,
        "bbox": [detection.left, detection.top, width, height],
        "area": width * height,
        "iscrowd": 0,
        "score": detection.probability,
    }
