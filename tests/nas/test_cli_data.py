"""`nas data`: what is rendered passes the check, and the check's numbers are the files'."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

Nas = Callable[..., Any]
Written = Callable[..., Path]

PROXY: dict[str, Any] = {
    "kind": "proxy",
    "data": {"kind": "rendered", "train_images": 30, "val_images": 4, "size": 128},
    "splits": {"reward": 6, "confirm": 4},
    "recipe": {"anchor_size": 16},  # so large that the finest level owns nothing
}


@pytest.fixture
def recipe(written: Written) -> Path:
    return written({"evaluator": PROXY})


def test_a_rendered_set_passes_the_check(nas: Nas, recipe: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    rendered = nas("data", "render", tmp_path / "set", "--recipe", recipe, "--sheet", sheet)
    checked = nas("data", "check", tmp_path / "set", "--recipe", recipe, "--sheet", sheet, "--json")

    assert (rendered.code, checked.code) == (0, 0), (rendered, checked)
    facts = json.loads(checked.out)
    assert {row["split"]: row["images"] for row in facts["splits"]} == {
        "train": 20,
        "reward": 6,
        "confirm": 4,
        "validation": 4,
    }
    notes = json.loads((tmp_path / "set" / "instances_train.json").read_text(encoding="utf-8"))
    assert sum(row["boxes"] for row in facts["splits"][:3]) == len(notes["annotations"])
    assert sum(row["boxes"] for row in facts["levels"]) == facts["boxes"] == facts["splits"][0]["boxes"]
    with Image.open(sheet) as picture:
        assert picture.width > 500
    assert "contact sheet" in rendered.err
    assert "contact sheet" in checked.err


def test_the_levels_are_those_of_the_configs_space(
    nas: Nas, recipe: Path, written: Written, tmp_path: Path
) -> None:
    nas("data", "render", tmp_path / "set", "--recipe", recipe)
    space = {"stem": [{"level": 2}, {"level": 2}], "intermediates": {"3": 1}, "outputs": [3, 4]}
    small = written({"evaluator": PROXY, "space": space})
    facts = json.loads(nas("data", "check", tmp_path / "set", "--recipe", small, "--json").out)
    assert [row["level"] for row in facts["levels"]] == [3, 4]
    assert sum(row["boxes"] for row in facts["levels"]) == facts["boxes"]


def test_pictures_that_are_in_two_splits_are_named(nas: Nas, recipe: Path, tmp_path: Path) -> None:
    nas("data", "render", tmp_path / "set", "--recipe", recipe)
    command = ("data", "check", tmp_path / "set", "--recipe", recipe)
    assert json.loads(nas(*command, "--json").out)["twins"] == []
    notes = json.loads((tmp_path / "set" / "instances_train.json").read_text())
    first, *others = [tmp_path / "set" / "images" / each["file_name"] for each in notes["images"]]
    for other in others:
        other.write_bytes(first.read_bytes())

    facts = json.loads(nas(*command, "--json").out)

    assert len(facts["twins"]) == 10, "those of the reward and the confirm split"
    assert "10 pictures are in two splits under two names" in nas(*command).out


def test_people_read_the_same_and_are_warned_of_starved_levels(
    nas: Nas, recipe: Path, tmp_path: Path
) -> None:
    nas("data", "render", tmp_path / "set", "--recipe", recipe)
    facts = json.loads(nas("data", "check", tmp_path / "set", "--recipe", recipe, "--json").out)

    text = nas("data", "check", tmp_path / "set", "--recipe", recipe).out

    assert facts["starved_levels"]
    assert f"P{facts['starved_levels'][0]}" in text.rpartition("next to nothing")[0].splitlines()[-1]
    assert str(facts["splits"][0]["boxes"]) in text


def test_a_directory_with_something_in_it_is_not_rendered_to(nas: Nas, recipe: Path, tmp_path: Path) -> None:
    ended = nas("data", "render", tmp_path, "--recipe", recipe)

    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "not empty" in ended.err


def test_the_subset_of_a_config_is_what_is_checked(
    nas: Nas, recipe: Path, home: Path, tmp_path: Path
) -> None:
    nas("data", "render", tmp_path / "set", "--recipe", recipe)
    everything = json.loads(nas("data", "check", tmp_path / "set", "--json").out)
    name, count = next(iter(everything["splits"][0]["classes"].items()))
    paths = {"images": "set/images", "train": "set/instances_train.json"}
    part = {**PROXY, "data": {"kind": "coco", **paths, "classes": [name]}}
    config = tmp_path / "part.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "name": "part",
                "space": "spinenet-49",
                "controller": {"kind": "random_search"},
                "evaluator": part,
                "budget": {"trials": 1},
            }
        )
    )

    facts = json.loads(nas("data", "check", tmp_path / "set", "--recipe", config, "--json").out)

    assert count > 0
    assert [set(split["classes"]) for split in facts["splits"]] == [{name}] * len(facts["splits"])
    assert (home / ".cache").is_dir()
