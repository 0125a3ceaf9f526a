"""The serial runner: one trial after the other in this process, for debugging and tests."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Generator, Iterator
from typing import Any

from nas.campaign import Campaign
from proxy_trainer.protocol import Evaluator, TrialFailed
from search_space.trial import Assignment, FailureKind, Measurement, Progress

WORKER = "serial"


def run(campaign: Campaign[Any], evaluator: Evaluator, tick: Callable[[], None]) -> None:
    """Run the campaign to its end; `tick` is called after everything that happens.

    KeyboardInterrupt passes through and leaves the trial in flight, as a crash would.
    """
    # Wait cannot come: a serial campaign has nothing in flight when it proposes.
    while isinstance(assignment := campaign.propose(WORKER), Assignment):
        tick()
        result = _evaluate(campaign, evaluator, assignment, tick)
        if result is not None:
            campaign.record(assignment.number, assignment.attempt, result)
        tick()


def _evaluate(
    campaign: Campaign[Any], evaluator: Evaluator, assignment: Assignment, tick: Callable[[], None]
) -> Measurement | TrialFailed | None:
    """The result of one attempt; None when the campaign stopped it."""
    events = _events(evaluator, assignment)
    try:
        for event in events:
            if not isinstance(event, Progress):
                return event
            if not campaign.observe(assignment.number, assignment.attempt, event):
                return None
            tick()
    finally:
        events.close()
    return TrialFailed(FailureKind.INTERNAL, "the evaluator ended without a measurement")


def _events(
    evaluator: Evaluator, assignment: Assignment
) -> Generator[Progress | Measurement | TrialFailed, None, None]:
    """What the evaluator yields; whatever it raises comes last, as a failure."""
    try:
        iterator: Iterator[Progress | Measurement] = evaluator.evaluate(assignment)
        yield from iterator
    except TrialFailed as failed:
        yield failed
    except MemoryError as error:
        yield TrialFailed(FailureKind.OUT_OF_MEMORY, str(error) or "out of memory")
    except Exception as error:  # noqa: BLE001, an evaluator may raise anything and the campaign goes on
        traceback.print_exc()  # into the campaign's log, as a worker of Ray's does
        yield TrialFailed(FailureKind.INTERNAL, f"{type(error).__name__}: {error}")
