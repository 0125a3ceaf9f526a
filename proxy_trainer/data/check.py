"""Facts about a data set, as `nas data check` prints them: what is in it, how large, how divided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from proxy_trainer.data.cache import BadImage
from proxy_trainer.data.config import DataConfig, Split, Splits
from proxy_trainer.data.image_set import ImageSet, on_disk, open_split

QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)

_SMALL, _LARGE = 32**2, 96**2
"""COCO's limits of area in original pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitFacts:
    """What one split holds.

    `classes` has (name, boxes) for every category. `sides` are quantiles of the longer side of a box as
    a share of the longer side of its picture, `cache_sides` of the shorter side in cache pixels; both at
    QUANTILES, and empty without boxes. `small`, `medium`, `large` count boxes by COCO's limits of area.
    """

    split: Split
    images: int
    empty_images: int
    boxes: int
    crowds: int
    most_boxes: int
    classes: tuple[tuple[str, int], ...]
    sides: tuple[float, ...]
    cache_sides: tuple[float, ...]
    small: int
    medium: int
    large: int
    content_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataReport:
    """Facts of every split that is not empty, at one resolution, and the pictures that are left out.

    `twins` are the names of pictures that are byte for byte those of an earlier split too.
    """

    resolution: int
    twins: tuple[str, ...]
    splits: tuple[SplitFacts, ...]
    bad: tuple[BadImage, ...]


def data_report(config: DataConfig, splits: Splits, resolution: int, cache_dir: Path) -> DataReport:
    """Open every split of a data set and count. Raises DataError, CacheError."""
    config = on_disk(config, cache_dir)
    wanted = [Split.TRAIN]
    wanted += [
        split for split, part in ((Split.REWARD, splits.reward), (Split.CONFIRM, splits.confirm)) if part
    ]
    wanted += [Split.VALIDATION] if config.val is not None else []
    opened = [(split, open_split(config, splits, split, resolution, cache_dir)) for split in wanted]
    bad = {fault.file_name: fault for _, images in opened for fault in images.bad}
    return DataReport(
        resolution=resolution,
        twins=tuple(_twins([images for _, images in opened])),
        splits=tuple(split_facts(split, images) for split, images in opened),
        bad=tuple(bad[name] for name in sorted(bad)),
    )


def _twins(splits: Sequence[ImageSet]) -> Iterator[str]:
    seen: set[bytes] = set()
    for images in splits:
        digests = [each.tobytes() for each in images.digests]
        yield from (
            name
            for name, digest in zip(images.annotations.file_names, digests, strict=True)
            if digest in seen
        )
        seen.update(digests)


def split_facts(split: Split, images: ImageSet) -> SplitFacts:
    """Count what an image set holds."""
    truth = images.annotations
    single = ~truth.crowds
    counts = np.bincount(truth.labels[single], minlength=len(truth.categories))
    owners = truth.owners[single]
    per_image = np.bincount(owners, minlength=len(images))
    sides = truth.boxes[single, 2:]
    longer = sides.max(axis=1) / truth.sizes[owners].max(axis=1)
    shorter = (sides * images.scales[owners, ::-1]).min(axis=1)
    areas = truth.areas[single]
    small, large = int((areas < _SMALL).sum()), int((areas >= _LARGE).sum())
    return SplitFacts(
        split=split,
        images=len(images),
        empty_images=int((per_image == 0).sum()),
        boxes=len(owners),
        crowds=int(truth.crowds.sum()),
        most_boxes=int(per_image.max()),
        classes=tuple((c.name, int(count)) for c, count in zip(truth.categories, counts, strict=True)),
        sides=tuple(np.quantile(longer, QUANTILES).tolist()) if len(longer) else (),
        cache_sides=tuple(np.quantile(shorter, QUANTILES).tolist()) if len(shorter) else (),
        small=small,
        medium=len(owners) - small - large,
        large=large,
        content_hash=images.content_hash,
    )
