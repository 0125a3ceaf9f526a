"""Wherever a driver dies, and whichever answer of the database is lost, the campaign comes out the same."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias, cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.protocol import Outcome, Pending, Proposal
from nas.campaign import Campaign
from nas.rules import CampaignRules
from nas.stopping import HalvingConfig
from proxy_trainer.protocol import TrialFailed
from results_db.errors import StorageError
from results_db.records import NewCampaign, TrialRecord
from results_db.store import Store
from results_db.writer import Writer
from search_space.trial import Assignment, FailureKind, Measurement, Progress

TRIALS = 5
RULES = CampaignRules(
    trials=TRIALS,
    retries={FailureKind.LOST_WORKER: 1},
    min_failures=99,
    stopping=HalvingConfig(rungs=(1,), least=2),
)
WRITES = ("reserve", "start", "observe", "finish", "stop", "fail", "give_back")

FULL = [pytest.mark.full, pytest.mark.timeout(900)]

pytestmark = pytest.mark.parametrize(
    "engine", ["sqlite", pytest.param("postgresql", marks=FULL)], indirect=True
)

Facts: TypeAlias = list[tuple[object, ...]]


class Crash(BaseException):
    """The process is gone: nothing in it may catch this."""


class Numbers:
    """Genomes are whole numbers."""

    def sample(self, rng: np.random.Generator) -> int:
        return int(rng.integers(10**9))

    def mutate(self, genome: int, rng: np.random.Generator) -> int:
        return genome + int(rng.integers(1, 10**6))

    def fingerprint(self, genome: int) -> str:
        return str(genome % 1000)

    def to_text(self, genome: int) -> str:
        return str(genome)

    def from_text(self, text: str) -> int:
        return int(text)


@dataclass
class Follower:
    """A controller whose proposals depend on everything that it was told, in order."""

    told: list[Outcome[int]] = field(default_factory=list)

    def ask(self, rng: np.random.Generator, pending: Sequence[Pending[int]]) -> Proposal[int]:
        past = sum(outcome.genome * place for place, outcome in enumerate(self.told, start=1)) % 10**6
        busy = [trial.number for trial in pending]
        return Proposal(Numbers().sample(rng) + past, {"told": len(self.told), "busy": list(busy)})

    def tell(self, outcome: Outcome[int]) -> None:
        self.told.append(outcome)


class Fragile:
    """A writer around which the world ends, or the line goes dead, at one of its writes."""

    def __init__(self, writer: Writer, at: int, committed: bool, error: BaseException) -> None:
        self._writer = writer
        self._until = at
        self._committed = committed
        self._error = error

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._writer, name)
        return self._failing(method) if name in WRITES else method

    def _failing(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: object) -> Any:
            self._until -= 1
            if self._until == -1:
                if self._committed:
                    method(*args)
                raise self._error
            return method(*args)

        return call


def _one_campaign(url: str) -> None:
    with Store.create(url) as store:
        store.add(NewCampaign(name="alpha", seed=3, config={}, config_hash="", code_version=""))


@pytest.fixture
def new_store(engine: Any, template: Callable[..., str]) -> Iterator[Callable[[], Store]]:
    """Makes as many databases as one test wants."""
    stores: list[Store] = []
    fresh = template(engine.name, "crashes", _one_campaign)

    def make() -> Store:
        store = Store.open(engine.copy(fresh))
        if engine.name == "sqlite":
            with closing(store._database.engine.raw_connection()) as connection:
                # the one connection of this pool: it is not the power that fails here
                connection.cursor().execute("PRAGMA synchronous = OFF")
        stores.append(store)
        return store

    yield make
    for store in stores:
        store.close()


def result_of(assignment: Assignment) -> Measurement | TrialFailed:
    """Trial 2 loses every worker, trial 4 diverges, trial 5 is stopped before; the others are measured."""
    match assignment.number:
        case 2:
            return TrialFailed(FailureKind.LOST_WORKER, "gone")
        case 4:
            return TrialFailed(FailureKind.DIVERGED, "nan")
        case _:
            return Measurement(step=2, metrics={"AP": int(assignment.genome) % 997 / 997})


def repeat(verb: Callable[..., Any], *args: object) -> Any:
    """What a driver may do that lost the line: ask again."""
    with suppress(StorageError):
        return verb(*args)
    return verb(*args)


def drive(
    store: Store, controller: Follower, fragile: Callable[[Writer], object] = lambda writer: writer
) -> None:
    """A serial runner; the campaign's writer is as breakable as it is made."""
    writer = cast("Writer", fragile(store.take("alpha")))
    campaign = Campaign(writer, RULES, Numbers(), controller)
    while isinstance(assignment := repeat(campaign.propose), Assignment):
        number, attempt = assignment.number, assignment.attempt
        # Each better than all before it, but for the last.
        progress = Progress(step=1, metrics={"loss": 1.0, "AP": number if number < TRIALS else 0.0})
        if repeat(campaign.observe, number, attempt, progress):
            repeat(campaign.record, number, attempt, result_of(assignment))


