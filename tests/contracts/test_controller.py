"""What every controller must do, on every space. A new controller adds one line to CONTROLLERS.

Over 300 lines: one suite, with the spaces and the campaign in memory that all of its tests share.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from controller.bayesian import BayesianConfig
from controller.config import SearchSpace, build
from controller.contenders import ContendersConfig
from controller.cost_gate import CostGate
from controller.guided_evolution import GuidedEvolutionConfig
from controller.listed import ListedConfig
from controller.local_search import LocalSearchConfig
from controller.nsga2 import Nsga2Config
from controller.ppo import PpoConfig
from controller.protocol import Controller, Outcome, Pending, Proposal
from controller.random_search import RandomSearchConfig
from controller.regularized_evolution import RegularizedEvolutionConfig
from controller.reinforce import ReinforceConfig
from controller.warm_start import WarmStart
from search_space.catalog import space_by_name
from search_space.trial import FailureKind

TRIALS = 40

Factory: TypeAlias = Callable[[SearchSpace[Any]], Controller[Any]]


def listed(space: SearchSpace[Any]) -> Controller[Any]:
    draws = (space.sample(np.random.default_rng(seed)) for seed in range(50))
    return build(ListedConfig(genomes=tuple(map(space.to_text, draws))), space)


def odd(space: SearchSpace[Any]) -> Callable[[Any], bool]:
    """Half of the networks are affordable, by a hash."""
    return lambda genome: bool(zlib.crc32(space.fingerprint(genome).encode()) % 2)


def warm(space: SearchSpace[Any]) -> Controller[Any]:
    """Evolution without repeats, begun with 15 affordable networks, behind a gate: as a campaign has it."""
    draws = (space.sample(np.random.default_rng([9, seed])) for seed in range(60))
    texts = {space.fingerprint(genome): space.to_text(genome) for genome in draws if odd(space)(genome)}
    inner = build(RegularizedEvolutionConfig(population=10, tournament=4), space)
    otherwise = build(RandomSearchConfig(), space)
    return CostGate(WarmStart(inner, space, list(texts.values())[:15]), otherwise, odd(space))


GUIDED = GuidedEvolutionConfig(
    population=10,
    tournament=4,
    start=12,
    children=5,
    trust=-1,  # trusted whatever it predicts: what is told here can't be learned
    contenders=ContendersConfig(first=20, top=5),
)

CONTROLLERS: dict[str, Factory] = {
    "listed": listed,
    "random": lambda space: build(RandomSearchConfig(no_repeats=False), space),
    "random, no repeats": lambda space: build(RandomSearchConfig(), space),
    "evolution": lambda space: build(
        RegularizedEvolutionConfig(population=10, tournament=4, no_repeats=False), space
    ),
    "local search": lambda space: build(LocalSearchConfig(start=5, patience=10, no_repeats=False), space),
    "local search, no repeats": lambda space: build(LocalSearchConfig(start=5, patience=10), space),
    "guided evolution": lambda space: build(
        dataclasses.replace(GUIDED, no_repeats=False, contenders=None), space
    ),
    "guided evolution, no repeats": lambda space: build(replace(GUIDED, contenders=None), space),
    "guided evolution, as it comes": lambda space: build(GUIDED, space),
    "evolution, then contenders": lambda space: build(
        RegularizedEvolutionConfig(population=10, tournament=4, contenders=ContendersConfig(first=20, top=5)),
        space,
    ),
    "bayesian": lambda space: build(
        BayesianConfig(start=12, near=5, far=2, trust=-1, no_repeats=False), space
    ),
    "bayesian, no repeats": lambda space: build(BayesianConfig(start=12, near=5, far=2, trust=-1), space),
    "evolution, no repeats": lambda space: build(
        RegularizedEvolutionConfig(population=10, tournament=4), space
    ),
    "evolution behind a gate": lambda space: CostGate(
        build(RegularizedEvolutionConfig(population=10, tournament=4, no_repeats=False), space),
        build(RandomSearchConfig(no_repeats=False), space),
        odd(space),
    ),
    "evolution, warm, no repeats, behind a gate": warm,
    "nsga2": lambda space: build(Nsga2Config(population=10, no_repeats=False), space),
    "nsga2, no repeats": lambda space: build(Nsga2Config(population=10), space),
    "nsga2, two objectives": lambda space: build(Nsga2Config(population=10), space),
    "nsga2, three objectives": lambda space: build(Nsga2Config(population=10), space),
    # Small and quick, so that sixty outcomes are many updates and move the policy.
    "reinforce": lambda space: build(ReinforceConfig(batch=4, units=8, learning_rate=0.02), space),
    "ppo": lambda space: build(PpoConfig(batch=4, units=8, learning_rate=0.02), space),
    "ppo, no repeats": lambda space: build(
        PpoConfig(batch=4, units=8, learning_rate=0.02, no_repeats=True), space
    ),
}

OBJECTIVES: dict[str, int] = {"nsga2, two objectives": 2, "nsga2, three objectives": 3}
"""Of how many objectives the outcomes are that a controller is told; 1 where nothing is said."""


@dataclass(frozen=True)
class Digit:
    """A decision."""

    options: int = 8


class DigitByDigit:
    """The space below as decisions."""

    sites = (Digit(),) * 4

    def mask(self, prefix: Sequence[int]) -> NDArray[np.bool_]:  # noqa: ARG002 - nothing is ever closed
        return np.ones(8, dtype=np.bool_)

    def decode(self, choices: Sequence[int]) -> tuple[int, ...]:
        return tuple(choices)

    def encode(self, genome: tuple[int, ...]) -> tuple[int, ...]:
        return genome


class Digits:
    """A space of 4096 genomes: four octal digits. The last is silent: 512 networks."""

    def sample(self, rng: np.random.Generator) -> tuple[int, ...]:
        return tuple(rng.integers(8, size=4).tolist())

    def mutate(self, genome: tuple[int, ...], rng: np.random.Generator) -> tuple[int, ...]:
        place, step = int(rng.integers(4)), int(rng.integers(1, 8))
        return tuple((digit + step) % 8 if i == place else digit for i, digit in enumerate(genome))

    def fingerprint(self, genome: tuple[int, ...]) -> str:
        return "".join(map(str, genome[:3]))

    def to_text(self, genome: tuple[int, ...]) -> str:
        return "".join(map(str, genome))

    def from_text(self, text: str) -> tuple[int, ...]:
        return tuple(map(int, text))

    def features(self, genome: tuple[int, ...]) -> Any:
        return np.concatenate([np.eye(8)[digit] for digit in genome])

    def decisions(self) -> DigitByDigit:
        return DigitByDigit()

    def check(self, genome: tuple[int, ...]) -> None:
        if not (len(genome) == 4 and all(type(digit) is int and 0 <= digit < 8 for digit in genome)):
            raise ValueError(f"{genome} is not four octal digits")


SPACES: dict[str, Callable[[], SearchSpace[Any]]] = {
    "digits": Digits,
    "spinenet-49": lambda: space_by_name("spinenet-49"),
    "r0-sp53": lambda: space_by_name("r0-sp53"),
}


@dataclass(frozen=True)
class Asked:
    """One proposal and all that it may depend on."""

    number: int
    proposal: Proposal[Any]
    told: int
    pending: tuple[Pending[Any], ...]


@dataclass
class History:
    """A campaign in memory."""

    asked: list[Asked] = field(default_factory=list)
    told: list[Outcome[Any]] = field(default_factory=list)

    @property
    def genomes(self) -> list[Any]:
        return [asked.proposal.genome for asked in self.asked]


def stored(note: Mapping[str, Any]) -> Any:
    """A note as it comes back from the database."""
    return json.loads(json.dumps(note, allow_nan=False))


def campaign(
    controller: Controller[Any],
    space: Any,
    *,
    seed: int = 0,
    trials: int = TRIALS,
    workers: int = 1,
    failures: float = 0.0,
    objectives: int = 1,
) -> History:
    """W trials in flight, which end in random order; asks wherever a worker is free."""
    history, pending, timing = History(), list[Pending[Any]](), np.random.default_rng([seed, 999])
    while len(history.told) < trials:
        while len(pending) < workers and len(history.asked) < trials:
            number = len(history.asked)
            proposal = controller.ask(np.random.default_rng([seed, number]), tuple(pending))
            if proposal is None:
                assert pending, "waits for outcomes, and none can come"
                break
            history.asked.append(Asked(number, proposal, len(history.told), tuple(pending)))
            pending.append(Pending(number, copy.deepcopy(proposal.genome), stored(proposal.note)))
        ended = pending.pop(timing.integers(len(pending)))
        values = made_up(space.fingerprint(ended.genome), objectives)
        result = values if timing.random() >= failures else FailureKind.DIVERGED
        history.told.append(Outcome(ended.number, ended.genome, ended.note, result))
        controller.tell(history.told[-1])
    return history


def made_up(fingerprint: str, objectives: int) -> tuple[float, ...]:
    """A value an objective, each by a hash of its own."""
    return tuple(zlib.crc32(f"{fingerprint}{place}".encode()) / 2**32 for place in range(objectives))


@pytest.fixture(params=SPACES)
def space(request: pytest.FixtureRequest) -> Any:
    return SPACES[request.param]()


@pytest.fixture(params=CONTROLLERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def factory(name: str) -> Factory:
    return CONTROLLERS[name]


@pytest.fixture
def objectives(name: str) -> int:
    return OBJECTIVES.get(name, 1)


class TestController:
    """The contract."""

    @pytest.mark.parametrize("workers", [1, 7, 30])
    def test_proposals_are_in_the_space_with_any_number_in_flight(
        self, factory: Factory, space: Any, objectives: int, workers: int
    ) -> None:
        history = campaign(factory(space), space, objectives=objectives, workers=workers)
        for genome in history.genomes:
            space.check(genome)
        assert sorted(outcome.number for outcome in history.told) == list(range(TRIALS))

    def test_ask_is_pure(self, factory: Factory, space: Any, objectives: int) -> None:
        controller, twin = factory(space), factory(space)
        for asked, outcome in zip(
            campaign(factory(space), space, objectives=objectives).asked,
            outcomes(space, objectives),
            strict=True,
        ):
            for seed in (1, 2, 1):
                controller.ask(np.random.default_rng(seed), asked.pending)
            once = controller.ask(np.random.default_rng(3), asked.pending)
            again = controller.ask(np.random.default_rng(3), asked.pending)
            assert once == again == twin.ask(np.random.default_rng(3), asked.pending)
            controller.tell(outcome)
            twin.tell(outcome)

    def test_a_seed_decides_the_history(self, factory: Factory, space: Any, objectives: int) -> None:
        first = campaign(factory(space), space, objectives=objectives, seed=5, workers=4)
        assert campaign(factory(space), space, objectives=objectives, seed=5, workers=4) == first
        other = campaign(factory(space), space, objectives=objectives, seed=6, workers=4).genomes
        assert (other == first.genomes) == (factory is listed)  # a list leaves nothing to a seed

    def test_a_stopped_trial_is_never_compared(self, factory: Factory, space: Any, objectives: int) -> None:
        """However high its value: it is of another fidelity."""
        controller, finished = factory(space), set()
        for number, told in enumerate(outcomes(space, objectives)):
            stopped = number % 3 == 0
            finished |= set() if stopped else {number}
            result, fidelity = ((9.0,) * objectives, 100) if stopped else (told.result, None)
            controller.tell(dataclasses.replace(told, number=number, result=result, fidelity=fidelity))
        for seed in range(60):
            proposal = controller.ask(np.random.default_rng(seed), ())
            assert proposal is not None
            parents = proposal.note.get("parents", [])
            assert isinstance(parents, list)
            assert set(parents) <= finished

    @pytest.mark.parametrize(("workers", "failures"), [(1, 0.0), (12, 0.3)])
    def test_replay_equals_live(
        self, factory: Factory, space: Any, objectives: int, workers: int, failures: float
    ) -> None:
        history = campaign(factory(space), space, objectives=objectives, workers=workers, failures=failures)
        replayed, told = factory(space), 0
        for asked in history.asked:
            for outcome in history.told[told : asked.told]:
                replayed.tell(copy.deepcopy(outcome))
            told = asked.told
            proposal = replayed.ask(np.random.default_rng([0, asked.number]), asked.pending)
            assert proposal == asked.proposal

    @pytest.mark.parametrize("failures", [0.3, 1.0])
    def test_failures_are_tolerated(
        self, factory: Factory, space: Any, objectives: int, failures: float
    ) -> None:
        history = campaign(factory(space), space, objectives=objectives, workers=3, failures=failures)
        assert len(history.told) == TRIALS

    def test_never_waits_with_nothing_in_flight(self, factory: Factory, space: Any, objectives: int) -> None:
        controller = factory(space)
        assert controller.ask(np.random.default_rng(0), ()) is not None
        for outcome in outcomes(space, objectives):
            controller.tell(outcome)
            assert controller.ask(np.random.default_rng(0), ()) is not None

    def test_notes_survive_the_database(self, factory: Factory, space: Any, objectives: int) -> None:
        for asked in campaign(factory(space), space, objectives=objectives, workers=3).asked:
            assert stored(asked.proposal.note) == asked.proposal.note


@pytest.mark.parametrize("name", [name for name in CONTROLLERS if "no repeats" in name])
@pytest.mark.parametrize("workers", [1, 30])
def test_no_repeats_are_honoured(name: str, space: Any, workers: int) -> None:
    history = campaign(
        CONTROLLERS[name](space),
        space,
        trials=200,
        workers=workers,
        failures=0.2,
        objectives=OBJECTIVES.get(name, 1),
    )
    fingerprints = [space.fingerprint(genome) for genome in history.genomes]
    assert len(set(fingerprints)) == len(fingerprints)


def outcomes(space: Any, objectives: int = 1, count: int = TRIALS) -> Sequence[Outcome[Any]]:
    """Distinct genomes with values, from nowhere: a controller may be told what it did not propose."""
    rng = np.random.default_rng(17)
    found = {space.fingerprint(genome): genome for genome in (space.sample(rng) for _ in range(3 * count))}
    genomes = list(found.values())[:count]
    return [
        Outcome(number, genome, {}, tuple(number % prime / prime for prime in (7, 5, 3)[:objectives]))
        for number, genome in enumerate(genomes)
    ]
