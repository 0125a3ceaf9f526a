"""What can be done to the databases of campaigns: bring up to date, check, copy; as JSON-ready facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas import folder as folders
from nas.check import check
from nas.config import sqlite_from
from nas.folder import CampaignFolder
from results_db import copying
from results_db.store import Store


@dataclass(frozen=True, slots=True)
class Place:
    """A database that words name: by its address, or as that of a campaign's folder."""

    url: str
    folder: CampaignFolder | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The campaign that is meant, if it is one."""
        return () if self.folder is None else (self.folder.name,)


def place(words: str, root: Path) -> Place:
    """The database of a campaign, or the one at a URL; a SQLite path counts from here. Raises FolderError."""
    if "://" in words:
        return Place(sqlite_from(words, Path.cwd()))
    folder = folders.find(root, words)
    return Place(folder.database, folder)


def upgrade(where: Place) -> dict[str, Any]:
    """Bring a database to the newest schema. Raises StorageError."""
    with Store.read(where.url) as store:
        before = store.revision
    with Store.open(where.url) as store:
        return {"database": store.where, "before": before, "now": store.revision}


def checked(where: Place, *, replay: bool) -> dict[str, Any]:
    """What is wrong with a database and its campaigns, or with the one that is meant. Raises StorageError."""
    with Store.read(where.url) as store:
        names = where.names or tuple(campaign.name for campaign in store.campaigns())
        return {
            "database": store.where,
            "schema": store.revision,
            "problems": store.problems(),
            "campaigns": [check(store, name, replay=replay) for name in names],
        }


def copied(source: Place, target: str, names: Sequence[str], *, switch: bool) -> dict[str, Any]:
    """Copy campaigns to another database; `switch` makes a campaign's folder use that one from now on.

    Raises CampaignExists, UnknownCampaign, StorageError; for `switch` CampaignBusy and LeaseLost too.
    """
    url = sqlite_from(target, Path.cwd())
    if source.folder is None or not switch:
        return _facts(source, url, copying.copy(source.url, url, names or source.names))
    with (
        Store.open(source.url) as store,
        store.take(source.folder.name) as writer,
    ):  # nobody may go on with it meanwhile
        done = copying.copy(source.url, url, source.names)
        writer.hold()  # a copy may take so long that somebody took us for dead
        source.folder.record_database(url)
        _follow(store, url, source.folder.name)
    return _facts(source, url, done)


def _follow(store: Store, url: str, name: str) -> None:
    """Take along the rewards that were computed anew while the rest was copied: that needs no lease.

    Who computes them later than this sees that the campaign has moved (cli_rewards.py).
    """
    with Store.open(url) as there:
        known = there.reward_sets(name)
        for label, (rule, rewards) in store.reward_sets(name).items():
            if known.get(label) != (rule, rewards):
                there.rescore(name, label, rule, rewards)


def _facts(source: Place, target: str, done: Sequence[copying.Copied]) -> dict[str, Any]:
    with Store.read(source.url) as here, Store.read(target) as there:
        return {
            "from": here.where,
            "to": there.where,
            "campaigns": [{"name": each.name, "rows": dict(each.rows)} for each in done],
        }