def facts(store: Store) -> Facts:
    """All of the trials that is not a time of day or a matter of crashes."""
    attempts = {trial.number: trial.attempt for trial in store.trials("alpha")}
    metrics = [
        (metric.number, metric.step, metric.name, metric.value, metric.final)
        for metric in store.metrics("alpha")
        if metric.attempt == attempts[metric.number]
    ]
    return [*map(facts_of, store.trials("alpha")), *metrics]


def facts_of(trial: TrialRecord) -> tuple[object, ...]:
    known = (trial.number, trial.seed, trial.genome, trial.fingerprint, trial.note, trial.told)
    return (*known, trial.status, trial.finish_order, trial.reward, trial.failure)


@pytest.fixture
def expected(new_store: Callable[[], Store]) -> tuple[Facts, list[Outcome[int]]]:
    """What comes out when nothing goes wrong."""
    store, controller = new_store(), Follower()
    drive(store, controller)
    statuses = [trial.status for trial in store.trials("alpha")]
    assert statuses == ["finished", "failed", "finished", "failed", "stopped"]
    assert (controller.told[-1].result, controller.told[-1].fidelity) == ((0.0,), 1)
    return facts(store), controller.told


@pytest.mark.parametrize("committed", [False, True], ids=["before", "after"])
def test_a_crash_at_any_write(
    new_store: Callable[[], Store], expected: tuple[Facts, list[Outcome[int]]], committed: bool
) -> None:
    for at in itertools.count():
        store = new_store()
        try:
            drive(store, Follower(), partial(Fragile, at=at, committed=committed, error=Crash()))
        except Crash:
            survivor = Follower()
            drive(store, survivor)
            assert (facts(store), survivor.told) == expected, f"crash {at}"
        else:
            break
    assert at == 6 + 6 + 5 + 1  # attempts handed out and observed, trials ended, one given back


def test_a_lost_answer_to_any_write(
    new_store: Callable[[], Store], expected: tuple[Facts, list[Outcome[int]]]
) -> None:
    for at, committed in itertools.product(range(18), (False, True)):
        store, controller = new_store(), Follower()
        lost = StorageError("no answer")
        drive(store, controller, partial(Fragile, at=at, committed=committed, error=lost))
        assert (facts(store), controller.told) == expected, f"lost {at}"
        assert len(store.attempts("alpha")) == TRIALS + 1


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(crashes=st.lists(st.tuples(st.integers(0, 15), st.booleans()), max_size=8))
def test_any_number_of_crashes(
    new_store: Callable[[], Store],
    expected: tuple[Facts, list[Outcome[int]]],
    crashes: list[tuple[int, bool]],
) -> None:
    store = new_store()
    for at, committed in crashes:
        with suppress(Crash):
            drive(store, Follower(), partial(Fragile, at=at, committed=committed, error=Crash()))
    survivor = Follower()
    drive(store, survivor)
    assert (facts(store), survivor.told) == expected


PROPOSE, RECORD, LATE, FAIL, CRASH = range(5)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.integers(PROPOSE, CRASH), st.integers(0, 9)), max_size=40))
def test_any_interleaving_of_many_workers_and_crashes(
    new_store: Callable[[], Store], steps: list[tuple[int, int]]
) -> None:
    """The accepted rewards are the first results of the attempts under way; all else follows from them."""
    store, controller = new_store(), Follower()
    campaign = Campaign(store.take("alpha"), RULES, Numbers(), controller)
    working: list[Assignment] = []
    gone: list[Assignment] = []
    first: dict[int, float] = {}
    values = (value / 1000 for value in itertools.count(1))
    for what, which in [*steps, *[(PROPOSE, 0), (RECORD, 0)] * (3 * TRIALS)]:
        chosen = working[which % len(working)] if working else None
        if what == PROPOSE and isinstance(assignment := campaign.propose(), Assignment):
            working.append(assignment)
        elif what == RECORD and chosen is not None:
            first[chosen.number] = next(values)
            metrics = {"AP": first[chosen.number]}
            campaign.record(chosen.number, chosen.attempt, Measurement(step=1, metrics=metrics))
            working.remove(chosen)
            gone.append(chosen)
        elif what == FAIL and chosen is not None:
            campaign.record(chosen.number, chosen.attempt, TrialFailed(FailureKind.LOST_WORKER, "gone"))
            working.remove(chosen)
            gone.append(chosen)
        elif what == LATE and gone:
            late = gone[which % len(gone)]
            campaign.record(late.number, late.attempt, Measurement(step=1, metrics={"AP": 99.0}))
        elif what == CRASH:
            told = controller.told
            controller = Follower()
            campaign = Campaign(store.take("alpha"), RULES, Numbers(), controller)
            assert controller.told == told
            gone, working = [*gone, *working], []
    trials = store.trials("alpha")
    assert [trial.number for trial in trials] == list(range(1, TRIALS + 1))
    assert {trial.number: trial.reward for trial in trials if trial.reward is not None} == first
    in_order = sorted(trials, key=lambda trial: trial.finish_order or 0)
    assert [trial.finish_order for trial in in_order] == list(range(1, TRIALS + 1))
    assert [outcome.number for outcome in controller.told] == [trial.number for trial in in_order]
    replayed = Follower()
    Campaign(store.take("alpha"), RULES, Numbers(), replayed)
    assert replayed.told == controller.told
