"""The database from outside: open one, look things up, add a campaign, and take one to drive it."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from results_db.records import (
    AttemptRecord,
    CampaignRecord,
    FenceRecord,
    MetricRecord,
    NewCampaign,
    TrialRecord,
    TrialStatus,
)
from results_db.writer import Writer

LEASE_SECONDS = 120.0


class Store:
    """A database at a SQLAlchemy URL. Every method is one short transaction; all raise StorageError."""

    @staticmethod
    def create(url: str) -> Store:
        """Open the database for writing, making it (but not its folder) where there is none."""
        raise NotImplementedError

    @staticmethod
    def open(url: str) -> Store:
        """Open an existing database for writing; raises NoDatabase, NotADatabase, NewerDatabase."""
        raise NotImplementedError

    @staticmethod
    def read(url: str) -> Store:
        """Open an existing database for reading only: never creates, blocks or changes anything."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the database."""

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, campaign: NewCampaign) -> None:
        """Store a new campaign; raises CampaignExists."""
        raise NotImplementedError

    def take(self, name: str, *, lease_seconds: float = LEASE_SECONDS) -> Writer:
        """Become the one driver of a campaign; raises CampaignBusy, UnknownCampaign.

        From a dead process of this host at once; from a process elsewhere after its beat has stood
        still for `lease_seconds`, which this call waits for.
        """
        raise NotImplementedError

    def campaigns(self) -> tuple[CampaignRecord, ...]:
        """Every campaign, oldest first."""
        raise NotImplementedError

    def campaign(self, name: str) -> CampaignRecord:
        """One campaign; raises UnknownCampaign."""
        raise NotImplementedError

    def fence(self, name: str) -> FenceRecord:
        """Who drives the campaign; raises UnknownCampaign."""
        raise NotImplementedError

    def trials(self, name: str) -> tuple[TrialRecord, ...]:
        """Every trial by number; raises UnknownCampaign."""
        raise NotImplementedError

    def trial(self, name: str, number: int) -> TrialRecord:
        """One trial; raises UnknownCampaign, UnknownTrial."""
        raise NotImplementedError

    def top(self, name: str, limit: int) -> tuple[TrialRecord, ...]:
        """The finished trials of highest reward, best first, the earlier finished before its equals."""
        raise NotImplementedError

    def rewards(self, name: str) -> tuple[float, ...]:
        """The rewards of the finished trials in finish order."""
        raise NotImplementedError

    def counts(self, name: str) -> Mapping[TrialStatus, int]:
        """How many trials are in each status, zeros included."""
        raise NotImplementedError

    def attempts(self, name: str, number: int | None = None) -> tuple[AttemptRecord, ...]:
        """The attempts at one trial or at all, by number and attempt."""
        raise NotImplementedError

    def metrics(self, name: str, number: int | None = None) -> tuple[MetricRecord, ...]:
        """The metrics of one trial or of all, by number, attempt, step and name."""
        raise NotImplementedError
