"""A place for campaigns, a small config, and the command line called as it is from a shell."""

from __future__ import annotations

import logging
import shutil
import socket
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import make_url

from nas.cli import main


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the campaigns of a test live."""
    path = tmp_path / "campaigns"
    monkeypatch.setenv("NAS_HOME", str(path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return path


@pytest.fixture
def nas(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """The command `nas`, called in this process."""
    del home

    def command(*arguments: str | Path) -> Ended:
        monkeypatch.setattr("sys.argv", ["nas", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return Ended(int(ended.value.code or 0), out, err)

    return command


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """Ray takes seconds to start: once for all tests. Nobody else starts one in this process."""
    import ray

    ray.init(
        "local",
        num_cpus=2,
        num_gpus=2,  # made up: Ray only counts them
        include_dashboard=False,
        object_store_memory=80 * 2**20,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    yield
    ray.shutdown()


@pytest.fixture
def forge() -> Callable[[Path, str], None]:
    """Changes what a campaign's file says has happened: takes its guards away, and puts them back."""

    def change(file: Path, statements: str) -> None:
        with closing(sqlite3.connect(file)) as database:
            guards = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
            away = "".join(f"DROP TRIGGER {name};" for name, _ in guards)
            back = "".join(f"{sql};" for _, sql in guards)
            database.executescript(f"{away}{statements};{back}")

    return change


@pytest.fixture
def words() -> dict[str, Any]:
    """The data of a small config with the synthetic evaluator."""
    return {
        "name": "small",
        "seed": 3,
        "space": "spinenet-49",
        "controller": {"kind": "regularized_evolution", "population": 4, "tournament": 2},
        "evaluator": {"kind": "synthetic"},
        "runner": {"kind": "serial"},
        "budget": {"trials": 8},
    }


@pytest.fixture
def written(tmp_path: Path, words: dict[str, Any]) -> Callable[..., Path]:
    """Writes the small config with some of its words changed (None takes one away)."""

    def write(changes: Mapping[str, Any] | None = None) -> Path:
        data = {key: value for key, value in (words | dict(changes or {})).items() if value is not None}
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(data), encoding="utf-8")
        return path

    return write


class Line:
    """A line to a PostgreSQL server that can be cut at a COMMIT: before it arrives, or after it was done.

    `cut(at, done)` waits for the COMMIT number `at` from now on; `commits` counts them.
    """

    def __init__(self, url: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="px-"))
        parsed = make_url(url)
        self._server = f"{parsed.query['host']}/.s.PGSQL.5432"
        here = parsed.update_query_dict({"host": str(self._folder)})
        self.url = here.render_as_string(hide_password=False)
        self.commits = 0
        self._at, self._done = -1, False
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._folder / ".s.PGSQL.5432"))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, at: int, done: bool) -> None:
        self.commits, self._at, self._done = 0, at, done

    def close(self) -> None:
        self._listener.close()
        shutil.rmtree(self._folder)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._server)
                silenced = threading.Event()
                threading.Thread(target=self._down, args=(server, client, silenced), daemon=True).start()
                threading.Thread(target=self._up, args=(client, server, silenced), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket, silenced: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                if b"COMMIT" in data:
                    self.commits += 1
                    if self.commits - 1 == self._at:
                        silenced.set()
                        if not self._done:
                            break
                server.sendall(data)
        if not silenced.is_set() or not self._done:
            _hang_up(server, client)

    def _down(self, server: socket.socket, client: socket.socket, silenced: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if silenced.is_set():
                    break  # the answer to the COMMIT: it is done, and nobody will know
                client.sendall(data)
        _hang_up(server, client)


def _hang_up(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


@pytest.fixture
def new_line() -> Iterator[Callable[[str], Line]]:
    """Lays lines to servers."""
    lines: list[Line] = []

    def lay(url: str) -> Line:
        lines.append(Line(url))
        return lines[-1]

    yield lay
    for line in lines:
        line.close()
