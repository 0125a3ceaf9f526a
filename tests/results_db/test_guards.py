"""Illegal steps cannot be taken, by whatever hand: the past stays, and states go one way."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest

from results_db.errors import Guarded
from results_db.integrity import GUARDS
from results_db.records import Failure, NewCampaign, NewTrial
from results_db.store import Store
from results_db.writer import Writer
from search_space.trial import FailureKind, Measurement, Progress

ByHand = Callable[[str, str], str]
NewTrialFactory = Callable[[int], NewTrial]

ENDED = "a trial that has ended never changes"
GOES_ON = "a trial goes from proposed or running to its next attempt, and from running to an end"
PROPOSED = "what was proposed never changes"
MEASURED = "what was measured never changes"
BEGINS = "a trial begins running its first attempt, with the number after the last one"
TOKEN = "the token of a campaign only grows, and grows with every driver"  # noqa: S105, no password
CAMPAIGN = "the name, seed and birth of a campaign never change"
MADE_WITH = "what a campaign was made with never changes"
ATTEMPT = "an attempt that has ended, or was left behind, never changes"
WHO = "who began an attempt, and when, never changes"
ATTEMPT_BEGINS = "an attempt begins once, as the one that its trial is at"
NEW = "INSERT INTO trials (campaign_id, number, status, genome, fingerprint, note, seed, told, attempt, proposed, started"


@pytest.fixture
def lived(engine: Any, template: Callable[..., str], new_trial: NewTrialFactory) -> str:
    """Trial 1 finished, 2 failed, 3 runs its second attempt, 4 waits, 5 was stopped early, 6 was just reserved.

    One database for all tests whose statements are refused.
    """

    def live(url: str) -> None:
        with Store.create(url) as store:
            store.add(NewCampaign(name="alpha", seed=7, config={}, config_hash="", code_version=""))
            writer = store.take("alpha")
            for number in range(1, 7):
                writer.reserve(new_trial(number), "")
                writer.observe(number, 1, Progress(step=1, metrics={"AP": 0.1}))
            writer.finish(1, 1, Measurement(step=5, metrics={"AP": 0.5}), 0.5)
            writer.fail(2, 1, Failure(FailureKind.TIMEOUT, "slow"))
            writer.start(3, 2, "")
            writer.give_back(4, 1, Failure(FailureKind.LOST_WORKER, "gone"))
            writer.stop(5, 1, {})

    return template(engine.name, "lived", live)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE trials SET status = 'running', finish_order = NULL, ended = NULL, reward = NULL WHERE number = 1", ENDED),
        ("UPDATE trials SET reward = 0.9 WHERE number = 1", ENDED),
        ("UPDATE trials SET finish_order = 4 WHERE number = 1", ENDED),
        ("UPDATE trials SET ended = started WHERE number = 1", ENDED),
        ("UPDATE trials SET attempt = 2 WHERE number = 2", ENDED),
        ("UPDATE trials SET failure_kind = 'data' WHERE number = 2", ENDED),
        ("UPDATE trials SET status = 'proposed', finish_order = NULL, ended = NULL WHERE number = 5", ENDED),
        ("UPDATE trials SET status = 'finished', reward = 0.5 WHERE number = 5", ENDED),
        ("UPDATE trials SET genome = 'other' WHERE number = 3", PROPOSED),
        ("UPDATE trials SET fingerprint = 'other' WHERE number = 3", PROPOSED),
        ("UPDATE trials SET note = '{}' WHERE number = 3", PROPOSED),
        ("UPDATE trials SET seed = 1 WHERE number = 3", PROPOSED),
        ("UPDATE trials SET told = 1 WHERE number = 3", PROPOSED),
        ("UPDATE trials SET number = 7 WHERE number = 6", PROPOSED),
        ("UPDATE trials SET attempt = 1 WHERE number = 3", GOES_ON),
        ("UPDATE trials SET attempt = 4 WHERE number = 3", GOES_ON),
        ("UPDATE trials SET attempt = 3, status = 'proposed' WHERE number = 3", GOES_ON),
        ("UPDATE trials SET status = 'running' WHERE number = 4", GOES_ON),
        ("UPDATE trials SET started = '2000-01-01' WHERE number = 3", GOES_ON),
        ("UPDATE trials SET status = 'stopped', finish_order = 4, ended = started WHERE number = 4", GOES_ON),
        ("UPDATE trials SET status = 'proposed' WHERE number = 3", "stops running when its attempt has ended"),
        ("UPDATE trials SET status = 'stopped', finish_order = 9, ended = started WHERE number = 3", "the finish order after"),
        (f"{NEW}) SELECT 1, 9, 'running', 'g', 'f', '{{}}', 1, 0, 1, proposed, started FROM trials WHERE number = 1", BEGINS),
        (f"{NEW}) SELECT 1, 7, 'proposed', 'g', 'f', '{{}}', 1, 0, 1, proposed, started FROM trials WHERE number = 1", BEGINS),
        (f"{NEW}) SELECT 1, 7, 'running', 'g', 'f', '{{}}', 1, 0, 2, proposed, started FROM trials WHERE number = 1", BEGINS),
        (
            (f"{NEW}, ended, finish_order, reward) SELECT 1, 7, 'finished', 'g', 'f', '{{}}', 1, 0, 1, proposed, started,"
            " ended, 4, 0.9 FROM trials WHERE number = 1"),
            BEGINS,
        ),
        ("DELETE FROM trials WHERE number = 6", "trials are never deleted"),
        ("UPDATE attempts SET seconds = 1 WHERE number = 1", ATTEMPT),
        ("UPDATE attempts SET ended = NULL, seconds = NULL WHERE number = 1", ATTEMPT),
        ("UPDATE attempts SET ended = started, seconds = 0 WHERE number = 3 AND attempt = 1", ATTEMPT),
        ("UPDATE attempts SET failure_message = 'nobody' WHERE number = 2", ATTEMPT),
        ("UPDATE attempts SET worker = 'me' WHERE number = 6", WHO),
        ("UPDATE attempts SET started = '2000-01-01' WHERE number = 6", WHO),
        ("INSERT INTO attempts SELECT 1, 6, 2, '', started, NULL, NULL, NULL, NULL, provenance FROM attempts WHERE number = 6", ATTEMPT_BEGINS),
        ("INSERT INTO attempts SELECT 1, 1, 2, '', started, NULL, NULL, NULL, NULL, provenance FROM attempts WHERE number = 6", ATTEMPT_BEGINS),
        ("INSERT INTO attempts SELECT * FROM attempts WHERE number = 6", ATTEMPT_BEGINS),
        ("DELETE FROM attempts WHERE number = 6", "attempts are never deleted"),
        ("UPDATE metrics SET value = 0.9 WHERE number = 1 AND final", MEASURED),
        ("UPDATE metrics SET value = 0.9 WHERE number = 1 AND NOT final", MEASURED),
        ("UPDATE metrics SET value = 0.9 WHERE number = 3 AND attempt = 1", MEASURED),
        ("UPDATE metrics SET value = 0.9 WHERE number = 4", MEASURED),
        ("UPDATE metrics SET step = 9 WHERE number = 6", MEASURED),
        ("UPDATE metrics SET name = 'AR' WHERE number = 6", MEASURED),
        ("INSERT INTO metrics SELECT 1, 1, 1, 9, 'AP', value, final FROM metrics WHERE number = 6", "only what runs is measured"),
        ("INSERT INTO metrics SELECT 1, 3, 1, 9, 'AP', value, final FROM metrics WHERE number = 6", "only what runs is measured"),
        ("DELETE FROM metrics WHERE number = 6", "metrics are never deleted"),
        ("UPDATE campaigns SET token = 0", TOKEN),
        ("UPDATE campaigns SET pid = pid + 1", TOKEN),
        ("UPDATE campaigns SET host = 'another', boot = 'another'", TOKEN),
        ("UPDATE campaigns SET name = 'omega'", CAMPAIGN),
        ("UPDATE campaigns SET seed = 1", CAMPAIGN),
        ("UPDATE campaigns SET created = '2000-01-01'", CAMPAIGN),
        ("UPDATE campaigns SET config = '{\"name\": \"alpha\"}'", MADE_WITH),
        ("UPDATE campaigns SET data_hash = 'other'", MADE_WITH),
        ("UPDATE campaigns SET versions = '{\"numpy\": \"1\"}'", MADE_WITH),
        ("DELETE FROM campaigns", "campaigns are never deleted"),
    ],
)  # fmt: skip
def test_the_past_stays(lived: str, by_hand: ByHand, statement: str, message: str) -> None:
    refused = by_hand(lived, statement)
    # of several guards that apply, SQLite asks them in any order
    assert message in refused or refused.startswith("SpineNAS: ")


def test_orders_are_given_one_after_the_other(engine: Any, lived: str, by_hand: ByHand) -> None:
    lived = engine.copy(lived)
    assert by_hand(lived, "UPDATE attempts SET ended = started, seconds = 0 WHERE number = 6") == ""
    end = "UPDATE trials SET status = 'stopped', ended = started, finish_order = {} WHERE number = 6"
    for order in (1, 3, 5, 9):
        assert "the finish order after the last one" in by_hand(lived, end.format(order))
    assert by_hand(lived, end.format(4)) == ""


@pytest.mark.parametrize("table", ["campaigns", "trials", "attempts", "metrics"])
@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_tables_are_not_emptied(lived: str, by_hand: ByHand, table: str) -> None:
    assert "rows are never deleted" in by_hand(lived, f"TRUNCATE {table} CASCADE")


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT OR REPLACE INTO trials SELECT * FROM trials WHERE number = 6",
        "INSERT OR REPLACE INTO attempts SELECT * FROM attempts WHERE number = 6",
        "INSERT OR REPLACE INTO metrics SELECT * FROM metrics WHERE number = 1",
        "INSERT OR REPLACE INTO campaigns SELECT * FROM campaigns",
    ],
)
@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_replacing_is_no_way_around(lived: str, by_hand: ByHand, statement: str) -> None:
    assert "SpineNAS: " in by_hand(lived, statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE campaigns SET token = token + 1, pid = pid + 1",
        "UPDATE campaigns SET host = NULL, boot = NULL, pid = NULL, process_start = NULL, beat = NULL",
        "UPDATE trials SET attempt = 3, started = '2027-01-01' WHERE number = 3",
        "UPDATE trials SET attempt = 2, status = 'running', started = '2027-01-01' WHERE number = 4",
        "UPDATE metrics SET value = 0.25 WHERE number = 6",
        "INSERT INTO metrics SELECT 1, 6, 1, 9, 'AP', value, final FROM metrics WHERE number = 6",
    ],
)
def test_what_is_legal_stays_possible(engine: Any, lived: str, by_hand: ByHand, statement: str) -> None:
    assert by_hand(engine.copy(lived), statement) == ""


def test_a_refusal_is_a_typed_line(store: Store, writer: Writer, new_trial: NewTrialFactory) -> None:
    with pytest.raises(Guarded, match="a trial begins running its first attempt") as caught:
        writer.reserve(new_trial(2), "")
    assert "\n" not in str(caught.value)
    assert store.trials("alpha") == ()


def test_late_metrics_of_another_attempt_are_refused(writer: Writer, new_trial: NewTrialFactory) -> None:
    writer.reserve(new_trial(1), "")
    writer.start(1, 2, "")
    with pytest.raises(ValueError, match="cannot observe attempt 1, it is running at attempt 2"):
        writer.observe(1, 1, Progress(step=1, metrics={"AP": 0.1}))


def test_the_guards_that_are_looked_for_are_those_of_the_migrations() -> None:
    names = ("0003_guards", "0004_campaigns_made_once")
    migrations = [importlib.import_module(f"results_db.migrations.versions.{name}") for name in names]
    assert [guard.name for migration in migrations for guard in migration.GUARDS] == list(GUARDS)
