"""Peak memory: it sees what came and went since it was made, and nothing of before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import psutil
import pytest

from proxy_trainer import memory
from proxy_trainer.memory import PeakMemory


def held() -> float:
    return float(psutil.Process().memory_info().rss / 2**20)


def come_and_go(megabytes: int) -> None:
    np.ones(megabytes * 2**17)


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="only Linux lets a process reset its peak"
)
def test_the_peak_since_it_was_made() -> None:
    come_and_go(300)
    peak = PeakMemory()
    assert peak.megabytes() == pytest.approx(held(), abs=100)
    before = held()
    come_and_go(200)
    assert peak.megabytes() == pytest.approx(before + 200, abs=50)
    assert PeakMemory().megabytes() < before + 150


def test_where_there_is_no_proc_it_is_what_is_held(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "_CLEAR", tmp_path / "none" / "clear_refs")
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "none" / "status")
    assert PeakMemory().megabytes() == pytest.approx(held(), abs=20)
