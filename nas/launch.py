"""Starting a campaign and driving it: from a config or a folder to a runner at work."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, assert_never

import nas
from controller.config import build
from nas import folder as folders
from nas.campaign import Campaign, TooManyFailures
from nas.config import CampaignConfig, from_json
from nas.evaluators import MakeEvaluator
from nas.folder import CampaignFolder, FolderError
from nas.runners.options import RayOptions, SerialOptions
from proxy_trainer.config import ProxyConfig
from results_db.records import NewCampaign
from results_db.store import Store
from search_space.genome import Genome

VERSIONED: Final = ("numpy", "tensorflow", "keras", "ray", "sqlalchemy")


@dataclass(frozen=True, slots=True)
class Drive:
    """A campaign that this process drives, and where it is kept."""

    campaign: Campaign[Genome]
    config: CampaignConfig
    folder: CampaignFolder
    store: Store


def create(config: CampaignConfig, root: Path) -> CampaignFolder:
    """Read the data, then make the folder with the campaign in its database.

    Raises FolderError, DataError, CacheError, StorageError.
    """

    def fill(folder: CampaignFolder) -> None:
        if config.database is not None:
            folder.record_database(config.database)
        with Store.create(folder.database) as store:
            store.add(_new(config, folder.cache))

    return folders.create(root, config.name, fill)


def same(root: Path, config: CampaignConfig) -> None:
    """Check that the campaign of this name was made with this config. Raises FolderError."""
    _, stored = find(root, config.name)
    if stored.hash != config.hash:
        raise FolderError(
            f"campaign {config.name!r} in {root} has another config ({stored.hash}, this one {config.hash}); "
            f"go on with it by `nas resume {config.name}` or choose another --name"
        )


def find(root: Path, name: str) -> tuple[CampaignFolder, CampaignConfig]:
    """A campaign that exists, with the config it was made with. Raises FolderError, StorageError."""
    folder = folders.find(root, name)
    with Store.read(folder.database) as store:
        return folder, from_json(dict(store.campaign(name).config))


@contextmanager
def driving(folder: CampaignFolder, config: CampaignConfig) -> Iterator[Drive]:
    """The campaign, with this process as its one driver. Raises CampaignBusy and other StorageErrors."""
    space = config.space.build()
    with Store.open(folder.database) as store, store.take(config.name) as writer:
        campaign = Campaign(writer, config.rules, space, build(config.controller, space))
        yield Drive(campaign, config, folder, store)


def run(drive: Drive, tick: Callable[[], None]) -> None:
    """Run a campaign to its end with the runner of its config; `tick` is called now and then.

    Raises TooManyFailures, DataFailure, RunnerError.
    """
    config, folder = drive.config, drive.folder
    if drive.campaign.finished:  # nothing to run, so no engine is started
        return
    make_evaluator = MakeEvaluator(
        config.evaluator,
        folder.cache,
        folder.weights if config.keep_weights else None,
        threads=1 if isinstance(config.runner, SerialOptions) else config.runner.cpus_per_worker,
        # Ray's workers are ended from outside, even in the middle of a step.
        deadline=config.runner.timeout_seconds if isinstance(config.runner, SerialOptions) else None,
    )
    finished = -1

    def tidy_tick() -> None:
        nonlocal finished
        before, finished = finished, len(drive.campaign.snapshot().rewards)
        if finished != before:
            keep_best_weights(drive)
        tick()

    try:
        match config.runner:
            case SerialOptions():
                from nas.runners import serial

                serial.run(drive.campaign, make_evaluator(), tidy_tick)
            case RayOptions():
                from nas.runners import ray

                ray.run(drive.campaign, make_evaluator, config.runner, tidy_tick, folder.log)
            case _:
                assert_never(config.runner)
    except TooManyFailures as error:
        failures = [trial.failure for trial in drive.store.trials(config.name) if trial.failure is not None]
        raise TooManyFailures(f"{error}; the last one: {failures[-1].message}") from error


def keep_best_weights(drive: Drive) -> None:
    """Remove the weights of trials that have ended and are not among the best."""
    best = drive.config.keep_weights
    files = [file for file in drive.folder.weights.glob("*.npz") if file.stem.isdigit()]
    if len(files) <= best:
        return
    kept = {trial.number for trial in drive.store.top(drive.config.name, best)}
    kept.update(drive.campaign.snapshot().running)
    for file in files:
        if int(file.stem) not in kept:
            file.unlink(missing_ok=True)


def _new(config: CampaignConfig, cache: Path) -> NewCampaign:
    recipe_hash = data_hash = splits_hash = ""
    if isinstance(config.evaluator, ProxyConfig):
        from proxy_trainer.data.config import Split
        from proxy_trainer.data.image_set import open_split, split_record

        data, splits, recipe = config.evaluator.data, config.evaluator.splits, config.evaluator.recipe
        recipe_hash = recipe.hash
        splits_hash = split_record(data, splits, cache).content_hash
        # Both are decoded into the cache here, once, rather than by all workers at the same time.
        opened = [
            open_split(data, splits, split, recipe.resolution, cache) for split in (Split.TRAIN, Split.REWARD)
        ]
        data_hash = opened[0].content_hash
    return NewCampaign(
        name=config.name,
        seed=config.seed,
        config=config.to_json(),
        config_hash=config.hash,
        code_version=nas.__version__,
        recipe_hash=recipe_hash,
        data_hash=data_hash,
        splits_hash=splits_hash,
        versions={"python": platform.python_version(), "platform": platform.platform(), **_versions()},
    )


def _versions() -> dict[str, str]:
    found = {}
    for name in VERSIONED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
