"""The pictures of a campaign: known by what is in them, so that they may lie elsewhere later."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from nas.config import CampaignConfig
from nas.folder import CampaignFolder
from proxy_trainer.config import ProxyConfig
from proxy_trainer.data.config import PATHS, CocoData
from proxy_trainer.data.splits import SplitRecord
from results_db.records import CampaignRecord


class DataChanged(RuntimeError):
    """The data of a campaign are not what they were when it began."""


@dataclass(frozen=True, slots=True)
class CampaignData:
    """What a campaign's trials train on and are judged by."""

    hash: str
    splits: SplitRecord


def read(config: CampaignConfig, cache: Path) -> CampaignData | None:
    """Read the data, decoding them into the cache once rather than by all workers at the same time.

    None for an evaluator without data. Raises DataError, CacheError.
    """
    if not isinstance(config.evaluator, ProxyConfig):
        return None
    from proxy_trainer.data.config import Split
    from proxy_trainer.data.image_set import data_hash, open_split, split_record

    data, splits, recipe = config.evaluator.data, config.evaluator.splits, config.evaluator.recipe
    train, judged = (
        open_split(data, splits, split, recipe.resolution, cache)
        for split in (Split.TRAIN, config.evaluator.judge)
    )
    return CampaignData(data_hash(train, judged), split_record(data, splits, cache))


def check(config: CampaignConfig, stored: CampaignRecord, cache: Path) -> None:
    """Trials on other data would not be comparable with those that are stored. Raises DataChanged."""
    data = read(config, cache)
    if data is None or (data.hash, data.splits.content_hash) == (stored.data_hash, stored.splits_hash):
        return
    what, now, then = "data", data.hash, stored.data_hash
    if now == then:
        what, now, then = "confirm or validation pictures", data.splits.content_hash, stored.splits_hash
    raise DataChanged(
        f"campaign {config.name!r}: its {what} are not what they were when it began "
        f"({now[:8]}, then {then[:8]}); put them back, or start a new campaign"
    )


def placed(config: CampaignConfig, folder: CampaignFolder) -> CampaignConfig:
    """The config with the paths that the data have now, where they were moved since the campaign began."""
    paths = folder.data_paths
    return config if paths is None else with_paths(config, paths)


def with_paths(config: CampaignConfig, paths: dict[str, str]) -> CampaignConfig:
    """The config with its data there."""
    evaluator = config.evaluator
    if not isinstance(evaluator, ProxyConfig) or not isinstance(evaluator.data, CocoData):
        return config
    known = {key: Path(path) for key, path in paths.items() if key in PATHS}
    data = dataclasses.replace(evaluator.data, **known)  # type: ignore[arg-type]  # paths only, see `known`
    return dataclasses.replace(config, evaluator=dataclasses.replace(evaluator, data=data))


def moved(ours: CampaignConfig, theirs: CampaignConfig) -> dict[str, str] | None:
    """The paths of the data in `theirs`, by the words of a config, if these are others than in `ours`."""
    before, after = _paths(ours), _paths(theirs)
    return None if before == after else after


def _paths(config: CampaignConfig) -> dict[str, str] | None:
    data = config.evaluator.data if isinstance(config.evaluator, ProxyConfig) else None
    if not isinstance(data, CocoData):
        return None
    return {key: str(path) for key in PATHS if (path := getattr(data, key)) is not None}
