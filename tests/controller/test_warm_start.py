"""Warm start: the given genomes first, each once, and then the controller, who was told of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from controller.no_repeats import NoRepeats
from controller.protocol import Outcome, Pending, Proposal
from controller.warm_start import WarmStart
from search_space.trial import FailureKind


class Numbers:
    """Genomes from 0 to 9; a controller of them that proposes at random; counts what it is told."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self.pending: list[int] = []

    def to_text(self, genome: int) -> str:
        return f"number {genome}"

    def from_text(self, text: str) -> int:
        return int(text.removeprefix("number "))

    def sample(self, rng: np.random.Generator) -> int:
        return int(rng.integers(10))

    def mutate(self, genome: int, rng: np.random.Generator) -> int:
        return (genome + int(rng.integers(1, 10))) % 10

    def fingerprint(self, genome: int) -> str:
        return str(genome)

    def ask(self, rng: np.random.Generator, pending: Sequence[Pending[int]]) -> Proposal[int]:
        self.pending = [trial.number for trial in pending]
        return Proposal(self.sample(rng), {"own": True})

    def tell(self, outcome: Outcome[int]) -> None:
        self.told.append(outcome.number)


GIVEN = ["number 4", "number 7", "number 4"]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def pending(count: int) -> list[Pending[int]]:
    return [Pending(number, 0, {}) for number in range(count)]


def test_the_given_genomes_come_first_in_their_order_however_many_are_in_flight() -> None:
    warm = WarmStart(Numbers(), Numbers(), GIVEN)
    assert warm.ask(rng(), ()) == Proposal(4, {"warm_start": 1})
    assert warm.ask(rng(), pending(1)) == Proposal(7, {"warm_start": 2})
    warm.tell(Outcome(1, 7, {}, (0.5,)))
    assert warm.ask(rng(), pending(1)) == Proposal(4, {"warm_start": 3})


def test_a_failure_is_not_given_again() -> None:
    warm = WarmStart(Numbers(), Numbers(), GIVEN)
    warm.tell(Outcome(0, 4, {}, FailureKind.DIVERGED))
    assert warm.ask(rng(), ()) == Proposal(7, {"warm_start": 2})


def test_then_the_controller_is_asked_that_was_told_of_them() -> None:
    inner = Numbers()
    warm = WarmStart(inner, Numbers(), GIVEN)
    for number in range(2):
        warm.tell(Outcome(number, 4, {}, (0.5,)))
    assert warm.ask(rng(5), pending(1)) == Proposal(Numbers().sample(rng(5)), {"own": True})
    assert (inner.told, inner.pending) == ([0, 1], [0])


def test_around_no_repeats_what_was_given_is_never_proposed_again() -> None:
    warm = WarmStart(NoRepeats(Numbers(), Numbers()), Numbers(), GIVEN[:2])
    waiting: list[Pending[int]] = []
    for number in range(10):
        proposal = warm.ask(rng(number), waiting)
        assert proposal is not None
        waiting.append(Pending(number, proposal.genome, proposal.note))
    assert [trial.genome for trial in waiting[:2]] == [4, 7]
    assert sorted(trial.genome for trial in waiting) == list(range(10))
