"""The most memory that this process has taken since a moment, beside what it held before."""

from __future__ import annotations

import contextlib
import ctypes
from pathlib import Path
from typing import Final

import psutil

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")

_LEAST: Final = 1.0
"""MiB: a cost has to be above 0."""


class PeakMemory:
    """How far memory rose since it was made, where a process may reset its own peak (Linux); else has risen.

    Neither what the process held by then counts, nor pages of files (libraries, decoded pictures) that it
    touched since for the first time: both tell of what it did before.
    """

    def __init__(self) -> None:
        _give_back()
        try:
            _CLEAR.write_text("5")
            self._peak = "VmHWM"
        except OSError:
            self._peak = "VmRSS"
        self._before = _held()

    def megabytes(self) -> float:
        """MiB, at least 1."""
        now, before = _held(), self._before
        risen = now[self._peak] - before["VmRSS"]
        return max(_LEAST, risen - (now["RssFile"] - before["RssFile"]))


def _give_back() -> None:
    """What was freed and the allocator has kept goes back to the system, where the C library can do that."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _held() -> dict[str, float]:
    """Resident memory in MiB: the peak, now, and what of it are pages of files; all as one without /proc."""
    now = psutil.Process().memory_info().rss / 2**20
    found = {"VmHWM": now, "VmRSS": now, "RssFile": 0.0}
    with contextlib.suppress(OSError):
        for line in _STATUS.read_text().splitlines():
            name, _, rest = line.partition(":")
            if name in found:
                found[name] = int(rest.split()[0]) / 1024
    return found
