"""A place for campaigns, a small config, and the command line called as it is from a shell."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

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
