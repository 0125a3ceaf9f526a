"""How many workers this machine bears: by cores, by what a container may use of them, by memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import psutil

WORKER_BYTES: Final = 3 * 2**29
"""What a worker that trains the shipped proxy holds at its peak, about 1.2 GiB, and some room."""

CGROUPS: Final = Path("/sys/fs/cgroup")


def local_workers(cpus_per_worker: int, left: int) -> int:
    """As many as there are cores and memory for, at most one for each trial `left`, and one at least."""
    by_cores = cores() // cpus_per_worker
    by_memory = memory() // WORKER_BYTES
    return max(1, min(by_cores, by_memory, left))


def cores(cgroups: Path = CGROUPS) -> int:
    """Cores that this process may run on: by affinity and by the quota of its container."""
    allowed = len(os.sched_getaffinity(0))
    quota = _quota(cgroups)
    return allowed if quota is None else max(1, min(allowed, int(quota)))


def memory(cgroups: Path = CGROUPS) -> int:
    """Bytes that can be had without swapping: of the machine, or of its container where that has less."""
    free = psutil.virtual_memory().available
    for limit, used, kinds, cached in (
        ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        (
            "memory/memory.limit_in_bytes",
            "memory/memory.usage_in_bytes",
            "memory/memory.stat",
            "total_inactive_file",
        ),
    ):
        most, now = _number(cgroups / limit), _number(cgroups / used)
        if most is not None and now is not None:
            words = _words(cgroups / kinds)
            cache = dict(zip(words[::2], words[1::2], strict=False)).get(cached, "0")
            held = now - int(cache)  # files that were read are given up for whoever wants memory
            free = min(free, max(0, most - held))
    return int(free)


def _quota(cgroups: Path) -> float | None:
    """CPU time a container may use per time that passes; version 2 of cgroups, then version 1."""
    words = _words(cgroups / "cpu.max")
    if len(words) == 2 and words[0].isdigit():
        return int(words[0]) / int(words[1])
    quota, period = (_number(cgroups / "cpu" / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    return quota / period if quota is not None and period else None


def _number(file: Path) -> int | None:
    words = _words(file)
    return int(words[0]) if words and words[0].isdigit() else None  # "max" and -1 mean no limit


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []
