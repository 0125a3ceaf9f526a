"""COCO's twelve numbers: hotcoco, which trials are judged by, against pycocotools and faster-coco-eval.

    python -m benchmarks.coco_metrics [--images 2000]

Random boxes with crowds and empty images, and detections near them and anywhere, a hundred an image.
Checks that all give the same numbers, prints a table and writes benchmarks/results/coco_metrics.json:
seconds, median over three repetitions. faster-coco-eval is measured where it is installed.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import io
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.record import write
from proxy_trainer.coco_metrics import by_hotcoco, by_pycocotools
from proxy_trainer.detections import Detections

REPETITIONS = 3
SIDE = 480
CATEGORIES = 20
PER_IMAGE = 100

Judge = Callable[[Mapping[str, Any], Detections], NDArray[np.float64]]


def scene(images: int) -> tuple[dict[str, Any], Detections]:
    """Ground truth and detections."""
    rng = np.random.default_rng(0)
    boxes: list[dict[str, Any]] = []
    parts = []
    for image in range(images):
        count = 0 if image % 9 == 0 else int(rng.integers(1, 15))
        places = _places(rng, count)
        labels = rng.integers(1, CATEGORIES + 1, count)
        boxes += [
            {
                "id": len(boxes) + number + 1,
                "image_id": image,
                "category_id": int(label),
                "bbox": place.tolist(),
                "area": float(place[2] * place[3]),
                "iscrowd": int(rng.random() < 0.05),
            }
            for number, (place, label) in enumerate(zip(places, labels, strict=True))
        ]
        parts.append(_found(rng, image, places, labels))
    truth = {
        "info": {},
        "images": [{"id": image, "height": SIDE, "width": SIDE} for image in range(images)],
        "categories": [{"id": each, "name": str(each)} for each in range(1, CATEGORIES + 1)],
        "annotations": boxes,
    }
    return truth, Detections.join(parts)


def _places(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    sides = np.exp(rng.uniform(np.log(8), np.log(300), (count, 2)))
    return np.column_stack([rng.uniform(0, SIDE - sides), sides])


def _found(
    rng: np.random.Generator, image: int, places: NDArray[np.float64], labels: NDArray[np.int64]
) -> Detections:
    near = np.repeat(places, 2, axis=0) * rng.uniform(0.9, 1.1, (2 * len(places), 4))
    boxes = np.concatenate([near, _places(rng, PER_IMAGE - len(near))])
    others = rng.integers(1, CATEGORIES + 1, PER_IMAGE - len(near))
    return Detections(
        images=np.full(PER_IMAGE, image),
        categories=np.concatenate([np.repeat(labels, 2), others]),
        boxes=boxes[:, [1, 0, 1, 0]] + np.column_stack([np.zeros((PER_IMAGE, 2)), boxes[:, [3, 2]]]),
        probabilities=np.round(rng.random(PER_IMAGE), 3),
    )


def by_faster_coco_eval(truth: Mapping[str, Any], found: Detections) -> NDArray[np.float64]:
    """The same by faster-coco-eval, from the array that it takes too."""
    module = importlib.import_module("faster_coco_eval")
    top, left, bottom, right = found.boxes.T
    columns = (found.images, left, top, right - left, bottom - top, found.probabilities, found.categories)
    known = module.COCO(dict(truth))
    judge = module.COCOeval_faster(known, known.loadRes(np.column_stack(columns)), "bbox")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    return np.asarray(judge.stats[:12], float)


def timed(judge: Judge, truth: Mapping[str, Any], found: Detections) -> tuple[float, NDArray[np.float64]]:
    """Seconds, and the numbers."""
    taken, stats = [], np.zeros(12)
    for _ in range(REPETITIONS):
        began = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            stats = judge(truth, found)
        taken.append(time.perf_counter() - began)
    return median(taken), stats


def main() -> None:
    """Measure, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    options = parser.parse_args()
    truth, found = scene(options.images)
    judges: dict[str, Judge] = {"pycocotools": by_pycocotools, "hotcoco": by_hotcoco}
    if importlib.util.find_spec("faster_coco_eval"):
        judges["faster-coco-eval"] = by_faster_coco_eval
    rows: dict[str, Any] = {}
    oracle: NDArray[np.float64] | None = None
    for name, judge in judges.items():
        seconds, stats = timed(judge, truth, found)
        oracle = stats if oracle is None else oracle
        difference = float(np.abs(stats - oracle).max())
        rows[name] = {"version": version(name), "seconds": seconds, "difference": difference}
        speed = rows["pycocotools"]["seconds"] / seconds
        print(f"{name:<18} {seconds:8.3f} s   {speed:6.1f} times pycocotools   differs by {difference:.0e}")
    write("coco_metrics", {"images": options.images, "detections": len(found), "rows": rows})


if __name__ == "__main__":
    main()
