"""The one driver's hand on a campaign: every write there is, fenced.

Each method is one transaction that begins with matching the driver's own token, or fails with
LeaseLost. Each can be repeated: what has already happened is not done again.
"""

from __future__ import annotations

from types import TracebackType

from results_db.records import AttemptRecord, CampaignRecord, Failure, NewTrial, TrialRecord
from search_space.trial import Measurement, Progress


class Writer:
    """What `Store.take` gives; leaving the `with` block releases the campaign."""

    @property
    def campaign(self) -> CampaignRecord:
        """The campaign that is driven."""
        raise NotImplementedError

    def trials(self) -> tuple[TrialRecord, ...]:
        """Every trial by number."""
        raise NotImplementedError

    def attempts(self) -> tuple[AttemptRecord, ...]:
        """Every attempt by number and attempt."""
        raise NotImplementedError

    def reserve(self, trial: NewTrial, worker: str) -> TrialRecord:
        """Store a new trial as running its first attempt."""
        raise NotImplementedError

    def start(self, number: int, attempt: int, worker: str) -> TrialRecord:
        """Store that a trial in flight is handed out again, as `attempt`, the one after its latest."""
        raise NotImplementedError

    def observe(self, number: int, attempt: int, progress: Progress) -> None:
        """Store the metrics of a step."""
        raise NotImplementedError

    def finish(self, number: int, attempt: int, measurement: Measurement, reward: float) -> TrialRecord:
        """End a running trial with a measurement and its (finite) reward, giving it a finish order."""
        raise NotImplementedError

    def fail(self, number: int, attempt: int, failure: Failure) -> TrialRecord:
        """End a running trial as failed, giving it a finish order."""
        raise NotImplementedError

    def give_back(self, number: int, attempt: int, failure: Failure | None) -> TrialRecord:
        """End the attempt but not the trial, which waits to be handed out again."""
        raise NotImplementedError

    def beat(self) -> None:
        """Give a sign of life, unless a write just did; raises LeaseLost."""
        raise NotImplementedError

    def release(self) -> None:
        """Stop driving: the next taker need not wait. Does nothing where the lease is lost."""

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
