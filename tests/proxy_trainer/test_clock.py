"""A trial's clock, by a time that the test sets."""

from __future__ import annotations

from collections.abc import Iterator

from proxy_trainer.clock import Clock


class Now:
    """The time, where a test puts it: cores work half of it."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def wall(self) -> float:
        return self.seconds

    def work(self) -> float:
        return self.seconds / 2


def test_laps_lie_side_by_side_and_add_up_to_the_whole() -> None:
    now = Now()
    clock = Clock(now.wall, now.work)
    for name, seconds in (("start", 4), ("train", 10), ("evaluate", 2), ("train", 20)):
        now.seconds += seconds
        clock.lap(name)
    assert clock.laps == {"start": 4, "train": 30, "evaluate": 2, "seconds": 36, "seconds_cpu": 18}


def test_it_stands_still_while_somebody_else_is_at_work() -> None:
    now = Now()
    clock = Clock(now.wall, now.work)
    now.seconds += 3
    with clock.stopped():
        now.seconds += 300  # the database is away
    assert clock.seconds() == 3
    now.seconds += 1
    clock.lap("train")
    assert clock.laps == {"train": 4, "seconds": 4, "seconds_cpu": 2}


def test_an_earlier_attempt_counts_but_for_the_deadline() -> None:
    now = Now()
    clock = Clock(now.wall, now.work)
    clock.goes_on_from({"train": 50.0, "seconds": 60.0, "seconds_cpu": 40.0, "seconds_data": 1.0})
    now.seconds += 6
    clock.waited(2)
    clock.lap("train")
    assert clock.laps == {"train": 56, "seconds": 66, "seconds_cpu": 43, "seconds_data": 3}
    assert clock.seconds() == 6


def test_a_generator_may_be_closed_meanwhile() -> None:
    clock = Clock()

    def training() -> Iterator[int]:
        with clock.stopped():
            yield 1

    running = training()
    assert next(running) == 1
    running.close()  # type: ignore[attr-defined] # it is a generator
