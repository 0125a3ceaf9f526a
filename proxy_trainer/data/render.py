"""The embedded data set: pictures rendered from a seed, written as a COCO directory like any other."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from proxy_trainer.data.config import CocoData, RenderedData
from proxy_trainer.data.files import cache_errors, locked
from proxy_trainer.data.scene import Scene, make_scene
from proxy_trainer.data.textures import make_pool

_FORMAT: Final = 3
"""Counted up whenever the same parameters would give other files."""

_PARTS: Final = {"train": 0, "val": 1}
"""The first word of each part's random streams: its patterns and its pictures are its own."""

_PATTERNS: Final = {"train": 40, "val": 24}


def render(config: RenderedData, cache_dir: Path) -> CocoData:
    """The COCO directory of these parameters below `cache_dir`, rendered on first use. Raises CacheError."""
    text = json.dumps([_FORMAT, asdict(config)], sort_keys=True)
    path = cache_dir / f"rendered-{hashlib.blake2b(text.encode(), digest_size=12).hexdigest()}"
    if not path.is_dir():
        with locked(path):
            if not path.is_dir():
                part = path.with_name(path.name + ".part")
                shutil.rmtree(part, ignore_errors=True)
                render_to(config, part)
                with cache_errors(path):
                    part.replace(path)
    return CocoData(
        images=path / "images", train=path / "instances_train.json", val=path / "instances_val.json"
    )


def render_to(config: RenderedData, directory: Path) -> None:
    """Write images/, instances_train.json and instances_val.json. Raises CacheError."""
    with cache_errors(directory):
        (directory / "images").mkdir(parents=True)
        first_id = 1
        for part, count in (("train", config.train_images), ("val", config.val_images)):
            instances = _render_part(config, part, first_id, count, directory / "images")
            (directory / f"instances_{part}.json").write_text(json.dumps(instances))
            first_id += count


def _render_part(config: RenderedData, part: str, first_id: int, count: int, images: Path) -> dict[str, Any]:
    stream = [config.seed, _PARTS[part]]
    pool = make_pool(_PATTERNS[part], config.size * 3 // 2, np.random.default_rng([*stream, 0]))
    content: dict[str, Any] = {
        "info": {"description": "SpineNAS rendered shapes", "parameters": asdict(config)},
        "images": [],
        "annotations": [],
        "categories": [{"id": label + 1, "name": name} for label, name in enumerate(config.classes)],
    }
    for number in range(count):
        scene = make_scene(config, pool, np.random.default_rng([*stream, 1, number]))
        name = f"{part}_{number:06d}.jpg"
        Image.fromarray(scene.picture).save(images / name, quality=92, subsampling=0)
        image = {"id": first_id + number, "file_name": name, "height": config.size, "width": config.size}
        content["images"].append(image)
        content["annotations"] += _annotations(scene, first_id + number, len(content["annotations"]))
    return content


def _annotations(scene: Scene, image_id: int, before: int) -> list[dict[str, Any]]:
    return [
        {
            "id": before + number + 1,
            "image_id": image_id,
            "category_id": thing.label + 1,
            "bbox": [float(value) for value in thing.box],
            "area": float(thing.area),
            "iscrowd": 0,
        }
        for number, thing in enumerate(scene.things)
    ]
