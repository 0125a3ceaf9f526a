"""`nas export`: a trial as files that stand alone, believed only after they were rebuilt and compared."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import tempfile
from pathlib import Path
from typing import Final

from nas.campaign_data import DataChanged, check, placed
from nas.config import CampaignConfig, from_json
from nas.designs import full_size
from nas.errors import Refusal
from nas.export.compare import BACKBONE, SEED, SPEC, WEIGHTS, compare
from nas.export.contents import facts_of, spec_of
from nas.export.detector import ONNX, SAVED_MODEL, export_detector
from nas.export.report import ExportReport
from nas.folder import CampaignFolder
from proxy_trainer.config import ProxyConfig
from proxy_trainer.data.config import Split
from proxy_trainer.data.errors import CacheError, DataError
from proxy_trainer.data.image_set import ImageSet, open_split
from proxy_trainer.detections_sheet import detections_sheet
from proxy_trainer.network.plan import backbone_plan
from proxy_trainer.rebuild import fresh_arrays, load_arrays, save_keras
from proxy_trainer.runtime import exact
from results_db.records import CampaignRecord, TrialRecord
from results_db.store import Store
from search_space.genome import Genome
from search_space.spec import Spec, read_spec, write_spec

SURE: Final = 0.3
"""Probability from which a detection is drawn: focal loss keeps probabilities low."""

PICTURE: Final = "detections.png"
FILES: Final = (SPEC, BACKBONE, WEIGHTS, SAVED_MODEL, ONNX, PICTURE)


def export_trial(
    folder: CampaignFolder, store: Store, campaign: CampaignRecord, trial: TrialRecord, out: Path
) -> ExportReport:
    """Write `spec.yaml` and `backbone.keras`; if its weights were kept, the trained proxy and a picture.

    The proxy is written as its weights, as a SavedModel and as an ONNX file.

    Everything is then rebuilt from what was written and compared with the genome in the database;
    raises ExportMismatch, and leaves `out` as it was, when parameters or outputs differ. What an
    earlier export left there is replaced; other files are not touched, and a directory of another
    origin that is in the way is refused (Refusal).
    """
    config = placed(from_json(dict(campaign.config)), folder)
    proxy = config.evaluator if isinstance(config.evaluator, ProxyConfig) else None
    genome = Genome.from_text(trial.genome)
    facts = facts_of(store, campaign, trial)
    theirs = out / SAVED_MODEL
    if theirs.exists() and not (theirs / "saved_model.pb").is_file():
        raise Refusal(
            f"{theirs}: was not written by an export, and one would replace it; choose another --out"
        )
    exact()
    existed = out.is_dir()
    out.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".export-", dir=out))
    try:
        _write(partial, spec_of(campaign, trial, facts, proxy), folder.weights / f"{trial.number:05d}.npz")
        report = compare(partial, genome, facts, proxy)
        if proxy is not None and report.proxy_difference is not None:
            pictures = _pictures(config, proxy, campaign, folder.cache)
            report = dataclasses.replace(
                report,
                serving_difference=export_detector(partial, read_spec(partial / SPEC), genome, proxy.recipe),
                no_picture=pictures if isinstance(pictures, str) else None,
            )
            if not isinstance(pictures, str):
                _draw(partial, genome, proxy, pictures)
        files = [name for name in FILES if (partial / name).exists()]
        for name in FILES:
            _remove(out / name)
        for name in files:
            (partial / name).replace(out / name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if not existed:
            with contextlib.suppress(OSError):  # it is not empty: the export is in it
                out.rmdir()
    return dataclasses.replace(report, files=tuple(out / name for name in files))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _write(out: Path, spec: Spec, weights: Path) -> None:
    write_spec(spec, out / SPEC)
    plan = backbone_plan(spec.genome, spec.scaling)
    size = full_size(spec.genome).input_size
    save_keras(plan, fresh_arrays(plan, size, SEED), size, out / BACKBONE)
    if weights.exists():
        shutil.copyfile(weights, out / WEIGHTS)


def _pictures(
    config: CampaignConfig, proxy: ProxyConfig, campaign: CampaignRecord, cache: Path
) -> ImageSet | str:
    """Pictures that neither the training nor the reward saw, where there are any.

    Or why there are none: the data moved or changed since, and their classes may have other names.
    """
    split = Split.CONFIRM if proxy.splits.confirm else Split.REWARD
    try:
        check(config, campaign, cache)
        return open_split(proxy.data, proxy.splits, split, proxy.recipe.resolution, cache)
    except (DataError, CacheError, DataChanged) as error:
        return str(error)


def _draw(out: Path, genome: Genome, proxy: ProxyConfig, images: ImageSet) -> None:
    """What the proxy finds."""
    sheet = detections_sheet(genome, proxy.recipe, load_arrays(out / WEIGHTS), images, probability=SURE)
    sheet.save(out / PICTURE)
