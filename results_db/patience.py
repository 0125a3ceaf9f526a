"""Waiting for a database that is gone: whoever drives a campaign asks again for some minutes."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from typing import Concatenate, Final, ParamSpec, Protocol, TypeVar

from results_db.database import Database
from results_db.errors import DatabaseUnreachable

log = logging.getLogger(__name__)

PATIENCE_SECONDS: Final = 300.0
"""How long a driver waits."""

LONGEST_PAUSE: Final = 5.0

P = ParamSpec("P")
T = TypeVar("T")


class Holding(Protocol):
    """Whatever works on a database."""

    _database: Database


H = TypeVar("H", bound=Holding)


def patient(transaction: Callable[Concatenate[H, P], T]) -> Callable[Concatenate[H, P], T]:
    """Repeats a method that is one transaction while the database is lost, if its database has patience.

    An answer to a COMMIT that was lost is not guessed but asked for anew: so the method must look first
    whether what it is to do is done already. Raises DatabaseUnreachable when the patience is at its end.
    """

    @functools.wraps(transaction)
    def repeated(self: H, /, *args: P.args, **kwargs: P.kwargs) -> T:
        wait = _Wait(self._database)
        while True:
            try:
                result = transaction(self, *args, **kwargs)
            except DatabaseUnreachable as error:
                wait.for_it(error)
            else:
                wait.over()
                return result

    return repeated


class _Wait:
    """One wait, from the first loss on."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._since: float | None = None
        self._pause = 0.1

    def for_it(self, error: DatabaseUnreachable) -> None:
        """Sleep a while, or raise."""
        patience = self._database.patience
        if not patience:
            raise error
        if self._since is None:
            self._since = time.monotonic()
            log.warning("%s; asking again for %.0f s", error, patience)
        left = patience - (time.monotonic() - self._since)
        if left <= 0:
            raise DatabaseUnreachable(
                f"{error}; asked again for {patience:.0f} s; nothing stored is lost"
            ) from error
        time.sleep(min(self._pause, left))
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def over(self) -> None:
        """It answered."""
        if self._since is not None:
            waited = time.monotonic() - self._since
            log.warning("%s: is back after %.0f s", self._database.where, waited)
