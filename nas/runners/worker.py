"""A worker: one process with one warm evaluator, asked for one thing after the other.

Knows no engine: the Ray runner makes an actor of it. The driver asks for every item on its own, so
a trial never runs ahead of the decision whether it goes on.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proxy_trainer.protocol import Evaluator, TrialFailed
from search_space.trial import Assignment, FailureKind, Measurement, Progress

THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTEROP_THREADS")


class RunnerError(RuntimeError):
    """Workers can't be started, so no trial can run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a worker runs: its share of the machine's cores (none: unpinned), and its log (none: Ray's)."""

    cores: frozenset[int] = frozenset()
    threads: int = 1
    log: Path | None = None


class Worker:
    """`ready` first, then `start` and `advance` in turns; `stop` ends a trial early."""

    def __init__(self, place: Place) -> None:
        # Before anything that starts threads is imported: they inherit the cores and read the variables.
        if place.log is not None:
            _print_to(place.log)
        if place.cores:
            os.sched_setaffinity(0, place.cores)
        os.environ.update(dict.fromkeys(THREADS, str(place.threads)))
        os.environ.update(TF_NUM_INTRAOP_THREADS="1", TF_CPP_MIN_LOG_LEVEL="2")
        self._evaluator: Evaluator | None = None
        self._items: Iterator[Progress | Measurement] = iter(())

    def ready(self, make_evaluator: Callable[[], Evaluator]) -> str | None:
        """Build the evaluator; the reason where that can't be done, in one line."""
        try:
            self._evaluator = make_evaluator()
        except (TrialFailed, ValueError, OSError) as error:
            traceback.print_exc()
            return " ".join(str(error).split())
        return None

    def start(self, assignment: Assignment) -> Progress | Measurement | TrialFailed:
        """Begin an attempt; its first item."""
        self.stop()
        if self._evaluator is None:
            raise RuntimeError("the worker was not made ready")
        self._items = _items(self._evaluator, assignment)
        return self.advance()

    def advance(self) -> Progress | Measurement | TrialFailed:
        """The next item of the attempt; the last one is the measurement or the failure."""
        try:
            return next(self._items)
        except TrialFailed as failure:
            return TrialFailed(failure.kind, failure.message, failure.provenance)
        except StopIteration:
            return TrialFailed(FailureKind.INTERNAL, "the evaluator ended without a measurement")
        except MemoryError as error:
            return TrialFailed(FailureKind.OUT_OF_MEMORY, str(error) or "MemoryError")
        except Exception as error:  # noqa: BLE001 whatever it is, it ends this trial and not the campaign
            traceback.print_exc()
            return TrialFailed(FailureKind.INTERNAL, f"{type(error).__name__}: {error}")

    def stop(self) -> None:
        """Close the attempt that is under way."""
        close = getattr(self._items, "close", None)
        if close is not None:
            close()
        self._items = iter(())


def _items(evaluator: Evaluator, assignment: Assignment) -> Iterator[Progress | Measurement]:
    """A generator, so that what `evaluate` raises when it is called comes with the first item too."""
    yield from evaluator.evaluate(assignment)


def _print_to(log: Path) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
