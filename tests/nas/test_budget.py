"""Budgets are hard: what is spent follows from the stored attempts, and no limit is passed."""

from __future__ import annotations

import dataclasses
import json
import math
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from nas.budget import Account, Budget, Limit, Price, Spent, has_room, spent, uses
from nas.config import from_json
from results_db.fence import Holder
from results_db.records import NewCampaign, NewTrial
from results_db.store import Store
from search_space.trial import Progress

Nas = Callable[..., Any]
Written = Callable[..., Path]

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


def test_hours_count_once_where_trials_overlap_and_not_where_none_ran() -> None:
    intervals = [(at(0), at(2)), (at(1), at(3)), (at(1), at(1.5)), (at(10), at(11)), (at(10.5), None)]

    assert spent(intervals, until=at(12)) == Spent(hours=3 + 2, trial_hours=2 + 2 + 0.5 + 1 + 1.5)
    assert spent([], at(0)) == Spent()
    assert spent([(at(5), None)], until=at(1)) == Spent()


def test_an_account_kept_up_to_date_is_the_one_read_back() -> None:
    rng = random.Random(1)
    account, stored = Account((), ()), list[tuple[datetime, datetime | None]]()
    running = dict[int, datetime]()
    for number in range(200):
        moment = at(number / 10)
        if running and rng.random() < 0.5:
            ended = rng.choice(sorted(running))
            account.end(ended, moment)
            stored.append((running.pop(ended), moment))
        else:
            account.begin(number, moment)
            running[number] = moment
    whole = [*stored, *((began, None) for began in running.values())]

    ours, theirs = account.spent(at(21)), spent(whole, at(21))

    assert (ours.hours, ours.trial_hours) == pytest.approx((theirs.hours, theirs.trial_hours))
    assert ours.trial_hours > ours.hours > 0


def test_money_is_rates_times_hours() -> None:
    budget = Budget(trials=1, money=100, price=Price(hour=1, core_hour=0.5, device_hour=2))

    (limit,) = budget.limits(cores=4, devices=0.5)

    assert limit.used(Spent(hours=3, trial_hours=10)) == 1 * 3 + 0.5 * 40 + 2 * 5


def test_a_trial_begins_only_where_a_typical_one_fits() -> None:
    limits = (Limit("core_hours", 10.0, 0.0, 2.0),)

    def fits(trial_hours: float, *elapsed: float) -> bool:
        return has_room(limits, Spent(0, trial_hours), [3600 * each for each in elapsed], typical=3600.0)

    assert fits(3.9)
    assert not fits(4.1)
    assert fits(2.9, 0.5, 0.5)  # 2.9 and 1 to come of those that run, and 1: 4.9 hours of 2 cores
    assert not fits(3.1, 0.5, 0.5)
    assert has_room(limits, Spent(0, 4.1), [], typical=0.0)  # nobody knows yet: until the limit itself


def test_what_lasts_how_long_at_the_pace_so_far() -> None:
    limits = (Limit("hours", 10.0, 1.0, 0.0), Limit("core_hours", 24.0, 0.0, 1.0))

    hours, cores = uses(limits, Spent(hours=2.0, trial_hours=8.0))  # four at a time

    assert (hours.used, hours.seconds_left) == (2.0, 8 * 3600)
    assert (cores.used, cores.seconds_left) == (8.0, 4 * 3600)
    assert uses(limits, Spent())[1].seconds_left is None
    assert math.isinf(Account(limits, ()).seconds_left(NOON))


