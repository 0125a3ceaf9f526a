"""Exports of a campaign that really trained: rebuilt from their files, and refused when they differ."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from nas.cli import app
from nas.export.report import INPUT_SIZE, ExportMismatch
from nas.export.run import _compare
from nas.folder import CampaignFolder
from proxy_trainer.config import ProxyConfig
from proxy_trainer.network.plan import backbone_plan
from proxy_trainer.rebuild import fresh_arrays, load_arrays, save_keras
from proxy_trainer.recipe import Recipe
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
        return Genome.from_text(store.top("tiny", 1)[0].genome)


PROXY = ProxyConfig(recipe=Recipe(**RECIPE))  # type: ignore[arg-type] # mypy sees one type for all values


def test_the_spec_is_the_searched_network(exported: Path, best: Genome) -> None:
    assert {path.name for path in exported.iterdir()} == {
        "spec.yaml",
        "backbone.keras",
        "proxy_weights.npz",
        "detections.png",
    }
    spec = read_spec(exported / "spec.yaml")
    assert spec.genome == best
    assert spec.scaling == Scaling()
    cost = network_cost(best, Scaling(), INPUT_SIZE).backbone
    assert spec.expected is not None
    assert (spec.expected.params, spec.expected.flops) == (cost.params, cost.flops)
    assert spec.proxy is not None
    assert spec.proxy["recipe"]["steps"] == 2  # type: ignore[index,call-overload] # JSON
    assert spec.provenance["campaign"] == "tiny"


def test_only_the_best_weights_were_kept(campaign: CampaignFolder, exported: Path) -> None:
    kept = list(campaign.weights.glob("*.npz"))
    assert len(kept) == 1
    stored, copied = load_arrays(kept[0]), load_arrays(exported / "proxy_weights.npz")
    assert stored.keys() == copied.keys()
    assert all(np.array_equal(stored[name], copied[name]) for name in stored)


def test_what_was_exported_passes_again(exported: Path, best: Genome) -> None:
    report = _compare(exported, best, 1, PROXY)
    assert report.backbone_difference <= 1e-4
    assert report.proxy_difference is not None


def test_another_genome_is_refused(exported: Path, best: Genome) -> None:
    first = best.blocks[0]
    other = dataclasses.replace(first, level=first.level - 1)
    wrong = dataclasses.replace(best, blocks=(other, *best.blocks[1:]))
    with pytest.raises(ExportMismatch, match="not the genome"):
        _compare(exported, wrong, 1, PROXY)


def test_a_backbone_with_other_weights_is_refused(exported: Path, best: Genome, tmp_path: Path) -> None:
    copy = _copied(exported, tmp_path)
    plan = backbone_plan(best, Scaling())
    save_keras(plan, fresh_arrays(plan, INPUT_SIZE, 99), INPUT_SIZE, copy / "backbone.keras")
    with pytest.raises(ExportMismatch, match="outputs differ"):
        _compare(copy, best, 1, PROXY)


def test_a_spec_with_other_expectations_is_refused(exported: Path, best: Genome, tmp_path: Path) -> None:
    copy = _copied(exported, tmp_path)
    spec = read_spec(copy / "spec.yaml")
    assert spec.expected is not None
    expected = dataclasses.replace(spec.expected, params=spec.expected.params + 1)
    write_spec(dataclasses.replace(spec, expected=expected), copy / "spec.yaml")
    with pytest.raises(ExportMismatch, match="parameters"):
        _compare(copy, best, 1, PROXY)


def _copied(exported: Path, to: Path) -> Path:
    for path in exported.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to
