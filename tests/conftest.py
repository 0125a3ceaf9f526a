"""What all tests share: no clock for hypothesis, because timing is never asserted; one thread for BLAS;
databases.

Whoever asks for `engine`, or for what is made of it, runs on SQLite and on PostgreSQL.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import psycopg
import pytest
from hypothesis import settings
from sqlalchemy import make_url

# Before numpy is loaded: surrogates fit small matrices, for which more threads only get in each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

settings.register_profile("house", deadline=None)
settings.load_profile("house")


class Engine(Protocol):
    """A kind of database: gives the addresses of new ones, and of copies."""

    name: str

    def new(self) -> str: ...

    def copy(self, url: str) -> str: ...


class Files:
    """SQLite; the files lie in `folder`, the first one is `campaign.sqlite`."""

    name = "sqlite"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made = 0

    def new(self) -> str:
        self._made += 1
        number = "" if self._made == 1 else str(self._made)
        return f"sqlite:///{self.folder}/campaign{number}.sqlite"

    def copy(self, url: str) -> str:
        new = self.new()
        shutil.copy(make_url(url).database or "", make_url(new).database or "")
        return new


class Postgres:
    """A PostgreSQL server that is ours alone: it may be crashed, and must run again afterwards."""

    name = "postgresql"

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._made: list[str] = []
        self._names = itertools.count(1)
        self._url, self.pid = "", 0
        self._answer()

    def new(self) -> str:
        self._made.append(self.kept())
        return self._made[-1]

    def copy(self, url: str) -> str:
        self._made.append(self.kept(f" TEMPLATE {make_url(url).database}"))
        return self._made[-1]

    def kept(self, how: str = "") -> str:
        """A new database that no `tidy` drops."""
        name = f"test{next(self._names)}"
        self.psql(self._url, f"CREATE DATABASE {name}{how}")
        return make_url(self._url).set(database=name).render_as_string(hide_password=False)

    def tidy(self) -> None:
        """Drop what was made since the last time."""
        while self._made:
            name = make_url(self._made.pop()).database
            self.psql(self._url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def psql(self, url: str, statement: str) -> list[tuple[object, ...]]:
        """The rows of a statement, outside of any transaction and of our code."""
        parsed = make_url(url)
        with psycopg.connect(
            host=str(parsed.query["host"]),
            user=parsed.username,
            password=parsed.password,
            dbname=parsed.database,
            autocommit=True,
        ) as connection:
            cursor = connection.execute(statement.encode())
            return list(cursor.fetchall()) if cursor.description else []

    def crash(self) -> None:
        """The server is gone at once, without finishing anything."""
        self._tell("crash")

    def start(self) -> None:
        if not self.pid:
            self._tell("start")

    def _tell(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        self._answer()

    def _answer(self) -> None:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            pytest.exit("the PostgreSQL server of the tests did not start", 3)
        facts = json.loads(line)
        self._url, self.pid = facts["url"], facts["pid"]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """The one server of a session; it ends when its input does, however this process ends."""
    script = Path(__file__).with_name("postgres_server.py")
    with subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Postgres(process)


@pytest.fixture
def postgres(postgres_server: Postgres) -> Iterator[Postgres]:
    """The server; the databases that a test made are dropped after it."""
    yield postgres_server
    postgres_server.start()
    postgres_server.tidy()


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    """Both kinds of database, one after the other."""
    if request.param == "sqlite":
        return Files(tmp_path)
    found: Postgres = request.getfixturevalue("postgres")
    return found


@pytest.fixture(scope="session")
def template(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Callable[[str, str, Callable[[str], None]], str]:
    """A database of a kind, by name, filled once in a session, to be copied: migrating takes its time."""
    made: dict[tuple[str, str], str] = {}

    def find(kind: str, name: str, fill: Callable[[str], None]) -> str:
        if (kind, name) not in made:
            if kind == "sqlite":
                url = Files(tmp_path_factory.mktemp(name)).new()
            else:
                url = request.getfixturevalue("postgres_server").kept()
            fill(url)
            made[kind, name] = url
        return made[kind, name]

    return find
