"""The pictures and boxes of one split at one resolution: what training and evaluation read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy_trainer.data.annotations import Annotations, Category
from proxy_trainer.data.cache import BadImage, PixelCache, open_annotations, open_pixels
from proxy_trainer.data.config import CocoData, DataConfig, RenderedData, Split, Splits
from proxy_trainer.data.errors import DataError
from proxy_trainer.data.pictures import fitted
from proxy_trainer.data.render import render
from proxy_trainer.data.splits import SplitRecord, divide, ranked, record


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """Rows of a memory-mapped array, read when asked for: `pixels[3]`, `pixels[8:16]`, `pixels[[5, 2]]`."""

    stored: NDArray[np.uint8]
    rows: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(images, R, R, 3)."""
        return len(self.rows), *self.stored.shape[1:4]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: int | np.integer[Any] | slice | list[int] | NDArray[Any]) -> NDArray[np.uint8]:
        return np.asarray(self.stored[self.rows[key]])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageSet:
    """N images of a split, in the order of their ids.

    `pixels` gives uint8 [R, R, 3] per image: the picture top left with its longest side R, then zeros.
    `contents` int64 [N, 2], (height, width) of the part that shows the picture; `scales` float64 [N, 2],
    cache pixels per original pixel down and across, which differ where contents were rounded. `boxes`
    (float32 [n, 4] per image, (y1, x1, y2, x2)) and `labels` (int32 [n]) are what to find; `crowds`
    (float32 [m, 4]) are regions that hold many objects, not to be trained on. All in cache pixels, clipped
    to the picture. `annotations` has the same images in original pixels, `digests` [N, 16] a hash of each
    file. `content_hash` covers picture files, boxes and classes, not the resolution.
    """

    pixels: Pixels
    scales: NDArray[np.float64]
    contents: NDArray[np.int64]
    boxes: tuple[NDArray[np.float32], ...]
    labels: tuple[NDArray[np.int32], ...]
    crowds: tuple[NDArray[np.float32], ...]
    annotations: Annotations
    digests: NDArray[np.uint8]
    content_hash: str
    bad: tuple[BadImage, ...] = ()

    def __len__(self) -> int:
        return len(self.annotations)

    @property
    def resolution(self) -> int:
        """R, in pixels."""
        return self.pixels.shape[1]

    @property
    def image_ids(self) -> NDArray[np.int64]:
        """Ids by the annotation file, ascending."""
        return self.annotations.image_ids

    @property
    def categories(self) -> tuple[Category, ...]:
        """The classes; a label is a position in here."""
        return self.annotations.categories

    def ground_truth(self) -> dict[str, Any]:
        """COCO's format, for an evaluator: original pixels, the file's areas, crowds and category ids."""
        return self.annotations.coco()


def open_split(
    config: DataConfig, splits: Splits, split: Split | str, resolution: int, cache_dir: Path
) -> ImageSet:
    """One split of a data set, decoded on first use into `cache_dir`. Raises DataError, CacheError."""
    split = Split(split)
    config = on_disk(config, cache_dir)
    chosen = _chosen(config, split, cache_dir)
    images = config.images if split is not Split.VALIDATION else config.val_images or config.images
    cache = open_pixels(images, chosen, resolution, cache_dir)
    mine = np.arange(len(chosen))
    if split is not Split.VALIDATION:
        mine = np.flatnonzero(np.isin(chosen.image_ids, divide(chosen.image_ids.tolist(), splits)[split]))
    rows = mine[cache.usable[mine]]
    if not len(rows):
        raise DataError(
            f"splits: {split.value} holds no image, expected one or more; give it a share or a number"
        )
    return _image_set(chosen, cache, rows, resolution)


def data_hash(train: ImageSet, reward: ImageSet) -> str:
    """One hash of the two splits that a trial's reward depends on."""
    digest = hashlib.blake2b(digest_size=16)
    for images in (train, reward):
        digest.update(images.content_hash.encode() + b"\n")
    return digest.hexdigest()


