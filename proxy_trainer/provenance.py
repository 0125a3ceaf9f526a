"""Where a measurement comes from: code, libraries, process."""

from __future__ import annotations

import functools
import os
import socket
import subprocess
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]


@functools.cache
def code_version() -> str:
    """The installed version and, in a git checkout, its commit: "0.1.0+g1a2b3c4-dirty"."""
    try:
        installed = version("spinenas")
    except PackageNotFoundError:
        installed = "unknown"
    commit = _commit()
    return f"{installed}+{commit}" if commit else installed


def versions(names: Iterable[str]) -> dict[str, str]:
    """The installed versions of libraries; one that is not installed is missing."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def process() -> dict[str, str]:
    """Which process on which host this is."""
    return {"host": socket.gethostname(), "pid": str(os.getpid())}


def _commit() -> str:
    if not (ROOT / ".git").exists():  # a file in a worktree; elsewhere git would find whatever is above
        return ""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--match=", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return f"g{done.stdout.strip()}"
