"""The most memory that this process has held since a moment."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


class PeakMemory:
    """The peak since it was made, where a process may reset its own (Linux); else of its whole life."""

    def __init__(self) -> None:
        with contextlib.suppress(OSError):
            _CLEAR.write_text("5")

    def megabytes(self) -> float:
        """Peak resident memory in MiB."""
        try:
            lines = _STATUS.read_text().splitlines()
        except OSError:
            return psutil.Process().memory_info().rss / 2**20
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
