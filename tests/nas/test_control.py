"""The control arm: random search with a campaign's budget, and what is said of the two."""

from __future__ import annotations

import dataclasses
import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from nas.config import load
from nas.control import _best_of, _finalists, control_facts, prepare
from nas.errors import Refusal
from nas.finalists import Finalist
from nas.launch import create, driving, find, run
from results_db.records import TrialStatus
from results_db.store import Store

Written = Callable[..., Path]
Nas = Callable[..., Any]


def test_a_campaign_may_end_with_its_control(nas: Nas, written: Written, home: Path) -> None:
    ran = nas("run", written({"control": True}))
    assert ran.code == 0, ran.err
    assert "small against random search" in ran.out
    facts = json.loads(nas("control", "small", "--json").out)
    rewards = {}
    for name in ("small", "small.control"):
        with Store.read(find(home, name)[0].database) as store:
            rewards[name] = store.rewards(name)
            trials = store.trials(name)
        assert len(trials) == facts["trials"] == facts["control_trials"] == 8
        assert any("parents" in trial.note for trial in trials) == (name == "small")
    mine, theirs = rewards["small"], rewards["small.control"]
    assert [row["trials"] for row in facts["rows"]] == [2, 4, 6, 8]
    assert [row["best"] for row in facts["rows"]] == [max(mine[:look]) for look in (2, 4, 6, 8)]
    assert facts["rows"][-1]["control_best"] == max(theirs)
    p = mannwhitneyu(mine[4:], theirs, alternative="greater").pvalue
    assert facts["later"] == pytest.approx(
        {"median": np.median(mine[4:]), "control_median": np.median(theirs), "p": p}
    )
    assert facts["finalists"] is None


def test_finalists_of_both_are_compared(nas: Nas, written: Written) -> None:
    assert nas("run", written()).code == 0
    assert nas("control", "small").code == 0
    for name in ("small", "small.control"):
        assert nas("finalists", name, "--top", 2, "--seeds", 2).code == 0
    report = nas("control", "small", "--report")
    assert "best finalist" in report.out
    best = json.loads(nas("finalists", "small", "--json").out)["finalists"][0]
    assert json.loads(nas("control", "small", "--json").out)["finalists"]["mean"] == best["mean"]


def test_the_control_differs_by_its_controller_and_its_seeds_only(tmp_path: Path, written: Written) -> None:
    config = load(written({"budget": {"trials": 5}, "warm_start": ["r0-sp53"]}))
    create(config, tmp_path)
    made = prepare(tmp_path, config.name)
    assert prepare(tmp_path, config.name) == made
    assert (made.controller.kind, made.warm_start, made.seed != config.seed) == ("random_search", (), True)
    for same in ("space", "evaluator", "reward", "limits", "runner", "budget", "stopping", "failures"):
        assert getattr(made, same) == getattr(config, same)
    for arm in ("control", "finalists"):
        create(dataclasses.replace(config, name=f"other.{arm}"), tmp_path)
        for refusing in (prepare, control_facts):
            with pytest.raises(Refusal, match="expected one that searches"):
                refusing(tmp_path, f"other.{arm}")


def test_the_control_of_another_campaign_is_refused(tmp_path: Path, written: Written) -> None:
    config = load(written())
    create(config, tmp_path)
    assert prepare(tmp_path, "small") == prepare(tmp_path, "small")
    shutil.rmtree(tmp_path / "small")
    create(dataclasses.replace(config, seed=config.seed + 1), tmp_path)
    with pytest.raises(Refusal, match=r"'small.control' is not the control of 'small' as it is now"):
        prepare(tmp_path, "small")
    with pytest.raises(Refusal, match=r"'small.control' is not the control of 'small' as it is now"):
        control_facts(tmp_path, "small")


@pytest.mark.parametrize("count", [1, 2, 3, 6, 7])
def test_the_best_of_random_draws_is_exact(count: int) -> None:
    """Against all draws from eight values, two of them equal, without replacement."""
    values = (0.3, 0.1, 0.4, 0.2, 0.35, 0.4, 0.05, 0.25)
    every = [max(draw) for draw in itertools.combinations(values, count)]
    found = _best_of(values, count)
    assert found["control_best"] == pytest.approx(np.mean(every))
    wanted = np.quantile(every, (0.025, 0.975), method="inverted_cdf")
    assert found["control_range"] == pytest.approx(wanted.tolist())


