"""`nas export`: a trial as files that stand alone, believed only after they were rebuilt and compared."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nas.config import from_json
from nas.export.report import INPUT_SIZE, ExportMismatch, ExportReport
from nas.folder import CampaignFolder
from nas.validation import adapter, validate
from proxy_trainer.config import ProxyConfig
from proxy_trainer.data.config import Split
from proxy_trainer.data.image_set import open_split
from proxy_trainer.detections_sheet import detections_sheet
from proxy_trainer.network.declare import declare
from proxy_trainer.network.plan import backbone_plan
from proxy_trainer.rebuild import fresh_arrays, load_arrays, run_keras, run_plan, save_keras
from proxy_trainer.recipe import Recipe
from results_db.records import CampaignRecord, TrialRecord
from results_db.store import Store
from search_space.cost import network_cost
from search_space.genome import Genome
from search_space.scaling import Scaling
from search_space.spec import Expected, Spec, read_spec, write_spec

TOLERANCE: Final = 1e-4
"""Largest difference between two builds of one network, relative to the largest output."""

SURE: Final = 0.3
"""Probability from which a detection is drawn: focal loss keeps probabilities low."""

_WEIGHTS: Final = "proxy_weights.npz"
_SEED: Final = 0


def export_trial(
    folder: CampaignFolder, store: Store, campaign: CampaignRecord, trial: TrialRecord, out: Path
) -> ExportReport:
    """Write `spec.yaml`, `backbone.keras` and, if kept, the proxy's weights and a picture of what it finds.

    Everything is then rebuilt from what was written and compared with the genome in the database;
    raises ExportMismatch, and leaves no file, when parameters or outputs differ.
    """
    evaluator = from_json(dict(campaign.config)).evaluator
    proxy = evaluator if isinstance(evaluator, ProxyConfig) else None
    genome = Genome.from_text(trial.genome)
    metrics = {each.name: each.value for each in store.metrics(campaign.name, trial.number) if each.final}
    spec = _spec(campaign, trial, metrics, proxy)
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        files = _write(partial, spec, folder.weights / f"{trial.number:05d}.npz")
        report = _compare(partial, genome, trial.number, proxy)
        if proxy is not None and report.proxy_difference is not None:
            files.append(_draw(partial, genome, proxy, folder.cache))
        out.mkdir(parents=True, exist_ok=True)
        for name in files:
            (partial / name).replace(out / name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return dataclasses.replace(report, files=tuple(out / name for name in files))


def _spec(
    campaign: CampaignRecord, trial: TrialRecord, metrics: dict[str, float], proxy: ProxyConfig | None
) -> Spec:
    genome = Genome.from_text(trial.genome)
    cost = network_cost(genome, Scaling(), INPUT_SIZE).backbone
    return Spec(
        genome=genome,
        scaling=Scaling(),
        expected=Expected(params=cost.params, flops=cost.flops, input_size=INPUT_SIZE),
        proxy=None if proxy is None else {"recipe": adapter(Recipe).dump_python(proxy.recipe, mode="json")},
        provenance={
            "campaign": campaign.name,
            "trial": trial.number,
            "seed": str(trial.seed),
            "reward": trial.reward,
            "metrics": {name: value for name, value in sorted(metrics.items()) if np.isfinite(value)},
            "code": campaign.code_version,
            "config": campaign.config_hash,
            "data": campaign.data_hash,
        },
    )


def _write(out: Path, spec: Spec, weights: Path) -> list[str]:
    write_spec(spec, out / "spec.yaml")
    plan = backbone_plan(spec.genome, spec.scaling)
    save_keras(plan, fresh_arrays(plan, INPUT_SIZE, _SEED), INPUT_SIZE, out / "backbone.keras")
    if not weights.exists():
        return ["spec.yaml", "backbone.keras"]
    shutil.copyfile(weights, out / _WEIGHTS)
    return ["spec.yaml", "backbone.keras", _WEIGHTS]


def _draw(out: Path, genome: Genome, proxy: ProxyConfig, cache: Path) -> str:
    """What the proxy finds on pictures that neither its training nor its reward saw, where there are any."""
    split = Split.CONFIRM if proxy.splits.confirm else Split.REWARD
    images = open_split(proxy.data, proxy.splits, split, proxy.recipe.resolution, cache)
    arrays = load_arrays(out / _WEIGHTS)
    sheet = detections_sheet(genome, proxy.recipe, arrays, images, probability=SURE)
    sheet.save(out / "detections.png")
    return "detections.png"


def _compare(out: Path, genome: Genome, number: int, proxy: ProxyConfig | None) -> ExportReport:
    """Rebuild from the files alone and hold it against the searched genome."""
    spec = read_spec(out / "spec.yaml")
    searched = backbone_plan(genome, spec.scaling)
    images = _random_images(INPUT_SIZE)
    parameters, rebuilt = run_keras(out / "backbone.keras", images)
    declared = declare(searched, INPUT_SIZE)
    flops = sum(declared.multiply_adds.values())
    if spec.genome != genome or spec.expected is None or spec.expected.flops != flops:
        raise ExportMismatch(f"trial {number}: the spec read back is not the genome that was searched")
    if not parameters == declared.parameters == spec.expected.params:
        raise ExportMismatch(
            f"trial {number}: {parameters} parameters rebuilt, {spec.expected.params} in the spec, "
            f"{declared.parameters} searched"
        )
    expected = run_plan(searched, fresh_arrays(searched, INPUT_SIZE, _SEED), images)
    return ExportReport(
        trial=number,
        files=(),
        parameters=parameters,
        flops=flops,
        backbone_difference=_difference(expected, rebuilt, f"trial {number}: full-size backbone"),
        proxy_difference=_compare_proxy(out, spec, genome, proxy, number),
    )


def _compare_proxy(
    out: Path, spec: Spec, genome: Genome, proxy: ProxyConfig | None, number: int
) -> float | None:
    """The proxy of the spec, with the exported weights, as a Keras model; against the searched genome's."""
    if proxy is None or spec.proxy is None or not (out / _WEIGHTS).exists():
        return None
    recipe = validate(Recipe, spec.proxy["recipe"])
    arrays = load_arrays(out / _WEIGHTS)
    images = _random_images(recipe.resolution)
    searched = run_plan(backbone_plan(genome, proxy.recipe.scaling), arrays, images)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "proxy.keras"
        save_keras(backbone_plan(spec.genome, recipe.scaling), arrays, recipe.resolution, path)
        _, rebuilt = run_keras(path, images)
    return _difference(searched, rebuilt, f"trial {number}: proxy")


def _difference(
    expected: Mapping[str, NDArray[np.float32]], found: Mapping[str, NDArray[np.float32]], what: str
) -> float:
    if expected.keys() != found.keys():
        raise ExportMismatch(f"{what}: endpoints {sorted(found)} rebuilt, {sorted(expected)} searched")
    worst = 0.0
    for name, wanted in expected.items():
        scale = max(float(np.abs(wanted).max()), 1e-6)
        worst = max(worst, float(np.abs(wanted - found[name]).max()) / scale)
    # Written so that NaN fails too.
    if not worst <= TOLERANCE:
        raise ExportMismatch(f"{what}: outputs differ by {worst:.1e}, expected at most {TOLERANCE:.0e}")
    return worst


def _random_images(size: int) -> NDArray[np.float32]:
    return np.random.default_rng(_SEED).normal(size=(1, size, size, 3)).astype(np.float32)
