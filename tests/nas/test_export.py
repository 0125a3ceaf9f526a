"""Exports of a campaign that really trained: rebuilt from their files, and refused when they differ."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from nas import ranking
from nas.cli import app
from nas.designs import DEFAULT
from nas.errors import Refusal
from nas.export.compare import compare
from nas.export.contents import Facts
from nas.export.detector import export_detector
from nas.export.report import ExportMismatch
from nas.folder import CampaignFolder
from proxy_trainer.config import ProxyConfig
from proxy_trainer.data.config import RenderedData, Split, Splits
from proxy_trainer.data.errors import DataError
from proxy_trainer.data.image_set import open_split
from proxy_trainer.detector import Blueprint, Detector
from proxy_trainer.evaluation import Judged, detect, evaluate
from proxy_trainer.network.plan import backbone_plan
from proxy_trainer.network.weights import flatten
from proxy_trainer.onnx_file import save_onnx
from proxy_trainer.rebuild import Arrays, fresh_arrays, load_arrays, save_keras
from proxy_trainer.recipe import Recipe
from proxy_trainer.saved_model import run_saved
from results_db.store import Store
from search_space.cost import network_cost
from search_space.genome import Genome
from search_space.scaling import Scaling
from search_space.spec import read_spec, write_spec

RECIPE = {
    "steps": 2,
    "batch": 2,
    "warmup_steps": 1,
    "head_convs": 1,
    "head_width": 8,
    "endpoint_width": 8,
    "statistics_batches": 1,
}


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> CampaignFolder:
    """Two trials in a space of one intermediate block."""
    root = tmp_path_factory.mktemp("campaigns")
    config = {
        "name": "tiny",
        "space": {
            "stem": [{"level": 2}, {"level": 2}],
            "intermediates": {4: 1},
            "kinds": ["bottleneck", "residual"],
        },
        "controller": {"kind": "random_search"},
        "evaluator": {
            "kind": "proxy",
            "data": {"kind": "rendered", "train_images": 24, "val_images": 1, "size": 64},
            "splits": {"reward": 6, "confirm": 4},
            "recipe": RECIPE,
        },
        "runner": {"kind": "serial"},
        "budget": {"trials": 2},
        "keep_weights": 1,
    }
    (root / "tiny.yaml").write_text(yaml.safe_dump(config))
    ran = CliRunner().invoke(app, ["run", str(root / "tiny.yaml"), "--root", str(root)])
    assert ran.exit_code == 0, ran.output
    return CampaignFolder(root / "tiny")


@pytest.fixture(scope="module")
def exported(campaign: CampaignFolder) -> Path:
    out = campaign.path / "winner"
    ran = CliRunner().invoke(app, ["export", "tiny", "--out", str(out), "--root", str(campaign.path.parent)])
    assert ran.exit_code == 0, ran.output
    assert "same parameters" in ran.output
    return out


@pytest.fixture
def best(campaign: CampaignFolder) -> Genome:
    with Store.read(campaign.database) as store:
        return Genome.from_text(ranking.best(store, "tiny", 1)[0].trial.genome)


@pytest.fixture
def facts(campaign: CampaignFolder) -> Facts:
    """Of the winner, as stored."""
    with Store.read(campaign.database) as store:
        number = ranking.best(store, "tiny", 1)[0].trial.number
        metrics = {each.name: each.value for each in store.metrics("tiny", number) if each.final}
        provenance = store.attempts("tiny", number)[-1].provenance
    return Facts(number, metrics, tuple(json.loads(provenance["classes"])), provenance)


PROXY = ProxyConfig(recipe=Recipe(**RECIPE))  # type: ignore[arg-type] # mypy sees one type for all values


def test_the_spec_is_the_searched_network(exported: Path, best: Genome) -> None:
    assert {path.name for path in exported.iterdir()} == {
        "spec.yaml",
        "backbone.keras",
        "proxy_weights.npz",
        "detector",
        "detector.onnx",
        "detections.png",
    }
    spec = read_spec(exported / "spec.yaml")
    assert spec.genome == best
    assert spec.scaling == Scaling()
    cost = network_cost(best, Scaling(), DEFAULT.input_size).backbone
    assert spec.expected is not None
    assert (spec.expected.params, spec.expected.flops) == (cost.params, cost.flops)
    assert spec.proxy is not None
    assert spec.proxy["recipe"]["steps"] == 2  # type: ignore[index,call-overload] # JSON
    assert spec.proxy["classes"] == list(RenderedData().classes)
    assert spec.provenance["campaign"] == "tiny"


def test_only_the_best_weights_were_kept(campaign: CampaignFolder, exported: Path) -> None:
    kept = list(campaign.weights.glob("*.npz"))
    assert len(kept) == 1
    stored, copied = load_arrays(kept[0]), load_arrays(exported / "proxy_weights.npz")
    assert stored.keys() == copied.keys()
    assert all(np.array_equal(stored[name], copied[name]) for name in stored)


def test_what_was_exported_passes_again(exported: Path, best: Genome, facts: Facts) -> None:
    report = compare(exported, best, facts, PROXY)
    assert report.backbone_difference <= 1e-4
    assert report.proxy_difference is not None


def test_another_genome_is_refused(exported: Path, best: Genome, facts: Facts) -> None:
    first = best.blocks[0]
    other = dataclasses.replace(first, level=first.level - 1)
    wrong = dataclasses.replace(best, blocks=(other, *best.blocks[1:]))
    with pytest.raises(ExportMismatch, match="not the genome"):
        compare(exported, wrong, facts, PROXY)


def test_a_backbone_with_other_weights_is_refused(
    exported: Path, best: Genome, facts: Facts, tmp_path: Path
) -> None:
    copy = _copied(exported, tmp_path)
    plan = backbone_plan(best, Scaling())
    size = DEFAULT.input_size
    save_keras(plan, fresh_arrays(plan, size, 99), size, copy / "backbone.keras")
    with pytest.raises(ExportMismatch, match="outputs differ"):
        compare(copy, best, facts, PROXY)


def test_a_spec_with_other_expectations_is_refused(
    exported: Path, best: Genome, facts: Facts, tmp_path: Path
) -> None:
    copy = _copied(exported, tmp_path)
    spec = read_spec(copy / "spec.yaml")
    assert spec.expected is not None
    expected = dataclasses.replace(spec.expected, params=spec.expected.params + 1)
    write_spec(dataclasses.replace(spec, expected=expected), copy / "spec.yaml")
    with pytest.raises(ExportMismatch, match="parameters"):
        compare(copy, best, facts, PROXY)


def test_a_spec_with_other_classes_is_refused(
    exported: Path, best: Genome, facts: Facts, tmp_path: Path
) -> None:
    copy = _copied(exported, tmp_path)
    spec = read_spec(copy / "spec.yaml")
    assert spec.proxy is not None
    write_spec(dataclasses.replace(spec, proxy={**spec.proxy, "classes": ["one"]}), copy / "spec.yaml")
    with pytest.raises(ExportMismatch, match="weights that were kept are not its own"):
        compare(copy, best, facts, PROXY)


def test_other_parameters_than_were_measured_are_refused(exported: Path, best: Genome, facts: Facts) -> None:
    measured = dataclasses.replace(facts, metrics={**facts.metrics, "parameters": 5.0})
    with pytest.raises(ExportMismatch, match="5 measured"):
        compare(exported, best, measured, PROXY)


@pytest.mark.parametrize("damage", [lambda _: b"", lambda data: data[:-2000], lambda data: b"x" * len(data)])
def test_weights_that_broke_are_refused_in_one_line(
    campaign: CampaignFolder, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    root = _copied_campaign(campaign, tmp_path)
    (kept,) = (root / "tiny" / "weights").glob("*.npz")
    kept.write_bytes(damage(kept.read_bytes()))
    out = tmp_path / "out"
    ran = CliRunner().invoke(app, ["export", "tiny", "--out", str(out), "--root", str(root)])
    assert isinstance(ran.exception, ExportMismatch)
    assert "not a whole file of arrays" in str(ran.exception)
    assert not out.exists()


def test_the_served_detector_finds_what_the_proxy_found(
    campaign: CampaignFolder, exported: Path, best: Genome, facts: Facts
) -> None:
    """On the reward split: the twelve numbers that the trial was stored with."""
    recipe = Recipe(**RECIPE)  # type: ignore[arg-type] # mypy sees one type for all values
    data = RenderedData(train_images=24, val_images=1, size=64)
    images = open_split(data, Splits(reward=6, confirm=4), Split.REWARD, recipe.resolution, campaign.cache)
    served = run_saved(exported / "detector", np.asarray(images.pixels[:]))
    blueprint = Blueprint.of(best, recipe, len(facts.classes))
    detector = Detector(blueprint, recipe, len(facts.classes), seed=1)
    arrays = load_arrays(exported / "proxy_weights.npz")
    judged = Judged(
        *(flatten(part, arrays) for part in (blueprint.layout.trained, blueprint.layout.statistics))
    )
    assert evaluate(detector, judged, images, 16) == pytest.approx(
        {name: value for name, value in facts.metrics.items() if name.startswith("A")}, abs=1e-6
    )
    found = detect(detector, judged, images, 6)
    assert served["count"].sum() == len(found) > 0
    sizes = np.tile(images.scales, 2)[:, np.newaxis]
    clipped = np.clip(served["boxes"], 0, np.tile(images.contents, 2)[:, np.newaxis]) / sizes
    np.testing.assert_allclose(clipped.reshape(-1, 4), found.boxes, rtol=1e-4)


@pytest.mark.parametrize("broken", ["kernel", "mean"])
def test_a_served_detector_with_other_weights_is_refused(
    exported: Path, best: Genome, tmp_path: Path, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = _copied(exported, tmp_path / "copy")

    def other(blueprint: Blueprint, size: int, classes: int, arrays: Arrays, path: Path) -> None:
        changed = dict(arrays)
        name = next(name for name in arrays if name.startswith("head/") and name.endswith(broken))
        changed[name] = arrays[name] + 1
        save_onnx(blueprint, size, classes, changed, path)

    monkeypatch.setattr("nas.export.detector.save_onnx", other)
    with pytest.raises(ExportMismatch, match=r"detector\.onnx: detector: outputs differ"):
        export_detector(copy, read_spec(copy / "spec.yaml"), best, PROXY.recipe)


def test_an_export_replaces_an_earlier_one_and_nothing_else(
    campaign: CampaignFolder, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    shutil.copytree(exported, out)
    (out / "notes.txt").write_text("mine")
    root = _copied_campaign(campaign, tmp_path)
    shutil.rmtree(root / "tiny" / "weights")
    monkeypatch.chdir(out)
    ran = CliRunner().invoke(app, ["export", "tiny", "--out", ".", "--root", str(root)])
    assert ran.exit_code == 0, ran.output
    assert {path.name for path in out.iterdir()} == {"spec.yaml", "backbone.keras", "notes.txt"}


def test_a_directory_of_the_users_is_never_replaced(campaign: CampaignFolder, tmp_path: Path) -> None:
    (tmp_path / "detector").mkdir()
    (tmp_path / "detector" / "mine.py").write_text("mine")
    root = str(campaign.path.parent)
    ran = CliRunner().invoke(app, ["export", "tiny", "--out", str(tmp_path), "--root", root])
    assert isinstance(ran.exception, Refusal)
    assert "was not written by an export" in str(ran.exception)
    assert [path.name for path in tmp_path.rglob("*")] == ["detector", "mine.py"]


def test_data_that_moved_cost_the_picture_only(
    campaign: CampaignFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> NoReturn:
        raise DataError("images: no such directory")

    monkeypatch.setattr("nas.export.run.open_split", gone)
    out = tmp_path / "out"
    root = campaign.path.parent
    ran = CliRunner().invoke(app, ["export", "tiny", "--out", str(out), "--root", str(root)])
    assert ran.exit_code == 0, ran.output
    assert "no picture of what it finds: images: no such directory" in ran.output
    assert not (out / "detections.png").exists()


def test_data_that_changed_cost_the_picture_only(
    campaign: CampaignFolder, forge: Callable[[Path, str], None], tmp_path: Path
) -> None:
    root, out = _copied_campaign(campaign, tmp_path), tmp_path / "out"
    forge(root / "tiny" / "campaign.sqlite", "UPDATE campaigns SET data_hash = 'of others'")
    ran = CliRunner().invoke(app, ["export", "tiny", "--out", str(out), "--root", str(root)])
    assert ran.exit_code == 0, ran.output
    assert "no picture of what it finds: campaign 'tiny': its data are not what they were" in ran.output
    assert (out / "proxy_weights.npz").exists()
    assert not (out / "detections.png").exists()


def _copied_campaign(campaign: CampaignFolder, to: Path) -> Path:
    shutil.copytree(campaign.path, to / "root" / "tiny")
    return to / "root"


def _copied(exported: Path, to: Path) -> Path:
    shutil.copytree(exported, to, dirs_exist_ok=True)
    return to
