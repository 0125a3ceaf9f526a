"""The budget of a campaign: trials, and hard limits on hours, core-hours, device-hours and money.

What was spent is a pure function of the attempts that are stored, so it counts over all drivers, and a
resumed campaign knows it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final, TypeAlias

MARGIN_SECONDS: Final = 1.0
"""A limit counts as reached so long before it is, because ending trials takes a moment too."""

Interval: TypeAlias = "tuple[datetime, datetime | None]"
"""From when to when an attempt took; without an end while it is under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What an hour costs, in any one currency: of the campaign, of a core at work, of a device at work."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    hour: float = 0.0
    core_hour: float = 0.0
    device_hour: float = 0.0

    def __post_init__(self) -> None:
        rates = (self.hour, self.core_hour, self.device_hour)
        if not all(math.isfinite(rate) and rate >= 0 for rate in rates) or not any(rates):
            raise ValueError(
                f"price: hour={self.hour}, core_hour={self.core_hour}, device_hour={self.device_hour}, "
                "expected 0 or more of each, and one above 0"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """When a campaign ends: after so many trials, or at the first of its hard limits, if it has any.

    `hours` in which at least one trial was running; `core_hours` and `device_hours` of what its trials
    held; `money` by `price`.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    trials: int
    hours: float | None = None
    core_hours: float | None = None
    device_hours: float | None = None
    money: float | None = None
    price: Price | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.trials <= 10_000_000:
            raise ValueError(f"trials={self.trials}, expected 1 to 10000000")
        for word in ("hours", "core_hours", "device_hours", "money"):
            most = getattr(self, word)
            if most is not None and not (math.isfinite(most) and most > 0):
                raise ValueError(f"{word}={most}, expected more than 0")
        if (self.money is None) != (self.price is None):
            raise ValueError("money and price go together: a limit, and what an hour costs")

    def limits(self, cores: float, devices: float) -> tuple[Limit, ...]:
        """The hard limits, for trials that hold so many cores and devices. Raises ValueError."""
        if self.device_hours is not None and not devices:
            raise ValueError("budget: device_hours, but gpus_per_worker=0: no trial would spend any")
        price = self.price or Price(hour=1.0)
        of_trial = price.core_hour * cores + price.device_hour * devices
        if not price.hour and not of_trial:
            raise ValueError("budget: price has device_hour only, but gpus_per_worker=0: nothing would cost")
        rates = (
            ("hours", self.hours, 1.0, 0.0),
            ("core_hours", self.core_hours, 0.0, cores),
            ("device_hours", self.device_hours, 0.0, devices),
            ("money", self.money, price.hour, of_trial),
        )
        return tuple(Limit(word, most, *rate) for word, most, *rate in rates if most is not None)

    def rest(self, trials: int, limits: Sequence[Limit], spent: Spent) -> Budget:
        """A budget for so many trials, of what a campaign that has spent so much leaves of its limits.

        Raises ValueError where it leaves nothing.
        """
        left = {limit.word: limit.most - limit.used(spent) for limit in limits}
        return replace(self, trials=trials, **left)  # type: ignore[arg-type]  # the words are fields


@dataclass(frozen=True, slots=True)
class Spent:
    """Hours in which at least one trial was running, and the hours of all trials together."""

    hours: float = 0.0
    trial_hours: float = 0.0


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so much of something, of which an hour of the campaign and an hour of a trial take so much."""

    word: str
    most: float
    per_hour: float
    per_trial_hour: float

    def used(self, spent: Spent) -> float:
        """How much of it is gone."""
        return self.per_hour * spent.hours + self.per_trial_hour * spent.trial_hours

    def seconds_left(self, spent: Spent, running: float) -> float:
        """For how long so many trials (on average) can go on running; inf where that costs nothing."""
        rate = self.per_hour * (running > 0) + self.per_trial_hour * running
        return 3600 * (self.most - self.used(spent)) / rate if rate else math.inf


@dataclass(frozen=True, slots=True)
class Use:
    """How much of a limit is used, and in how many seconds at the pace so far it is reached, if ever."""

    word: str
    used: float
    most: float
    seconds_left: float | None

    def __str__(self) -> str:
        return f"{self.used:.3g} of {self.most:g} {self.word.replace('_', '-')}"


def spent(intervals: Iterable[Interval], until: datetime) -> Spent:
    """What attempts have taken; those that are under way, `until` then."""
    hours = trial_hours = timedelta()
    covered: datetime | None = None
    for began, ended in sorted(intervals, key=lambda interval: interval[0]):
        end = max(began, until if ended is None else ended)
        trial_hours += end - began
        if covered is None or end > covered:
            hours += end - (began if covered is None else max(began, covered))
            covered = end
    return Spent(_hours(hours), _hours(trial_hours))


def uses(limits: Sequence[Limit], spent: Spent) -> tuple[Use, ...]:
    """How much of each limit is used, and how long it lasts at the pace so far."""
    running = spent.trial_hours / spent.hours if spent.hours else 0.0
    left = [limit.seconds_left(spent, running) for limit in limits]
    return tuple(
        Use(limit.word, limit.used(spent), limit.most, max(0.0, seconds) if math.isfinite(seconds) else None)
        for limit, seconds in zip(limits, left, strict=True)
    )


def has_room(limits: Sequence[Limit], spent: Spent, running: Sequence[float], typical: float) -> bool:
    """Whether another trial fits, if it and those that run, for so many seconds, are `typical` (seconds)."""
    rest = sum(max(0.0, typical - elapsed) for elapsed in running) + typical
    then = Spent(spent.hours + typical / 3600, spent.trial_hours + rest / 3600)
    count = len(running) + 1
    return all(limit.seconds_left(then, count) > MARGIN_SECONDS for limit in limits)


class Account:
    """What a campaign has spent, kept up to date as attempts begin and end.

    A trial is expected to take as long as the finished ones did on average, and where none is finished, as
    long as any attempt has taken so far.
    """

    def __init__(self, limits: Sequence[Limit], stored: Iterable[Interval]) -> None:
        self.limits = limits
        ended = [(began, end) for began, end in stored if end is not None]
        self._closed = spent(ended, datetime.now(UTC))
        self._running: dict[int, datetime] = {}
        self._since: datetime | None = None
        self._longest = max(((end - began).total_seconds() for began, end in ended), default=0.0)
        self._finished, self._seconds = 0, 0.0

    def begin(self, number: int, moment: datetime) -> None:
        """An attempt at this trial has begun."""
        self._running[number] = moment
        self._since = self._since or moment

    def end(self, number: int, moment: datetime) -> None:
        """It has ended."""
        took = max(timedelta(), moment - self._running.pop(number))
        hours = self._closed.hours
        if not self._running and self._since is not None:
            hours += _hours(max(timedelta(), moment - self._since))
            self._since = None
        self._closed = Spent(hours, self._closed.trial_hours + _hours(took))
        self._longest = max(self._longest, took.total_seconds())

    def finished(self, took: timedelta, trials: int = 1) -> None:
        """Trials, of this driver or an earlier one, came to their measurements, after so long together."""
        self._finished += trials
        self._seconds += max(0.0, took.total_seconds())

    def spent(self, moment: datetime) -> Spent:
        """All that is spent now."""
        since = max(timedelta(), moment - self._since) if self._since else timedelta()
        trials = sum((max(timedelta(), moment - began) for began in self._running.values()), timedelta())
        return Spent(self._closed.hours + _hours(since), self._closed.trial_hours + _hours(trials))

    def has_room(self, moment: datetime) -> bool:
        """Whether another trial is expected to end before any limit is reached."""
        if not self.limits:
            return True
        running = [(moment - began).total_seconds() for began in self._running.values()]
        usual = self._seconds / self._finished if self._finished else self._longest
        return has_room(self.limits, self.spent(moment), running, usual)

    def seconds_left(self, moment: datetime) -> float:
        """For how long the trials that run now may go on; inf without limits."""
        now, running = self.spent(moment), len(self._running)
        return (
            min((limit.seconds_left(now, running) for limit in self.limits), default=math.inf)
            - MARGIN_SECONDS
        )


def _hours(duration: timedelta) -> float:
    return duration / timedelta(hours=1)
