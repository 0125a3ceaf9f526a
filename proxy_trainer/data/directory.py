"""Finds what a COCO directory holds, so that naming the directory is enough."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from proxy_trainer.data.config import CocoData
from proxy_trainer.data.errors import DataError

_LAYOUTS: Final = (
    ("images", "images", "instances_train.json", "instances_val.json"),
    ("images", "images", "annotations/instances_train.json", "annotations/instances_val.json"),
    (
        *("train2017", "val2017"),
        *("annotations/instances_train2017.json", "annotations/instances_val2017.json"),
    ),
)
"""Training pictures, validation pictures, training boxes, validation boxes: ours, and COCO's own."""


def coco_directory(directory: Path) -> CocoData:
    """The data config of a directory, with a validation set if there is one. Raises DataError."""
    if not directory.is_dir():
        raise DataError(f"{directory}: is not a directory, expected a COCO directory; check the path")
    if not any(directory.iterdir()):
        raise DataError(f"{directory}: is empty, expected a COCO directory; check the path")
    for images, val_images, train, val in _LAYOUTS:
        if (directory / train).is_file() and (directory / images).is_dir():
            config = CocoData(images=directory / images, train=directory / train)
            if not (directory / val).is_file():
                return config
            elsewhere = directory / val_images if val_images != images else None
            return replace(config, val=directory / val, val_images=elsewhere)
    raise DataError(
        f"{directory}: holds no data set that is known; expected images/ and instances_train.json "
        "(or COCO's train2017/ and annotations/instances_train2017.json)"
    )
