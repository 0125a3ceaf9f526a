"""The wrapper that refuses repeats: what counts as seen, how it redraws, when it gives up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from controller.no_repeats import DRAWS, NoRepeats, SpaceExhausted
from controller.protocol import Outcome, Pending, Proposal
from search_space.trial import FailureKind


class Letters:
    """Six genomes and three networks: case is silent. Counts its fingerprints."""

    def __init__(self) -> None:
        self.fingerprints = 0

    def sample(self, rng: np.random.Generator) -> str:
        return "abcABC"[rng.integers(6)]

    def mutate(self, genome: str, rng: np.random.Generator) -> str:
        return genome.swapcase() if rng.random() < 0.5 else "abcABC".replace(genome, "")[rng.integers(5)]

    def fingerprint(self, genome: str) -> str:
        self.fingerprints += 1
        return genome.lower()


class Stuck:
    """Always proposes the same; or waits."""

    def __init__(self, genome: str | None) -> None:
        self.genome = genome
        self.asked = 0
        self.told: list[Outcome[str]] = []

    def ask(self, rng: np.random.Generator, pending: Sequence[Pending[str]]) -> Proposal[str] | None:  # noqa: ARG002 - it is stuck
        self.asked += 1
        return None if self.genome is None else Proposal(self.genome, {"why": "stuck"})

    def tell(self, outcome: Outcome[str]) -> None:
        self.told.append(outcome)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_new_proposal_passes_with_its_note() -> None:
    proposal = NoRepeats(Stuck("a"), Letters()).ask(rng(), ())
    assert proposal == Proposal("a", {"why": "stuck", "fingerprint": "a"})


@pytest.mark.parametrize("result", [(0.5,), FailureKind.DIVERGED])
def test_told_networks_are_refused(result: tuple[float, ...] | FailureKind) -> None:
    controller = NoRepeats(Stuck("a"), Letters())
    controller.tell(Outcome(0, "A", {}, result))
    proposal = controller.ask(rng(), ())
    assert proposal is not None
    assert proposal.genome in "bcBC"


def test_pending_networks_are_refused() -> None:
    proposal = NoRepeats(Stuck("a"), Letters()).ask(rng(), [Pending(0, "A", {}), Pending(1, "b", {})])
    assert proposal is not None
    assert proposal.genome in "cC"


def test_the_controller_is_asked_before_the_space() -> None:
    stuck = Stuck("a")
    controller = NoRepeats(stuck, Letters())
    controller.tell(Outcome(0, "a", {}, (0.5,)))
    proposal = controller.ask(rng(), ())
    assert stuck.asked == DRAWS
    assert proposal is not None
    assert int(str(proposal.note["redrawn"])) >= DRAWS


def test_waiting_is_passed_on() -> None:
    assert NoRepeats(Stuck(None), Letters()).ask(rng(), [Pending(0, "a", {})]) is None


def test_an_exhausted_space_is_said_and_not_waited_for() -> None:
    controller = NoRepeats(Stuck("a"), Letters())
    controller.tell(Outcome(0, "a", {}, (0.5,)))
    controller.tell(Outcome(1, "b", {}, (0.5,)))
    with pytest.raises(SpaceExhausted, match="2 told and 1 pending"):
        controller.ask(rng(), [Pending(2, "C", {})])


def test_outcomes_are_passed_on() -> None:
    stuck = Stuck("a")
    outcome = Outcome(0, "a", {"why": "stuck"}, (0.5,))
    NoRepeats(stuck, Letters()).tell(outcome)
    assert stuck.told == [outcome]


def test_fingerprints_in_notes_are_not_computed_again() -> None:
    space = Letters()
    controller = NoRepeats(Stuck("a"), space)
    controller.tell(Outcome(0, "b", {"fingerprint": "b"}, (0.5,)))
    controller.ask(rng(), [Pending(1, "c", {"fingerprint": "c"})])
    assert space.fingerprints == 1
