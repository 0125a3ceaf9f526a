"""Bad input gets one clear line and exit code 2, and leaves nothing behind."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nas.config import load
from nas.launch import create, driving, find
from proxy_trainer.data.config import RenderedData
from proxy_trainer.data.render import render_to

Nas = Callable[..., Any]
Written = Callable[..., Path]


def _proxy(data: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"evaluator": {"kind": "proxy", "data": data, **more}}


def _coco(directory: Path) -> dict[str, Any]:
    return _proxy(
        {"kind": "coco", "images": str(directory / "images"), "train": str(directory / "train.json")}
    )


CONFIGS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "unknown key": ({"bugdet": {"trials": 3}}, ["config.yaml:3: bugdet", "'budget'"]),
    "unknown key inside": (
        {"controller": {"kind": "regularized_evolution", "populaton": 3}},
        [".populaton", "'population'"],
    ),
    "unknown key of the recipe": (
        _proxy({"kind": "rendered"}, recipe={"stepz": 3}),
        ["evaluator.recipe.stepz", "'steps'"],
    ),
    "unknown key of the data": (
        _proxy({"kind": "coco", "imagez": "x"}),
        ["evaluator.data.imagez", "'images'"],
    ),
    "missing key": ({"budget": None}, ["budget", "missing"]),
    "no kind": ({"controller": {"population": 3}}, ["controller", "kind"]),
    "unknown kind": (
        {"controller": {"kind": "regularised_evolution"}},
        ["controller", "'regularized_evolution'"],
    ),
    "text for a number": ({"budget": {"trials": "many"}}, ["budget.trials", "whole number", '"many"']),
    "number in quotes": ({"seed": "3"}, ["seed", "whole number"]),
    "number for a mapping": ({"reward": 3}, ["reward", "mapping"]),
    "fraction for a whole number": ({"seed": 1.5}, ["seed", "whole number", "1.5"]),
    "nothing": ({"name": None, "budget": None}, ["missing"]),
    "no trials": ({"budget": {"trials": 0}}, ["budget", "trials=0"]),
    "bad name": ({"name": "../up"}, ["name=", "letters"]),
    "tournament of more than there are": (
        {"controller": {"kind": "regularized_evolution", "population": 2, "tournament": 5}},
        ["controller", "tournament=5"],
    ),
    "unknown space": ({"space": "spinenet-94"}, ["space", "spinenet-94", "'spinenet-49'"]),
    "space with levels that don't exist": (
        {"space": {"preset": "spinenet-49", "offsets": [-1, 4]}},
        ["space", "level"],
    ),
    "space without a stem": ({"space": {"intermediates": {3: 2}}}, ["space", "stem"]),
    "unknown kind of block": (
        {"space": {"preset": "spinenet-49", "kinds": ["botleneck"]}},
        ["kinds", "'bottleneck'"],
    ),
    "unknown kind of failure": ({"failures": {"retries": {"lost_wrker": 1}}}, ["retries", "lost_worker"]),
    "resolution": (_proxy({"kind": "rendered"}, recipe={"resolution": 100}), ["recipe", "multiple of 128"]),
    "splits": (
        _proxy({"kind": "rendered", "train_images": 4, "val_images": 1}, splits={"reward": 9}),
        ["splits", "train"],
    ),
    "missing data": (_coco(Path("/does/not/exist")), ["/does/not/exist"]),
    "no workers": ({"runner": {"kind": "ray", "workers": 0}}, ["runner", "workers=0"]),
    "database without a folder": ({"database": "sqlite:////does/not/exist/x.sqlite"}, ["/does/not/exist"]),
    "database of no known kind": ({"database": "oracel://x"}, ["oracel"]),
}


@pytest.mark.parametrize(("changes", "expected"), CONFIGS.values(), ids=CONFIGS)
def test_a_bad_config(
    nas: Nas, home: Path, written: Written, changes: dict[str, Any], expected: list[str]
) -> None:
    ended = nas("run", written(changes))

    _is_one_line(ended, expected)
    assert not (home / "small").exists()
    assert not list(home.glob(".small*"))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["resume", "nobody"], ["nobody"]),
        (["status", "nobody"], ["nobody"]),
        (["top", "nobody"], ["nobody"]),
        (["show", "nobody", "1"], ["nobody"]),
        (["export", "nobody", "--out", "x"], ["nobody"]),
        (["status", "../../etc"], ["../../etc"]),
        (["run", "/does/not/exist.yaml"], ["/does/not/exist.yaml", "no such file"]),
        (["run", "/"], ["/", "directory"]),
        (["run"], ["config"]),
        (["rnu"], ["rnu", "run"]),
        (["status", "x", "--jsn"], ["--jsn", "--json"]),
        (["show", "x", "first"], ["number", "integer"]),
        (["data", "check", "/does/not/exist"], ["/does/not/exist"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_bad_command(nas: Nas, arguments: list[str], expected: list[str]) -> None:
    _is_one_line(nas(*arguments), expected)


def test_a_name_nearby_is_offered(nas: Nas, written: Written) -> None:
    assert nas("run", written()).code == 0

    _is_one_line(nas("status", "smal"), ["smal", "'small'"])


def test_a_name_that_is_taken(nas: Nas, written: Written) -> None:
    assert nas("run", written()).code == 0

    _is_one_line(nas("run", written()), ["small", "already exists", "nas resume small", "--name"])
    assert nas("run", written(), "--continue").code == 0
    _is_one_line(nas("run", written({"seed": 4}), "--continue"), ["small", "another config"])
    assert nas("run", written({"seed": 4}), "--name", "other").code == 0


def test_a_trial_that_does_not_exist(nas: Nas, written: Written) -> None:
    assert nas("run", written()).code == 0

    _is_one_line(nas("show", "small", "99"), ["no trial 99"])
    _is_one_line(nas("show", "small", "9" * 20), ["number", "2147483647"])


def test_another_name_that_is_none(nas: Nas, home: Path, written: Written) -> None:
    _is_one_line(nas("run", written(), "--name", "my run"), ["--name", "'my run'", "letters"])
    assert not home.exists()


def test_a_trial_that_failed_is_not_exported(nas: Nas, written: Written, tmp_path: Path) -> None:
    everything = {"failures": {"share": 1.0}, "budget": {"trials": 2}}
    nas("run", written({"evaluator": {"kind": "synthetic", "failures": 1.0}} | everything))

    _is_one_line(nas("export", "small", "--trial", "1", "--out", tmp_path / "x"), ["trial 1 is failed"])
    assert not (tmp_path / "x").exists()


def test_a_database_of_a_later_version(nas: Nas, home: Path, written: Written) -> None:
    assert nas("run", written()).code == 0
    with sqlite3.connect(home / "small" / "campaign.sqlite") as database:
        database.execute("update alembic_version set version_num = '9999'")
    database.close()

    for command in ("status", "resume"):
        _is_one_line(nas(command, "small"), ["version"])


def test_a_file_that_is_no_database(nas: Nas, home: Path, written: Written) -> None:
    assert nas("run", written()).code == 0
    for file in (home / "small").glob("campaign.sqlite*"):
        file.write_bytes(b"this is no database" * 100)

    _is_one_line(nas("resume", "small"), ["campaign.sqlite"])


def test_a_folder_that_can_not_be_made(nas: Nas, home: Path, written: Written) -> None:
    home.write_text("a file where the campaigns should go", encoding="utf-8")

    _is_one_line(nas("run", written()), [str(home)])


def test_a_reward_that_no_measurement_has(nas: Nas, home: Path, written: Written) -> None:
    _is_one_line(nas("run", written({"reward": {"metric": "APP"}})), ["reward", "'APP'", "mean 'AP"])
    assert not home.exists()


@pytest.mark.parametrize(
    ("reward", "told"),
    [
        ({"metrics": "AP"}, ["reward.metrics", "unknown key", "'metric'"]),
        ({"kind": "sofd", "cost": "flops", "target": 1}, ["reward", "unknown kind 'sofd'", "'soft'"]),
        ({"kind": "soft", "cost": "flops", "targt": 1}, ["reward.targt", "unknown key", "'target'"]),
        ({"kind": "soft", "cost": "flops", "target": 0}, ["reward", "target=0.0", "more than 0"]),
        ({"kind": "hard", "cost": "flopz", "target": 1}, ["reward", "'flopz'", "mean 'flops'"]),
        ({"kind": "by_size"}, ["reward", "'AP_small'", "not measured by the evaluator 'synthetic'"]),
    ],
)
def test_a_reward_that_can_not_be(
    nas: Nas, home: Path, written: Written, reward: Any, told: list[str]
) -> None:
    _is_one_line(nas("run", written({"reward": reward})), told)
    assert not home.exists()


def test_a_path_below_nobodys_home(nas: Nas, home: Path, written: Written) -> None:
    data = {"kind": "coco", "images": "~nosuchuser/images", "train": "train.json"}

    _is_one_line(nas("run", written({"evaluator": {"kind": "proxy", "data": data}})), ["~nosuchuser"])
    assert not home.exists()


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small COCO directory."""
    path = tmp_path_factory.mktemp("data") / "set"
    render_to(RenderedData(train_images=24, val_images=2, size=64), path)
    return path


