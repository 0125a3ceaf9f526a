"""The writer: a trial's way through its states, each step once however often it is asked for."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from results_db import writer as writer_module
from results_db.errors import IllegalTransition, LeaseLost, StorageError
from results_db.records import Failure, NewCampaign, NewTrial, TrialStatus
from results_db.store import Store
from results_db.writer import Writer
from search_space.trial import FailureKind, Measurement, Progress

NewTrialFactory = Callable[[int], NewTrial]
GONE = Failure(FailureKind.LOST_WORKER, "gone")


def measured(ap: float, step: int = 9) -> Measurement:
    return Measurement(step=step, metrics={"AP": ap}, provenance={"device": "cpu"})


def test_the_life_of_a_trial(store: Store, writer: Writer, new_trial: NewTrialFactory) -> None:
    before = datetime.now(UTC)
    record = writer.reserve(new_trial(1), "w1")
    assert (record.status, record.attempt, record.note) == (TrialStatus.RUNNING, 1, new_trial(1).note)
    assert before <= record.proposed == record.started <= datetime.now(UTC)
    writer.observe(1, 1, Progress(step=3, metrics={"AP": 0.1, "loss": math.nan, "norm": math.inf}))
    assert writer.give_back(1, 1, GONE).status is TrialStatus.PROPOSED
    assert writer.start(1, 2, "w2").status is TrialStatus.RUNNING
    ended = writer.finish(1, 2, measured(0.3), 0.3)
    assert (ended.status, ended.finish_order, ended.reward) == (TrialStatus.FINISHED, 1, 0.3)
    assert store.trial("alpha", 1) == ended
    first, second = store.attempts("alpha", 1)
    assert (first.worker, first.failure, first.provenance) == ("w1", GONE, {})
    assert (second.worker, second.failure, second.provenance) == ("w2", None, {"device": "cpu"})
    assert first.ended is not None
    assert first.seconds == (first.ended - first.started).total_seconds()
    metrics = [(m.attempt, m.step, m.name, m.value, m.final) for m in store.metrics("alpha", 1)]
    assert [metrics[0], metrics[3]] == [(1, 3, "AP", 0.1, False), (2, 9, "AP", 0.3, True)]
    assert [math.isnan(value) for *_, value, _ in metrics] == [False, True, True, False]


def test_what_trials_were_measured_to_have_is_told_apart_from_progress(
    store: Store, writer: Writer, new_trial: NewTrialFactory
) -> None:
    for number in range(1, 5):
        writer.reserve(new_trial(number), "")
        writer.observe(number, 1, Progress(step=3, metrics={"AP": 0.1, "loss": 2.0}))
    writer.finish(1, 1, Measurement(step=9, metrics={"AP": 0.3, "loss": math.nan, "flops": 5}), 0.3)
    writer.finish(2, 1, Measurement(step=9, metrics={"loss": 1.0}), 0.3)
    writer.fail(3, 1, GONE)
    assert (
        writer.final(["AP", "flops"]) == store.final("alpha", ["AP", "flops"]) == {1: {"AP": 0.3, "flops": 5}}
    )
    assert math.isnan(writer.final(["loss"])[1]["loss"])
    assert writer.final(["loss"])[2] == {"loss": 1.0}
    assert writer.final([]) == {}


def test_finish_order_counts_every_end(store: Store, writer: Writer, new_trial: NewTrialFactory) -> None:
    for number in range(1, 5):
        writer.reserve(new_trial(number), "")
    writer.finish(3, 1, measured(0.3), 0.3)
    writer.fail(1, 1, Failure(FailureKind.DIVERGED, "nan"))
    writer.finish(4, 1, measured(0.5), 0.5)
    assert [trial.finish_order for trial in store.trials("alpha")] == [2, None, 1, 3]
    assert store.rewards("alpha") == (0.3, 0.5)
    assert store.summary("alpha", 5).best == store.trial("alpha", 4)
    assert store.counts("alpha") == {
        TrialStatus.PROPOSED: 0,
        TrialStatus.RUNNING: 1,
        TrialStatus.FINISHED: 2,
        TrialStatus.STOPPED: 0,
        TrialStatus.FAILED: 1,
    }


def test_of_equal_rewards_the_earlier_finished_is_better(
    store: Store, writer: Writer, new_trial: NewTrialFactory
) -> None:
    for number in (1, 2, 3):
        writer.reserve(new_trial(number), "")
    for number in (2, 3, 1):
        writer.finish(number, 1, measured(0.5), 0.5)
    assert store.summary("alpha", 5).best == store.trial("alpha", 2)


def test_every_step_can_be_repeated(store: Store, writer: Writer, new_trial: NewTrialFactory) -> None:
    steps: list[Callable[[], object]] = [
        lambda: writer.reserve(new_trial(1), "w"),
        lambda: writer.observe(1, 1, Progress(step=3, metrics={"AP": 0.1})),
        lambda: writer.give_back(1, 1, GONE),
        lambda: writer.start(1, 2, "w"),
        lambda: writer.finish(1, 2, measured(0.3), 0.3),
        lambda: writer.reserve(new_trial(2), "w"),
        lambda: writer.fail(2, 1, GONE),
    ]
    for step in steps:
        first = step()
        stored = store.trials("alpha"), store.attempts("alpha"), store.metrics("alpha")
        assert step() == first
        assert (store.trials("alpha"), store.attempts("alpha"), store.metrics("alpha")) == stored


def test_a_final_metric_replaces_the_same_steps(
    store: Store, writer: Writer, new_trial: NewTrialFactory
) -> None:
    writer.reserve(new_trial(1), "")
    writer.observe(1, 1, Progress(step=9, metrics={"AP": 0.1, "loss": 2.0}))
    writer.finish(1, 1, measured(0.3, step=9), 0.3)
    found = {metric.name: (metric.value, metric.final) for metric in store.metrics("alpha", 1)}
    assert found == {"AP": (0.3, True), "loss": (2.0, False)}


@pytest.mark.parametrize("reward", [math.nan, math.inf, -math.inf])
def test_a_reward_is_finite(store: Store, writer: Writer, new_trial: NewTrialFactory, reward: float) -> None:
    writer.reserve(new_trial(1), "")
    with pytest.raises(StorageError):
        writer.finish(1, 1, measured(0.3), reward)
    assert store.trial("alpha", 1).status is TrialStatus.RUNNING
    assert store.metrics("alpha", 1) == ()


def test_no_step_out_of_order(store: Store, writer: Writer, new_trial: NewTrialFactory) -> None:
    writer.reserve(new_trial(1), "")
    writer.reserve(new_trial(2), "")
    writer.give_back(2, 1, GONE)
    writer.reserve(new_trial(3), "")
    writer.finish(3, 1, measured(0.1), 0.1)
    stored = store.trials("alpha"), store.attempts("alpha"), store.metrics("alpha")
    wrong: list[Callable[[], object]] = [
        lambda: writer.start(1, 3, ""),
        lambda: writer.finish(1, 2, measured(0.2), 0.2),
        lambda: writer.fail(2, 1, GONE),
        lambda: writer.finish(2, 1, measured(0.2), 0.2),
        lambda: writer.start(3, 2, ""),
        lambda: writer.fail(3, 1, GONE),
        lambda: writer.give_back(3, 1, GONE),
        lambda: writer.reserve(NewTrial(number=1, genome="x", fingerprint="", note={}, seed=0, told=0), ""),
    ]
    for step in wrong:
        with pytest.raises(IllegalTransition, match="campaign 'alpha' trial"):
            step()
    assert (store.trials("alpha"), store.attempts("alpha"), store.metrics("alpha")) == stored


def test_whoever_was_overtaken_writes_nothing(
    store: Store, writer: Writer, new_trial: NewTrialFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.reserve(new_trial(1), "")
    newer = store.take("alpha")
    fence = store.fence("alpha")
    monkeypatch.setattr(writer_module, "BEAT_SECONDS", 0.0)
    steps: list[Callable[[], object]] = [
        lambda: writer.reserve(new_trial(2), ""),
        lambda: writer.start(1, 2, ""),
        lambda: writer.observe(1, 1, Progress(step=1, metrics={"AP": 0.1})),
        lambda: writer.finish(1, 1, measured(0.2), 0.2),
        lambda: writer.fail(1, 1, GONE),
        lambda: writer.give_back(1, 1, GONE),
        writer.beat,
    ]
    for step in steps:
        with pytest.raises(LeaseLost, match="campaign 'alpha': another process has taken it over"):
            step()
    writer.release()
    assert store.fence("alpha") == fence
    assert store.metrics("alpha") == ()
    newer.start(1, 2, "")
    assert newer.finish(1, 2, measured(0.2), 0.2).finish_order == 1


def test_whoever_released_writes_nothing(store: Store, new_trial: NewTrialFactory) -> None:
    with store.take("alpha") as writer:
        pass
    assert store.fence("alpha").pid is None
    with pytest.raises(LeaseLost):
        writer.reserve(new_trial(1), "")


def test_every_write_is_a_sign_of_life(
    store: Store, writer: Writer, new_trial: NewTrialFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats = [store.fence("alpha").beat]
    writer.reserve(new_trial(1), "")
    beats.append(store.fence("alpha").beat)
    writer.beat()  # a write just did
    assert store.fence("alpha").beat == beats[-1]
    monkeypatch.setattr(writer_module, "BEAT_SECONDS", 0.0)
    writer.beat()
    beats.append(store.fence("alpha").beat)
    assert None not in beats
    assert len(set(beats)) == 3


def test_a_reader_sees_each_write_at_once_and_never_blocks_it(
    writer: Writer, address: str, new_trial: NewTrialFactory
) -> None:
    with Store.read(address) as reader, reader._database.transaction() as session:
        assert session.connection().exec_driver_sql("SELECT count(*) FROM trials").scalar_one() == 0
        writer.reserve(new_trial(1), "")  # while the reader is in the middle of a transaction
        assert session.connection().exec_driver_sql("SELECT count(*) FROM trials").scalar_one() == 0
        with Store.read(address) as second:
            assert len(second.trials("alpha")) == 1


def test_campaigns_share_a_database(store: Store, writer: Writer, new_trial: NewTrialFactory) -> None:
    store.add(NewCampaign(name="beta", seed=1, config={}, config_hash="", code_version=""))
    other = store.take("beta")
    for hand in (writer, other):
        hand.reserve(new_trial(1), "")
    other.finish(1, 1, measured(0.4), 0.4)
    assert store.rewards("alpha") == ()
    assert store.rewards("beta") == (0.4,)
    assert writer.finish(1, 1, measured(0.2), 0.2).finish_order == 1
    assert store.metrics("alpha", 1)[0].value == 0.2
    assert [campaign.name for campaign in store.campaigns()] == ["alpha", "beta"]


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_commit_is_on_the_disk_and_references_are_checked(store: Store) -> None:
    with store._database.engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}


def test_all_that_runs_is_given_back_at_one_moment(
    store: Store, writer: Writer, new_trial: NewTrialFactory
) -> None:
    for number in range(1, 5):
        writer.reserve(new_trial(number), "")
    writer.finish(4, 1, measured(0.3), 0.3)
    with pytest.raises(IllegalTransition, match="trial 4"):
        writer.give_back_all({1: 1, 4: 1})
    assert store.trial("alpha", 1).status is TrialStatus.RUNNING, "all of them or none"

    found = writer.give_back_all({1: 1, 3: 1})
    stored = store.attempts("alpha")
    assert writer.give_back_all({1: 1, 3: 1}) == found, "asked again, nothing is done again"

    assert store.attempts("alpha") == stored
    assert {number: trial.status for number, trial in found.items()} == dict.fromkeys(
        (1, 3), TrialStatus.PROPOSED
    )
    first, second, third, _ = stored
    assert (second.ended, first.failure) == (None, None)
    assert first.ended == third.ended is not None


def test_who_lets_go_ends_what_was_under_way(store: Store, new_trial: NewTrialFactory) -> None:
    """As after an error of the database, when nothing could be given back."""
    with store.take("alpha") as writer:
        writer.reserve(new_trial(1), "")
        writer.reserve(new_trial(2), "")
        writer.give_back(2, 1, GONE)
    released = datetime.now(UTC)
    with store.take("alpha") as taken:
        taken.start(1, 2, "")
        first, _, other = store.attempts("alpha")
    assert first.ended is not None
    assert first.started <= first.ended <= released
    assert other.failure == GONE
