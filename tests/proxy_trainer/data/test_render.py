"""The embedded set: the same for a seed, honest boxes, classes told apart by shape and by nothing else."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from proxy_trainer.data.config import SHAPES, RenderedData
from proxy_trainer.data.errors import CacheError
from proxy_trainer.data.render import render, render_to
from proxy_trainer.data.scene import Layer, make_scene, visible
from proxy_trainer.data.shapes import blob_mask, shape_mask, stroke_mask
from proxy_trainer.data.textures import make_pool

SMALL = RenderedData(train_images=8, val_images=4, size=96)


def contents(directory: Path) -> dict[str, bytes]:
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def test_bit_identical_for_a_seed(tmp_path: Path) -> None:
    for name, config in (("a", SMALL), ("b", SMALL), ("c", replace(SMALL, seed=1))):
        render_to(config, tmp_path / name)
    one, two, other = (contents(tmp_path / name) for name in "abc")
    assert one == two
    assert one.keys() == other.keys()
    assert not set(one.values()) & set(other.values())


def test_more_images_go_on_where_fewer_ended(tmp_path: Path) -> None:
    render_to(SMALL, tmp_path / "few")
    render_to(replace(SMALL, train_images=10), tmp_path / "more")
    few, more = contents(tmp_path / "few"), contents(tmp_path / "more")
    assert all(more[name] == data for name, data in few.items() if name.endswith(".jpg"))


def test_rendered_once_and_whole(tmp_path: Path) -> None:
    config = render(SMALL, tmp_path)
    before = contents(config.images.parent)
    stamp = config.train.stat().st_mtime_ns
    assert render(SMALL, tmp_path) == config
    assert config.train.stat().st_mtime_ns == stamp
    assert len(before) == 14
    assert render(replace(SMALL, clutter=0.5), tmp_path).images != config.images
    assert not list(tmp_path.glob("*.part"))


def test_what_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    path = render(SMALL, tmp_path).images.parent
    before = contents(path)
    path.rename(path.with_name(path.name + ".part"))
    (path.with_name(path.name + ".part") / "instances_val.json").unlink()
    render(SMALL, tmp_path)
    assert contents(path) == before


def test_two_at_once(tmp_path: Path) -> None:
    found = []
    threads = [threading.Thread(target=lambda: found.append(render(SMALL, tmp_path))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [found[0]] * 3
    assert len(contents(found[0].images.parent)) == 14


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CacheError, match="cannot be written"):
        render(SMALL, tmp_path / "file")


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """All annotations of a fair number of pictures, each with its picture."""
    directory = tmp_path_factory.mktemp("rendered") / "set"
    render_to(RenderedData(train_images=150, val_images=1, size=128), directory)
    content = json.loads((directory / "instances_train.json").read_text())
    pictures = {
        image["id"]: np.asarray(Image.open(directory / "images" / image["file_name"]))
        for image in content["images"]
    }
    return [{**thing, "picture": pictures[thing["image_id"]]} for thing in content["annotations"]]


def test_boxes_lie_inside_and_sizes_spread_log_uniformly(things: list[dict[str, Any]]) -> None:
    boxes = np.array([thing["bbox"] for thing in things])
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, :2] + boxes[:, 2:] <= 128).all()
    assert all(0 < thing["area"] <= thing["bbox"][2] * thing["bbox"][3] for thing in things)
    longest = boxes[:, 2:].max(axis=1) / 128
    assert longest.max() <= 0.62
    # The middle of 4 % and 60 % on a log scale is 15 %; occlusion and the picture's edge take a little.
    assert 0.11 < np.median(longest) < 0.18
    assert ((longest < 0.08).mean(), (longest > 0.3).mean()) > (0.15, 0.15)


def test_every_class_is_there(things: list[dict[str, Any]]) -> None:
    counts = np.bincount([thing["category_id"] for thing in things], minlength=5)[1:]
    assert len(things) > 400
    assert counts.min() > 0.1 * len(things)


def test_colour_and_texture_say_nothing_about_the_class(things: list[dict[str, Any]]) -> None:
    """A linear reading of colours inside the object does little better than chance (1/4)."""
    features, labels = [], []
    for thing in things:
        x, y, width, height = (int(value) for value in thing["bbox"])
        patch = thing["picture"][y : y + height, x : x + width].reshape(-1, 3) / 255
        features.append([1, *patch.mean(axis=0), *np.median(patch, axis=0), *patch[len(patch) // 2]])
        labels.append(thing["category_id"] - 1)
    half = len(labels) // 2
    told, wanted = np.array(features), np.eye(4)[labels]
    weights = np.linalg.lstsq(told[:half], wanted[:half], rcond=None)[0]
    right = (told[half:] @ weights).argmax(axis=1) == np.array(labels[half:])
    assert right.mean() < 0.36


def test_validation_has_its_own_backgrounds(tmp_path: Path) -> None:
    streams = [np.random.default_rng([0, part, 0]) for part in (0, 1)]
    train, val = (make_pool(8, 64, rng) for rng in streams)
    assert not {p.tobytes() for p in train.patterns} & {p.tobytes() for p in val.patterns}
    render_to(SMALL, tmp_path / "set")
    placed = []
    for part in ("train", "val"):
        content = json.loads((tmp_path / "set" / f"instances_{part}.json").read_text())
        placed.append({tuple(thing["bbox"]) for thing in content["annotations"]})
    assert len(placed[0] & placed[1]) < 3


def block(height: int, width: int, y: int, x: int, label: int | None = 0) -> Layer:
    return Layer(np.full((height, width), 255, np.uint8), y, x, label)


def test_boxes_are_refitted_to_what_can_be_seen() -> None:
    config = replace(SMALL, visible=0.25)
    behind, before, stroke = block(40, 20, 10, 30, 2), block(24, 20, 10, 30, 3), block(5, 96, 45, 0, None)
    objects, things = visible([behind, before], [stroke], config)
    assert [thing.label for thing in things] == [2, 3]
    assert things[0].box == (30, 34, 20, 11)  # below the one in front of it, above the stroke
    assert things[1].box == (30, 10, 20, 24)
    assert (things[0].area, things[1].area) == (220, 480)
    assert objects == [behind, before]


def test_what_is_hardly_visible_is_not_painted_at_all() -> None:
    config = replace(SMALL, visible=0.35)
    hidden, before, outside = block(20, 20, 10, 30), block(14, 20, 10, 30), block(20, 20, 40, -14)
    objects, things = visible([hidden, before, outside], [], config)
    assert objects == [before]
    assert [thing.box for thing in things] == [(30, 10, 20, 14)]


def test_what_was_hidden_by_something_taken_away_is_seen_again() -> None:
    config = replace(SMALL, visible=0.5)
    back, middle, front = block(20, 20, 10, 10), block(20, 20, 10, 16), block(20, 20, 10, 20)
    objects, things = visible([back, middle, front], [], config)
    assert objects == [back, front]
    assert things[0].box == (10, 10, 10, 20)


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_have_the_size_that_was_asked_for(shape: Any) -> None:
    for seed, longest in enumerate((5.0, 11.5, 30.0, 90.0)):
        mask = shape_mask(shape, longest, np.random.default_rng(seed))
        assert max(mask.shape) == np.ceil(longest)
        assert mask.max() == 255
        ys, xs = np.nonzero(mask > 20)
        assert ys.max() - ys.min() + 1 >= mask.shape[0] - 2
        assert xs.max() - xs.min() + 1 >= mask.shape[1] - 2


def test_shapes_differ_in_outline() -> None:
    """Share of the box that is covered, in the mean over turns: crude, but no two coincide."""
    rng = np.random.default_rng(0)
    cover = {s: np.mean([(shape_mask(s, 60, rng) > 127).mean() for _ in range(40)]) for s in SHAPES}
    assert cover["disc"] > 0.7  # pi / 4 upright
    assert cover["ring"] < cover["disc"] - 0.2
    assert cover["star"] < cover["square"] - 0.2
    hole = [shape_mask("ring", 60, rng) for _ in range(20)]
    assert all(mask[mask.shape[0] // 2, mask.shape[1] // 2] == 0 for mask in hole)


def test_distractors_are_drawn() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        assert (blob_mask(30, rng) > 127).sum() > 50
        assert (stroke_mask(40, 3, rng) > 127).sum() > 30


def test_without_clutter_nothing_but_objects() -> None:
    """Painted with plain surfaces, every pixel outside of the boxes is background."""
    config = replace(SMALL, clutter=0.0, occlusion=0.0, contrast=0.5)
    flat = make_pool(1, 144, np.random.default_rng(0))  # the first kind is flat
    for seed in range(12):
        scene = make_scene(config, flat, np.random.default_rng(seed))
        assert scene.things
        inside = np.zeros((96, 96), bool)
        for thing in scene.things:
            x, y, width, height = thing.box
            # Faint tips (less than half covered) may stick out by some pixels.
            inside[max(0, y - 3) : y + height + 3, max(0, x - 3) : x + width + 3] = True
        assert np.ptp(scene.picture[~inside].astype(int), axis=0).max() <= 1
        for thing in scene.things:
            x, y, width, height = thing.box
            patch = scene.picture[y : y + height, x : x + width].reshape(-1, 3).astype(int)
            ground = scene.picture[~inside][0].astype(int)
            assert np.linalg.norm(patch - ground, axis=1).max() > 0.3 * 255
