"""The state machine of a campaign: what it hands out, what it stores, what it tells, and when it stops.

Over 300 lines: tests of one machine that share its notebook controller and its fresh store.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest

from controller.protocol import Json, NothingLeft, Outcome, Pending, Proposal
from nas.campaign import (
    Campaign,
    ControllerStuck,
    DataFailure,
    Done,
    TooManyFailures,
    Wait,
    trial_seed,
)
from nas.rules import CampaignRules
from proxy_trainer.protocol import TrialFailed
from results_db.errors import LeaseLost
from results_db.records import Failure, NewCampaign, TrialStatus
from results_db.store import Store
from search_space.trial import Assignment, FailureKind, Measurement, Progress

Digits: TypeAlias = tuple[int, ...]
SEED = 3


class DigitSpace:
    """Genomes are four digits; the last is silent."""

    def sample(self, rng: np.random.Generator) -> Digits:
        return tuple(rng.integers(8, size=4).tolist())

    def mutate(self, genome: Digits, rng: np.random.Generator) -> Digits:
        return ((genome[0] + int(rng.integers(1, 8))) % 8, *genome[1:])

    def fingerprint(self, genome: Digits) -> str:
        return self.to_text(genome[:3])

    def to_text(self, genome: Digits) -> str:
        return "".join(map(str, genome))

    def from_text(self, text: str) -> Digits:
        return tuple(map(int, text))


@dataclass
class Notebook:
    """A controller that draws at random and writes down all that it is asked and told."""

    told: list[Outcome[Digits]] = field(default_factory=list)
    asked: list[list[int]] = field(default_factory=list)
    on_tell: Callable[[Outcome[Digits]], None] = lambda _: None
    waits: bool = False

    def ask(self, rng: np.random.Generator, pending: Sequence[Pending[Digits]]) -> Proposal[Digits] | None:
        self.asked.append([trial.number for trial in pending])
        note: Mapping[str, Json] = {"told": len(self.told), "pair": (1, 2)}  # type: ignore[dict-item]  # JSON has no tuples; the database must not tell
        return None if self.waits else Proposal(DigitSpace().sample(rng), note)

    def tell(self, outcome: Outcome[Digits]) -> None:
        self.on_tell(outcome)
        self.told.append(outcome)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with one campaign, to be copied: migrating takes its time."""
    path = tmp_path_factory.mktemp("fresh") / "campaign.sqlite"
    with Store.create(f"sqlite:///{path}") as store:
        store.add(NewCampaign(name="alpha", seed=SEED, config={}, config_hash="", code_version=""))
    return path


@pytest.fixture
def store(fresh: Path, tmp_path: Path) -> Iterator[Store]:
    shutil.copy(fresh, tmp_path)
    with Store.open(f"sqlite:///{tmp_path}/campaign.sqlite") as store:
        yield store


def open_campaign(store: Store, controller: Notebook, rules: CampaignRules | None = None) -> Campaign[Digits]:
    return Campaign(store.take("alpha"), rules or CampaignRules(trials=4), DigitSpace(), controller)


def handed(step: Assignment | Wait | Done) -> Assignment:
    assert isinstance(step, Assignment)
    return step


def measured(ap: float) -> Measurement:
    return Measurement(step=9, metrics={"AP": ap, "loss": 1.0}, provenance={"device": "cpu"})


def failed(kind: FailureKind) -> TrialFailed:
    return TrialFailed(kind, f"it was {kind}")


def test_a_trial_is_stored_before_it_is_handed_out(store: Store) -> None:
    campaign = open_campaign(store, Notebook())
    assignment = handed(campaign.propose("worker 7"))
    trial = store.trial("alpha", 1)
    assert trial.status is TrialStatus.RUNNING
    assert (assignment.campaign, assignment.number, assignment.attempt) == ("alpha", 1, 1)
    assert (assignment.genome, assignment.seed) == (trial.genome, trial.seed)
    assert trial.genome == DigitSpace().to_text(DigitSpace().sample(np.random.default_rng([SEED, 1])))
    assert trial.fingerprint == trial.genome[:3]
    assert trial.seed == trial_seed(SEED, 1)
    campaign.record(1, 1, measured(0.1))
    later = handed(campaign.propose())  # whatever was told meanwhile, the stream is that of the number
    assert later.genome == DigitSpace().to_text(DigitSpace().sample(np.random.default_rng([SEED, 2])))
    assert store.attempts("alpha", 1)[0].worker == "worker 7"


