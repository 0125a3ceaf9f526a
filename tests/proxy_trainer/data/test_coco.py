"""Instances files: what a correct one becomes, and the one line that each wrong one gets."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO

from proxy_trainer.data.annotations import Category, load_annotations, write_annotations
from proxy_trainer.data.coco import read_instances
from proxy_trainer.data.errors import DataError

FILE = Path("some/instances.json")


def read(instances: object, **options: Any) -> Any:
    return read_instances(FILE, json.dumps(instances).encode(), **options)


def test_gapped_ids_become_contiguous_labels_and_everything_is_in_order(instances: dict[str, Any]) -> None:
    found = read(instances)
    assert found.categories == (Category(4, "ant"), Category(17, "cat"), Category(90, "zebra"))
    assert found.image_ids.tolist() == [3, 7, 12]
    assert found.file_names == ("a.png", "b.png", "sub/c.png")
    assert found.sizes.tolist() == [[60, 30], [40, 80], [50, 50]]
    assert found.owners.tolist() == [0, 1, 1, 1]  # image 12 stays, without boxes
    assert found.labels.tolist() == [0, 1, 0, 2]
    assert found.crowds.tolist() == [False, False, True, False]
    assert found.areas.tolist() == [300, 400, 3200, 150.5]
    assert found.boxes[0].tolist() == [-5, 10.5, 15, 20]  # the evaluator gets the file's own boxes


def test_area_and_iscrowd_may_be_missing(instances: dict[str, Any]) -> None:
    del instances["annotations"][0]["area"], instances["annotations"][0]["iscrowd"]
    found = read(instances)
    assert found.areas[3] == 200
    assert not found.crowds[3]


def test_columns_survive_the_cache(instances: dict[str, Any], tmp_path: Path) -> None:
    found = read(instances)
    with (tmp_path / "columns.npz").open("wb") as file:
        write_annotations(file, found)
    back = load_annotations(tmp_path / "columns.npz")
    assert back.coco() == found.coco()
    assert back.categories == found.categories
    assert (back.owners.dtype, back.labels.dtype) == (found.owners.dtype, found.labels.dtype)


def set_to(*path: Any, value: Any) -> Callable[[Any], None]:
    def change(content: Any) -> None:
        for step in path[:-1]:
            content = content[step]
        content[path[-1]] = value

    return change


def add(key: str, **value: Any) -> Callable[[Any], None]:
    return lambda content: content[key].append(content[key][0] | value)


WRONG = {
    "no images": (set_to("images", value=[]), "images is empty"),
    "images no list": (set_to("images", value={"id": 1}), "images is {'id': 1}, expected a list"),
    "no annotations": (lambda content: content.pop("annotations"), "annotations is missing, expected a list"),
    "no categories": (set_to("categories", value=[]), "categories is empty"),
    "an entry of text": (set_to("images", 1, value="x"), "image number 2 is 'x'"),
    "image id twice": (add("images", file_name="z.png"), "image 7: its id occurs twice"),
    "file twice": (
        add("images", id=8, file_name="./b.png"),
        "image 8: file_name 'b.png' is also that of image 7",
    ),
    "annotation id twice": (add("annotations"), "annotation 31: its id occurs twice"),
    "category id twice": (add("categories", name="yak"), "category 90: id or name 'yak' occurs twice"),
    "category name twice": (add("categories", id=5), "category 5: id or name 'zebra' occurs twice"),
    "id a text": (set_to("images", 0, "id", value="7"), "image number 1: id is '7'"),
    "id true": (set_to("images", 0, "id", value=True), "image number 1: id is True"),
    "id huge": (set_to("images", 0, "id", value=2**70), "expected a whole number from 0 to"),
    "no height": (lambda content: content["images"][0].pop("height"), "image 7: height is missing"),
    "width 0": (set_to("images", 0, "width", value=0), "image 7: width is 0"),
    "unknown image": (
        set_to("annotations", 0, "image_id", value=99),
        "annotation 31: image_id is 99, which no image",
    ),
    "image id a list": (set_to("annotations", 0, "image_id", value=[7]), "annotation 31: image_id is [7]"),
    "unknown category": (
        set_to("annotations", 0, "category_id", value=5),
        "category_id is 5, which no category",
    ),
    "no area": (
        set_to("annotations", 0, "bbox", value=[1, 1, 5, 0]),
        "annotation 31: bbox [1.0, 1.0, 5.0, 0.0] of",
    ),
    "outside": (set_to("annotations", 0, "bbox", value=[80, 1, 5, 5]), "lies outside of the picture"),
    "negative": (set_to("annotations", 0, "bbox", value=[9, 9, -5, 5]), "has a negative side"),
    "three numbers": (
        set_to("annotations", 0, "bbox", value=[1, 2, 3]),
        "bbox is [1, 2, 3]; expected four numbers",
    ),
    "not a number": (
        set_to("annotations", 0, "bbox", value=[1, 2, 3, float("nan")]),
        "expected four numbers",
    ),
    "infinite": (set_to("annotations", 0, "bbox", value=[1, 2, 3, float("inf")]), "expected four numbers"),
    "negative area": (set_to("annotations", 0, "area", value=-1), "annotation 31: area is -1"),
    "half a crowd": (set_to("annotations", 0, "iscrowd", value=0.5), "annotation 31: iscrowd is 0.5"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_in_one_line(name: str, instances: dict[str, Any]) -> None:
    change, expected = WRONG[name]
    change(instances)
    with pytest.raises(DataError) as caught:
        read(instances)
    line = str(caught.value)
    assert line.startswith(f"{FILE}: ")
    assert expected in line
    assert "\n" not in line
    assert len(line) < 250


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../x.png", "a/../../x.png", "..\\x.png", "C:\\x.png", "C:x.png", "\\\\host\\x"],
)
def test_file_names_stay_inside(name: str, instances: dict[str, Any]) -> None:
    instances["images"][0]["file_name"] = name
    with pytest.raises(DataError, match=r"image 7: file_name .* leaves the images directory"):
        read(instances)


@pytest.mark.parametrize("name", ["a\0b", "a\nb.png", "\x1b[2J.png", "\ud800.png", "\udc80"])
def test_names_that_would_play_with_a_terminal(name: str, instances: dict[str, Any]) -> None:
    for key, label, kind in (("images", "file_name", "image 7"), ("categories", "name", "category 90")):
        broken = instances | {key: [instances[key][0] | {label: name}, *instances[key][1:]]}
        with pytest.raises(DataError, match=f"{kind}: {label} is .*no control characters"):
            read(broken)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe{}", b"[" * 100_000, b'{"images": 1e', b"null", b"[]"])
def test_what_is_no_instances_file(data: bytes) -> None:
    with pytest.raises(DataError, match=r"some/instances\.json: .*expected"):
        read_instances(FILE, data)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.json: cannot be read: No such file"):
        read_instances(tmp_path / "nowhere.json")


def test_empty_boxes_can_be_dropped_but_broken_ones_cannot(instances: dict[str, Any]) -> None:
    instances["annotations"][0]["bbox"] = [1, 1, 5, 0]
    instances["annotations"][2]["bbox"] = [-20, 1, 15, 5]
    assert read(instances, empty_boxes="drop").areas.tolist() == [400, 3200]
    instances["annotations"][0]["bbox"] = [1, 1, 5, -1]
    with pytest.raises(DataError, match="negative side"):
        read(instances, empty_boxes="drop")


_JUNK = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    st.lists(st.integers(-2, 2), max_size=5),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
_WHERE = st.tuples(
    st.sampled_from(["images", "annotations", "categories"]),
    st.integers(0, 2),
    st.sampled_from(
        [
            None,
            "id",
            "file_name",
            "height",
            "width",
            "image_id",
            "category_id",
            "bbox",
            "area",
            "iscrowd",
            "name",
        ]
    ),
)


@settings(max_examples=150, deadline=None)
@given(place=_WHERE, junk=_JUNK)
def test_junk_anywhere_gives_typed_errors_only(place: tuple[str, int, str | None], junk: Any) -> None:
    content: dict[str, Any] = {
        "images": [{"id": n, "file_name": f"{n}.png", "height": 9, "width": 9} for n in range(3)],
        "annotations": [{"id": n, "image_id": n, "category_id": 1, "bbox": [1, 1, 3, 3]} for n in range(3)],
        "categories": [{"id": n, "name": str(n)} for n in range(3)],
    }
    key, number, field = place
    if field is None:
        content[key][number] = junk
    else:
        content[key][number][field] = junk
    with contextlib.suppress(DataError):
        read(content)


@pytest.mark.parametrize("part", ["train", "val"])
def test_real_sets_agree_with_pycocotools(shared_set: Path, part: str) -> None:
    """Oracle: pycocotools' own index of the same file."""
    file = shared_set / f"instances_{part}.json"
    with contextlib.redirect_stdout(io.StringIO()):
        oracle = COCO(str(file))
    found = read_instances(file)
    assert found.image_ids.tolist() == sorted(oracle.getImgIds())
    assert [category.id for category in found.categories] == sorted(oracle.getCatIds())
    for row, image_id in enumerate(found.image_ids.tolist()):
        theirs = oracle.loadAnns(oracle.getAnnIds(imgIds=image_id))
        mine = found.owners == row
        np.testing.assert_array_equal(
            found.boxes[mine].reshape(-1, 4), [a["bbox"] for a in theirs] or np.zeros((0, 4))
        )
        assert found.areas[mine].tolist() == [a["area"] for a in theirs]
        assert found.crowds[mine].tolist() == [bool(a["iscrowd"]) for a in theirs]
        assert [found.categories[label].id for label in found.labels[mine]] == [
            a["category_id"] for a in theirs
        ]
