"""The report of a data set, its contact sheet, and finding its files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from proxy_trainer.data.check import data_report
from proxy_trainer.data.config import CocoData, RenderedData, Split, Splits
from proxy_trainer.data.directory import coco_directory
from proxy_trainer.data.errors import DataError
from proxy_trainer.data.image_set import open_split
from proxy_trainer.data.sheet import class_colour, contact_sheet, draw_boxes

ALL = Splits(reward=0, confirm=0)


def test_facts_of_a_small_set(directory: Callable[..., CocoData], tmp_path: Path) -> None:
    report = data_report(directory(), ALL, 120, tmp_path / "cache")
    (facts,) = report.splits
    assert (facts.split, facts.images, facts.empty_images) == (Split.TRAIN, 3, 1)
    assert (facts.boxes, facts.crowds, facts.most_boxes) == (3, 1, 2)
    assert facts.classes == (("ant", 1), ("cat", 1), ("zebra", 1))
    assert (facts.small, facts.medium, facts.large) == (3, 0, 0)
    np.testing.assert_allclose(facts.sides[2], 20 / 60)  # median of 20/60, 40/80, 20/80
    np.testing.assert_allclose(facts.cache_sides[2], 30)  # median of 15*2, 40*1.5, 10*1.5
    assert report.bad == ()


def test_facts_without_boxes(
    directory: Callable[..., CocoData], instances: dict[str, Any], tmp_path: Path
) -> None:
    instances["annotations"] = []
    (facts,) = data_report(directory(), ALL, 32, tmp_path / "cache").splits
    assert (facts.boxes, facts.sides, facts.cache_sides, facts.empty_images) == (0, (), (), 3)


# From the tables in the README of each set: boxes (not crowd), crowd regions, images without any box.
README = {
    "bccd": {"train": (292, 3941, 0), "val": (72, 945, 0)},
    "coco_person": {"train": (501, 1908, 32), "val": (195, 771, 17)},
    "coco80_mini": {"train": (290, 2576, 25), "val": (143, 1165, 11)},
}


def test_real_sets_hold_what_their_readme_says(shared_set: Path, tmp_path: Path) -> None:
    report = data_report(coco_directory(shared_set), Splits(reward=0.2, confirm=0.1), 32, tmp_path)
    assert [facts.split for facts in report.splits] == list(Split)
    carved, val = report.splits[:3], report.splits[3]
    expected = README[shared_set.name]
    assert (
        tuple(sum(getattr(f, name) for f in carved) for name in ("images", "boxes", "crowds"))
        == expected["train"]
    )
    assert (val.images, val.boxes, val.crowds) == expected["val"]
    assert report.bad == ()


def test_a_sheet_shows_boxes_in_the_colours_of_their_classes(tmp_path: Path) -> None:
    config = RenderedData(train_images=7, val_images=1, size=96, clutter=0.0)
    images = open_split(config, ALL, "train", 96, tmp_path)
    sheet = contact_sheet(images, count=7, columns=3, tile=96)
    assert sheet.width == 3 * (96 + 6) + 6
    assert sheet.height > 3 * (96 + 6)
    pixels = {colour for _, colour in sheet.getcolors(1 << 20) or []}
    shown = {int(label) for labels in images.labels for label in labels}
    assert {class_colour(label) for label in shown} <= pixels


def test_outlines_follow_the_boxes() -> None:
    picture = Image.new("RGB", (60, 50))
    draw_boxes(picture, np.array([[10, 20, 40, 50]], np.float32), [(1, 200, 3)], [""])
    ys, xs = np.nonzero(np.asarray(picture)[:, :, 1] == 200)
    assert [ys.min(), xs.min(), ys.max() + 1, xs.max() + 1] == [10, 20, 40, 50]
    assert picture.getpixel((35, 25)) == (0, 0, 0)


def test_a_sheet_of_real_pictures(shared_set: Path, tmp_path: Path) -> None:
    images = open_split(replace(coco_directory(shared_set), share=0.05), ALL, "train", 96, tmp_path)
    assert contact_sheet(images, count=10, tile=128).width == 6 * (128 + 6) + 6


def test_a_sheet_of_crowds_and_empty_images(directory: Callable[..., CocoData], tmp_path: Path) -> None:
    images = open_split(directory(), ALL, "train", 64, tmp_path / "cache")
    assert contact_sheet(images, tile=64).height > 64


def test_directories_are_found(tmp_path: Path) -> None:
    (tmp_path / "ours" / "images").mkdir(parents=True)
    (tmp_path / "ours" / "instances_train.json").write_text("{}")
    found = coco_directory(tmp_path / "ours")
    assert (found.images, found.val) == (tmp_path / "ours" / "images", None)
    (tmp_path / "ours" / "instances_val.json").write_text("{}")
    found = coco_directory(tmp_path / "ours")
    assert (found.val, found.val_images) == (tmp_path / "ours" / "instances_val.json", None)

    theirs = tmp_path / "coco"
    for name in ("train2017", "val2017", "annotations"):
        (theirs / name).mkdir(parents=True)
    for part in ("train", "val"):
        (theirs / "annotations" / f"instances_{part}2017.json").write_text(json.dumps({}))
    found = coco_directory(theirs)
    assert (found.images, found.val_images) == (theirs / "train2017", theirs / "val2017")


def test_directories_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: is not a directory, expected a COCO directory"):
        coco_directory(tmp_path / "nowhere")
    with pytest.raises(DataError, match="is empty, expected a COCO directory"):
        coco_directory(tmp_path)
    (tmp_path / "x.txt").write_text("x")
    with pytest.raises(DataError, match=r"expected images/ and instances_train\.json"):
        coco_directory(tmp_path)
