"""Starting and going on: the data must be those it began with, and a start that was cut off harms nothing."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from nas.campaign_data import DataChanged
from nas.config import CampaignConfig, from_json, load
from nas.control import prepare as prepare_control
from nas.finalists import prepare as prepare_finalists
from nas.folder import FolderError
from nas.launch import create, driving, find, follow_data, run, same, tidy_checkpoints
from nas.runners.options import SerialOptions
from nas.runners.worker import RunnerError
from proxy_trainer.checkpoint import CheckpointConfig
from proxy_trainer.config import ProxyConfig
from proxy_trainer.data.config import RenderedData
from proxy_trainer.data.errors import DataError
from proxy_trainer.data.render import render_to
from proxy_trainer.protocol import TrialFailed
from results_db.errors import CampaignBusy, CampaignExists, LeaseLost
from results_db.fence import Holder, process_start
from results_db.store import Store
from results_db.writer import BEAT_SECONDS
from search_space.trial import Assignment, FailureKind, Measurement

Written = Callable[..., Path]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "set"
    render_to(RenderedData(train_images=24, val_images=2, size=64), path)
    return path


@pytest.fixture
def config(directory: Path) -> CampaignConfig:
    images, train = str(directory / "images"), str(directory / "instances_train.json")
    return from_json(
        {
            "name": "real",
            "space": "spinenet-49",
            "controller": {"kind": "random_search"},
            "evaluator": {"kind": "proxy", "data": {"kind": "coco", "images": images, "train": train}},
            "budget": {"trials": 2},
        }
    )


def _begun(root: Path, config: CampaignConfig) -> None:
    """A campaign with its first trial handed out."""
    create(config, root)
    with driving(*find(root, config.name)) as drive:
        assert isinstance(drive.campaign.propose(), Assignment)


def _with_a_result(root: Path, config: CampaignConfig) -> None:
    """A campaign whose first trial has finished."""
    create(config, root)
    with driving(*find(root, config.name)) as drive:
        given = drive.campaign.propose()
        assert isinstance(given, Assignment)
        drive.campaign.record(given.number, given.attempt, Measurement(step=1, metrics={"AP": 0.5}))


def _first_box_moved(directory: Path) -> None:
    file = directory / "instances_train.json"
    notes: dict[str, Any] = json.loads(file.read_text())
    for note in notes["annotations"]:
        note["bbox"][2] -= 0.5
    file.write_text(json.dumps(notes))


def test_the_splits_are_written_down(tmp_path: Path, config: CampaignConfig) -> None:
    folder = create(config, tmp_path / "root")
    splits = json.loads((folder.path / "splits.json").read_text())
    assert {name: len(ids) for name, ids in splits.items()} == {"train": 17, "reward": 5, "confirm": 2}
    assert len(set().union(*splits.values())) == 24


def test_other_data_than_it_began_with_are_refused(
    tmp_path: Path, directory: Path, config: CampaignConfig
) -> None:
    root = tmp_path / "root"
    _begun(root, config)
    with driving(*find(root, "real")):
        pass

    _first_box_moved(directory)

    with pytest.raises(DataChanged, match="'real'"), driving(*find(root, "real")):
        pass


def test_a_worker_with_other_data_trains_nothing(
    tmp_path: Path, directory: Path, config: CampaignConfig
) -> None:
    root = tmp_path / "root"
    create(config, root)
    with driving(*find(root, "real")) as drive:
        _first_box_moved(directory)  # as on a node with files of its own
        with pytest.raises(RunnerError, match="its data are not those of the campaign"):
            run(drive, lambda: None)
        assert drive.store.trials("real") == ()


@pytest.mark.parametrize("arm", [prepare_control, lambda root, name: prepare_finalists(root, name, None)])
def test_what_belongs_to_a_campaign_is_never_made_with_other_data(
    tmp_path: Path, directory: Path, config: CampaignConfig, arm: Callable[[Path, str], CampaignConfig]
) -> None:
    """The pictures that finalists are judged by may have had part in the rewards that they were chosen by."""
    root = tmp_path / "root"
    _with_a_result(root, config)
    _first_box_moved(directory)

    with pytest.raises(DataChanged, match="'real'"):
        arm(root, "real")

    assert [path.name for path in root.iterdir() if not path.name.startswith(".")] == ["real"]


def test_it_is_said_which_pictures_are_others(
    tmp_path: Path, directory: Path, config: CampaignConfig
) -> None:
    words = config.to_json()
    words["evaluator"]["data"]["val"] = str(directory / "instances_val.json")
    words["evaluator"]["data"]["val_images"] = str(directory / "images")
    root = tmp_path / "root"
    _begun(root, from_json(words))
    file = directory / "instances_val.json"
    notes = json.loads(file.read_text())
    notes["images"][0]["id"] = 999
    notes["annotations"] = []
    file.write_text(json.dumps(notes))

    with pytest.raises(DataChanged, match="confirm or validation pictures"), driving(*find(root, "real")):
        pass


def _elsewhere(config: CampaignConfig, directory: Path) -> CampaignConfig:
    words = config.to_json()
    words["evaluator"]["data"] |= {
        "images": str(directory / "images"),
        "train": str(directory / "instances_train.json"),
    }
    return from_json(words)


def test_data_that_were_moved_are_gone_on_with(
    tmp_path: Path, directory: Path, config: CampaignConfig
) -> None:
    root = tmp_path / "root"
    _begun(root, config)
    moved = _elsewhere(config, directory.rename(tmp_path / "moved"))
    with pytest.raises(DataError), driving(*find(root, "real")):
        pass
    assert same(root, moved) == ()

    assert follow_data(root, "real", moved)
    assert not follow_data(root, "real", moved)

    with driving(*find(root, "real")) as drive:
        assert drive.config == moved
    assert find(root, "real")[1].hash == config.hash == moved.hash


def test_other_data_elsewhere_are_not_gone_on_with(
    tmp_path: Path, directory: Path, config: CampaignConfig
) -> None:
    root = tmp_path / "root"
    _begun(root, config)
    other = tmp_path / "other"
    shutil.copytree(directory, other)
    _first_box_moved(other)

    with pytest.raises(DataChanged, match="'real'"):
        follow_data(root, "real", _elsewhere(config, other))

    assert find(root, "real")[1] == config


def test_data_stay_where_whoever_drives_looks_for_them(
    tmp_path: Path, directory: Path, config: CampaignConfig
) -> None:
    root = tmp_path / "root"
    folder = create(config, root)
    shutil.copytree(directory, tmp_path / "copy")
    parent = os.getppid()
    other = dataclasses.replace(Holder.me(), pid=parent, process_start=process_start(parent) or "")

    with Store.open(folder.database) as store, store.take("real", me=other), pytest.raises(CampaignBusy):
        follow_data(root, "real", _elsewhere(config, tmp_path / "copy"))

    assert find(root, "real")[1] == config


@pytest.mark.parametrize("arm", [prepare_control, lambda root, name: prepare_finalists(root, name, None)])
def test_what_belongs_to_a_campaign_goes_on_where_its_data_were_moved(
    tmp_path: Path, directory: Path, config: CampaignConfig, arm: Callable[[Path, str], CampaignConfig]
) -> None:
    root = tmp_path / "root"
    _with_a_result(root, config)
    arm(root, "real")
    moved = _elsewhere(config, directory.rename(tmp_path / "moved"))
    assert follow_data(root, "real", moved)

    made = arm(root, "real")

    with driving(*find(root, made.name)) as drive:
        assert isinstance(drive.config.evaluator, ProxyConfig)
        assert drive.config.evaluator.data == cast("ProxyConfig", moved.evaluator).data


@pytest.mark.parametrize("text", ["", "[]", '{"images": 3}'])
def test_a_damaged_note_of_where_data_lie(tmp_path: Path, config: CampaignConfig, text: str) -> None:
    _begun(tmp_path, config)
    (tmp_path / "real" / "data.json").write_text(text)
    with pytest.raises(FolderError, match=r"data\.json: expected the paths"):
        find(tmp_path, "real")


def test_a_start_that_was_cut_off_is_taken_over(tmp_path: Path, written: Written) -> None:
    config = load(written({"database": f"sqlite:///{tmp_path / 'elsewhere.sqlite'}"}))
    root = tmp_path / "root"
    # What a crash leaves between the database's COMMIT and the folder's last name.
    shutil.rmtree(create(config, root).path)
    with pytest.raises(CampaignExists):  # what is no part of the hash must not be lost either
        create(dataclasses.replace(config, control=True), root)

    folder = create(config, root)

    with driving(*find(root, config.name)) as drive:
        assert isinstance(drive.campaign.propose(), Assignment)
    shutil.rmtree(folder.path)
    with pytest.raises(CampaignExists):
        create(config, root)


def test_checkpoints_stay_while_their_trial_may_go_on(tmp_path: Path, config: CampaignConfig) -> None:
    checkpoint = CheckpointConfig(every=5, folder=str(tmp_path / "elsewhere"))
    evaluator = dataclasses.replace(cast("ProxyConfig", config.evaluator), checkpoint=checkpoint)
    create(dataclasses.replace(config, evaluator=evaluator), tmp_path)
    with driving(*find(tmp_path, "real")) as drive:
        folder = tmp_path / "elsewhere" / "real"
        folder.mkdir(parents=True)
        for number in (1, 2):
            drive.campaign.propose()
            (folder / f"{number:05d}.npz").touch()
        (folder / "00001.77.partial").touch()
        drive.campaign.record(1, 1, TrialFailed(FailureKind.LOST_WORKER, "gone"))
        tidy_checkpoints(drive)
        assert len(list(folder.glob("*.npz"))) == 2, "the first waits to go on"
        drive.campaign.record(2, 1, TrialFailed(FailureKind.DIVERGED, "nan"))
        tidy_checkpoints(drive)
        assert [file.name for file in folder.glob("*.npz")] == ["00001.npz"]


def test_a_folder_whose_name_means_something_in_urls(tmp_path: Path, written: Written) -> None:
    root = tmp_path / "feature%2Fx %41"
    config = load(written())
    place = create(config, root)
    assert (place.path / "campaign.sqlite").is_file()
    with driving(*find(root, "small")) as drive:
        assert isinstance(drive.campaign.propose(), Assignment)
    (root / "config.yaml").write_text(written({"database": "sqlite:///own%25.sqlite"}).read_text())
    elsewhere = dataclasses.replace(load(root / "config.yaml"), name="other")
    create(elsewhere, root)
    assert (root / "own%.sqlite").is_file()


def test_a_relative_sqlite_file_counts_from_the_config(written: Written) -> None:
    path = written({"database": "sqlite:///mine.sqlite"})
    assert load(path).database == f"sqlite:///{path.parent / 'mine.sqlite'}"
    for url in ("sqlite:////tmp/x.sqlite", "sqlite:///:memory:", "postgresql://me@host/db"):
        assert load(written({"database": url})).database == url


def test_what_a_killed_start_left_is_swept_away_a_day_later(tmp_path: Path, written: Written) -> None:
    old, new = tmp_path / ".small.abc.partial", tmp_path / ".small.def.partial"
    for path in (old, new):
        (path / "weights").mkdir(parents=True)
    then = time.time() - 25 * 3600
    os.utime(old, (then, then))

    create(load(written()), tmp_path)

    assert not old.exists()
    assert new.exists()


def test_a_campaign_that_was_moved_while_somebody_waited_for_it_is_not_driven(
    tmp_path: Path, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = create(load(written()), tmp_path)
    take = Store.take

    def meanwhile(store: Store, *words: Any) -> Any:
        folder.record_database(f"sqlite:///{tmp_path}/moved.sqlite")
        return take(store, *words)

    monkeypatch.setattr(Store, "take", meanwhile)
    place, config = find(tmp_path, "small")
    with pytest.raises(FolderError, match="moved to another database"), driving(place, config):
        pass


def test_an_empty_address_is_no_leave_to_begin_anew(tmp_path: Path, written: Written) -> None:
    """To fall back on the SQLite file would be to go on from before the campaign was moved."""
    folder = create(load(written()), tmp_path)
    (folder.path / "database.url").write_text("\n", encoding="utf-8")
    with pytest.raises(FolderError, match=r"database.url is empty: write"):
        find(tmp_path, "small")


def test_who_was_overtaken_tidies_nothing_up(tmp_path: Path, config: CampaignConfig) -> None:
    """Checkpoints of trials that it does not know are the other driver's."""
    evaluator = dataclasses.replace(
        cast("ProxyConfig", config.evaluator), checkpoint=CheckpointConfig(every=5)
    )
    serial = dataclasses.replace(config, evaluator=evaluator, runner=SerialOptions(kind="serial"))
    file = create(serial, tmp_path).checkpoints / "00009.npz"
    file.parent.mkdir()
    with driving(*find(tmp_path, "real")) as drive:
        with Store.open(drive.folder.database) as store:
            store.take("real")
        file.touch()
        drive.campaign._writer._last_write -= 2 * BEAT_SECONDS
        with pytest.raises(LeaseLost):
            run(drive, lambda: None)
    assert file.exists()
