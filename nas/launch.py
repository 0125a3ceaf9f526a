"""Starting a campaign and driving it: from a config or a folder to a runner at work."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, Final, assert_never

from nas import campaign_data, ranking
from nas import folder as folders
from nas.campaign import Campaign, TooManyFailures
from nas.campaign_data import CampaignData
from nas.config import UNHASHED, CampaignConfig, from_json
from nas.controllers import controller_of
from nas.evaluators import MakeEvaluator
from nas.folder import CampaignFolder, FolderError
from nas.interrupts import Interruptible, Interrupts, TimeUp
from nas.runners.options import RayOptions, SerialOptions
from nas.validation import Refused
from nas.warm_start import as_made, looked_up
from proxy_trainer.config import ProxyConfig
from proxy_trainer.provenance import code_version, versions
from results_db.errors import CampaignExists, StorageError
from results_db.records import ENDED, NewCampaign
from results_db.store import Store
from search_space.genome import Genome

SPARE_WEIGHTS: Final = 16
"""So many more than asked for are kept while a campaign runs: who is among the best changes as networks are
measured again."""

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

    Raises FolderError, DataError, CacheError, StorageError, Refused.
    """
    config = _looked_up(config, root)

    def fill(folder: CampaignFolder) -> None:
        if config.database is not None:
            folder.record_database(config.database)
        data = campaign_data.read(config, folder.cache)
        if data is not None:
            folder.record_splits(data.splits)
        with Store.create(folder.database) as store:
            _add(store, _new(config, data))

    return folders.create(root, config.name, fill)


def _add(store: Store, new: NewCampaign) -> None:
    """Add it, or take over what a start left behind that was cut off before its folder was there."""
    try:
        store.add(new)
    except CampaignExists:
        stored = store.campaign(new.name)
        same = (stored.config, stored.data_hash) == (new.config, new.data_hash)  # what is unhashed too
        if not same or store.trials(new.name) or store.fence(new.name).token:
            raise


def same(root: Path, config: CampaignConfig) -> tuple[str, ...]:
    """Check that the campaign of this name was made with this config. Raises FolderError, Refused.

    Gives the keys that may differ and do; the campaign goes by the stored ones.
    """
    _, stored = find(root, config.name)
    with suppress(ValueError):  # then they are not the same
        config = dataclasses.replace(config, warm_start=as_made(config.warm_start, stored.warm_start))
    if stored.hash != config.hash:
        raise FolderError(
            f"campaign {config.name!r} in {root} has another config ({stored.hash}, this one {config.hash}); "
            f"go on with it by `nas resume {config.name}` or choose another --name"
        )
    made, given = stored.to_json(), config.to_json()
    return tuple(
        ".".join(keys) for keys in UNHASHED if reduce(_inside, keys, made) != reduce(_inside, keys, given)
    )


def _inside(words: Any, key: str) -> Any:
    return words.get(key) if isinstance(words, dict) else None


def _looked_up(config: CampaignConfig, root: Path) -> CampaignConfig:
    """The config with the genomes of earlier campaigns that it begins with. Raises Refused, FolderError."""
    if all(isinstance(start, str) for start in config.warm_start):
        return config
    starts = looked_up(config.warm_start, config.space.build(), root)
    try:
        return dataclasses.replace(config, warm_start=starts)
    except ValueError as error:
        raise Refused((), str(error)) from error


def find(root: Path, name: str) -> tuple[CampaignFolder, CampaignConfig]:
    """A campaign that exists, with the config it was made with and its data where they lie now.

    Raises FolderError, StorageError.
    """
    folder = folders.find(root, name)
    with Store.read(folder.database) as store:
        return folder, campaign_data.placed(from_json(dict(store.campaign(name).config)), folder)


def follow_data(root: Path, name: str, config: CampaignConfig) -> bool:
    """Where this config's data lie elsewhere than the campaign's, go by them there: whether they do.

    Raises DataChanged, DataError, CacheError, FolderError, CampaignBusy and other StorageErrors.
    """
    folder, ours = find(root, name)
    paths = campaign_data.moved(ours, config)
    if paths is None:
        return False
    with Store.open(folder.database) as store:
        campaign_data.check(campaign_data.with_paths(ours, paths), store.campaign(name), folder.cache)
        with store.take(name):  # whoever drives it goes by the old ones
            folder.record_data_paths(paths)
    return True


def beside(root: Path, name: str, config: CampaignConfig) -> CampaignConfig:
    """The config of a campaign that belongs to this one: its data where this one's lie, if it needs them yet.

    Raises what `follow_data` does.
    """
    folder, ours = find(root, name)
    with Store.read(folder.database) as store:
        complete = is_complete(store, ours)
    return ours if complete or not follow_data(root, name, config) else find(root, name)[1]


@contextmanager
def driving(folder: CampaignFolder, config: CampaignConfig) -> Iterator[Drive]:
    """The campaign, with this process as its one driver.

    Raises DataChanged, DataError, FolderError, CampaignBusy and other StorageErrors.
    """
    space, url = config.space.build(), folder.database
    with Store.open(url) as store:
        if not is_complete(store, config):
            campaign_data.check(config, store.campaign(config.name), folder.cache)
        with store.take(config.name) as writer:
            if folder.database != url:
                raise FolderError(f"campaign {config.name!r}: was moved to another database; try again")
            campaign = Campaign(writer, config.rules, space, controller_of(config, space))
            yield Drive(campaign, config, folder, store)


