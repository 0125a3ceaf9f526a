"""Peak memory: it sees what came and went since it was made, and nothing of before."""

from __future__ import annotations

import ctypes
import mmap
from pathlib import Path

import numpy as np
import pytest

from proxy_trainer import memory
from proxy_trainer.memory import PeakMemory

resets = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="only Linux lets a process reset its peak"
)
trims = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="another C library than glibc"
)


def come_and_go(megabytes: int) -> None:
    np.ones(megabytes * 2**17)


def many(megabytes: int) -> list[bytes]:
    """In pieces of 64 KiB, which glibc does not give back while one above them is in use."""
    return [b"x" * 2**16 for _ in range(megabytes * 2**4)]


@resets
def test_the_peak_since_it_was_made() -> None:
    come_and_go(300)
    peak = PeakMemory()
    assert peak.megabytes() < 50
    come_and_go(200)
    assert peak.megabytes() == pytest.approx(200, abs=50)
    assert PeakMemory().megabytes() < 50


@resets
@trims
def test_what_a_process_did_before_is_not_in_it() -> None:
    """Held, or freed and kept by the allocator: the same work takes the same."""
    found = []
    for _ in range(3):
        before = many(150)
        held = before[-1], np.ones(2**22)
        del before
        peak = PeakMemory()
        work = many(150)
        found.append(peak.megabytes())
        del work, held
    assert found == pytest.approx([150] * 3, abs=30)


@resets
def test_pages_of_files_are_nobodys_memory(tmp_path: Path) -> None:
    path = tmp_path / "pixels"
    path.write_bytes(bytes(2**27))
    peak = PeakMemory()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as pages:
        assert sum(pages[at] for at in range(0, len(pages), mmap.PAGESIZE)) == 0
        assert peak.megabytes() < 50


def test_where_there_is_no_proc_it_is_what_was_added(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "_CLEAR", tmp_path / "none" / "clear_refs")
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "none" / "status")
    peak = PeakMemory()
    assert peak.megabytes() == pytest.approx(1, abs=20)
    held = np.ones(200 * 2**17)
    assert peak.megabytes() == pytest.approx(200, abs=20)
    assert len(held)


def test_without_a_c_library_that_trims(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert PeakMemory().megabytes() >= 1
