"""A worker without an engine: what an evaluator raises keeps its kind."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from nas.runners.worker import Place, Worker
from proxy_trainer.protocol import TrialFailed
from search_space.trial import Assignment, FailureKind, Measurement, Progress


class Refusing:
    """Raises when it is called: it is no generator."""

    def evaluate(self, assignment: Assignment) -> Iterator[Progress | Measurement]:
        raise TrialFailed(FailureKind.INVALID, f"genome {assignment.genome!r}")


def test_a_failure_raised_at_once_keeps_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))  # a worker sets variables for good
    worker = Worker(Place())
    assert worker.ready(Refusing) is None
    result = worker.start(Assignment(campaign="c", number=1, attempt=1, seed=1, genome="x"))
    assert isinstance(result, TrialFailed)
    assert (result.kind, result.message) == (FailureKind.INVALID, "genome 'x'")