def _broken(rendered: Path, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    copy = tmp_path / "set"
    shutil.copytree(rendered, copy)
    return copy, json.loads((copy / "instances_train.json").read_text(encoding="utf-8"))


def _no_pictures(directory: Path, notes: dict[str, Any]) -> str:
    del notes
    shutil.rmtree(directory / "images")
    (directory / "images").mkdir()
    return "images"


def _corrupt_picture(directory: Path, notes: dict[str, Any]) -> str:
    name = notes["images"][0]["file_name"]
    file = directory / "images" / name
    file.write_bytes(file.read_bytes()[:200])
    return str(name)


def _picture_of_another_size(directory: Path, notes: dict[str, Any]) -> str:
    name = notes["images"][0]["file_name"]
    Image.fromarray(np.zeros((3, 5, 3), np.uint8)).save(directory / "images" / name)
    return str(name)


def _annotation_of_no_image(directory: Path, notes: dict[str, Any]) -> str:
    del directory
    notes["annotations"][0]["image_id"] = 10**9
    return str(10**9)


def _box_without_area(directory: Path, notes: dict[str, Any]) -> str:
    del directory
    notes["annotations"][0]["bbox"][2] = 0
    return "bbox"


def _path_out_of_the_directory(directory: Path, notes: dict[str, Any]) -> str:
    del directory
    notes["images"][0]["file_name"] = "../../etc/passwd"
    return "passwd"


@pytest.mark.parametrize(
    "breaks",
    [
        _no_pictures,
        _corrupt_picture,
        _picture_of_another_size,
        _annotation_of_no_image,
        _box_without_area,
        _path_out_of_the_directory,
    ],
)
def test_bad_data(
    nas: Nas,
    home: Path,
    written: Written,
    rendered: Path,
    tmp_path: Path,
    breaks: Callable[[Path, dict[str, Any]], str],
) -> None:
    directory, notes = _broken(rendered, tmp_path)
    expected = breaks(directory, notes)
    (directory / "train.json").write_text(json.dumps(notes), encoding="utf-8")

    _is_one_line(nas("run", written(_coco(directory))), [expected])
    assert not (home / "small").exists()


def test_an_empty_data_directory(nas: Nas, written: Written, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    _is_one_line(nas("data", "check", tmp_path / "empty"), ["empty"])
    _is_one_line(nas("run", written(_coco(tmp_path / "empty"))), [str(tmp_path / "empty")])


def test_a_campaign_whose_holder_is_this_process_is_not_busy(home: Path, written: Written) -> None:
    folder = create(load(written()), home)
    folder, config = find(home, folder.name)

    with driving(folder, config), driving(folder, config):
        pass


def _is_one_line(ended: Any, expected: list[str]) -> None:
    assert ended.code == 2, ended
    assert ended.out == ""
    assert ended.err.startswith("nas: ")
    assert ended.err.count("\n") == 1, ended.err
    for word in expected:
        assert word in ended.err, ended.err
