"""Reads the instances file of a COCO directory: every entry checked, every complaint one clear line."""

from __future__ import annotations

import json
import math
import reprlib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Literal

import numpy as np

from proxy_trainer.data.annotations import Annotations, Category
from proxy_trainer.data.errors import DataError

_LARGEST_ID = 2**53
_LONGEST_SIDE = 1_000_000


@dataclass(frozen=True, slots=True)
class _Entry:
    """One object of one list of the file, with the words to complain about it."""

    file: Path
    kind: str
    place: int
    value: Mapping[str, Any]

    def error(self, found: str, advice: str) -> DataError:
        known = self.value.get("id")
        name = f"{self.kind} {known}" if _is_integer(known) else f"{self.kind} number {self.place + 1}"
        return DataError(f"{self.file}: {name}: {found}; {advice}")

    def integer(self, key: str, least: int, most: int) -> int:
        found = self.value.get(key)
        if isinstance(found, float) and found.is_integer():
            found = int(found)
        if not isinstance(found, int) or isinstance(found, bool) or not least <= found <= most:
            raise self.error(
                f"{key} is {_short(found)}",
                f"expected a whole number from {least} to {most}, correct the file",
            )
        return found

    def text(self, key: str) -> str:
        found = self.value.get(key)
        if not isinstance(found, str) or not found:
            raise self.error(f"{key} is {_short(found)}", "expected a text, correct the file")
        if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in found):
            raise self.error(f"{key} is {_short(found)}", "expected no control characters in it")
        return found

    def target(self, key: str, kind: str, known: Mapping[int, int]) -> int:
        """What the id under this key points to."""
        found = self.value.get(key)
        if not isinstance(found, int | float) or found not in known:
            raise self.error(
                f"{key} is {_short(found)}, which no {kind} of the file has", f"add the {kind} or remove it"
            )
        return known[int(found)]


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _short(value: object) -> str:
    return "missing" if value is None else reprlib.repr(value)


def read_instances(
    file: Path, data: bytes | None = None, *, empty_boxes: Literal["refuse", "drop"] = "refuse"
) -> Annotations:
    """All images and boxes of an instances file (`data`: its bytes, if they were read already).

    Labels are contiguous, in the order of the category ids, whatever gaps these have. Raises DataError.
    """
    content = _parsed(file, data)
    categories = _categories(file, content)
    images = _images(file, content)
    rows = {int(entry["id"]): row for row, entry in enumerate(images)}
    labels = {category.id: label for label, category in enumerate(categories)}
    boxes = sorted(
        _boxes(file, content, images, rows, labels, empty_boxes), key=lambda box: (box.owner, box.id)
    )
    return Annotations(
        image_ids=np.array([entry["id"] for entry in images], np.int64),
        file_names=tuple(entry["file_name"] for entry in images),
        sizes=np.array([(entry["height"], entry["width"]) for entry in images], np.int64).reshape(-1, 2),
        owners=np.array([box.owner for box in boxes], np.int64),
        boxes=np.array([box.box for box in boxes], np.float64).reshape(-1, 4),
        areas=np.array([box.area for box in boxes], np.float64),
        labels=np.array([box.label for box in boxes], np.int32),
        crowds=np.array([box.crowd for box in boxes], np.bool_),
        categories=categories,
    )


def _parsed(file: Path, data: bytes | None) -> Mapping[str, Any]:
    try:
        content = json.loads(file.read_bytes() if data is None else data)
    except OSError as error:
        raise DataError(
            f"{file}: cannot be read: {error.strerror}; expected a COCO instances file"
        ) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: is not JSON: {error}; expected a COCO instances file") from error
    if not isinstance(content, dict):
        raise DataError(
            f"{file}: holds a {type(content).__name__}, "
            "expected an object with images, annotations, categories"
        )
    return content


def _entries(file: Path, content: Mapping[str, Any], key: str, kind: str) -> Iterator[_Entry]:
    """The objects of one list of the file."""
    values = content.get(key)
    if not isinstance(values, list):
        raise DataError(f"{file}: {key} is {_short(values)}, expected a list; is this an instances file?")
    for place, value in enumerate(values):
        if not isinstance(value, dict):
            raise DataError(f"{file}: {kind} number {place + 1} is {_short(value)}, expected an object")
        yield _Entry(file, kind, place, value)


