"""Sets of rewards beside those that were told: stored, ranked, brought up to date, kept apart."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from results_db.errors import LabelTaken, UnknownCampaign, UnknownLabel
from results_db.records import Json, NewCampaign, NewTrial
from results_db.store import Store
from results_db.writer import Writer
from search_space.trial import Measurement

RULE: dict[str, Json] = {"kind": "soft", "cost": "flops", "target": 2.5}


@pytest.fixture(autouse=True)
def finished(writer: Writer, new_trial: Callable[[int], NewTrial]) -> None:
    """Trials 1 to 4, finished as 2, 1, 4, 3 with rewards of a tenth of their number."""
    for number in range(1, 5):
        writer.reserve(new_trial(number), "")
    for number in (2, 1, 4, 3):
        writer.finish(number, 1, Measurement(step=5, metrics={"AP": number / 10}), number / 10)


def ranked(store: Store, label: str, limit: int = 9) -> list[tuple[int, float]]:
    return [(trial.number, reward) for trial, reward in store.rescored("alpha", label, limit)]


def test_a_set_ranks_by_itself_and_leaves_the_rewards_alone(store: Store) -> None:
    before = store.trials("alpha")
    store.rescore("alpha", "cheap", RULE, {1: 0.5, 2: 0.125, 4: 0.5})
    assert ranked(store, "cheap") == [(1, 0.5), (4, 0.5), (2, 0.125)]  # 1 finished before 4
    assert ranked(store, "cheap", limit=1) == [(1, 0.5)]
    assert store.trials("alpha") == before
    assert store.summary("alpha", 5).best == store.trial("alpha", 4)


def test_the_same_rule_again_brings_a_set_up_to_date(store: Store) -> None:
    store.rescore("alpha", "cheap", RULE, {1: 0.5, 2: 0.25})
    store.rescore("alpha", "cheap", dict(RULE), {2: 0.75, 3: 0.5})
    assert ranked(store, "cheap") == [(2, 0.75), (3, 0.5)]


def test_another_rule_is_refused_its_label(store: Store) -> None:
    store.rescore("alpha", "cheap", RULE, {1: 0.5})
    with pytest.raises(LabelTaken, match="campaign 'alpha': the rewards 'cheap' are there already"):
        store.rescore("alpha", "cheap", RULE | {"target": 3.5}, {1: 0.75})
    assert ranked(store, "cheap") == [(1, 0.5)]


def test_labels_and_campaigns_are_kept_apart(store: Store) -> None:
    store.add(NewCampaign(name="beta", seed=7, config={}, config_hash="", code_version=""))
    store.rescore("alpha", "cheap", RULE, {1: 0.5})
    store.rescore("alpha", "small", RULE, {2: 0.5})
    assert (ranked(store, "cheap"), ranked(store, "small")) == ([(1, 0.5)], [(2, 0.5)])
    with pytest.raises(UnknownLabel, match="campaign 'beta': no rewards 'cheap'; there is: none"):
        store.rescored("beta", "cheap", 1)
    with pytest.raises(UnknownLabel, match="no rewards 'chaep'; did you mean 'cheap'"):
        ranked(store, "chaep")
    with pytest.raises(UnknownLabel, match="no rewards 'x'; there is: cheap, small"):
        ranked(store, "x")
    with pytest.raises(UnknownCampaign):
        store.rescore("gamma", "cheap", RULE, {})


def test_a_driver_at_work_is_not_disturbed(store: Store, writer: Writer) -> None:
    store.rescore("alpha", "cheap", RULE, {1: 0.5})
    writer.reserve(NewTrial(number=5, genome="g", fingerprint="f", note={}, seed=9, told=4), "")
    assert writer.finish(5, 1, Measurement(step=5, metrics={}), 0.9).finish_order == 5


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("INSERT INTO rewards VALUES (1, 'cheap', 99, 0.5)", "FOREIGN KEY"),
        ("INSERT INTO rewards VALUES (1, 'dear', 2, 0.5)", "FOREIGN KEY"),
        ("INSERT INTO rewards VALUES (1, 'cheap', 1, 0.5)", "UNIQUE"),
        ("INSERT INTO rewards VALUES (1, 'cheap', 2, 9e999)", "ck_rewards_reward_finite"),
        ("INSERT INTO rewards VALUES (1, 'cheap', 2, NULL)", "NOT NULL"),
        ("INSERT INTO reward_sets VALUES (1, '', '{}', '2026-01-01')", "ck_reward_sets_labelled"),
        ("INSERT INTO reward_sets VALUES (9, 'x', '{}', '2026-01-01')", "FOREIGN KEY"),
    ],
)
def test_illegal_sets_cannot_be_written(
    store: Store, address: str, by_hand: Callable[[str, str], str], statement: str, constraint: str
) -> None:
    store.rescore("alpha", "cheap", RULE, {1: 0.5})
    refused = by_hand(address, statement).lower().replace("not-null", "not null")
    assert constraint.lower() in refused or ("9e999" in statement and "out of range" in refused)