def test_all_of_the_control_is_one_draw() -> None:
    assert _best_of((0.3, 0.4, 0.2), 3) == {"control_best": 0.4, "control_range": None}


def test_what_was_measured_again_is_no_proposal(nas: Nas, written: Written, home: Path) -> None:
    config = {
        "controller": {"kind": "random_search", "contenders": {"share": 0.5}},
        "evaluator": {"kind": "synthetic", "noise": 0.3, "failures": 0.1},
        "budget": {"trials": 16},
        "control": True,
    }
    ran = nas("run", written(config))
    assert ran.code == 0, ran.err
    rewards: dict[str, list[float]] = {}
    for name in ("small", "small.control"):
        with Store.read(find(home, name)[0].database) as store:
            trials = sorted(store.trials(name), key=lambda trial: trial.finish_order or 0)
        assert any("again" in trial.note for trial in trials) == (name == "small")
        first = {trial.fingerprint: trial.reward for trial in reversed(trials) if trial.reward is not None}
        rewards[name] = [
            trial.reward
            for trial in trials
            if trial.reward is not None and first[trial.fingerprint] == trial.reward
        ]
    mine, theirs = rewards["small"], rewards["small.control"]
    assert len(mine) < len(theirs) < 16
    facts = json.loads(nas("control", "small", "--json").out)
    assert (facts["trials"], facts["control_trials"]) == (len(mine), len(theirs))
    assert facts["rows"][-1]["trials"] == len(mine)
    assert [row["best"] for row in facts["rows"]] == [max(mine[: row["trials"]]) for row in facts["rows"]]
    p = mannwhitneyu(mine[len(mine) // 2 :], theirs, alternative="greater").pvalue
    assert facts["later"]["p"] == pytest.approx(p)


def test_rows_go_as_far_as_both_do(nas: Nas, written: Written, home: Path) -> None:
    """While the control is under way there are no more of its trials to draw."""
    assert nas("run", written()).code == 0
    prepare(home, "small")
    with driving(*find(home, "small.control")) as drive:

        def stop_on_the_way() -> None:
            if drive.campaign.snapshot().counts[TrialStatus.FINISHED] >= 4:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run(drive, stop_on_the_way)
    report = nas("control", "small", "--report")
    assert report.code == 0, report.err
    rows = json.loads(nas("control", "small", "--json").out)["rows"]
    assert [row["trials"] for row in rows] == [1, 2, 3, 4]
    assert [row["control_range"] is None for row in rows] == [False, False, False, True]


def test_finalists_that_never_vary_are_told_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for theirs, p in ((0.4, 0.0), (0.5, 1.0), (0.6, 1.0)):
        rows = {
            "a": [Finalist(1, "x", 0.7, (0.5, 0.5), 0)],
            "a.control": [Finalist(1, "y", 0.7, (theirs,) * 2, 0)],
        }
        monkeypatch.setattr("nas.finalists.standing", lambda _, name, rows=rows: rows[name])
        assert _finalists(tmp_path, "a") == {"mean": 0.5, "control_mean": theirs, "p": p}


def test_nothing_to_compare_is_one_line(nas: Nas, written: Written) -> None:
    assert nas("run", written()).code == 0
    refused = nas("control", "small", "--report")
    assert refused.code == 2
    assert "no campaign 'small.control'" in refused.err


def test_a_name_too_long_for_a_control_is_one_line(nas: Nas, written: Written) -> None:
    name = "n" * 60
    assert nas("run", written({"name": name})).code == 0
    for words in ((), ("--report",), ("--json",)):
        refused = nas("control", name, *words)
        assert refused.code == 2
        assert "would be longer than 64 characters" in refused.err


def test_it_changes_no_hash(written: Written) -> None:
    config = load(written())
    assert dataclasses.replace(config, control=True).hash == config.hash