def _categories(file: Path, content: Mapping[str, Any]) -> tuple[Category, ...]:
    found: dict[int, Category] = {}
    names: set[str] = set()
    for entry in _entries(file, content, "categories", "category"):
        category = Category(entry.integer("id", 0, _LARGEST_ID), entry.text("name"))
        if category.id in found or category.name in names:
            raise entry.error(f"id or name {category.name!r} occurs twice", "give each category its own")
        found[category.id] = category
        names.add(category.name)
    if not found:
        raise DataError(f"{file}: categories is empty, expected at least one")
    return tuple(found[category_id] for category_id in sorted(found))


def _images(file: Path, content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Id, file name, height and width of each image, in the order of the ids."""
    found: dict[int, dict[str, Any]] = {}
    names: dict[str, int] = {}
    for entry in _entries(file, content, "images", "image"):
        image_id, name = entry.integer("id", 0, _LARGEST_ID), _safe_name(entry)
        if image_id in found:
            raise entry.error("its id occurs twice", "give each image its own")
        if name in names:
            raise entry.error(
                f"file_name {name!r} is also that of image {names[name]}",
                "one picture in two splits would be judged on what it was trained on; merge the two",
            )
        names[name] = image_id
        height, width = (entry.integer(side, 1, _LONGEST_SIDE) for side in ("height", "width"))
        found[image_id] = {"id": image_id, "file_name": name, "height": height, "width": width}
    if not found:
        raise DataError(f"{file}: images is empty, expected at least one")
    return [found[image_id] for image_id in sorted(found)]


def _safe_name(entry: _Entry) -> str:
    """The file name, normalised; it may not leave the images directory by any system's rules."""
    name = entry.text("file_name")
    path = PurePosixPath(name)
    windows = PureWindowsPath(name)
    if path.is_absolute() or windows.drive or windows.root or ".." in windows.parts:
        raise entry.error(
            f"file_name {_short(name)} leaves the images directory",
            "expected a path inside it; don't trust this file",
        )
    return str(path)


@dataclass(frozen=True, slots=True)
class _Box:
    id: int
    owner: int
    label: int
    box: tuple[float, ...]
    area: float
    crowd: bool


def _boxes(
    file: Path,
    content: Mapping[str, Any],
    images: list[dict[str, Any]],
    rows: Mapping[int, int],
    labels: Mapping[int, int],
    empty_boxes: Literal["refuse", "drop"],
) -> Iterator[_Box]:
    seen: set[int] = set()
    for entry in _entries(file, content, "annotations", "annotation"):
        number = entry.integer("id", 0, _LARGEST_ID)
        if number in seen:
            raise entry.error("its id occurs twice", "give each annotation its own")
        seen.add(number)
        owner, label = (
            entry.target("image_id", "image", rows),
            entry.target("category_id", "category", labels),
        )
        box = _box(entry)
        if min(box[2:]) == 0 or not _overlaps(box, images[owner]):
            if empty_boxes == "drop":
                continue
            raise entry.error(
                f"bbox {list(box)} of image {images[owner]['id']} "
                + ("has no area" if min(box[2:]) == 0 else "lies outside of the picture"),
                "remove it, or write `empty_boxes: drop` in the data part of the config",
            )
        yield _Box(number, owner, label, box, _area(entry, box), _crowd(entry))


def _box(entry: _Entry) -> tuple[float, ...]:
    """(x, y, width, height), finite, no side negative."""
    found = entry.value.get("bbox")
    if not isinstance(found, list) or len(found) != 4 or not all(_is_number(part) for part in found):
        raise entry.error(f"bbox is {_short(found)}", "expected four numbers x, y, width, height")
    box = tuple(float(part) for part in found)
    if min(box[2:]) < 0:
        raise entry.error(
            f"bbox {list(box)} has a negative side", "expected x, y, width, height, not two corners"
        )
    return box


def _is_number(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) < 1e9
        and math.isfinite(value)
    )


def _overlaps(box: tuple[float, ...], image: Mapping[str, Any]) -> bool:
    x, y, width, height = box
    return x < image["width"] and y < image["height"] and x + width > 0 and y + height > 0


def _area(entry: _Entry, box: tuple[float, ...]) -> float:
    """The file's own (COCO's is that of the mask), or that of the box where the file has none."""
    area = entry.value.get("area", box[2] * box[3])
    if not _is_number(area) or area < 0:
        raise entry.error(f"area is {_short(area)}", "expected a number, correct the file")
    return float(area)


def _crowd(entry: _Entry) -> bool:
    crowd = entry.value.get("iscrowd", 0)
    if crowd not in (0, 1):
        raise entry.error(f"iscrowd is {_short(crowd)}", "expected 0 or 1, correct the file")
    return bool(crowd)
