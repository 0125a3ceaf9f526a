"""Early stopping: a pure rule over the values that trials had at the same step."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class HalvingConfig:
    """Asynchronous successive halving (Li et al., MLSys 2020, in its stopping form).

    A trial that comes to a rung (a number of optimizer steps) goes on if its `metric` is among the best
    `keep` of all that were there before it, itself included. `least`: so many must have been there.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    kind: Literal["halving"] = "halving"
    rungs: tuple[int, ...]
    keep: float = 0.5
    least: int = 4
    metric: str = "AP"

    def __post_init__(self) -> None:
        if not self.rungs or self.rungs[0] < 1 or any(low >= high for low, high in pairwise(self.rungs)):
            raise ValueError(f"stopping: rungs={list(self.rungs)}, expected growing numbers of steps")
        if not 0 < self.keep < 1:
            raise ValueError(f"stopping: keep={self.keep}, expected a share between 0 and 1")
        if self.least < 2:
            raise ValueError(f"stopping: least={self.least}, expected at least 2")

    def goes_on(self, value: float, others: Collection[float]) -> bool:
        """Whether a trial with this value goes on, `others` being those of the trials before it.

        The best so far always does, and so does whoever equals one that would.
        """
        count = len(others) + 1
        if count < self.least:
            return True
        better = sum(other > value for other in others)
        return better < max(1, int(count * self.keep))


@dataclass(slots=True)
class Rungs:
    """What trials had at each rung: a fold over the stored metrics. A later attempt replaces an earlier."""

    config: HalvingConfig
    _values: dict[int, dict[int, float]] = field(default_factory=dict)

    @property
    def metric(self) -> str:
        """What is compared."""
        return self.config.metric

    def take(self, number: int, step: int, value: float) -> None:
        """Take in a trial's value; those between rungs are left out. NaN counts as worst.

        What an earlier attempt had at later rungs is forgotten: this one may never come there.
        """
        if step in self.config.rungs:
            for later in self._values:
                if later > step:
                    self._values[later].pop(number, None)
            self._values.setdefault(step, {})[number] = -math.inf if math.isnan(value) else value

    def goes_on(self, number: int, step: int, metrics: Mapping[str, float]) -> bool:
        """Take in what a trial has now, and say whether it goes on."""
        if step not in self.config.rungs or self.metric not in metrics:
            return True
        self.take(number, step, metrics[self.metric])
        values = self._values[step]
        return self.config.goes_on(values[number], [v for each, v in values.items() if each != number])

    def last(self, number: int) -> tuple[int, float]:
        """The last rung that a trial came to, and its value there."""
        step = max(step for step, values in self._values.items() if number in values)
        return step, self._values[step][number]