def test_an_outcome_is_stored_before_it_is_told(store: Store) -> None:
    seen: list[tuple[TrialStatus, float | None]] = []
    controller = Notebook(
        on_tell=lambda outcome: seen.append(
            (store.trial("alpha", outcome.number).status, store.trial("alpha", outcome.number).reward)
        )
    )
    campaign = open_campaign(store, controller)
    for result in (measured(0.25), failed(FailureKind.DIVERGED)):
        assignment = handed(campaign.propose())
        campaign.record(assignment.number, assignment.attempt, result)
    assert seen == [(TrialStatus.FINISHED, 0.25), (TrialStatus.FAILED, None)]
    assert [outcome.result for outcome in controller.told] == [(0.25,), FailureKind.DIVERGED]
    assert store.attempts("alpha", 1)[0].provenance == {"device": "cpu"}
    assert store.trial("alpha", 2).failure == Failure(FailureKind.DIVERGED, "it was diverged")


def test_proposals_know_what_is_pending_and_say_how_much_was_told(store: Store) -> None:
    controller = Notebook()
    campaign = open_campaign(store, controller)
    first, second = handed(campaign.propose()), handed(campaign.propose())
    campaign.record(second.number, second.attempt, measured(0.5))
    third = handed(campaign.propose())
    assert controller.asked == [[], [1], [1]]
    assert [store.trial("alpha", number).told for number in (1, 2, 3)] == [0, 0, 1]
    campaign.record(first.number, first.attempt, measured(0.4))
    campaign.record(third.number, third.attempt, measured(0.3))
    assert [outcome.number for outcome in controller.told] == [2, 1, 3]
    assert store.rewards("alpha") == (0.5, 0.4, 0.3)


def test_the_end_of_the_budget(store: Store) -> None:
    campaign = open_campaign(store, Notebook(), CampaignRules(trials=2))
    first, second = handed(campaign.propose()), handed(campaign.propose())
    assert campaign.propose() == Wait()
    campaign.record(first.number, first.attempt, measured(0.1))
    assert campaign.propose() == Wait()
    campaign.record(second.number, second.attempt, failed(FailureKind.LOST_WORKER))
    again = handed(campaign.propose())  # what was in flight may come back
    assert (again.number, again.attempt) == (2, 2)
    campaign.record(2, 2, measured(0.2))
    assert campaign.propose() == Done()
    assert campaign.propose() == Done()


def test_resuming_tells_the_same_and_hands_out_what_was_in_flight(store: Store) -> None:
    before = Notebook()
    campaign = open_campaign(store, before, CampaignRules(trials=5))
    first, second, third = (handed(campaign.propose()) for _ in range(3))
    campaign.record(third.number, 1, measured(0.3))
    campaign.record(first.number, 1, failed(FailureKind.INVALID))
    after = Notebook()
    resumed = open_campaign(store, after, CampaignRules(trials=5))
    assert after.told == before.told
    assert [outcome.number for outcome in after.told] == [3, 1]
    assert after.told[0].note == {"told": 0, "pair": [1, 2]}
    again = handed(resumed.propose())
    assert (again.number, again.attempt, again.genome, again.seed) == (2, 2, second.genome, second.seed)
    fourth = handed(resumed.propose())
    assert (fourth.number, fourth.attempt) == (4, 1)
    assert after.asked == [[2]]
    with pytest.raises(LeaseLost):
        campaign.record(2, 1, measured(0.9))
    assert len(before.told) == 2


