"""A database, a campaign in it and a writer for it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from results_db.records import Json, NewCampaign, NewTrial
from results_db.store import Store
from results_db.writer import Writer


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with one campaign, to be copied: migrating takes its time."""
    path = tmp_path_factory.mktemp("fresh") / "campaign.sqlite"
    with Store.create(f"sqlite:///{path}") as store:
        store.add(NewCampaign(name="alpha", seed=7, config={"a": [1]}, config_hash="c", code_version="0.1"))
    return path


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The address of a file that is not there yet."""
    return f"sqlite:///{tmp_path}/campaign.sqlite"


@pytest.fixture
def store(fresh: Path, tmp_path: Path, url: str) -> Iterator[Store]:
    shutil.copy(fresh, tmp_path)
    with Store.open(url) as store:
        yield store


@pytest.fixture
def writer(store: Store) -> Writer:
    return store.take("alpha")


@pytest.fixture
def new_trial() -> Callable[[int], NewTrial]:
    def make(number: int) -> NewTrial:
        note: dict[str, Json] = {"parents": [1, 2], "log_probability": -0.1}
        return NewTrial(number=number, genome=f"g{number}", fingerprint="f", note=note, seed=9, told=0)

    return make
