"""The virtual clock: W workers, stragglers and failures, in an instant."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from controller.protocol import Controller, G, NothingLeft, Outcome, Pending
from nas.simulation.task import Task
from search_space.trial import FailureKind

_ASK, _TRIAL = 0, 1
"""Second words of the random streams: proposals, and what befalls a trial."""

STUCK: Final = "the controller waits for outcomes, and nothing is in flight"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """What happens to trials besides training: shares of failures and of stragglers, and their slowness."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    failures: float = 0.0
    stragglers: float = 0.0
    slowness: float = 5.0

    def __post_init__(self) -> None:
        if not 0 <= self.failures < 1 or not 0 <= self.stragglers < 1 or self.slowness < 1:
            raise ValueError(
                f"weather: failures={self.failures}, stragglers={self.stragglers}, slowness={self.slowness}, "
                "expected shares from 0 to below 1, and a slowness of at least 1"
            )


@dataclass(frozen=True, slots=True)
class Ended:
    """A trial that ended: when, with which value (None: it failed), and what its genome is worth.

    `genome` is its fingerprint.
    """

    number: int
    genome: str
    at: float
    value: float | None
    truth: float


def simulate(
    controller: Controller[G], task: Task[G], *, trials: int, workers: int, seed: int, weather: Weather
) -> Iterator[Ended]:
    """The trials in the order in which they end; the controller must be fresh.

    Proposals come from `default_rng([seed, 0, number])`, so that equal seeds give equal campaigns.
    """
    running: list[tuple[float, int, float | None]] = []
    pending: dict[int, Pending[G]] = {}
    now, asked = 0.0, 0
    while True:
        while len(running) < workers and asked < trials:
            try:
                proposal = controller.ask(np.random.default_rng([seed, _ASK, asked]), tuple(pending.values()))
            except NothingLeft:
                if not running:
                    raise
                break
            if proposal is None:
                if not running:
                    raise RuntimeError(STUCK)
                break
            pending[asked] = Pending(asked, proposal.genome, proposal.note)
            seconds, value = _befalls(
                task, proposal.genome, np.random.default_rng([seed, _TRIAL, asked]), weather
            )
            heapq.heappush(running, (now + seconds, asked, value))
            asked += 1
        if not running:
            return
        now, number, value = heapq.heappop(running)
        ended = pending.pop(number)
        result = FailureKind.DIVERGED if value is None else (value,)
        controller.tell(Outcome(number, ended.genome, ended.note, result))
        yield Ended(number, task.space.fingerprint(ended.genome), now, value, task.truth(ended.genome))


def _befalls(
    task: Task[G], genome: G, rng: np.random.Generator, weather: Weather
) -> tuple[float, float | None]:
    """How long a trial takes, and its value unless it fails; a failed one takes as long."""
    measured = task.measure(genome, rng)
    slow = weather.slowness if rng.random() < weather.stragglers else 1.0
    failed = rng.random() < weather.failures
    return measured.seconds * slow, None if failed else measured.value
