"""COCO directories made on the spot, and those of the workshop where there are any."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from proxy_trainer.data.config import CocoData

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"


@pytest.fixture(params=["bccd", "coco_person", "coco80_mini"])
def shared_set(request: pytest.FixtureRequest) -> Path:
    """A real data set; lies beside the checkout of those who develop here."""
    directory = SHARED / str(request.param)
    if not directory.is_dir():
        pytest.skip(f"needs the real data set {directory}, which is no part of the repository")
    return directory


def noise(height: int, width: int, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))


@pytest.fixture
def instances() -> dict[str, Any]:
    """A small, correct instances file: gapped ids, a crowd, an image without boxes."""
    return {
        "images": [
            {"id": 7, "file_name": "b.png", "height": 40, "width": 80},
            {"id": 3, "file_name": "a.png", "height": 60, "width": 30},
            {"id": 12, "file_name": "sub/c.png", "height": 50, "width": 50},
        ],
        "annotations": [
            {
                "id": 31,
                "image_id": 7,
                "category_id": 90,
                "bbox": [10, 5, 20, 10],
                "area": 150.5,
                "iscrowd": 0,
            },
            {"id": 30, "image_id": 7, "category_id": 4, "bbox": [0, 0, 80, 40], "area": 3200, "iscrowd": 1},
            {"id": 9, "image_id": 3, "category_id": 4, "bbox": [-5, 10.5, 15, 20], "area": 300, "iscrowd": 0},
            {"id": 2, "image_id": 7, "category_id": 17, "bbox": [60, 20, 40, 40], "area": 400, "iscrowd": 0},
        ],
        "categories": [{"id": 90, "name": "zebra"}, {"id": 4, "name": "ant"}, {"id": 17, "name": "cat"}],
    }


@pytest.fixture
def directory(tmp_path: Path, instances: dict[str, Any]) -> Callable[..., CocoData]:
    """Writes pictures (noise, unless given by file name) and the instances file as train and val."""

    def write(pictures: Mapping[str, Image.Image | bytes] | None = None, **config: Any) -> CocoData:
        images = tmp_path / "set" / "images"
        for image in instances["images"]:
            path = images / image["file_name"]
            path.parent.mkdir(parents=True, exist_ok=True)
            picture = (pictures or {}).get(image["file_name"]) or noise(
                image["height"], image["width"], image["id"]
            )
            if isinstance(picture, bytes):
                path.write_bytes(picture)
            else:
                picture.save(path)
        train = tmp_path / "set" / "instances_train.json"
        train.write_text(json.dumps(instances))
        return CocoData(images=images, train=train, **config)

    return write
