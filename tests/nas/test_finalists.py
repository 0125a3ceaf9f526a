"""Finalists: the best trained again as a campaign of its own, and how sure the order is."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import t, ttest_ind

from controller.nsga2 import Nsga2Config
from nas import control, ranking
from nas.budget import Budget
from nas.config import FinalistsConfig, load
from nas.errors import Refusal
from nas.finalists import Finalist, finalist_facts, passed_over, prepare, ranked, standing, winner
from nas.launch import create, driving, find, run
from nas.limits import Limits
from nas.objectives import Objective
from nas.warm_start import named
from proxy_trainer.config import ProxyConfig
from proxy_trainer.data.config import Split, Splits
from proxy_trainer.synthetic import SyntheticConfig
from results_db.store import Store
from search_space.trial import Assignment, Measurement

Written = Callable[..., Path]
Nas = Callable[..., Any]


def ran(root: Path, written: Written, **changes: Any) -> Any:
    config = dataclasses.replace(load(written()), **changes)
    folder = create(config, root)
    with driving(folder, config) as drive:
        run(drive, lambda: None)
    return config


def train(root: Path, name: str, top: int = 3, seeds: int = 4) -> Any:
    made = prepare(root, name, FinalistsConfig(top=top, seeds=seeds))
    folder, config = find(root, made.name)
    with driving(folder, config) as drive:
        run(drive, lambda: None)
        return drive.store.trials(made.name)


def test_the_winner_is_the_finalist_of_the_highest_mean_once_all_are_trained(
    tmp_path: Path, written: Written
) -> None:
    evaluator = SyntheticConfig(noise=0.3)  # so that who was best at first is not so again
    config = ran(tmp_path, written, evaluator=evaluator)
    assert winner(tmp_path, config.name) is None
    made = prepare(tmp_path, config.name, FinalistsConfig(top=4, seeds=4))
    folder, _ = find(tmp_path, made.name)
    with driving(folder, made) as drive:
        for reward in (0.1, 0.2, 0.9, 0.3):
            given = drive.campaign.propose()
            assert isinstance(given, Assignment)
            drive.campaign.record(given.number, given.attempt, Measurement(step=1, metrics={"AP": reward}))
    rows = standing(tmp_path, config.name)
    assert rows is not None
    assert winner(tmp_path, config.name) is None
    assert passed_over(tmp_path, config.name) == "they are not all trained yet"
    with driving(folder, made) as drive:
        run(drive, lambda: None)
    rows = standing(tmp_path, config.name)
    assert rows is not None
    means = {row.number: np.mean(row.rewards) for row in rows}
    assert winner(tmp_path, config.name) == max(means, key=lambda number: means[number])


def test_finalists_that_were_chosen_too_early_have_no_winner_and_the_export_says_so(
    nas: Nas, written: Written, home: Path, tmp_path: Path
) -> None:
    place = create(config := load(written()), home)
    with driving(place, config) as drive:
        for number in range(1, 4):
            given = drive.campaign.propose()
            assert isinstance(given, Assignment)
            result = Measurement(step=1, metrics={"AP": 0.1 * number, "loss": 1.0})
            drive.campaign.record(given.number, given.attempt, result)
    assert passed_over(home, "small") == ""
    assert nas("finalists", "small", "--top", "2", "--seeds", "2").code == 0
    assert nas("resume", "small").code == 0

    assert winner(home, "small") is None
    exported = nas("export", "small", "--out", tmp_path / "out")
    assert exported.code == 0, exported
    assert "finalists: they were chosen before the last trial of 'small' ended" in exported.err


def test_the_winner_is_what_is_exported(nas: Nas, written: Written, home: Path, tmp_path: Path) -> None:
    noisy = {"kind": "synthetic", "noise": 0.3}
    path = written({"seed": 1, "evaluator": noisy, "finalists": {"top": 4, "seeds": 3}})
    assert nas("run", path).code == 0
    chosen = winner(home, "small")
    with Store.read(find(home, "small")[0].database) as store:
        first = ranking.best(store, "small", 1)[0].trial.number
    assert chosen not in (None, first), "choose another seed: this test tells nothing"

    exported = nas("export", "small", "--out", tmp_path / "out")

    assert (exported.code, f"trial {chosen}: the best of the finalists" in exported.err) == (0, True), (
        exported
    )
    assert f"trial: {chosen}\n" in (tmp_path / "out" / "spec.yaml").read_text()


def test_the_best_are_trained_again_with_new_seeds(tmp_path: Path, written: Written) -> None:
    config = ran(tmp_path, written)
    again = train(tmp_path, config.name)
    folder, _ = find(tmp_path, config.name)
    with Store.read(folder.database) as store:
        best = [each.trial for each in ranking.best(store, config.name, 3)]
        first = store.trials(config.name)
    assert len(again) == 12
    assert [trial.genome for trial in again] == [trial.genome for trial in best] * 4
    assert not {trial.seed for trial in again} & {trial.seed for trial in first}

    rows = standing(tmp_path, config.name)
    assert rows is not None
    assert {row.number for row in rows} == {trial.number for trial in best}
    for row in rows:
        rewards = tuple(trial.reward for trial in again if trial.genome == row.genome)
        assert row.rewards == rewards
        assert row.found == next(trial.reward for trial in best if trial.number == row.number)
    means = [np.mean(row.rewards) for row in rows]
    assert means == sorted(means, reverse=True)


def test_a_campaign_with_all_its_words_has_finalists_too(tmp_path: Path, written: Written) -> None:
    starts, limits = ("r0-sp53",), Limits(max_flops=96e9)
    objectives = (Objective(metric="AP"), Objective(metric="flops", better="less"))
    config = ran(
        tmp_path,
        written,
        controller=Nsga2Config(population=4),
        warm_start=named(starts),
        limits=limits,
        objectives=objectives,
    )
    assert len(train(tmp_path, config.name)) == 12


def test_going_on_is_the_same_campaign(tmp_path: Path, written: Written) -> None:
    config = ran(tmp_path, written)
    made = prepare(tmp_path, config.name, FinalistsConfig(top=3, seeds=4))

    assert prepare(tmp_path, config.name, None) == made
    for top, seeds in ((5, 2), (6, 2), (3, 3)):  # of these the second takes as many trainings
        with pytest.raises(Refusal, match=f"with 3 networks and 4 seeds each, expected {top} and {seeds}"):
            prepare(tmp_path, config.name, FinalistsConfig(top=top, seeds=seeds))


def test_more_than_there_are_is_all_of_them_each_time(tmp_path: Path, written: Written) -> None:
    config = ran(tmp_path, written)
    made = prepare(tmp_path, config.name, FinalistsConfig(top=30, seeds=2))

    assert made.budget.trials == 8 * 2
    assert prepare(tmp_path, config.name, FinalistsConfig(top=30, seeds=2)) == made


def test_finalists_have_none_of_their_own(nas: Any, written: Written) -> None:
    assert nas("run", written({"finalists": {"top": 2, "seeds": 2}})).code == 0
    for words in ((), ("--json",), ("--top", "1")):
        ended = nas("finalists", "small.finalists", *words)
        assert ended.code == 2
        assert "expected one that searches, not finalists of one" in ended.err
    assert nas("finalists", "small", "--top", 2).code == 0  # the seeds are those of the config


def test_a_proxy_is_judged_on_the_confirm_split() -> None:
    proxy = ProxyConfig()
    assert proxy.judge is Split.REWARD
    assert dataclasses.replace(proxy, judge=Split.CONFIRM).judge is Split.CONFIRM
    with pytest.raises(ValueError, match="splits: confirm=0"):
        ProxyConfig(splits=Splits(confirm=0), judge=Split.CONFIRM)


def test_resuming_them_ends_with_them(nas: Any, written: Written) -> None:
    """Whatever their campaign does at its end."""
    assert nas("run", written({"finalists": {"top": 2, "seeds": 2}, "control": True})).code == 0
    resumed = nas("resume", "small.finalists")
    assert resumed.code == 0, resumed.err


def test_they_change_no_hash(written: Written) -> None:
    config = load(written())
    assert dataclasses.replace(config, finalists=FinalistsConfig()).hash == config.hash


def test_intervals_and_the_test_are_scipys() -> None:
    a, b = (0.5, 0.6, 0.55), (0.3, 0.32, 0.4)
    facts = finalist_facts([Finalist(7, "x", 0.7, a, 0), Finalist(2, "y", 0.8, b, 1)])

    for row, values in zip(facts["finalists"], (a, b), strict=True):
        mean, sem = np.mean(values), np.std(values, ddof=1) / np.sqrt(3)
        assert row["mean"] == pytest.approx(mean)
        assert row["interval"] == pytest.approx(t.interval(0.95, 2, loc=mean, scale=sem))
    assert facts["p"] == pytest.approx(ttest_ind(a, b, equal_var=False).pvalue)
    assert facts["settled"]
    close = finalist_facts([Finalist(7, "x", 0.7, a, 0), Finalist(2, "y", 0.8, (0.5, 0.58, 0.56), 0)])
    assert not close["settled"]


def test_the_first_is_to_be_told_apart_from_every_other() -> None:
    """Not from the second only: a third whose rewards are far apart may well be the better one."""
    first = Finalist(7, "x", 0.7, (0.6, 0.62, 0.61), 0)
    second = Finalist(2, "y", 0.8, (0.5, 0.51, 0.49), 0)
    third = Finalist(3, "z", 0.8, (0.2, 0.9, 0.3), 0)
    assert finalist_facts([first, second])["settled"]
    facts = finalist_facts([first, second, third])
    assert facts["p"] == pytest.approx(ttest_ind(first.rewards, third.rewards, equal_var=False).pvalue)
    assert not facts["settled"]


def test_one_that_failed_may_be_better_and_is_last_all_the_same() -> None:
    first = Finalist(7, "x", 0.7, (0.5, 0.51, 0.52), 0)
    assert finalist_facts([first, Finalist(2, "y", 0.8, (0.8, 0.81), 1)])["p"] == 1
    second = Finalist(3, "z", 0.8, (0.3, 0.31, 0.32), 0)
    assert finalist_facts([first, second, Finalist(2, "y", 0.8, (0.8,), 2)])["settled"], "no more is to come"
    assert finalist_facts([first, second, Finalist(2, "y", 0.8, (0.8,), 0)])["settled"] is None


def test_which_is_first_is_no_evidence_that_it_is_better() -> None:
    """The same rewards say which it is: a test in the direction that they show would settle this."""
    a, b = (0.5, 0.6, 0.55), (0.38, 0.5, 0.43)
    facts = finalist_facts([Finalist(7, "x", 0.7, a, 0), Finalist(2, "y", 0.8, b, 1)])
    assert ttest_ind(a, b, equal_var=False, alternative="greater").pvalue < 0.05 < facts["p"]
    assert not facts["settled"]


@pytest.mark.parametrize(("other", "p"), [(0.4, 0.0), (0.5, 1.0)])
def test_rewards_that_never_vary_are_certain(other: float, p: float) -> None:
    rows = [Finalist(7, "x", 0.7, (0.5,) * 3, 0), Finalist(2, "y", 0.8, (other,) * 2, 0)]
    assert finalist_facts(rows)["p"] == p


def test_one_lucky_training_of_three_is_not_the_first() -> None:
    rows = [
        Finalist(7, "x", 0.7, (0.5,), 2),
        Finalist(2, "y", 0.8, (0.4, 0.41, 0.42), 0),
        Finalist(3, "z", 0.8, (0.44,) * 3, 0),
    ]
    assert [row.number for row in ranked(rows)] == [3, 2, 7]


def test_too_few_trainings_settle_nothing() -> None:
    facts = finalist_facts([Finalist(7, "x", 0.7, (0.5,), 0), Finalist(2, "y", 0.8, (), 1)])
    assert facts["p"] is facts["settled"] is None
    assert facts["finalists"][0]["interval"] is None
    assert facts["finalists"][1]["mean"] is None
    json.dumps(facts, allow_nan=False)


def test_the_command_line(nas: Any, written: Written) -> None:
    path = written({"finalists": {"top": 2, "seeds": 3}})
    ended = nas("run", path)
    assert ended.code == 0, ended.err
    assert "finalists of small" in ended.out

    assert [row["finalist"] for row in json.loads(nas("top", "small.finalists", "--json").out)] == [None] * 2
    ended = nas("finalists", "small", "--json")
    finalists = json.loads(ended.out)["finalists"]
    assert [len(row["rewards"]) for row in finalists] == [3, 3]
    rows = {row["genome"]: row["finalist"] for row in json.loads(nas("top", "small", "--json").out)}
    for rank, each in enumerate(finalists, start=1):
        assert rows[each["genome"]]["rank"] == rank
        assert rows[each["genome"]]["mean"] == each["mean"]
    assert sum(found is not None for found in rows.values()) == 2
    assert "finalists of small" in nas("top", "small").out
    assert nas("run", written({"name": "other"})).code == 0
    ended = nas("finalists", "other", "--json")
    assert ended.code == 2
    assert "has no finalists yet" in ended.err


def test_they_go_to_the_campaigns_own_database(tmp_path: Path, written: Written) -> None:
    """On a cluster a file in the folder may lie on a file system that SQLite can't be trusted with."""
    elsewhere = f"sqlite:///{tmp_path / 'elsewhere.sqlite'}"
    config = ran(tmp_path, written, database=elsewhere)
    for made in (prepare(tmp_path, config.name, None), control.prepare(tmp_path, config.name)):
        assert find(tmp_path, made.name)[0].database == elsewhere


