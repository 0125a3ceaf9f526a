"""The serial runner: every way in which an evaluator can end comes to a result, and the campaign goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest

from controller.protocol import Outcome, Pending, Proposal
from nas.campaign import Campaign
from nas.rules import CampaignRules
from nas.runners import serial
from proxy_trainer.protocol import TrialFailed
from results_db.errors import StorageError
from results_db.records import Failure, NewCampaign, TrialStatus
from results_db.store import Store
from search_space.trial import Assignment, FailureKind, Measurement, Progress

Events: TypeAlias = Iterator[Progress | Measurement]


class Words:
    """Genomes are words."""

    def sample(self, rng: np.random.Generator) -> str:
        return f"w{rng.integers(10**9)}"

    def mutate(self, genome: str, rng: np.random.Generator) -> str:
        return f"{genome}{rng.integers(10)}"

    def fingerprint(self, genome: str) -> str:
        return genome

    def to_text(self, genome: str) -> str:
        return genome

    def from_text(self, text: str) -> str:
        return text


class Draws:
    """A controller that draws."""

    def ask(self, rng: np.random.Generator, pending: Sequence[Pending[str]]) -> Proposal[str]:
        assert not pending
        return Proposal(Words().sample(rng))

    def tell(self, outcome: Outcome[str]) -> None:
        pass


class Scripted:
    """An evaluator whose nth trial goes as the nth line of its script says."""

    def __init__(self, *script: Callable[[], Events]) -> None:
        self._script = iter(script)

    def evaluate(self, assignment: Assignment) -> Events:  # noqa: ARG002, it goes by the script
        return next(self._script)()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.create(f"sqlite:///{tmp_path}/campaign.sqlite") as store:
        store.add(NewCampaign(name="alpha", seed=1, config={}, config_hash="", code_version=""))
        yield store


def open_campaign(store: Store, trials: int) -> Campaign[str]:
    return Campaign(store.take("alpha"), CampaignRules(trials=trials, min_failures=99), Words(), Draws())


def good() -> Events:
    yield Progress(step=1, metrics={"AP": 0.25})
    yield Measurement(step=2, metrics={"AP": 0.5})


def empty() -> Events:
    yield Progress(step=1, metrics={"AP": 0.25})


def raising(error: BaseException) -> Callable[[], Events]:
    def script() -> Events:
        yield Progress(step=1, metrics={"AP": 0.25})
        raise error

    return script


def raising_at_once(error: BaseException) -> Callable[[], Events]:
    def script() -> Events:
        raise error

    return script


def test_every_end_has_a_result(store: Store, capfd: pytest.CaptureFixture[str]) -> None:
    evaluator = Scripted(
        good,
        raising(TrialFailed(FailureKind.DIVERGED, "loss is nan")),
        raising(MemoryError("5 GiB")),
        raising(MemoryError()),
        raising(KeyError("weights")),
        raising_at_once(ZeroDivisionError("division by zero")),
        empty,
        good,
    )
    ticks: list[int] = []
    campaign = open_campaign(store, 8)
    serial.run(campaign, evaluator, lambda: ticks.append(len(store.trials("alpha"))))
    assert [trial.failure for trial in store.trials("alpha")] == [
        None,
        Failure(FailureKind.DIVERGED, "loss is nan"),
        Failure(FailureKind.OUT_OF_MEMORY, "5 GiB"),
        Failure(FailureKind.OUT_OF_MEMORY, "out of memory"),
        Failure(FailureKind.INTERNAL, "KeyError: 'weights'"),
        Failure(FailureKind.INTERNAL, "ZeroDivisionError: division by zero"),
        Failure(FailureKind.INTERNAL, "the evaluator ended without a measurement"),
        None,
    ]
    said = capfd.readouterr().err
    assert said.count("Traceback") == 2, "of the two slips"
    assert "KeyError: 'weights'" in said
    assert store.rewards("alpha") == (0.5, 0.5)
    assert [metric.value for metric in store.metrics("alpha", 1)] == [0.25, 0.5]
    assert {attempt.worker for attempt in store.attempts("alpha")} == {"serial"}
    assert ticks[0] == 1
    assert ticks[-1] == 8
    assert (
        len(ticks) == 8 * 2 + 7
    )  # handed out, ended, and one progress each but for the one that never began


def test_an_interrupt_leaves_the_trial_in_flight(store: Store) -> None:
    with pytest.raises(KeyboardInterrupt):
        serial.run(open_campaign(store, 2), Scripted(good, raising(KeyboardInterrupt())), lambda: None)
    assert store.trial("alpha", 2).status is TrialStatus.RUNNING
    serial.run(open_campaign(store, 2), Scripted(good), lambda: None)
    assert [trial.attempt for trial in store.trials("alpha")] == [1, 2]
    assert store.rewards("alpha") == (0.5, 0.5)


def test_trouble_with_the_database_is_not_the_trials_fault(store: Store) -> None:
    closed: list[bool] = []

    def overtaken() -> Events:
        store.take("alpha")
        try:
            yield Progress(step=1, metrics={"AP": 0.25})
        finally:
            closed.append(True)

    with pytest.raises(StorageError, match="another process has taken it over") as caught:
        serial.run(open_campaign(store, 1), Scripted(overtaken), lambda: None)
    assert closed == [True], f"while {caught.tb} keeps everything alive"
    assert store.trial("alpha", 1).status is TrialStatus.RUNNING


def test_a_trial_that_the_campaign_stops_is_closed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []

    def long() -> Events:
        try:
            while True:
                yield Progress(step=1, metrics={"AP": 0.25})
        finally:
            closed.append(True)

    class Stopped(Exception):
        """Ends the test: this campaign stores no stop, so it would wait for the trial for ever."""

    def tick() -> None:
        if closed:
            raise Stopped

    monkeypatch.setattr(Campaign, "observe", lambda *_: False)
    with pytest.raises(Stopped):
        serial.run(open_campaign(store, 1), Scripted(long), tick)
    assert store.trial("alpha", 1).status is TrialStatus.RUNNING
