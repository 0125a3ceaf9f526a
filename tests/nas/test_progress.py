"""What is shown while a campaign runs: the numbers are the snapshot's, and the panel fits its terminal."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from nas.progress import Body, Pace
from nas.snapshot import Snapshot
from results_db.records import TrialRecord, TrialStatus
from search_space.catalog import SPINENET_49
from search_space.trial import FailureKind

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

BEST = TrialRecord(
    number=17,
    genome=SPINENET_49.to_text(),
    fingerprint="f",
    note={},
    seed=1,
    told=3,
    status=TrialStatus.FINISHED,
    attempt=1,
    proposed=NOON,
    started=NOON,
    ended=NOON,
    finish_order=2,
    reward=0.25,
)


def _snapshot(finished: int, failed: int = 0, running: tuple[int, ...] = ()) -> Snapshot:
    counts = {TrialStatus.FINISHED: finished, TrialStatus.FAILED: failed, TrialStatus.RUNNING: len(running)}
    return Snapshot(
        name="c",
        budget=40,
        counts=counts,
        running=running,
        waiting=(),
        best=BEST if finished else None,
        rewards=tuple(index / 100 for index in range(finished)),
        failures={FailureKind.LOST_WORKER: failed} if failed else {},
        retried={FailureKind.INTERNAL: 2} if failed else {},
        created=NOON,
    )


def test_the_pace_counts_from_the_first_trial_of_this_sitting() -> None:
    pace = Pace()
    resumed_with_ten = _snapshot(10)

    assert pace.of(resumed_with_ten, now=0.0) == (0.0, None)
    assert pace.of(_snapshot(10, running=(11,)), now=100.0) == (0.0, None)
    assert pace.of(_snapshot(15, running=(16,)), now=110.0) == (1800.0, 50.0)


@pytest.mark.parametrize("width", [40, 80, 100, 200])
@pytest.mark.parametrize(
    "snapshot",
    [_snapshot(0), _snapshot(1, running=(2,)), _snapshot(25, failed=6, running=(32, 33)), _snapshot(40)],
)
def test_the_panel_fits(snapshot: Snapshot, width: int) -> None:
    text = _drawn(snapshot, width)

    assert all(len(line) <= width for line in text.splitlines())


def test_the_panel_says_what_there_is_to_say() -> None:
    text = _drawn(_snapshot(25, failed=6, running=(32, 33)), 100)

    for word in (
        "31 of 40 done, 2 running",
        "6 failed (6 lost worker)",
        "2 tried again",
        "0.2500",
        "trial 17",
        "2b* 2b*",
    ):
        assert word in text
    assert "starting workers" in _drawn(_snapshot(0), 100)
    assert "starting workers" not in _drawn(_snapshot(40), 100)


def _drawn(snapshot: Snapshot, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(Body(snapshot, rate=0.0, left=None, elapsed=5.0))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()
