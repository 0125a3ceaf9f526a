"""How many workers a machine bears."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from nas.runners import capacity


def _machine(monkeypatch: pytest.MonkeyPatch, cores: int, gibibytes: float) -> None:
    monkeypatch.setattr(capacity, "cores", lambda: cores)
    monkeypatch.setattr(capacity, "memory", lambda: int(gibibytes * 2**30))


@pytest.mark.parametrize(
    ("cores", "gibibytes", "cpus_per_worker", "left", "expected"),
    [
        (8, 64, 1, 100, 8),
        (8, 64, 3, 100, 2),
        (8, 4, 1, 100, 2),
        (8, 64, 1, 5, 5),
        (1, 0.5, 4, 1, 1),
    ],
)
def test_the_scarcest_decides(
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    gibibytes: float,
    cpus_per_worker: int,
    left: int,
    expected: int,
) -> None:
    _machine(monkeypatch, cores, gibibytes)
    assert capacity.local_workers(cpus_per_worker, left) == expected


def _written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_a_containers_quota_counts(tmp_path: Path) -> None:
    allowed = len(os.sched_getaffinity(0))
    assert capacity.cores(tmp_path / "nothing here") == allowed
    assert capacity.cores(_written(tmp_path / "none", {"cpu.max": "max 100000\n"})) == allowed
    assert capacity.cores(_written(tmp_path / "v2", {"cpu.max": "150000 100000\n"})) == 1
    version_1 = {"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}
    assert capacity.cores(_written(tmp_path / "v1", version_1)) == 1
    unlimited = {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}
    assert capacity.cores(_written(tmp_path / "v1 without", unlimited)) == allowed


def test_a_containers_memory_counts(tmp_path: Path) -> None:
    limited = {"memory.max": f"{2**30}\n", "memory.current": f"{2**29}\n"}
    assert capacity.memory(_written(tmp_path / "v2", limited)) == 2**29
    cached = limited | {"memory.stat": f"anon 5\nactive_file 7\ninactive_file {2**28}\n"}
    assert capacity.memory(_written(tmp_path / "v2 with files", cached)) == 2**29 + 2**28
    version_1 = {
        "memory/memory.limit_in_bytes": f"{2**30}\n",
        "memory/memory.usage_in_bytes": f"{2**30 + 1}\n",
    }
    assert capacity.memory(_written(tmp_path / "v1", version_1)) == 0
    unlimited = _written(tmp_path / "none", {"memory.max": "max\n", "memory.current": "1\n"})
    assert capacity.memory(unlimited) > psutil.virtual_memory().available / 2
