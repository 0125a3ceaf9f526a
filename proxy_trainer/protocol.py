"""What an evaluator is: how a genome becomes a measurement, whatever trains it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Protocol

from search_space.trial import Assignment, FailureKind, Measurement, Progress


class TrialFailed(Exception):
    """A trial that can give no measurement, and why; raised by whoever knows the kind.

    `provenance` says where it was tried, as that of a measurement does.
    """

    def __init__(
        self, kind: FailureKind, message: str, provenance: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        # All in `args`: that is what travels between processes.
        super().__init__(kind, message, dict(provenance))
        self.kind = kind
        self.message = message
        self.provenance = dict(provenance)

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


class Evaluator(Protocol):
    """Turns assignments into measurements, one at a time, in one process that stays warm between them."""

    def evaluate(self, assignment: Assignment) -> Iterator[Progress | Measurement]:
        """Yield progress and, last, the measurement; closing the iterator stops the trial early.

        Raises TrialFailed.
        """
        ...
