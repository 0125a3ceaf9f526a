"""A split at one resolution: boxes sit on their objects, and the evaluator gets what the file says."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from proxy_trainer.data.annotations import Category
from proxy_trainer.data.config import CocoData, RenderedData, Split, Splits
from proxy_trainer.data.directory import coco_directory
from proxy_trainer.data.errors import DataError
from proxy_trainer.data.image_set import ImageSet, open_split, split_record

Directory = Callable[..., CocoData]
ALL = Splits(reward=0, confirm=0)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.mark.parametrize("resolution", [32, 60, 200])
def test_boxes_sit_on_their_objects(
    directory: Directory, instances: dict[str, Any], cache: Path, resolution: int
) -> None:
    box = instances["annotations"][0]["bbox"] = [16, 8, 24, 16]
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[box[1] : box[1] + box[3], box[0] : box[0] + box[2]] = 255
    images = open_split(directory({"b.png": Image.fromarray(pixels)}), ALL, "train", resolution, cache)
    ys, xs = np.nonzero(images.pixels[1].mean(axis=2) > 127)
    found = [ys.min(), xs.min(), ys.max() + 1, xs.max() + 1]
    np.testing.assert_allclose(images.boxes[1][list(images.labels[1]).index(2)], found, atol=1)
    assert images.contents[1].tolist() == [resolution // 2, resolution]
    assert images.scales[1].tolist() == [resolution / 80] * 2


def test_boxes_follow_the_picture_where_its_height_is_rounded(
    directory: Directory, instances: dict[str, Any], cache: Path
) -> None:
    """427 rows of 640 columns make 85.4 rows of 128: the picture fills 85 of them, and so does a box."""
    instances["images"] = [{"id": 7, "file_name": "b.png", "height": 427, "width": 640}]
    instances["annotations"] = [
        {"id": number, "image_id": 7, "category_id": 17, "bbox": box, "area": 1000, "iscrowd": 0}
        for number, box in enumerate(([0, 0, 640, 427], [160, 213.5, 320, 213.5]))
    ]
    images = open_split(directory(), ALL, "train", 128, cache)
    assert images.contents.tolist() == [[85, 128]]
    assert images.scales.tolist() == [[85 / 427, 128 / 640]]
    np.testing.assert_allclose(
        images.boxes[0], [[0.0, 0.0, 85.0, 128.0], [42.5, 32.0, 85.0, 96.0]], rtol=1e-6
    )


def test_crowds_are_apart_and_boxes_are_clipped(directory: Directory, cache: Path) -> None:
    images = open_split(directory(), ALL, Split.TRAIN, 120, cache)
    assert images.image_ids.tolist() == [3, 7, 12]
    assert images.categories == (Category(4, "ant"), Category(17, "cat"), Category(90, "zebra"))
    assert images.boxes[0].tolist() == [[21, 0, 61, 20]]  # began 5 px left of the picture; scale 2
    assert images.boxes[1].tolist() == [[30, 90, 60, 120], [7.5, 15, 22.5, 45]]  # scale 1.5
    assert images.labels[1].tolist() == [1, 2]
    assert images.crowds[1].tolist() == [[0, 0, 60, 120]]
    assert (images.boxes[2].shape, images.labels[2].shape, images.crowds[0].shape) == ((0, 4), (0,), (0, 4))
    assert (str(images.boxes[0].dtype), str(images.labels[0].dtype)) == ("float32", "int32")


def test_pixels_are_read_row_by_row(directory: Directory, cache: Path) -> None:
    images = open_split(directory(), Splits(reward=1, confirm=0), "train", 32, cache)
    assert images.pixels.shape == (2, 32, 32, 3) == images.pixels[:].shape
    assert len(images.pixels) == len(images) == 2
    np.testing.assert_array_equal(images.pixels[[1, 0]], images.pixels[::-1])
    np.testing.assert_array_equal(images.pixels[1], images.pixels[:][1])
    whole = open_split(directory(), ALL, "train", 32, cache)
    rows = np.flatnonzero(np.isin(whole.image_ids, images.image_ids))
    np.testing.assert_array_equal(images.pixels[:], whole.pixels[rows])
    assert [b.tolist() for b in images.boxes] == [whole.boxes[row].tolist() for row in rows]


def test_ground_truth_is_the_files_own(directory: Directory, instances: dict[str, Any], cache: Path) -> None:
    truth = open_split(directory(), ALL, "train", 32, cache).ground_truth()
    json.dumps(truth)
    assert {a["id"] for a in truth["annotations"]} == {1, 2, 3, 4}

    def bare(content: dict[str, Any]) -> list[tuple[Any, ...]]:
        return sorted(
            (a["image_id"], a["category_id"], tuple(map(float, a["bbox"])), float(a["area"]), a["iscrowd"])
            for a in content["annotations"]
        )

    assert bare(truth) == bare(instances)
    assert sorted(c["id"] for c in truth["categories"]) == [4, 17, 90]
    assert [i["id"] for i in truth["images"]] == [3, 7, 12]


def average_precision(images: ImageSet) -> float:
    """AP by pycocotools of detections that are the boxes themselves, taken back from cache pixels."""
    results = []
    for row, (boxes, labels) in enumerate(zip(images.boxes, images.labels, strict=True)):
        for (y1, x1, y2, x2), label in zip(
            (boxes / np.tile(images.scales[row], 2)).tolist(), labels, strict=True
        ):
            results.append(
                {
                    "image_id": int(images.image_ids[row]),
                    "category_id": images.categories[label].id,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "score": 0.9,
                }
            )
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = images.ground_truth()
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes(results), "bbox")
        judge.params.maxDets = [1, 10, 1000]
        judge.evaluate()
        judge.accumulate()
    precision = judge.eval["precision"][:, :, :, 0, -1]
    return float(precision[precision > -1].mean())


def test_boxes_lead_back_to_the_truth_of_real_sets(shared_set: Path, cache: Path) -> None:
    """Oracle: pycocotools finds nothing wrong with the boxes that training sees, in original pixels."""
    images = open_split(coco_directory(shared_set), ALL, "validation", 64, cache)
    assert average_precision(images) > 0.999


def test_splits_of_a_real_set(shared_set: Path, cache: Path) -> None:
    config, splits = coco_directory(shared_set), Splits(reward=0.2, confirm=20)
    ids = {split: open_split(config, splits, split, 32, cache).image_ids.tolist() for split in Split}
    record = split_record(config, splits, cache)
    assert {split: list(found) for split, found in record.ids.items()} == ids
    everything = [*ids[Split.TRAIN], *ids[Split.REWARD], *ids[Split.CONFIRM]]
    given = json.loads((shared_set / "instances_train.json").read_text())["images"]
    assert sorted(everything) == sorted(image["id"] for image in given)
    assert len(ids[Split.CONFIRM]) == 20
    assert len(list(cache.glob("pixels-*.npy"))) == 2  # one for the three splits, one for validation


def test_chosen_classes_and_share(directory: Directory, instances: dict[str, Any], cache: Path) -> None:
    images = open_split(directory(classes=("zebra", "cat")), ALL, "train", 32, cache)
    assert images.categories == (Category(17, "cat"), Category(90, "zebra"))
    assert images.image_ids.tolist() == [7]  # no other image shows one
    assert images.labels[0].tolist() == [0, 1]
    assert not len(images.crowds[0])
    assert len(open_split(directory(share=0.34), ALL, "train", 32, cache)) == 1
    with pytest.raises(DataError, match="no category is called 'dog'; it has ant, cat, zebra"):
        open_split(directory(classes=("dog",)), ALL, "train", 32, cache)
    instances["annotations"] = instances["annotations"][1:]
    with pytest.raises(DataError, match="no image shows any of zebra"):
        open_split(directory(classes=("zebra",)), ALL, "train", 32, cache)


def test_share_is_nested_and_exact(shared_set: Path, cache: Path) -> None:
    config = coco_directory(shared_set)
    few, more = (
        set(open_split(replace(config, share=share), ALL, "train", 32, cache).image_ids.tolist())
        for share in (0.1, 0.3)
    )
    whole = len(json.loads(config.train.read_text())["images"])
    assert few < more
    assert (len(few), len(more)) == (round(0.1 * whole), round(0.3 * whole))


def test_validation_is_its_own_file(
    directory: Directory, instances: dict[str, Any], cache: Path, tmp_path: Path
) -> None:
    val = tmp_path / "val.json"
    content = {**instances, "images": instances["images"][:1]}
    content["annotations"] = [a for a in instances["annotations"] if a["image_id"] == 7]
    val.write_text(json.dumps(content))
    config = directory(val=val)
    assert open_split(config, ALL, "validation", 32, cache).image_ids.tolist() == [7]
    assert len(open_split(config, ALL, "train", 32, cache)) == 3
    with pytest.raises(DataError, match="there is no val, expected an instances file"):
        open_split(directory(), ALL, "validation", 32, cache)
    content["categories"] = content["categories"][1:]
    content["annotations"] = content["annotations"][1:]
    val.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"val\.json: its categories differ from those of"):
        open_split(config, ALL, "validation", 32, cache)


def test_an_empty_split_is_said(directory: Directory, cache: Path) -> None:
    with pytest.raises(DataError, match="splits: confirm holds no image"):
        open_split(directory(), Splits(reward=1, confirm=0), "confirm", 32, cache)


def test_a_bad_picture_is_in_no_set(directory: Directory, instances: dict[str, Any], cache: Path) -> None:
    instances["images"] = [
        {"id": n, "file_name": f"{n}.png", "height": 20, "width": 24} for n in range(1, 103)
    ]
    instances["annotations"] = [{"id": 1, "image_id": 5, "category_id": 4, "bbox": [1, 1, 3, 3]}]
    images = open_split(directory({"5.png": b"\x89PNG broken"}), ALL, "train", 32, cache)
    assert 5 not in images.image_ids
    assert len(images) == 101
    assert [bad.file_name for bad in images.bad] == ["5.png"]
    assert images.ground_truth()["annotations"] == []
    assert split_record(directory({"5.png": b"\x89PNG broken"}), ALL, cache).ids[Split.TRAIN] == tuple(
        range(1, 103)
    )


def test_the_content_hash_follows_the_content(
    directory: Directory, instances: dict[str, Any], cache: Path
) -> None:
    def content_hash(resolution: int = 32, pictures: dict[str, Image.Image] | None = None) -> str:
        return open_split(directory(pictures), ALL, "train", resolution, cache).content_hash

    first = content_hash()
    assert content_hash(64) == first
    instances["annotations"].reverse()
    instances["info"] = {"note": "the same in another order"}
    assert content_hash() == first
    assert content_hash(pictures={"b.png": Image.new("RGB", (80, 40))}) != first
    assert content_hash() == first
    instances["annotations"][0]["bbox"][0] += 1
    assert content_hash() != first


def test_the_rendered_set_takes_the_same_road(cache: Path) -> None:
    config = RenderedData(train_images=20, val_images=5, size=64)
    splits = Splits(reward=4, confirm=3)
    sizes = {split: len(open_split(config, splits, split, 48, cache)) for split in Split}
    assert sizes == {Split.TRAIN: 13, Split.REWARD: 4, Split.CONFIRM: 3, Split.VALIDATION: 5}
    record = split_record(config, splits, cache)
    assert not set(record.ids[Split.VALIDATION]) & set(record.ids[Split.TRAIN])
    images = open_split(config, splits, "train", 48, cache)
    assert [category.name for category in images.categories] == list(config.classes)
    assert average_precision(images) > 0.999