def split_record(config: DataConfig, splits: Splits, cache_dir: Path) -> SplitRecord:
    """Which image ids belong to which split (bad pictures among them), to be stored with a campaign."""
    config = on_disk(config, cache_dir)
    ids = divide(_chosen(config, Split.TRAIN, cache_dir).image_ids.tolist(), splits)
    if config.val is not None:
        ids[Split.VALIDATION] = tuple(_chosen(config, Split.VALIDATION, cache_dir).image_ids.tolist())
    return record(ids)


def on_disk(config: DataConfig, cache_dir: Path) -> CocoData:
    """The COCO directory of a data set: its own, or the one that it is rendered to now."""
    return render(config, cache_dir) if isinstance(config, RenderedData) else config


def _chosen(config: CocoData, split: Split, cache_dir: Path) -> Annotations:
    """The images and boxes that the config keeps, of the training or the validation file."""
    validation = split is Split.VALIDATION
    file = config.val if validation else config.train
    if file is None:
        raise DataError(
            "coco data: there is no val, expected an instances file for the validation set; name one"
        )
    annotations = open_annotations(file, config.empty_boxes, cache_dir)
    if validation:
        train = open_annotations(config.train, config.empty_boxes, cache_dir)
        if train.categories != annotations.categories:
            raise DataError(
                f"{file}: its categories differ from those of {config.train}; use one list in both"
            )
    if config.classes is not None:
        annotations = _with_classes(annotations, config.classes, file)
    if config.share < 1 and not validation:
        order = ranked(annotations.image_ids.tolist(), "share")
        kept = order[: max(1, round(config.share * len(order)))]
        annotations = annotations.restricted(np.flatnonzero(np.isin(annotations.image_ids, kept)))
    return annotations


def _with_classes(annotations: Annotations, names: tuple[str, ...], file: Path) -> Annotations:
    labels = {category.name: label for label, category in enumerate(annotations.categories)}
    unknown = [name for name in names if name not in labels]
    if unknown:
        raise DataError(f"{file}: no category is called {unknown[0]!r}; it has {', '.join(sorted(labels))}")
    annotations = annotations.with_classes(tuple(sorted(labels[name] for name in names)))
    shown = np.unique(annotations.owners)
    if not len(shown):
        raise DataError(f"{file}: no image shows any of {', '.join(names)}; choose other classes")
    return annotations.restricted(shown)


def _image_set(chosen: Annotations, cache: PixelCache, rows: NDArray[np.int64], resolution: int) -> ImageSet:
    annotations = chosen.restricted(rows)
    fits = [fitted(int(height), int(width), resolution) for height, width in annotations.sizes]
    contents = np.array(fits, np.int64).reshape(-1, 2)
    scales = contents / annotations.sizes
    corners = _corners(annotations, scales, contents)
    ends = np.searchsorted(annotations.owners, np.arange(1, len(annotations)))
    parts = list(
        zip(
            *(np.split(column, ends) for column in (corners, annotations.labels, annotations.crowds)),
            strict=True,
        )
    )
    return ImageSet(
        pixels=Pixels(cache.pixels, rows),
        scales=scales,
        contents=contents,
        boxes=tuple(boxes[~crowds] for boxes, _, crowds in parts),
        labels=tuple(labels[~crowds] for _, labels, crowds in parts),
        crowds=tuple(boxes[crowds] for boxes, _, crowds in parts),
        annotations=annotations,
        digests=cache.digests[rows],
        content_hash=_content_hash(annotations, cache.digests[rows]),
        bad=cache.bad,
    )


def _corners(
    annotations: Annotations, scales: NDArray[np.float64], contents: NDArray[np.int64]
) -> NDArray[np.float32]:
    """All boxes as (y1, x1, y2, x2) in cache pixels, clipped to the picture."""
    x, y, width, height = annotations.boxes.T
    corners = np.stack([y, x, y + height, x + width], axis=1) * np.tile(scales, 2)[annotations.owners]
    limits = np.tile(contents, 2)[annotations.owners]
    return np.clip(corners, 0, limits).astype(np.float32)


def _content_hash(annotations: Annotations, digests: NDArray[np.uint8]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for category in annotations.categories:
        digest.update(f"{category.id}|{category.name}\n".encode())
    for column in (
        annotations.image_ids,
        annotations.sizes,
        digests,
        annotations.owners,
        annotations.boxes,
        annotations.areas,
        annotations.labels,
        annotations.crowds,
    ):
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()
