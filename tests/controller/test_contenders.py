"""Measuring the best again: when it begins and ends, whom it takes, and that it finds the best."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from controller.config import build, resolved
from controller.contenders import Contenders, ContendersConfig
from controller.protocol import Outcome, Pending, Proposal
from controller.random_search import RandomSearchConfig
from search_space.trial import FailureKind


class Numbers:
    """Genomes are whole numbers, each a network of its own."""

    def sample(self, rng: np.random.Generator) -> int:
        return int(rng.integers(10**6))

    def mutate(self, genome: int, rng: np.random.Generator) -> int:
        return genome + int(rng.integers(1, 10**6))

    def fingerprint(self, genome: int) -> str:
        return f"n{genome}"

    def to_text(self, genome: int) -> str:
        return str(genome)

    def from_text(self, text: str) -> int:
        return int(text)


def searched(
    config: ContendersConfig, trials: int, measure: Callable[[int, np.random.Generator], float]
) -> list[Outcome[int]]:
    """One worker, all the trials."""
    controller = build(resolved(RandomSearchConfig(contenders=config), trials), Numbers())
    outcomes = []
    for number in range(1, trials + 1):
        proposal = controller.ask(np.random.default_rng([5, number]), ())
        assert proposal is not None
        value = measure(proposal.genome, np.random.default_rng([6, number]))
        outcomes.append(Outcome(number, proposal.genome, proposal.note, (value,)))
        controller.tell(outcomes[-1])
    return outcomes


def worth(genome: int) -> float:
    return genome / 10**6


def test_the_last_part_of_the_budget_measures_the_best_again() -> None:
    outcomes = searched(ContendersConfig(), 100, lambda genome, rng: worth(genome) + 0.1 * rng.normal())
    again = [outcome for outcome in outcomes if "again" in outcome.note]
    assert [outcome.number for outcome in again if outcome.number <= 85] == []
    assert len(again) == 15
    first = {outcome.genome: outcome.number for outcome in reversed(outcomes)}
    assert all(outcome.note["again"] == first[outcome.genome] for outcome in again)
    values = sorted(outcome.result for outcome in outcomes[:85])
    begun = {outcome.genome for outcome in outcomes[:85] if outcome.result in values[-15:]}
    assert {outcome.genome for outcome in again} <= begun


def test_nothing_is_measured_again_that_has_no_noise() -> None:
    outcomes = searched(ContendersConfig(), 100, lambda genome, _: worth(genome))
    assert sum("again" in outcome.note for outcome in outcomes) == 4  # to come to know that there is none


def test_nothing_is_measured_more_often_than_allowed() -> None:
    config = ContendersConfig(share=0.6, top=2, most=3)
    outcomes = searched(config, 100, lambda genome, rng: worth(genome) + rng.normal())
    assert max(Counter(outcome.genome for outcome in outcomes).values()) == 3


def test_few_contenders_are_measured_until_the_noise_is_known() -> None:
    controller = Contenders(Waiting(), Numbers(), ContendersConfig(first=4, top=2, most=9))
    for number, (genome, value) in enumerate([(1, 0.9), (2, 0.8), (1, 0.6), (2, 0.7)], start=1):
        controller.tell(Outcome(number, genome, {"again": genome} if number > 2 else {}, (value,)))
    proposal = controller.ask(np.random.default_rng(0), ())
    assert proposal is not None
    assert proposal.genome in (1, 2)


def test_a_small_budget_is_spent_on_new_genomes() -> None:
    outcomes = searched(ContendersConfig(), 23, lambda genome, rng: worth(genome) + rng.normal())
    assert not any("again" in outcome.note for outcome in outcomes)


def test_what_is_under_way_counts_and_failures_do_not() -> None:
    controller = Contenders(Waiting(), Numbers(), ContendersConfig(first=6, top=3, most=2))
    results: list[tuple[float, ...] | FailureKind] = [
        (0.1,),
        (0.9,),
        FailureKind.DIVERGED,
        (0.5,),
        (0.3,),
    ]
    for number, result in enumerate(results, start=1):
        controller.tell(Outcome(number, number, {}, result))
    assert controller.ask(np.random.default_rng(0), ()) is None  # five told: not yet
    controller.tell(Outcome(6, 6, {}, (0.7,), fidelity=10))
    pending: list[Pending[int]] = []
    for expected in (2, 4, 5):  # the best first; neither what failed nor what was stopped early
        proposal = controller.ask(np.random.default_rng(0), pending)
        assert proposal is not None
        assert (proposal.genome, proposal.note) == (expected, {"again": expected})
        pending.append(Pending(10 + expected, proposal.genome, proposal.note))
    assert controller.ask(np.random.default_rng(0), pending) is None


@pytest.mark.parametrize("how", ["failed", "stopped early"])
def test_a_repetition_that_gave_nothing_counts(how: str) -> None:
    """A network that always fails the second time would take the rest of the budget."""
    controller = Contenders(Waiting(), Numbers(), ContendersConfig(first=3, top=3, most=2))
    for number in (1, 2, 3):
        controller.tell(Outcome(number, number, {}, (number / 10,)))
    asked = []
    for number in (4, 5, 6):
        proposal = controller.ask(np.random.default_rng(0), ())
        assert proposal is not None
        asked.append(proposal.genome)
        ended = Outcome(number, proposal.genome, proposal.note, FailureKind.DIVERGED)
        stopped = Outcome(number, proposal.genome, proposal.note, (0.9,), fidelity=10)
        controller.tell(ended if how == "failed" else stopped)
    assert asked == [3, 2, 1]
    assert controller.ask(np.random.default_rng(0), ()) is None


class Waiting:
    """Never has anything to propose."""

    def ask(self, rng: np.random.Generator, pending: object) -> Proposal[int] | None:  # noqa: ARG002
        return None

    def tell(self, outcome: Outcome[int]) -> None:
        pass


def test_refusals() -> None:
    for wrong in ({"share": 0}, {"share": 1}, {"top": 1}, {"most": 1}, {"first": -1}):
        with pytest.raises(ValueError, match="contenders: share="):
            ContendersConfig(**wrong)
    with pytest.raises(ValueError, match="not resolved yet"):
        Contenders(Waiting(), Numbers(), ContendersConfig())
    controller = Contenders(Waiting(), Numbers(), ContendersConfig(first=1))
    with pytest.raises(ValueError, match="has 2 objectives"):
        controller.tell(Outcome(1, 1, {}, (0.1, 0.2)))
