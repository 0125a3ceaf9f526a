"""What REINFORCE and PPO share: proposals, what is learned from which outcomes, and that it helps.

Over 300 lines: one learner, whose tests share its toy spaces.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from controller.policy_gradient import PolicyGradient
from controller.ppo import PpoConfig, ppo
from controller.protocol import Outcome, Proposal
from controller.reinforce import ReinforceConfig, reinforce
from search_space.trial import FailureKind

Genome: TypeAlias = tuple[int, ...]
Learner: TypeAlias = PolicyGradient[Genome]

OPTIONS: Final = (4, 4, 4, 4, 3, 3)
"""An order of four labels and two choices of three."""

TABLE: Final = np.random.default_rng(0).random((len(OPTIONS), max(OPTIONS)))


@dataclass(frozen=True)
class Site:
    options: int


class Orders:
    """A space and its decisions in one: its genomes are the choices themselves."""

    sites = tuple(map(Site, OPTIONS))

    def decisions(self) -> Orders:
        return self

    def mask(self, prefix: Sequence[int]) -> NDArray[np.bool_]:
        is_open = np.ones(OPTIONS[len(prefix)], dtype=np.bool_)
        if len(prefix) < 4:
            is_open[list(prefix)] = False
        return is_open

    def decode(self, choices: Sequence[int]) -> Genome:
        return tuple(choices)

    def encode(self, genome: Genome) -> Genome:
        return genome


SMALL: Final[dict[str, Any]] = {"units": 12, "learning_rate": 0.02, "batch": 5}

LEARNERS: Final[dict[str, Callable[..., Learner]]] = {
    "reinforce": lambda **changes: reinforce(Orders(), ReinforceConfig(**{**SMALL, **changes})),
    "ppo": lambda **changes: ppo(Orders(), PpoConfig(**{**SMALL, **changes})),
}


@pytest.fixture(params=LEARNERS)
def make(request: pytest.FixtureRequest) -> Callable[..., Learner]:
    return LEARNERS[request.param]


def ask(learner: Learner, seed: int = 0) -> Proposal[Genome]:
    return learner.ask(np.random.default_rng(seed), ())


def reward(genome: Genome) -> float:
    """Separable: each choice adds its own."""
    return float(sum(TABLE[place, choice] for place, choice in enumerate(genome)))


def trial(
    learner: Learner, number: int, result: float | FailureKind | None = None, **note: Any
) -> Outcome[Genome]:
    """What the learner would propose under this number, as it comes back from the database."""
    proposal = ask(learner, number)
    stored = {**json.loads(json.dumps(proposal.note)), **note}
    value = reward(proposal.genome) if result is None else result
    return Outcome(number, proposal.genome, stored, value if isinstance(value, FailureKind) else (value,))


def version(learner: Learner) -> object:
    return ask(learner).note["version"]


def belief(learner: Learner) -> list[float]:
    """What it thinks of some sequences: changes with every update."""
    return [float(str(ask(learner, seed).note["log_probability"])) for seed in range(5)]


class TestProposals:
    def test_untrained_it_draws_as_the_space_does(self, make: Callable[..., Learner]) -> None:
        for seed in range(5):
            note = ask(make(), seed).note
            assert note["log_probability"] == pytest.approx(-math.log(math.factorial(4) * 9), rel=1e-12)

    def test_the_note_holds_the_decisions(self, make: Callable[..., Learner]) -> None:
        proposal = ask(make())
        assert proposal.note["decisions"] == list(proposal.genome)
        assert proposal.note["version"] == 0
        assert json.loads(json.dumps(proposal.note)) == proposal.note

    def test_the_seed_of_the_config_decides_the_weights(self, make: Callable[..., Learner]) -> None:
        told = [trial(make(), number) for number in range(5)]
        learners = [make(seed=1), make(seed=1), make(seed=2)]
        for learner in learners:
            for outcome in told:
                learner.tell(outcome)
        same, again, other = map(belief, learners)
        assert same == again != other


class TestBatches:
    def test_it_moves_when_a_batch_is_complete(self, make: Callable[..., Learner]) -> None:
        learner = make()
        told = [trial(learner, number) for number in range(15)]
        before = belief(learner)
        for count, outcome in enumerate(told, start=1):
            learner.tell(outcome)
            assert version(learner) == count // 5
            assert (belief(learner) == before) == (count < 5)

    @pytest.mark.parametrize(
        "change",
        [
            {"result": FailureKind.LOST_WORKER},
            {"result": FailureKind.DIVERGED},
            {"result": (math.inf,)},
            {"result": (-math.inf,)},
            {"fidelity": 100},
            {"note": {}},
            {"note": {"decisions": [0, 1, 2, 3, 0, 0]}},
            {"note": {"decisions": [0, 1, 2, 3, 0], "log_probability": -5.0}},
            {"note": {"decisions": [0, 1, 2, 2, 0, 0], "log_probability": -5.0}},
            {"note": {"decisions": [0, 1, 2, 3, 0, 3], "log_probability": -5.0}},
            {"note": {"decisions": [0, 1, 2, 3, 0, -1], "log_probability": -5.0}},
            {"note": {"decisions": [0, 1, 2, 3, 0, "0"], "log_probability": -5.0}},
        ],
        ids=str,
    )
    def test_some_outcomes_teach_nothing(
        self, make: Callable[..., Learner], change: Mapping[str, Any]
    ) -> None:
        learner, other = make(), make()
        for number in range(5):
            learner.tell(trial(learner, number))
            outcome = trial(other, number)
            other.tell(dataclasses.replace(outcome, **change))
            other.tell(outcome)
        assert version(learner) == version(other) == 1
        assert belief(learner) == belief(other)

    def test_several_objectives_are_refused(self, make: Callable[..., Learner]) -> None:
        outcome = dataclasses.replace(trial(make(), 3), result=(0.5, 0.5))
        with pytest.raises(ValueError, match="trial 3 has 2 objectives, expected 1"):
            make().tell(outcome)

    def test_equal_rewards_teach_nothing(self, make: Callable[..., Learner]) -> None:
        learner = make(entropy=0.0)
        before = belief(learner)
        for number in range(20):
            learner.tell(trial(learner, number, 0.75))  # a quarter, so that averages have no rounding
        np.testing.assert_allclose(belief(learner), before, rtol=1e-9)

    def test_entropy_alone_keeps_the_policy_uniform(self, make: Callable[..., Learner]) -> None:
        learner, plain = make(), make(entropy=100.0)
        for number in range(40):
            outcome = trial(learner, number)
            learner.tell(outcome)
            plain.tell(outcome)
        uniform = -math.log(math.factorial(4) * 9)
        assert np.abs(np.array(belief(plain)) - uniform).max() < 0.3
        assert np.abs(np.array(belief(learner)) - uniform).max() > 0.3


class Recorder:
    """A slope that keeps what it was given."""

    def __init__(self) -> None:
        self.ratios: list[NDArray[np.float64]] = []
        self.advantages: list[NDArray[np.float64]] = []

    def __call__(self, ratios: NDArray[np.float64], advantages: NDArray[np.float64]) -> NDArray[np.float64]:
        self.ratios.append(ratios)
        self.advantages.append(advantages)
        return advantages


class TestUpdates:
    def test_ratios_are_those_to_the_stored_probabilities(self) -> None:
        """However the policy stands now: a note says how it stood."""
        recorder = Recorder()
        learner = PolicyGradient(Orders(), ReinforceConfig(**SMALL), recorder, epochs=2)
        uniform = -math.log(math.factorial(4) * 9)
        for number, shift in enumerate((0.0, 1.0, -1.0, 0.5, -9.0)):
            learner.tell(trial(learner, number, log_probability=uniform + shift))
        np.testing.assert_allclose(recorder.ratios[0], np.exp([0.0, -1.0, 1.0, -0.5, 9.0]), rtol=1e-9)
        assert len(recorder.ratios) == 2
        assert (np.abs(recorder.ratios[1] / recorder.ratios[0] - 1) > 1e-3).any()

    def test_a_batch_of_ones_own_has_ratio_one(self) -> None:
        recorder = Recorder()
        learner = PolicyGradient(Orders(), ReinforceConfig(**SMALL), recorder, epochs=1)
        for number in range(30):
            learner.tell(trial(learner, number))
        np.testing.assert_allclose(recorder.ratios, np.ones((6, 5)), rtol=1e-9)

    def test_a_late_outcome_has_the_ratio_of_its_time(self) -> None:
        recorder = Recorder()
        learner = PolicyGradient(Orders(), ReinforceConfig(**SMALL), recorder, epochs=1)
        late = trial(learner, 100)
        for number in range(14):
            learner.tell(trial(learner, number))
        learner.tell(late)
        np.testing.assert_allclose(recorder.ratios[-1][:4], 1, rtol=1e-9)
        assert abs(recorder.ratios[-1][4] - 1) > 0.01

    @pytest.mark.parametrize(
        ("name", "setting"),
        [
            ("reinforce", {"truncation": 3.0}),
            ("ppo", {"clip": 0.9}),
            ("ppo", {"epochs": 5}),
            ("ppo", {"learning_rate": 0.01}),
            ("ppo", {"units": 13}),
        ],
    )
    def test_settings_reach_the_learner(self, name: str, setting: dict[str, Any]) -> None:
        """All are felt with outcomes that were half as likely when they were proposed."""
        learner, other = LEARNERS[name](), LEARNERS[name](**setting)
        uniform = -math.log(math.factorial(4) * 9)
        for number in range(10):
            outcome = trial(LEARNERS[name](), number, log_probability=uniform - math.log(2) * (number % 3))
            learner.tell(outcome)
            other.tell(outcome)
        assert belief(learner) != belief(other)

    def test_a_monstrous_ratio_does_not_overflow(self, make: Callable[..., Learner]) -> None:
        learner = make()
        for number in range(5):
            learner.tell(trial(learner, number, log_probability=-2000.0))
        assert np.isfinite(belief(learner)).all()

    def test_advantages_are_over_the_moving_average_of_all_rewards(self) -> None:
        recorder = Recorder()
        learner = PolicyGradient(Orders(), ReinforceConfig(**SMALL, baseline=0.9), recorder, epochs=1)
        rewards = [0.3, 0.1, 0.7, 0.2, 0.9, 0.4, 0.4, 0.8, 0.0, 0.6]
        for number, value in enumerate(rewards):
            learner.tell(trial(learner, number, value))
        first = np.average(rewards[:5], weights=0.9 ** np.arange(5)[::-1])
        both = np.average(rewards, weights=0.9 ** np.arange(10)[::-1])
        np.testing.assert_allclose(recorder.advantages[0], rewards[:5] - first, rtol=1e-9)
        np.testing.assert_allclose(recorder.advantages[1], rewards[5:] - both, rtol=1e-9)

    @pytest.mark.parametrize("kind", list(FailureKind))
    def test_a_failure_may_have_a_reward(self, kind: FailureKind) -> None:
        """Only where the genome may be to blame."""
        recorder = Recorder()
        config = ReinforceConfig(**SMALL, failure_reward=-1.0)
        learner = PolicyGradient(Orders(), config, recorder, epochs=1)
        results: list[float | FailureKind] = [0.5, 0.5, kind, 0.5, 0.5]
        for number, result in enumerate(results):
            learner.tell(trial(learner, number, result))
        blamed = kind in {"out_of_memory", "diverged", "invalid", "timeout"}
        assert len(recorder.advantages) == blamed
        if blamed:
            kept = recorder.advantages[0]
            np.testing.assert_allclose(kept[0] - kept, [0, 0, 1.5, 0, 0])


class TestLearning:
    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize("workers", [1, 12])
    def test_rewards_rise(self, make: Callable[..., Learner], seed: int, workers: int) -> None:
        everything = [
            reward((*order, a, b))
            for order in itertools.permutations(range(4))
            for a in range(3)
            for b in range(3)
        ]
        learner = make(seed=seed)
        found = campaign(learner, seed, 600, workers)
        late, untrained, best = np.mean(found[-100:]), np.mean(everything), max(everything)
        assert late > untrained + 0.7 * (best - untrained)

    def test_a_fixed_reward_teaches_to_avoid_failures(self, make: Callable[..., Learner]) -> None:
        def failing(learner: Learner) -> float:
            """The share of proposals with a first choice that always fails."""
            for number in range(300):
                outcome = trial(learner, number)
                fails = outcome.genome[0] in {1, 2}
                learner.tell(dataclasses.replace(outcome, result=FailureKind.DIVERGED if fails else (0.5,)))
            return float(np.mean([ask(learner, 1000 + seed).genome[0] in {1, 2} for seed in range(200)]))

        assert failing(make()) > 0.3
        assert failing(make(failure_reward=0.0)) < 0.1


def campaign(learner: Learner, seed: int, trials: int, workers: int) -> list[float]:
    """Rewards in the order of proposals, with so many in flight that end in random order."""
    timing, pending, found = np.random.default_rng([seed, 1]), list[Outcome[Genome]](), list[float]()
    for number in range(trials):
        proposal = learner.ask(np.random.default_rng([seed, number]), ())
        found.append(reward(proposal.genome))
        pending.append(Outcome(number, proposal.genome, proposal.note, (found[-1],)))
        if len(pending) == workers:
            learner.tell(pending.pop(timing.integers(workers)))
    return found