def test_those_of_an_earlier_campaign_of_the_name_are_no_finalists(
    nas: Any, home: Path, written: Written
) -> None:
    assert nas("run", written()).code == 0
    assert nas("finalists", "small", "--top", 2, "--seeds", 2).code == 0
    shutil.rmtree(home / "small")
    assert nas("run", written({"seed": 4})).code == 0
    for words in (("top", "small"), ("finalists", "small")):
        ended = nas(*words)
        assert ended.code == 2
        assert "they are of an earlier campaign" in ended.err
        assert len(ended.err.splitlines()) == 1


def test_names_that_leave_no_room_are_refused(nas: Any, written: Written) -> None:
    name = "n" * 60
    assert nas("run", written({"name": name})).code == 0
    for words in (("finalists", name), ("control", name)):
        ended = nas(*words)
        assert (ended.code, len(ended.err.splitlines())) == (2, 1)
        assert "would be longer than 64 characters" in ended.err


def test_the_time_after_a_dead_drivers_last_sign_of_life_is_not_spent(
    home: Path, written: Written, forge: Any
) -> None:
    config = dataclasses.replace(load(written()), budget=Budget(trials=8, hours=1.0))
    folder = create(config, home)
    with driving(folder, config) as drive:
        given = drive.campaign.propose()
        assert isinstance(given, Assignment)
        drive.campaign.record(given.number, given.attempt, Measurement(step=1, metrics={"AP": 0.5}))
        drive.campaign.propose()
    ago = "datetime(started, '-3 days')"
    forge(
        home / "small" / "campaign.sqlite",
        f"UPDATE attempts SET started = {ago}, ended = NULL, seconds = NULL WHERE number = 2;"
        "UPDATE campaigns SET pid = 4194305, host = 'gone', process_start = 'x', boot = 'y', "
        "beat = (SELECT datetime(started, '+60 seconds') FROM attempts WHERE number = 2)",
    )
    made = prepare(home, "small", FinalistsConfig(top=1, seeds=2))
    assert made.budget.hours is not None
    assert 0.9 < made.budget.hours < 1
