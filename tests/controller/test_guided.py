"""Guided controllers: they screen when the surrogate is trusted, and find more than unguided ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.bayesian import Bayesian, BayesianConfig
from controller.config import build, resolved
from controller.guided_evolution import GuidedEvolution, GuidedEvolutionConfig
from controller.no_repeats import SpaceExhausted
from controller.protocol import Outcome, Pending, Proposal
from controller.random_search import RandomSearchConfig
from controller.regularized_evolution import RegularizedEvolutionConfig
from nas.simulation.tables import ChoiceSpace
from search_space.trial import FailureKind

SPACE = ChoiceSpace((6,) * 8)
WEIGHTS = np.random.default_rng(3).normal(size=(8, 6))

GUIDED: dict[str, Callable[[], Any]] = {
    "guided evolution": lambda: GuidedEvolution(
        SPACE, GuidedEvolutionConfig(population=20, tournament=5, start=20)
    ),
    "bayesian": lambda: Bayesian(SPACE, BayesianConfig(trust=0.3)),
}


def worth(genome: tuple[int, ...]) -> float:
    return float(sum(WEIGHTS[place, digit] for place, digit in enumerate(genome)))


def campaign(controller: Any, trials: int, seed: int, noise: float = 0.5) -> list[Any]:
    """Proposals one after the other, each told at once."""
    proposals = []
    for number in range(trials):
        proposal = controller.ask(np.random.default_rng([seed, number]), ())
        value = worth(proposal.genome) + noise * float(np.random.default_rng([seed, number, 1]).normal())
        controller.tell(Outcome(number, proposal.genome, proposal.note, (value,)))
        proposals.append(proposal)
    return proposals


@pytest.mark.parametrize("name", GUIDED)
def test_it_screens_once_the_surrogate_is_trusted_and_not_before(name: str) -> None:
    proposals = campaign(GUIDED[name](), 80, seed=0)
    screened = ["screened" in proposal.note for proposal in proposals]

    assert not any(screened[:30])  # 20 to learn from, 10 to be checked on
    assert 32 < sum(screened[35:]) < 45  # of 45: one in ten is left alone, to be checked on


@pytest.mark.parametrize("name", GUIDED)
def test_it_does_not_screen_where_values_are_noise(name: str) -> None:
    controller = GUIDED[name]()
    screened = 0
    for number in range(150):
        proposal = controller.ask(np.random.default_rng([1, number]), ())
        screened += number >= 40 and "screened" in proposal.note
        value = float(np.random.default_rng([1, number, 1]).normal())
        controller.tell(Outcome(number, proposal.genome, proposal.note, (value,)))
    assert screened < 55  # half of 110


@pytest.mark.parametrize("name", GUIDED)
def test_failures_and_stopped_trials_teach_nothing(name: str) -> None:
    controller = GUIDED[name]()
    for number in range(100):
        genome = SPACE.sample(np.random.default_rng(number))
        failed: Outcome[Any] = Outcome(number, genome, {}, FailureKind.DIVERGED)
        stopped: Outcome[Any] = Outcome(number, genome, {}, (worth(genome),), fidelity=100)
        controller.tell(failed if number % 2 else stopped)
    assert all("screened" not in controller.ask(np.random.default_rng(seed), ()).note for seed in range(20))


@pytest.mark.parametrize("name", GUIDED)
def test_it_finds_more_than_the_unguided(name: str) -> None:
    """Ten pairs of campaigns; a guided one that screened by nothing would win about half of them."""
    makers: dict[str, Callable[[], Any]] = {
        "guided": GUIDED[name],
        "random": lambda: build(RandomSearchConfig(), SPACE),
        "evolution": lambda: build(RegularizedEvolutionConfig(population=20, tournament=5), SPACE),
    }
    best = {
        kind: [max(worth(each.genome) for each in campaign(make(), 100, seed)) for seed in range(10)]
        for kind, make in makers.items()
    }
    for other in ("random", "evolution"):
        wins = sum(a > b for a, b in zip(best["guided"], best[other], strict=True))
        assert wins >= 9, (other, best)


def test_no_repeats_hold_within_a_screen_and_across() -> None:
    small = ChoiceSpace((3, 3, 3, 3))
    controller: Any = build(
        GuidedEvolutionConfig(population=10, tournament=3, start=8, trust=-1, contenders=None), small
    )
    seen: set[Any] = set()
    for number in range(70):
        waiting = tuple(Pending(-1 - k, genome, {}) for k, genome in enumerate([(0, 0, 0, 0)]))
        genome = controller.ask(np.random.default_rng(number), waiting).genome
        assert genome not in seen
        assert genome != (0, 0, 0, 0)
        seen.add(genome)
        controller.tell(Outcome(number, genome, {}, (float(sum(genome)),)))


class Exhausted:
    """Has one proposal more, and then none."""

    def __init__(self) -> None:
        self.asked = 0

    def ask(self, rng: np.random.Generator, pending: object) -> Proposal[Any]:  # noqa: ARG002
        self.asked += 1
        if self.asked > 2:
            raise SpaceExhausted("nothing new")
        return Proposal((self.asked,) * 8, {"parents": [1]})

    def tell(self, outcome: Outcome[Any]) -> None:
        """Doesn't care."""


def test_what_there_is_is_screened_where_no_more_children_turn_up() -> None:
    controller: Any = GUIDED["guided evolution"]()
    campaign(controller, 60, seed=0)
    rng = np.random.default_rng(0)
    assert controller._surrogate.fit is not None
    controller._evolution = Exhausted()
    proposal = controller.ask(rng, ())
    assert proposal.genome in {(1,) * 8, (2,) * 8}
    assert proposal.note == {"parents": [1], "screened": 2}
    with pytest.raises(SpaceExhausted):  # none at all
        controller.ask(rng, ())


@pytest.mark.parametrize("seed", range(4))
def test_a_small_space_is_searched_to_its_end(seed: int) -> None:
    small = ChoiceSpace((2,) * 5)
    config = GuidedEvolutionConfig(population=10, tournament=3, start=8, trust=-1, contenders=None)
    controller: Any = build(config, small)
    found = set()
    for number in range(32):
        proposal = controller.ask(np.random.default_rng([seed, number]), ())
        found.add(proposal.genome)
        controller.tell(Outcome(number, proposal.genome, proposal.note, (float(sum(proposal.genome)),)))
    assert len(found) == 32


def test_the_default_is_a_setting_that_tuning_judged() -> None:
    """docs/decisions/0064: the second best of the sixteen, with contenders."""
    tuning = Path(__file__).parents[2] / "experiments" / "results" / "tuning.json"
    (row,) = (row for row in json.loads(tuning.read_text()) if row["controller"] == "guided")
    setting = row["settings"][1]
    assert row["judged"]["setting 1"]["p"] < 0.01
    for trials in (100, 300):
        found = resolved(GuidedEvolutionConfig(), trials)
        assert isinstance(found, GuidedEvolutionConfig)
        assert found.contenders is not None
        assert found.population == min(100, round(trials / setting["share"]))
        assert found.tournament == int(found.population * setting["tournament"])
        assert (found.children, found.start, found.trust, found.contenders.share) == tuple(
            setting[word] for word in ("children", "start", "trust", "contenders")
        )
