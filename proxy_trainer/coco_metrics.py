"""The twelve COCO numbers of a set of detections."""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from proxy_trainer.config import COCO_METRICS
from proxy_trainer.detections import Detections

hotcoco: Any = None
with contextlib.suppress(ImportError):  # no wheel for this platform: the same numbers, more slowly
    hotcoco = importlib.import_module("hotcoco")


def coco_metrics(ground_truth: Mapping[str, Any], detections: Detections) -> dict[str, float]:
    """The metrics by name, 0 to 1. One that the data leave undefined (no box of that size) is missing.

    By hotcoco, which is pycocotools' algorithm in Rust and gives its numbers (docs/decisions/0011);
    by pycocotools where that is not installed.
    """
    judge = by_pycocotools if hotcoco is None or not len(detections) else by_hotcoco
    # Both print their table.
    with contextlib.redirect_stdout(io.StringIO()):
        stats = judge(ground_truth, detections)
    values = zip(COCO_METRICS, stats, strict=True)
    return {name: float(value) for name, value in values if value >= 0}


def by_hotcoco(ground_truth: Mapping[str, Any], detections: Detections) -> NDArray[np.float64]:
    """The twelve numbers, -1 where undefined; at least one detection."""
    truth = hotcoco.COCO(dict(ground_truth))
    rows = np.column_stack(
        [detections.images, _left_top_sides(detections), detections.probabilities, detections.categories]
    )
    judge = hotcoco.COCOeval(truth, truth.load_res(rows), "bbox")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    return np.asarray(judge.stats, float)


def by_pycocotools(ground_truth: Mapping[str, Any], detections: Detections) -> NDArray[np.float64]:
    """The twelve numbers, -1 where undefined."""
    truth = COCO()
    truth.dataset = dict(ground_truth)
    truth.createIndex()
    # loadRes refuses an empty list, so the result index is built the same way as the truth's.
    found = COCO()
    found.dataset = {
        "images": truth.dataset["images"],
        "categories": truth.dataset["categories"],
        "annotations": _annotations(detections),
    }
    found.createIndex()
    judge = COCOeval(truth, found, "bbox")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    return np.asarray(judge.stats, float)


def _annotations(detections: Detections) -> list[dict[str, Any]]:
    places = _left_top_sides(detections)
    columns = (detections.images, detections.categories, detections.probabilities)
    rows = zip(*(column.tolist() for column in columns), places.tolist(), strict=True)
    return [
        {
            "id": number,
            "image_id": image,
            "category_id": category,
            "bbox": place,
            "area": place[2] * place[3],
            "iscrowd": 0,
            "score": probability,
        }
        for number, (image, category, probability, place) in enumerate(rows, 1)
    ]


def _left_top_sides(detections: Detections) -> NDArray[np.float64]:
    top, left, bottom, right = detections.boxes.T
    # A box inside out is a wrong box of no area, not a missing one.
    return np.column_stack([left, top, np.maximum(0.0, right - left), np.maximum(0.0, bottom - top)])
