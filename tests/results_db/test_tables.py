"""Illegal states cannot be written, by whatever hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from alembic import command
from sqlalchemy import create_engine

from results_db.records import Failure, NewCampaign, NewTrial
from results_db.schema import migrations
from results_db.store import Store
from results_db.writer import Writer
from search_space.trial import FailureKind, Measurement

ByHand = Callable[[str, str], str]


@pytest.fixture
def unguarded(engine: Any, template: Callable[..., str], new_trial: Callable[[int], NewTrial]) -> str:
    """One database for all tests, without the guards, which refuse most of this first.

    Trial 1 finished, 2 failed, 3 runs, 4 waits.
    """

    def fill(url: str) -> None:
        with Store.create(url) as store:
            store.add(NewCampaign(name="alpha", seed=7, config={}, config_hash="", code_version=""))
            writer = store.take("alpha")
            for number in range(1, 5):
                writer.reserve(new_trial(number), "")
            writer.finish(1, 1, Measurement(step=5, metrics={"AP": 0.5}), 0.5)
            writer.fail(2, 1, Failure(FailureKind.TIMEOUT, "slow"))
            writer.give_back(4, 1, Failure(FailureKind.LOST_WORKER, "gone"))
        plain = create_engine(url)
        with plain.begin() as connection:
            command.downgrade(migrations(connection), "0002")
        plain.dispose()

    return template(engine.name, "unguarded", fill)


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE trials SET status = 'paused' WHERE number = 3", "ck_trials_status"),
        ("UPDATE trials SET status = 'finished' WHERE number = 3", "ck_trials_"),
        ("UPDATE trials SET reward = 0.5 WHERE number = 3", "ck_trials_finished_with_reward"),
        ("UPDATE trials SET reward = 0.5 WHERE number = 2", "ck_trials_finished_with_reward"),
        ("UPDATE trials SET reward = NULL WHERE number = 1", "ck_trials_finished_with_reward"),
        ("UPDATE trials SET reward = 9e999 WHERE number = 1", "ck_trials_reward_finite"),
        ("UPDATE trials SET reward = -9e999 WHERE number = 1", "ck_trials_reward_finite"),
        ("UPDATE trials SET finish_order = NULL WHERE number = 1", "ck_trials_ended_in_order"),
        ("UPDATE trials SET finish_order = 9 WHERE number = 3", "ck_trials_ended_in_order"),
        ("UPDATE trials SET finish_order = 9 WHERE number = 4", "ck_trials_ended_in_order"),
        ("UPDATE trials SET finish_order = 0 WHERE number = 1", "ck_trials_finish_order_from_one"),
        ("UPDATE trials SET finish_order = 1 WHERE number = 2", "UNIQUE constraint"),
        ("UPDATE trials SET ended = NULL WHERE number = 1", "ck_trials_ended_at_a_time"),
        ("UPDATE trials SET status = 'running' WHERE number = 1", "ck_trials_"),
        ("UPDATE trials SET failure_kind = NULL WHERE number = 2", "ck_trials_failed_with_"),
        ("UPDATE trials SET failure_message = NULL WHERE number = 2", "ck_trials_failed_with_message"),
        ("UPDATE trials SET failure_kind = 'bad luck' WHERE number = 2", "ck_trials_failure_kind"),
        (
            "UPDATE trials SET failure_kind = 'data', failure_message = '' WHERE number = 1",
            "ck_trials_failed_with_kind",
        ),
        ("UPDATE trials SET attempt = 0 WHERE number = 3", "ck_trials_attempt_from_one"),
        ("UPDATE trials SET told = -1 WHERE number = 3", "ck_trials_told_from_zero"),
        ("UPDATE trials SET number = 0 WHERE number = 3", "ck_trials_number_from_one"),
        ("UPDATE trials SET number = 3 WHERE number = 4", "UNIQUE constraint"),
        ("UPDATE trials SET genome = NULL WHERE number = 3", "NOT NULL constraint"),
        ("UPDATE trials SET campaign_id = 2 WHERE number = 3", "FOREIGN KEY constraint"),
        ("UPDATE attempts SET attempt = 1, number = 1 WHERE number = 2", "UNIQUE constraint"),
        ("UPDATE attempts SET number = 77 WHERE number = 2", "FOREIGN KEY constraint"),
        ("UPDATE attempts SET ended = NULL WHERE number = 1", "ck_attempts_ended_with_seconds"),
        ("UPDATE attempts SET seconds = -1 WHERE number = 1", "ck_attempts_seconds_finite"),
        ("UPDATE attempts SET failure_kind = 'data' WHERE number = 1", "ck_attempts_failed_with_message"),
        ("UPDATE attempts SET ended = NULL, seconds = NULL WHERE number = 2", "ck_attempts_failed_means_"),
        ("UPDATE metrics SET attempt = 2", "FOREIGN KEY constraint"),
        ("UPDATE metrics SET step = -1", "ck_metrics_step_from_zero"),
        ("UPDATE metrics SET value = 9e999", "ck_metrics_value_finite"),
        ("INSERT INTO metrics SELECT * FROM metrics", "UNIQUE constraint"),
        ("UPDATE campaigns SET host = NULL", "ck_campaigns_held_with_"),
        ("UPDATE campaigns SET pid = NULL", "ck_campaigns_held_with_pid"),
        ("UPDATE campaigns SET boot = NULL", "ck_campaigns_held_with_boot"),
        ("UPDATE campaigns SET process_start = NULL", "ck_campaigns_held_with_process_start"),
        ("UPDATE campaigns SET beat = NULL", "ck_campaigns_held_with_beat"),
        ("UPDATE campaigns SET token = -1", "ck_campaigns_token_from_zero"),
        ("UPDATE campaigns SET seed = -1", "ck_campaigns_seed_from_zero"),
        (
            (
                "INSERT INTO campaigns SELECT id + 1, name, seed, config, config_hash, recipe_hash,"
                " data_hash, splits_hash, code_version, versions, created, token, host, boot, pid,"
                " process_start, beat FROM campaigns"
            ),
            "UNIQUE constraint",
        ),
    ],
)
def test_an_illegal_state_is_impossible(
    unguarded: str, by_hand: ByHand, statement: str, constraint: str
) -> None:
    refused = by_hand(unguarded, statement).lower().replace("not-null", "not null")
    assert constraint.lower() in refused or ("9e999" in statement and "out of range" in refused)


def test_repeated_fingerprints_are_legal(engine: Any, unguarded: str, by_hand: ByHand) -> None:
    assert by_hand(engine.copy(unguarded), "UPDATE trials SET fingerprint = 'the same'") == ""


@pytest.mark.parametrize("kind", FailureKind)
def test_every_kind_of_failure_can_be_stored(
    store: Store, writer: Writer, new_trial: Callable[[int], NewTrial], kind: FailureKind
) -> None:
    # a kind that is added needs a migration of the check constraint
    writer.reserve(new_trial(1), "")
    writer.fail(1, 1, Failure(kind, "why"))
    assert store.trial("alpha", 1).failure == Failure(kind, "why")
