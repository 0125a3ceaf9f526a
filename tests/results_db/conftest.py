"""A database of either kind, a campaign in it and a writer for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError

from results_db.records import Json, NewCampaign, NewTrial
from results_db.store import Store
from results_db.writer import Writer


def _one_campaign(url: str) -> None:
    with Store.create(url) as store:
        store.add(NewCampaign(name="alpha", seed=7, config={"a": [1]}, config_hash="c", code_version="0.1"))


@pytest.fixture
def fresh(engine: Any, template: Callable[..., str]) -> str:
    """A database with one campaign, to be copied."""
    return template(engine.name, "alpha", _one_campaign)


@pytest.fixture
def url(engine: Any) -> str:
    """The address of a database with nothing in it; of SQLite's, the file is not there yet."""
    found: str = engine.new()
    return found


@pytest.fixture
def address(fresh: str, engine: Any) -> str:
    """Where `store` is."""
    found: str = engine.copy(fresh)
    return found


@pytest.fixture
def store(address: str) -> Iterator[Store]:
    with Store.open(address) as store:
        yield store


@pytest.fixture
def writer(store: Store) -> Writer:
    return store.take("alpha")


@pytest.fixture
def by_hand() -> Iterator[Callable[[str, str], str]]:
    """Carries out a statement that knows nothing of our code; returns what the database says against it."""
    engines = {}

    def say(url: str, statement: str) -> str:
        if url not in engines:
            engines[url] = create_engine(url)
        try:
            with engines[url].begin() as connection:
                if connection.dialect.name == "sqlite":
                    connection.exec_driver_sql("PRAGMA foreign_keys = ON")
                connection.exec_driver_sql(statement)
        except DBAPIError as error:
            return str(error.orig)
        return ""

    yield say
    for engine in engines.values():
        engine.dispose()


@pytest.fixture
def new_trial() -> Callable[[int], NewTrial]:
    def make(number: int) -> NewTrial:
        note: dict[str, Json] = {"parents": [1, 2], "log_probability": -0.1}
        return NewTrial(number=number, genome=f"g{number}", fingerprint="f", note=note, seed=9, told=0)

    return make