def test_the_first_result_of_the_attempt_under_way_counts(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    controller = Notebook()
    campaign = open_campaign(store, controller)
    handed(campaign.propose())
    campaign.record(1, 1, failed(FailureKind.LOST_WORKER))
    campaign.record(1, 1, measured(0.9))  # given back, not handed out again yet
    assert handed(campaign.propose()).attempt == 2
    campaign.record(1, 1, measured(0.9))  # superseded
    campaign.record(1, 3, measured(0.9))  # of the future
    campaign.record(7, 1, measured(0.9))  # of nothing
    assert not controller.told
    campaign.record(1, 2, measured(0.1))
    campaign.record(1, 2, measured(0.9))
    campaign.record(1, 2, failed(FailureKind.INTERNAL))
    assert [outcome.result for outcome in controller.told] == [(0.1,)]
    assert store.rewards("alpha") == (0.1,)
    assert len([line for line in caplog.messages if "ignored a late result" in line]) == 6


def test_progress_is_stored_for_the_attempt_under_way_only(store: Store) -> None:
    campaign = open_campaign(store, Notebook())
    handed(campaign.propose())
    assert campaign.observe(1, 1, Progress(step=1, metrics={"AP": 0.1}))
    assert campaign.observe(1, 2, Progress(step=2, metrics={"AP": 0.2}))
    assert campaign.observe(5, 1, Progress(step=3, metrics={"AP": 0.3}))
    campaign.record(1, 1, failed(FailureKind.LOST_WORKER))
    assert campaign.observe(1, 1, Progress(step=4, metrics={"AP": 0.4}))
    assert [(metric.step, metric.value) for metric in store.metrics("alpha")] == [(1, 0.1)]


@pytest.mark.parametrize(
    ("kind", "retries"),
    [
        *((kind, 1 if kind is FailureKind.LOST_WORKER else 0) for kind in FailureKind if kind != "data"),
        (FailureKind.OUT_OF_MEMORY, 2),
        (FailureKind.LOST_WORKER, 0),
    ],
)
@pytest.mark.parametrize("resumes", [False, True])
def test_retries_by_kind(store: Store, kind: FailureKind, retries: int, resumes: bool) -> None:
    rules = CampaignRules(trials=4)
    if retries != rules.retries.get(kind, 0):
        rules = CampaignRules(trials=4, retries={kind: retries})
    controller = Notebook()
    campaign = open_campaign(store, controller, rules)
    for attempt in range(1, retries + 1):
        assert handed(campaign.propose()).attempt == attempt
        campaign.record(1, attempt, failed(kind))
        assert not controller.told
        assert campaign.snapshot().retried == {kind: attempt}
        assert store.trial("alpha", 1).status is TrialStatus.PROPOSED
        if resumes:
            campaign = open_campaign(store, controller, rules)
            assert campaign.snapshot().retried == {kind: attempt}
    handed(campaign.propose())
    campaign.record(1, retries + 1, failed(kind))
    assert [outcome.result for outcome in controller.told] == [kind]
    assert campaign.snapshot().failures == {kind: 1}
    resumed = open_campaign(store, Notebook(), rules)
    assert resumed.snapshot() == campaign.snapshot()
    assert handed(resumed.propose()).number == 2


def test_retries_of_one_kind_do_not_use_up_those_of_another(store: Store) -> None:
    rules = CampaignRules(trials=1, retries={FailureKind.LOST_WORKER: 1, FailureKind.TIMEOUT: 1})
    campaign = open_campaign(store, Notebook(), rules)
    for attempt, kind in enumerate((FailureKind.LOST_WORKER, FailureKind.TIMEOUT), start=1):
        handed(campaign.propose())
        campaign.record(1, attempt, failed(kind))
    assert handed(campaign.propose()).attempt == 3
    campaign.record(1, 3, failed(FailureKind.TIMEOUT))
    assert store.trial("alpha", 1).status is TrialStatus.FAILED


def test_a_driver_that_died_uses_up_no_retry(store: Store) -> None:
    campaign = open_campaign(store, Notebook())
    for attempt in range(1, 5):
        assert handed(campaign.propose()).attempt == attempt
        campaign = open_campaign(store, Notebook())
    assert handed(campaign.propose()).attempt == 5
    campaign.record(1, 5, failed(FailureKind.LOST_WORKER))
    assert handed(campaign.propose()).attempt == 6


@pytest.mark.parametrize(
    ("metrics", "kind", "message"),
    [
        ({"loss": 1.0}, FailureKind.INTERNAL, "no metric 'AP' in the measurement, it has: loss"),
        ({"AP": math.nan}, FailureKind.DIVERGED, "AP=nan, expected a finite number"),
        ({"AP": math.inf}, FailureKind.DIVERGED, "AP=inf, expected a finite number"),
    ],
)
def test_a_measurement_without_a_reward_is_a_failure(
    store: Store, metrics: dict[str, float], kind: FailureKind, message: str
) -> None:
    controller = Notebook()
    campaign = open_campaign(store, controller)
    handed(campaign.propose())
    campaign.record(1, 1, Measurement(step=1, metrics=metrics))
    failure = store.trial("alpha", 1).failure
    assert failure is not None
    assert failure.kind is kind
    assert message in failure.message
    assert [outcome.result for outcome in controller.told] == [kind]


def test_a_failed_attempt_keeps_where_it_was_tried(store: Store) -> None:
    rules = CampaignRules(trials=5, retries={FailureKind.LOST_WORKER: 1})
    campaign = open_campaign(store, Notebook(), rules)
    handed(campaign.propose())
    for attempt, host in ((1, "one"), (2, "two")):
        campaign.record(1, attempt, TrialFailed(FailureKind.LOST_WORKER, "gone", {"host": host}))
        if attempt == 1:
            handed(campaign.propose())
    assert [dict(each.provenance) for each in store.attempts("alpha", 1)] == [
        {"host": "one"},
        {"host": "two"},
    ]


def test_unreadable_data_stops_the_campaign_and_loses_nothing(store: Store) -> None:
    controller = Notebook()
    campaign = open_campaign(store, controller)
    handed(campaign.propose())
    with pytest.raises(DataFailure, match="campaign 'alpha' trial 1: it was data"):
        campaign.record(1, 1, failed(FailureKind.DATA))
    assert store.trial("alpha", 1).status is TrialStatus.PROPOSED
    resumed = open_campaign(store, controller)
    assert handed(resumed.propose()).attempt == 2
    resumed.record(1, 2, measured(0.5))
    assert [outcome.result for outcome in controller.told] == [(0.5,)]


def test_unreadable_data_may_be_tried_again(store: Store) -> None:
    rules = CampaignRules(trials=5, retries={FailureKind.DATA: 1})
    campaign = open_campaign(store, Notebook(), rules)
    handed(campaign.propose())
    campaign.record(1, 1, failed(FailureKind.DATA))
    assert handed(campaign.propose()).attempt == 2
    with pytest.raises(DataFailure):
        campaign.record(1, 2, failed(FailureKind.DATA))


def test_too_many_failures_stop_the_campaign(store: Store) -> None:
    rules = CampaignRules(trials=20, failure_share=0.5, min_failures=3)
    campaign = open_campaign(store, Notebook(), rules)
    results: list[Measurement | TrialFailed] = [measured(0.1), measured(0.2)]
    results += [
        failed(kind) for kind in (FailureKind.TIMEOUT, FailureKind.TIMEOUT, FailureKind.OUT_OF_MEMORY)
    ]
    for number, result in enumerate(results, start=1):
        handed(campaign.propose())
        campaign.record(number, 1, result)
    message = r"3 of 5 trials failed \(2 timeout, 1 out_of_memory\), more than the share of 0.5"
    with pytest.raises(TooManyFailures, match=rf"{message} that it may lose; `nas resume alpha` tries on"):
        campaign.propose()
    spent = CampaignRules(trials=5, failure_share=0.5, min_failures=3)
    assert open_campaign(store, Notebook(), spent).propose() == Done()


@pytest.mark.parametrize(
    ("share", "least", "stops"), [(0.5, 3, True), (0.6, 3, False), (0.5, 4, False), (0.4, 4, False)]
)
def test_how_many_failures_are_too_many(store: Store, share: float, least: int, stops: bool) -> None:
    rules = CampaignRules(trials=20, failure_share=share, min_failures=least)
    campaign = open_campaign(store, Notebook(), rules)
    for number in range(1, 6):
        handed(campaign.propose())
        campaign.record(number, 1, failed(FailureKind.TIMEOUT) if number > 2 else measured(0.1))
    with pytest.raises(TooManyFailures) if stops else nullcontext():
        assert handed(campaign.propose()).number == 6


def test_a_campaign_that_failed_too_often_can_be_resumed(store: Store) -> None:
    rules = CampaignRules(trials=20, failure_share=0.5, min_failures=3)
    campaign = open_campaign(store, Notebook(), rules)
    for number in range(1, 7):
        if number == 4:
            with pytest.raises(TooManyFailures, match="3 of 3 trials failed"):
                campaign.propose()
            campaign = open_campaign(store, Notebook(), rules)
        handed(campaign.propose())
        campaign.record(number, 1, failed(FailureKind.TIMEOUT if number < 4 else FailureKind.INTERNAL))
    with pytest.raises(TooManyFailures, match=r"3 of 3 trials failed \(3 internal\)"):
        campaign.propose()


def test_a_controller_may_wait_for_outcomes_but_not_for_nothing(store: Store) -> None:
    controller = Notebook()
    campaign = open_campaign(store, controller)
    handed(campaign.propose())
    controller.waits = True
    assert campaign.propose() == Wait()
    assert len(store.trials("alpha")) == 1
    campaign.record(1, 1, measured(0.1))
    with pytest.raises(ControllerStuck, match="campaign 'alpha' trial 2"):
        campaign.propose()


class Exhausted(Notebook):
    """Has nothing left from the third trial on, until it was told of two."""

    def ask(self, rng: np.random.Generator, pending: Sequence[Pending[Digits]]) -> Proposal[Digits] | None:
        proposal = super().ask(rng, pending)
        if len(pending) + len(self.told) >= 2 and len(self.told) != 2:
            raise NothingLeft("nothing new")
        return proposal


def test_what_runs_is_ended_before_nothing_is_left(store: Store) -> None:
    """Else every driver would break them off: its next proposal is drawn as that of the last one was."""
    controller = Exhausted()
    campaign = open_campaign(store, controller)
    handed(campaign.propose())
    handed(campaign.propose())
    assert campaign.propose() == campaign.propose() == Wait()
    assert len(controller.asked) == 3, "asked in vain again, though nothing had ended"
    campaign.record(2, 1, measured(0.1))
    resumed = open_campaign(store, controller := Exhausted())
    assert handed(resumed.propose()).number == 1
    assert resumed.propose() == Wait()
    resumed.record(1, 2, measured(0.2))
    assert handed(resumed.propose()).number == 3
    resumed.record(3, 1, measured(0.3))
    with pytest.raises(NothingLeft):
        resumed.propose()


def test_the_snapshot_says_where_it_stands(store: Store) -> None:
    campaign = open_campaign(store, Notebook(), CampaignRules(trials=9))
    for _ in range(6):
        handed(campaign.propose())
    for number, ap in ((2, 0.2), (4, 0.7), (1, 0.7)):
        campaign.record(number, 1, measured(ap))
    campaign.record(3, 1, failed(FailureKind.INVALID))
    campaign.record(5, 1, failed(FailureKind.LOST_WORKER))
    snapshot = campaign.snapshot()
    assert (snapshot.name, snapshot.budget) == ("alpha", 9)
    assert snapshot.counts == store.counts("alpha")
    assert (snapshot.running, snapshot.waiting) == ((6,), (5,))
    assert snapshot.rewards == (0.2, 0.7, 0.7)
    assert snapshot.best == store.trial("alpha", 4) == store.summary("alpha", 1).best
    assert snapshot.failures == {FailureKind.INVALID: 1}
    assert snapshot.retried == {FailureKind.LOST_WORKER: 1}
    assert snapshot.created == store.campaign("alpha").created
    resumed = open_campaign(store, Notebook(), CampaignRules(trials=9)).snapshot()
    assert (resumed.running, resumed.waiting) == ((), (5, 6))
    for kept in ("budget", "best", "rewards", "failures", "retried", "created"):
        assert getattr(resumed, kept) == getattr(snapshot, kept)


def test_trial_seeds_are_their_own() -> None:
    seeds = [trial_seed(seed, number) for seed in range(20) for number in range(1, 51)]
    assert len(set(seeds)) == 1000
    assert all(0 <= seed < 2**31 for seed in seeds)
    # a trial's training must not follow the stream that its genome was drawn from
    assert trial_seed(SEED, 1) != np.random.SeedSequence([SEED, 1]).generate_state(1)[0] >> 1
