"""Campaigns in processes of their own, to be struck; and what must hold of each in the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

PROGRAM = Path(__file__).with_name("campaign_program.py")

Start = Callable[..., subprocess.Popen[str]]
Sound = Callable[[str, int], None]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a campaign, or goes on with it; what still runs at the end of the test is killed."""
    # compiled once, wherever this machine keeps bytecode or does not: half of a start is compiling
    cache = {"PYTHONPYCACHEPREFIX": str(tmp_path / "bytecode"), "PYTHONDONTWRITEBYTECODE": ""}
    started: list[subprocess.Popen[str]] = []

    def run(url: str, environment: Mapping[str, str] | None = None, **words: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(PROGRAM), "drive", url, json.dumps(words)],
            env={**os.environ, **cache, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        kill_tree(process)


def kill_tree(process: subprocess.Popen[str]) -> None:
    """SIGKILL to the process and all that it started, Ray's daemons too."""
    tree: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        tree = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    for each in tree:
        with suppress(ProcessLookupError):
            os.kill(each.pid, signal.SIGKILL)
    process.communicate()


@pytest.fixture
def strike() -> Callable[[subprocess.Popen[str]], None]:
    """SIGKILL to a campaign's process and all that it started."""
    return kill_tree


@pytest.fixture
def sound() -> Sound:
    """Fails unless a campaign that has ended is whole: see nas/audit.py."""

    def check(url: str, trials: int) -> None:
        command = [sys.executable, str(PROGRAM), "audit", url, json.dumps({"trials": trials})]
        audited = subprocess.run(command, capture_output=True, text=True)
        assert (audited.stdout.split(), audited.stderr) == ([], "")

    return check
