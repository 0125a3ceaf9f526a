"""Running a proxy study: one campaign an arm, gone on with where it was left, and read back as tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from nas import folder as folders
from nas.config import CampaignConfig
from nas.drive import drive
from nas.errors import Refusal
from nas.folder import FolderError
from nas.launch import create, follow_data, is_complete, same
from nas.proxy_study.config import REFERENCE, StudyConfig
from nas.proxy_study.ranks import Floats
from nas.proxy_study.report import ArmTable
from nas.runners.options import SerialOptions
from proxy_trainer.config import ProxyConfig
from results_db.records import MetricRecord, TrialStatus
from results_db.store import Store

CPU_SECONDS: Final = "seconds_cpu"


def run_study(study: StudyConfig, root: Path, go_on: str, arms: Sequence[str] = ()) -> None:
    """Train what is missing, of these arms or of all.

    Candidates come first: they are cheap, and show early whether anything is wrong. Raises Refusal.
    """
    if unknown := [name for name in arms if name not in study.arms]:
        raise Refusal(f"study {study.name!r} has no arm {unknown[0]!r}; there are {', '.join(study.arms)}")
    for name in arms or (*study.candidates, REFERENCE):
        config = study.campaign(name)
        if (root / config.name).exists():
            _check_same(root, config)
        else:
            create(config, root)
        if not _complete(study, name, root):
            follow_data(root, config.name, config)
            drive(root, config.name, go_on)


def tables(study: StudyConfig, root: Path) -> dict[str, ArmTable]:
    """The arms that are complete. Raises Refusal while the reference is not, or no candidate is."""
    found = {name: _table(study, name, root) for name in study.arms if _complete(study, name, root)}
    if REFERENCE not in found or len(found) < 2:
        missing = [name for name in study.arms if name not in found]
        raise Refusal(f"study {study.name!r}: {', '.join(missing)} not trained yet; run it without --report")
    _check_data(study, root, [name for name in found if name != REFERENCE])
    return found


def _check_data(study: StudyConfig, root: Path, arms: Sequence[str]) -> None:
    """Raise Refusal where pictures changed between an arm and the reference, and their configs did not."""
    wanted, known = _data(study, REFERENCE, root)
    for name in arms:
        words, found = _data(study, name, root)
        if words == wanted and found != known:
            raise Refusal(
                f"study {study.name!r}: {name} was trained on other pictures than the reference; "
                "train it again under another name"
            )


def _data(study: StudyConfig, name: str, root: Path) -> tuple[object, str]:
    """What an arm's config says of its pictures, and the hash of those that it was trained on."""
    config = study.campaign(name)
    with Store.read(folders.find(root, config.name).database) as store:
        known = store.campaign(config.name).data_hash
    evaluator = config.evaluator
    if not isinstance(evaluator, ProxyConfig):
        return None, known
    return (evaluator.data, evaluator.splits, evaluator.judge), known


def _complete(study: StudyConfig, name: str, root: Path) -> bool:
    config = study.campaign(name)
    if not (root / config.name).exists():
        return False
    _check_same(root, config)
    with Store.read(folders.find(root, config.name).database) as store:
        return is_complete(store, config)


def _check_same(root: Path, config: CampaignConfig) -> None:
    try:
        same(root, config)
    except FolderError as error:
        raise Refusal(
            f"{config.name!r} in {root} was trained with another config; "
            "give the study, or this arm, another name"
        ) from error


def _table(study: StudyConfig, name: str, root: Path) -> ArmTable:
    config = study.campaign(name)
    genomes = config.budget.trials // study.arms[name].seeds
    shape = (study.arms[name].seeds, genomes)
    values, core_seconds = np.full(shape, np.nan), np.full(shape, np.nan)
    cpus = 1 if isinstance(study.runner, SerialOptions) else study.runner.cpus_per_worker
    on_cpu = isinstance(study.runner, SerialOptions) or not study.runner.gpus_per_worker
    with Store.read(folders.find(root, config.name).database) as store:
        failed = [trial.number for trial in store.trials(config.name) if trial.status is TrialStatus.FAILED]
        for attempt in store.attempts(config.name):
            if attempt.seconds is not None:
                core_seconds[np.unravel_index(attempt.number - 1, shape)] = attempt.seconds * cpus
        for number, metrics in store.final(config.name, {study.metric, CPU_SECONDS}).items():
            at = np.unravel_index(number - 1, shape)
            values[at] = metrics.get(study.metric, np.nan)
            if on_cpu and CPU_SECONDS in metrics:
                core_seconds[at] = metrics[CPU_SECONDS]
        rungs = _rungs(store.intermediate(config.name, study.metric), shape)
    missing = np.flatnonzero(np.isnan(values)) + 1
    if undefined := sorted(set(missing.tolist()) - set(failed)):
        raise Refusal(
            f"{config.name!r} trial {undefined[0]}: finished without {study.metric}; rank by another metric"
        )
    return ArmTable(values.T, core_seconds.T, rungs)


def _rungs(metrics: Iterable[MetricRecord], shape: tuple[int, int]) -> dict[int, Floats]:
    """By step, the values [genomes, seeds] there; of a trial that was tried again, the last ones."""
    found: dict[int, Floats] = {}
    for metric in metrics:
        there = found.setdefault(metric.step, np.full(shape, np.nan))
        there[np.unravel_index(metric.number - 1, shape)] = metric.value
    return {step: there.T for step, there in found.items()}