def is_complete(store: Store, config: CampaignConfig) -> bool:
    """Whether all of a campaign's trials have ended."""
    counts = store.counts(config.name)
    return sum(counts[status] for status in ENDED) >= config.budget.trials


def run(drive: Drive, tick: Callable[[], None], interrupts: Interrupts | None = None) -> None:
    """Run a campaign to its end with the runner of its config; `tick` is called now and then.

    Its end is also when a hard limit of its budget is reached. Whatever ends it early, trials that were
    running are given back. Raises KeyboardInterrupt when asked to stop, TooManyFailures, DataFailure,
    RunnerError.
    """
    if drive.campaign.finished:  # nothing to run, so no engine is started
        return
    interrupts = interrupts or Interrupts()
    try:
        with interrupts.noted():
            _run(drive, tick, interrupts)
    except TimeUp:
        drive.campaign.give_back()
    except StorageError:  # nothing can be written any more
        raise
    except BaseException:
        drive.campaign.give_back()
        raise
    keep_best_weights(drive)


def _run(drive: Drive, tick: Callable[[], None], interrupts: Interrupts) -> None:
    campaign, config, folder = drive.campaign, drive.config, drive.folder
    make_evaluator = MakeEvaluator(
        config.evaluator,
        folder.cache,
        folder.weights if config.keep_weights else None,
        _checkpoints(drive),
        data=drive.store.campaign(config.name).data_hash,
        threads=1 if isinstance(config.runner, SerialOptions) else config.runner.cpus_per_worker,
        # Ray's workers are ended from outside, even in the middle of a step.
        deadline=config.runner.timeout_seconds if isinstance(config.runner, SerialOptions) else None,
    )
    over = -1

    def tidy_tick() -> None:
        nonlocal over
        campaign.beat()  # who was overtaken must not tidy up what the other driver has
        counts = campaign.snapshot().counts
        before, over = over, sum(counts[status] for status in ENDED)
        if over != before:
            keep_best_weights(drive, SPARE_WEIGHTS)
            tidy_checkpoints(drive)
        tick()
        out_of_budget = campaign.seconds_left <= 0
        if interrupts.asked or out_of_budget:
            campaign.give_back()  # before the workers are ended, which takes Ray some seconds
        interrupts.check()
        if out_of_budget:
            raise TimeUp

    try:
        match config.runner:
            case SerialOptions():
                from nas.runners import serial

                evaluator = Interruptible(make_evaluator(), interrupts, lambda: campaign.seconds_left)
                serial.run(campaign, evaluator, tidy_tick)
            case RayOptions():
                from nas.runners.ray import run as ray

                ray.run(campaign, make_evaluator, config.runner, tidy_tick, folder.log)
            case _:
                assert_never(config.runner)
    except TooManyFailures as error:
        failures = [trial.failure for trial in drive.store.trials(config.name) if trial.failure is not None]
        raise TooManyFailures(f"{error}; the last one: {failures[-1].message}") from error


def keep_best_weights(drive: Drive, spare: int = 0) -> None:
    """Remove the weights of trials that have ended and are not among the best and up to `spare` more.

    Twice as many spare ones are let come together first: to rank a long campaign takes a while.
    """
    most = drive.config.keep_weights + spare
    files = [file for file in drive.folder.weights.glob("*.npz") if file.stem.isdigit()]
    if len(files) <= most + spare:
        return
    kept = {each.trial.number for each in ranking.best(drive.store, drive.config.name, most)}
    kept.update(drive.campaign.snapshot().running)
    for file in files:
        if int(file.stem) not in kept:
            file.unlink(missing_ok=True)


def tidy_checkpoints(drive: Drive) -> None:
    """Remove the checkpoints of trials that have ended."""
    folder = _checkpoints(drive)
    files = [] if folder is None else [file for file in folder.glob("*.npz") if file.stem.isdigit()]
    if not files:
        return
    snapshot = drive.campaign.snapshot()
    for file in files:
        if int(file.stem) not in (*snapshot.running, *snapshot.waiting):
            file.unlink(missing_ok=True)


def _checkpoints(drive: Drive) -> Path | None:
    """Where the config has them, in a folder of this campaign's own."""
    evaluator = drive.config.evaluator
    if not isinstance(evaluator, ProxyConfig) or evaluator.checkpoint is None:
        return None
    elsewhere = evaluator.checkpoint.folder
    return Path(elsewhere) / drive.config.name if elsewhere else drive.folder.checkpoints


def _new(config: CampaignConfig, data: CampaignData | None) -> NewCampaign:
    return NewCampaign(
        name=config.name,
        seed=config.seed,
        config=config.to_json(),
        config_hash=config.hash,
        code_version=code_version(),
        recipe_hash=config.evaluator.recipe.hash if isinstance(config.evaluator, ProxyConfig) else "",
        data_hash=data.hash if data is not None else "",
        splits_hash=data.splits.content_hash if data is not None else "",
        versions={
            "python": platform.python_version(),
            "platform": platform.platform(),
            **versions(VERSIONED),
        },
    )
