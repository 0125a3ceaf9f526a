"""The twelve numbers against pycocotools' own way from a list of results."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from proxy_trainer.coco_metrics import by_hotcoco, by_pycocotools, coco_metrics
from proxy_trainer.config import COCO_METRICS
from proxy_trainer.detections import Detections

CATEGORIES = (1, 7, 90)
SIDE = 300


def box(rng: np.random.Generator) -> list[float]:
    """(x, y, width, height), from 3 to 200 pixels: all of COCO's sizes."""
    width, height = np.exp(rng.uniform(np.log(3), np.log(200), 2))
    return [
        float(rng.uniform(0, SIDE - width)),
        float(rng.uniform(0, SIDE - height)),
        float(width),
        float(height),
    ]


def truth_of(boxes: list[dict[str, Any]], images: int) -> dict[str, Any]:
    return {
        "info": {},
        "images": [{"id": 10 * number, "height": SIDE, "width": SIDE} for number in range(images)],
        "categories": [{"id": each, "name": str(each)} for each in CATEGORIES],
        "annotations": [{"id": number, "iscrowd": 0} | each for number, each in enumerate(boxes, 1)],
    }


def annotation(image: int, category: int, bbox: list[float], **more: Any) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "bbox": bbox, "area": bbox[2] * bbox[3], **more}


def detection(image: int, category: int, bbox: list[float], probability: float) -> Detections:
    """One detection; boxes of pycocotools are (x, y, width, height)."""
    x, y, width, height = bbox
    return Detections(
        images=np.array([image]),
        categories=np.array([category]),
        boxes=np.array([[y, x, y + height, x + width]]),
        probabilities=np.array([probability]),
    )


def scene(seed: int) -> tuple[dict[str, Any], Detections]:
    """Boxes, a fifth of them crowds, every third image empty; detections near them, and anywhere."""
    rng = np.random.default_rng(seed)
    images = 7
    boxes, found = [], []
    for image in range(0, 10 * images, 10):
        for _ in range(0 if image % 30 == 0 else rng.integers(1, 9)):
            category, place = int(rng.choice(CATEGORIES)), box(rng)
            boxes.append(annotation(image, category, place, iscrowd=int(rng.random() < 0.2)))
            for _ in range(rng.integers(0, 3)):
                near = (np.array(place) * rng.uniform(0.95, 1.05, 4)).tolist()
                found.append(detection(image, category, near, round(float(rng.random()), 2)))
        for _ in range(rng.integers(0, 5)):
            found.append(
                detection(image, int(rng.choice(CATEGORIES)), box(rng), round(float(rng.random()), 2))
            )
    return truth_of(boxes, images), Detections.join(found)


def by_load_res(ground_truth: dict[str, Any], detections: Detections) -> dict[str, float]:
    """pycocotools' documented way."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = copy.deepcopy(ground_truth)
        truth.createIndex()
        results = [
            {
                "image_id": int(image),
                "category_id": int(category),
                "bbox": [left, top, right - left, bottom - top],
                "score": float(probability),
            }
            for image, category, (top, left, bottom, right), probability in zip(
                detections.images,
                detections.categories,
                detections.boxes.tolist(),
                detections.probabilities,
                strict=True,
            )
        ]
        judge = COCOeval(truth, truth.loadRes(results), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return {name: float(value) for name, value in zip(COCO_METRICS, judge.stats, strict=True) if value > -1}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_the_numbers_are_those_of_pycocotools(seed: int) -> None:
    ground_truth, found = scene(seed)
    if len(found):
        wanted = by_load_res(ground_truth, found)
        assert coco_metrics(ground_truth, found) == pytest.approx(wanted, abs=1e-12)
        with contextlib.redirect_stdout(io.StringIO()):
            ours, fallback = by_hotcoco(ground_truth, found), by_pycocotools(ground_truth, found)
        np.testing.assert_allclose(ours, fallback, atol=1e-12, rtol=0)


def test_the_scenes_are_worth_judging() -> None:
    # The comparison above would be of zeros otherwise.
    metrics = coco_metrics(*scene(0))
    assert list(metrics) == list(COCO_METRICS)
    assert 0.05 < metrics["AP"] < metrics["AP50"] < 0.95
    assert len(set(metrics.values())) > 8


def test_perfect_detections() -> None:
    rng = np.random.default_rng(1)
    boxes = [
        annotation(10 * image, category, [float(rng.integers(0, 100)), 5.0 + 90 * number, side, side])
        for image in range(5)
        for category in CATEGORIES
        for number, side in enumerate((20.0, 60.0, 100.0))
    ]
    found = [detection(each["image_id"], each["category_id"], each["bbox"], 0.9) for each in boxes]
    metrics = coco_metrics(truth_of(boxes, 6), Detections.join(found))
    # Three boxes of a category in an image, one detection allowed.
    assert metrics == pytest.approx(dict.fromkeys(COCO_METRICS, 1.0) | {"AR_1": 1 / 3})


def test_no_detections_at_all() -> None:
    ground_truth, _ = scene(0)
    assert coco_metrics(ground_truth, Detections.join([])) == dict.fromkeys(COCO_METRICS, 0.0)


def test_numbers_that_the_data_leave_undefined_are_missing() -> None:
    boxes = [annotation(0, 7, [10.0, 10.0, 50.0, 50.0])]
    metrics = coco_metrics(truth_of(boxes, 1), detection(0, 7, [10.0, 10.0, 50.0, 50.0], 0.5))
    assert metrics == pytest.approx(
        {name: 1.0 for name in COCO_METRICS if not name.endswith(("small", "large"))}
    )


def test_nothing_to_find_leaves_nothing_defined() -> None:
    assert coco_metrics(truth_of([], 2), detection(0, 7, [10.0, 10.0, 50.0, 50.0], 0.5)) == {}


@pytest.mark.parametrize("edges", [(60.0, 10.0, 10.0, 60.0), (10.0, 60.0, 60.0, 10.0)])
def test_boxes_inside_out_are_wrong(edges: tuple[float, float, float, float]) -> None:
    boxes = [annotation(0, 7, [10.0, 10.0, 50.0, 50.0])]
    right_one = detection(0, 7, [10.0, 10.0, 50.0, 50.0], 0.5)
    inside_out = dataclasses.replace(right_one, boxes=np.array([edges]), probabilities=np.array([0.9]))
    both = Detections.join([inside_out, right_one])
    # Not left out: a false one comes first.
    assert coco_metrics(truth_of(boxes, 1), both)["AP"] == pytest.approx(0.5)


def test_a_box_found_twice_counts_once() -> None:
    places = [[10.0, 10.0, 50.0, 50.0], [100.0, 100.0, 50.0, 50.0]]
    boxes = [annotation(0, 7, place) for place in places]
    found = Detections.join(
        [
            detection(0, 7, place, probability)
            for place, probability in zip((places[0], places[0], places[1]), (0.9, 0.8, 0.7), strict=True)
        ]
    )
    metrics = coco_metrics(truth_of(boxes, 1), found)
    assert metrics == pytest.approx(by_load_res(truth_of(boxes, 1), found))
    assert metrics["AP"] == pytest.approx(
        (51 + 50 * 2 / 3) / 101
    )  # 101 recalls, up to 0.50 without a false one


def test_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    coco_metrics(*scene(0))
    assert capfd.readouterr() == ("", "")
