"""Where a measurement comes from: code, libraries, process."""

from __future__ import annotations

import functools
import hashlib
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
    """The installed version and, in a git checkout, its commit: "0.1.0+g1a2b3c4".

    With `-dirty` and a hash of the changes where there are any.
    """
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
    found = _git("describe", "--always", "--dirty", "--match=", "--abbrev=12").decode().strip()
    if found.endswith("-dirty"):  # by what: two such are two codes
        found += "." + hashlib.blake2b(_git("diff", "HEAD"), digest_size=4).hexdigest()
    return f"g{found}" if found else ""


def _git(*arguments: str) -> bytes:
    """What git says of this checkout, whoever owns it; nothing where it can't."""
    command = ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), *arguments]
    try:
        return subprocess.run(command, capture_output=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return b""