@pytest.mark.parametrize(
    ("budget", "told"),
    [
        ({"trials": 5, "hours": 0}, "hours=0.0, expected more than 0"),
        ({"trials": 5, "core_hours": -1}, "core_hours=-1.0"),
        ({"trials": 5, "money": 5}, "money and price go together"),
        ({"trials": 5, "price": {"hour": 1}}, "money and price go together"),
        ({"trials": 5, "money": 5, "price": {}}, "one above 0"),
        ({"trials": 5, "money": 5, "price": {"device_hour": 2}}, "nothing would cost"),
        ({"trials": 5, "device_hours": 5}, "gpus_per_worker=0"),
        ({"trials": 5, "minutes": 5}, "unknown key"),
    ],
)
def test_a_budget_that_can_not_be(words: dict[str, Any], budget: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        from_json(words | {"budget": budget})


def test_a_budget_is_stored_and_part_of_what_is_searched(words: dict[str, Any]) -> None:
    budget = {"trials": 8, "hours": 2, "money": 3, "price": {"core_hour": 0.5}}
    config = from_json(words | {"budget": budget})

    again = from_json(json.loads(json.dumps(config.to_json())))

    assert again == config
    assert config.hash != from_json(words).hash
    assert [limit.word for limit in config.rules.limits] == ["hours", "money"]


LIMITS: dict[str, dict[str, Any]] = {
    "hours": {"hours": 4 / 3600},
    "core_hours": {"core_hours": 4 / 3600},
    "money": {"money": 2, "price": {"core_hour": 1800}},  # two seconds a unit
}


def _seconds(home: Path) -> tuple[float, int]:
    with Store.read(f"sqlite:///{home / 'small' / 'campaign.sqlite'}") as store:
        attempts = store.attempts("small")
        return sum(each.seconds or 0.0 for each in attempts), len(attempts)


@pytest.mark.parametrize("word", LIMITS)
def test_no_limit_is_passed_even_by_one_long_trial(nas: Nas, home: Path, written: Written, word: str) -> None:
    """The evaluator tells nothing for a minute, so the trial must be broken off in the middle."""
    endless = {"kind": "synthetic", "seconds": 60, "steps": 0}
    ran = nas("run", written({"evaluator": endless, "budget": {"trials": 8, **LIMITS[word]}}))

    seconds, attempts = _seconds(home)
    assert (ran.code, ran.err, attempts) == (0, "", 1)
    assert 0 < seconds <= 4
    assert "budget spent after 0 of 8 trials" in ran.out
    facts = json.loads(nas("status", "small", "--json").out)
    assert (facts["state"], facts["counts"]["proposed"]) == ("budget spent", 1)
    assert facts["limits"][0]["limit"] == word
    assert 0 < facts["limits"][0]["used"] <= facts["limits"][0]["most"]
    again = nas("resume", "small")
    assert again.code == 0
    assert [line for line in again.out.splitlines() if line.startswith("budget spent after 0 of 8")]
    assert _seconds(home) == (seconds, 1)


def test_what_a_dead_driver_left_open_ends_with_its_last_sign_of_life(tmp_path: Path) -> None:
    dead = dataclasses.replace(Holder.me(), pid=2**22 + 1, process_start="long ago")
    new = NewTrial(number=1, genome="g", fingerprint="f", note={}, seed=1, told=0)
    with Store.create(f"sqlite:///{tmp_path}/campaign.sqlite") as store:
        store.add(NewCampaign(name="c", seed=1, config={}, config_hash="", code_version=""))
        writer = store.take("c", me=dead)
        writer.reserve(new, "")
        time.sleep(0.05)
        writer.observe(1, 1, Progress(step=1, metrics={"AP": 0.5}))
        beat = store.fence("c").beat
        (before,) = store.attempts("c")
        with store.take("c") as taken:
            (after,) = store.attempts("c")
            taken.start(1, 2, "")
            again = store.attempts("c", 1)

    assert before.ended is None
    assert beat is not None
    assert after.ended == beat > after.started
    assert after.seconds == (beat - after.started).total_seconds() >= 0.05
    assert after.failure is None
    assert [each.ended for each in again] == [beat, None]


def test_what_earlier_drivers_spent_counts(nas: Nas, home: Path, written: Written) -> None:
    """A trial of a second each: the first driver is cut off, the second has only the rest."""
    from nas.launch import driving, find, run

    path = written(
        {"evaluator": {"kind": "synthetic", "seconds": 0.5}, "budget": {"trials": 50, "core_hours": 6 / 3600}}
    )
    from nas.config import load
    from nas.launch import create

    create(load(path), home)

    class Cut(Exception):
        """As a crash would, but for what is put away."""

    def tick() -> None:
        if drive.campaign.snapshot().counts["finished"] >= 3:  # type: ignore[index] # a StrEnum is a text
            raise Cut

    with pytest.raises(Cut), driving(*find(home, "small")) as drive:
        run(drive, tick)
    before, _ = _seconds(home)
    ran = nas("resume", "small")
    seconds, attempts = _seconds(home)

    assert before >= 1.5
    assert ran.code == 0
    assert "budget spent" in ran.out
    assert seconds <= 6
    assert attempts < 50
    shown = nas("status", "small").out
    assert "of 0.00166667 core-hours" in shown
    assert "budget spent" in shown


def test_the_status_says_what_ends_it_and_when(nas: Nas, home: Path, written: Written) -> None:
    from nas.config import load
    from nas.launch import create, driving, find, run

    class Cut(Exception):
        """Enough is seen."""

    path = written(
        {"evaluator": {"kind": "synthetic", "seconds": 0.2}, "budget": {"trials": 10**6, "hours": 1}}
    )
    create(load(path), home)

    def tick() -> None:
        if drive.campaign.snapshot().counts["finished"] >= 4:  # type: ignore[index] # as above
            raise Cut

    with pytest.raises(Cut), driving(*find(home, "small")) as drive:
        run(drive, tick)
    forecast = json.loads(nas("status", "small", "--json").out)["forecast"]

    assert forecast["limit"] == "hours"
    assert 3500 < forecast["seconds_left"] < 3600
    assert 4000 < forecast["trials"] < 3600 / 0.2 + 10
    assert "hours end it in 60 min" in nas("status", "small").out


def test_ray_ends_its_workers_at_the_limit(ray_session: None, home: Path, written: Written) -> None:
    from nas.config import load
    from nas.launch import create, driving, find, run

    del ray_session
    long = {"kind": "synthetic", "seconds": 60, "steps": 0}
    path = written(
        {
            "evaluator": long,
            "runner": {"kind": "ray", "workers": 2},
            "budget": {"trials": 8, "core_hours": 8 / 3600},
        }
    )
    create(load(path), home)
    with driving(*find(home, "small")) as drive:
        run(drive, lambda: None)
        assert drive.campaign.snapshot().spent

    seconds, attempts = _seconds(home)
    assert attempts == 2
    assert 0 < seconds <= 8


def test_finalists_have_what_the_search_left(nas: Nas, home: Path, written: Written) -> None:
    from nas.finalists import prepare

    budget = {"trials": 4, "hours": 1.0, "core_hours": 2.0}
    nas("run", written({"budget": budget, "evaluator": {"kind": "synthetic", "seconds": 0.2}}))

    made = prepare(home, "small", None).budget

    assert made.trials == 4 * 3
    assert made.hours is not None
    assert 0.99 < made.hours < 1.0 - 4 * 0.2 / 3600
    assert made.core_hours is not None
    assert 1.99 < made.core_hours < 2.0 - 4 * 0.2 / 3600


def test_a_pause_makes_no_campaign_slow() -> None:
    from nas.status_facts import _pace

    began = datetime(2026, 1, 1, tzinfo=UTC)
    moments = [began + timedelta(minutes=minute) for minute in range(25)]
    moments += [moment + timedelta(days=3) for moment in moments]
    recent = [(moment, moment + timedelta(minutes=1)) for moment in moments]
    assert _pace(recent) == pytest.approx(60)
    assert _pace([]) is None
