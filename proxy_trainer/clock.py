"""A trial's clock: seconds by phase and in all, but for those in which somebody else was at work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Clock:
    """Seconds by phase and in all, and the seconds that cores worked for this process meanwhile.

    `wall` and `work` tell the two times; the clock runs from when it is made.
    """

    wall: Callable[[], float] = time.perf_counter
    work: Callable[[], float] = time.process_time
    laps: dict[str, float] = field(default_factory=dict)
    _before: Mapping[str, float] = field(default_factory=dict)
    _began: float = field(init=False)
    _last: float = field(init=False)
    _cpu: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self._last = self.wall()
        self._cpu = self.work()

    def goes_on_from(self, laps: Mapping[str, float]) -> None:
        """What an earlier attempt took counts too, but for the deadline, which is of an attempt."""
        self._before, self.laps = laps, dict(laps)

    def seconds(self) -> float:
        return self.wall() - self._began

    def lap(self, name: str) -> None:
        now = self.wall()
        self.laps[name] = self.laps.get(name, 0.0) + now - self._last
        self.laps["seconds"] = self._before.get("seconds", 0.0) + now - self._began
        cpu = self.work() - self._cpu
        self.laps["seconds_cpu"] = self._before.get("seconds_cpu", 0.0) + cpu
        self._last = now

    def waited(self, seconds: float) -> None:
        """Count seconds that a step waited for its data; they lie within the others."""
        self.laps["seconds_data"] = self.laps.get("seconds_data", 0.0) + seconds

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stand still meanwhile: a driver that stores, decides or waits for its database is no training."""
        wall, work = self.wall(), self.work()
        yield
        away = self.wall() - wall
        self._began += away
        self._last += away
        self._cpu += self.work() - work
