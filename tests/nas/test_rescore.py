"""`nas rescore`: other rewards from what was measured, under a label, and nothing else touched."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nas.config_file import ConfigError
from nas.rescore import rule
from nas.reward_config import BySizeReward, HardReward, PlainReward, RewardConfig, SoftReward

Nas = Callable[..., Any]
Written = Callable[..., Path]

CHEAP = "kind: soft, cost: flops, target: 2e7, alpha: -0.5, beta: -0.5"


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("AP50", PlainReward(metric="AP50")),
        ("metric: AP50", PlainReward(metric="AP50")),
        ("kind: hard, cost: flops, target: 1e8", HardReward(cost="flops", target=1e8)),
        ("{kind: soft, cost: flops, target: 3}", SoftReward(cost="flops", target=3.0)),
        (" {kind: by_size, small: 2}", BySizeReward(small=2.0)),
    ],
)
def test_words_mean_a_rule(words: str, meant: RewardConfig) -> None:
    assert rule(words) == meant


@pytest.mark.parametrize(
    "text",
    [
        "kind: hard\ncost: flops\ntarget: 1e8\n",
        "name: other\nreward: {kind: hard, cost: flops, target: 1e8}\n",
    ],
)
def test_a_file_holds_a_rule_or_a_config(tmp_path: Path, text: str) -> None:
    (tmp_path / "rule.yaml").write_text(text, encoding="utf-8")
    assert rule(str(tmp_path / "rule.yaml")) == HardReward(cost="flops", target=1e8)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("kind: sofd, cost: flops, target: 1", "--reward: unknown kind 'sofd'; did you mean 'soft'?"),
        ("kind: soft, cost: flops", "--reward: target: is missing"),
        ("kind: soft, cost: flops, target: 0", "--reward: target=0.0, expected more than 0"),
        ("kind: soft, cost: [flops", "--reward: "),
        ("no.yaml", "no.yaml: no such file"),
    ],
)
def test_words_that_mean_none(words: str, told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        rule(words)
    assert str(refused.value).startswith(told)
    assert "\n" not in str(refused.value)


def test_a_slip_in_a_file_is_said_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("name: other\nreward:\n  kind: hard\n  cost: flops\n  tarqet: 3\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"config\.yaml:5: reward\.tarqet: unknown key; .*'target'"):
        rule(str(path))


def test_rewards_from_the_stored_measurements(nas: Nas, written: Written, home: Path) -> None:
    assert nas("run", written({"budget": {"trials": 12}})).code == 0
    before, told = _dump(home), json.loads(nas("top", "small", "-n", "12", "--json").out)

    said = nas("rescore", "small", "--reward", CHEAP, "--as", "cheap")
    rows = json.loads(nas("top", "small", "-n", "12", "--rewards", "cheap", "--json").out)

    assert said.code == 0, said
    assert "rewarded 12 of 12 finished trials as cheap" in said.out
    assert "nas top small --rewards cheap" in said.out
    expected = {row["number"]: row["metrics"]["AP"] * (row["metrics"]["flops"] / 2e7) ** -0.5 for row in told}
    assert {row["number"]: row["reward"] for row in rows} == pytest.approx(expected)
    assert [row["reward"] for row in rows] == sorted(expected.values(), reverse=True)
    assert [row["rank"] for row in rows] == list(range(1, 13))
    assert [row["number"] for row in rows] != [row["number"] for row in told]
    assert json.loads(nas("top", "small", "-n", "12", "--json").out) == told
    assert _dump(home) == before
    assert f"{rows[0]['reward']:.4f}" in nas("top", "small", "--rewards", "cheap").out


def test_the_facts_and_a_second_time(nas: Nas, written: Written) -> None:
    nas("run", written())

    facts = json.loads(nas("rescore", "small", "--reward", "AP50", "--as", "fifty", "--json").out)
    again = nas("rescore", "small", "--reward", "metric: AP50", "--as", "fifty")
    other = nas("rescore", "small", "--reward", "AP75", "--as", "fifty")

    assert facts == {
        "campaign": "small",
        "label": "fifty",
        "reward": {"metric": "AP50"},
        "rewarded": 8,
        "finished": 8,
        "without": [],
    }
    assert again.code == 0
    assert (other.code, other.err.count("\n")) == (2, 1)
    assert "'fifty' are there already, by another rule" in other.err


@pytest.mark.parametrize(
    ("reward", "label", "told"),
    [
        ("APP", "x", ["no trial has this reward", "no metric 'APP' in the measurement, it has: AP, AP50"]),
        ("kind: by_size", "x", ["none of AP_small, AP_medium, AP_large"]),
        ("AP50", "a b", ["--as 'a b'", "letters"]),
    ],
)
def test_rewards_that_can_not_be(
    nas: Nas, written: Written, reward: str, label: str, told: list[str]
) -> None:
    nas("run", written())

    ended = nas("rescore", "small", "--reward", reward, "--as", label)

    assert (ended.code, ended.err.count("\n")) == (2, 1), ended
    assert all(word in ended.err for word in told), ended.err
    unknown = nas("top", "small", "--rewards", label)
    assert (unknown.code, unknown.err.count("\n")) == (2, 1)


def test_failed_trials_have_no_reward_by_any_rule(nas: Nas, written: Written) -> None:
    nas("run", written({"evaluator": {"kind": "synthetic", "failures": 0.4}, "budget": {"trials": 12}}))

    facts = json.loads(nas("rescore", "small", "--reward", "AP50", "--as", "x", "--json").out)

    assert facts["rewarded"] == facts["finished"] < 12


def test_trials_without_the_metric_are_left_out(
    nas: Nas, written: Written, home: Path, forge: Callable[[Path, str], None]
) -> None:
    nas("run", written())
    forge(
        home / "small" / "campaign.sqlite",
        "DELETE FROM metrics WHERE number = 3 AND name = 'AP50';"
        "UPDATE metrics SET value = NULL WHERE number = 5 AND name = 'AP50'",
    )

    facts = json.loads(nas("rescore", "small", "--reward", "AP50", "--as", "x", "--json").out)
    rows = json.loads(nas("top", "small", "--rewards", "x", "--json").out)

    assert (facts["rewarded"], facts["without"]) == (6, [3, 5])
    assert {row["number"] for row in rows} == {1, 2, 4, 6, 7, 8}


def _dump(home: Path) -> list[Any]:
    """All that the campaign itself stored."""
    with sqlite3.connect(home / "small" / "campaign.sqlite") as connection:
        tables = ("campaigns", "trials", "attempts", "metrics")
        return [connection.execute(f"SELECT * FROM {table}").fetchall() for table in tables]
