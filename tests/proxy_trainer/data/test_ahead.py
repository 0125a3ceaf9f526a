"""One ahead: the same results in the same order, made before they are asked for, and nothing left running."""

from __future__ import annotations

import threading

import pytest

from proxy_trainer.data.ahead import ahead

WAIT = 10


def test_results_come_in_order() -> None:
    assert list(ahead(lambda step: step * step, 5)) == [0, 1, 4, 9, 16]
    assert list(ahead(str, 1)) == ["0"]


def test_the_next_one_is_made_while_this_one_is_used() -> None:
    made = [threading.Event() for _ in range(4)]
    steps = ahead(lambda step: made[step].set(), 4)

    next(steps)

    assert made[1].wait(WAIT)  # nobody asked for it yet
    assert not made[2].is_set()
    steps.close()


def test_what_goes_wrong_is_raised_in_its_turn() -> None:
    def make(step: int) -> int:
        if step == 2:
            raise ValueError("step 2")
        return step

    steps = ahead(make, 4)

    assert [next(steps), next(steps)] == [0, 1]
    with pytest.raises(ValueError, match="step 2"):
        next(steps)


def test_closing_leaves_no_thread() -> None:
    steps = ahead(lambda step: step, 10)
    next(steps)

    steps.close()

    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]
