"""The gate: what it lets pass, how it redraws, when it gives up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from controller.cost_gate import DRAWS, OTHERWISE, CostGate, NothingAffordable
from controller.no_repeats import NoRepeats
from controller.protocol import Outcome, Pending, Proposal


@dataclass
class Dice:
    """Proposes from 0 to 99, or waits; so it is a space as well."""

    waits: bool = False
    asked: int = 0
    told: list[Outcome[int]] = field(default_factory=list)

    def ask(self, rng: np.random.Generator, pending: Sequence[Pending[int]]) -> Proposal[int] | None:
        self.asked += 1
        return None if self.waits else Proposal(self.sample(rng), {"from": "dice", "seen": len(pending)})

    def tell(self, outcome: Outcome[int]) -> None:
        self.told.append(outcome)

    def sample(self, rng: np.random.Generator) -> int:
        return int(rng.integers(100))

    def mutate(self, genome: int, rng: np.random.Generator) -> int:
        return (genome + int(rng.integers(1, 100))) % 100

    def fingerprint(self, genome: int) -> str:
        return str(genome)


@dataclass
class Stuck:
    """Proposes the same for ever."""

    genome: int

    def ask(self, rng: np.random.Generator, pending: Sequence[Pending[int]]) -> Proposal[int]:  # noqa: ARG002 - it is stuck
        return Proposal(self.genome)

    def tell(self, outcome: Outcome[int]) -> None:
        """Doesn't care."""


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_what_is_affordable_passes_as_it_is() -> None:
    assert CostGate(Dice(), Stuck(1), lambda _: True).ask(rng(), ()) == Dice().ask(rng(), ())


def test_what_is_not_is_drawn_again_from_the_same_generator() -> None:
    stream = rng(3)
    rolls = [int(stream.integers(100)) for _ in range(50)]
    first = next(place for place, roll in enumerate(rolls) if roll < 10)
    proposal = CostGate(Dice(), Stuck(1), lambda genome: genome < 10).ask(rng(3), [Pending(1, 5, {})])
    assert first > 0
    assert proposal == Proposal(rolls[first], {"from": "dice", "seen": 1, "too_costly": first})


def test_waiting_is_passed_on() -> None:
    assert CostGate(Dice(waits=True), Dice(), lambda _: False).ask(rng(), [Pending(1, 5, {})]) is None


def test_it_gives_up_in_a_bounded_number_of_draws() -> None:
    dice, other = Dice(), Dice()
    with pytest.raises(NothingAffordable, match=f"cost gate: {DRAWS + OTHERWISE} proposals in a row"):
        CostGate(dice, other, lambda _: False).ask(rng(), ())
    assert (dice.asked, other.asked) == (DRAWS, OTHERWISE)


def test_a_controller_that_is_stuck_is_helped_out() -> None:
    proposal = CostGate(Stuck(50), Dice(), lambda genome: genome < 10).ask(rng(3), ())
    assert proposal is not None
    assert proposal.genome < 10
    assert int(str(proposal.note["too_costly"])) >= DRAWS


def test_outcomes_are_passed_on_to_both() -> None:
    dice, other = Dice(), Dice()
    outcome = Outcome(0, 7, {"too_costly": 3}, (0.5,))
    CostGate(dice, other, lambda _: False).tell(outcome)
    assert dice.told == other.told == [outcome]


def test_around_no_repeats_it_lets_each_affordable_network_pass_once() -> None:
    gate = CostGate(NoRepeats(Stuck(3), Dice()), NoRepeats(Dice(), Dice()), lambda genome: genome < 10)
    found = []
    for number in range(10):
        proposal = gate.ask(rng(number), ())
        assert proposal is not None
        found.append(proposal.genome)
        gate.tell(Outcome(number, proposal.genome, proposal.note, (0.5,)))
    assert sorted(found) == list(range(10))
    with pytest.raises(NothingAffordable):
        gate.ask(rng(), ())
