"""What a campaign calls its best where genomes were measured again, against numpy on the stored rewards."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search_space.spec import read_spec

Nas = Callable[..., Any]
Written = Callable[..., Path]

NOISE = 0.3


@pytest.fixture
def rewards(nas: Nas, home: Path, written: Written) -> dict[str, list[tuple[int, float]]]:
    """Number and reward of the trials of each network in a campaign whose noise hides what is best."""
    config = {
        "controller": {"kind": "random_search", "contenders": {"share": 0.4}},
        "evaluator": {"kind": "synthetic", "noise": NOISE},
        "budget": {"trials": 80},
    }
    assert nas("run", written(config)).code == 0
    found: dict[str, list[tuple[int, float]]] = defaultdict(list)
    with closing(sqlite3.connect(home / "small" / "campaign.sqlite")) as database:
        for key, number, reward in database.execute("SELECT fingerprint, number, reward FROM trials"):
            found[key].append((number, reward))
    return found


def test_top_is_by_the_mean_less_its_standard_error(
    nas: Nas, rewards: dict[str, list[tuple[int, float]]]
) -> None:
    again = [np.array([reward for _, reward in each]) for each in rewards.values() if len(each) > 1]
    noise = np.sqrt(
        sum(((each - each.mean()) ** 2).sum() for each in again) / sum(len(each) - 1 for each in again)
    )
    surely = {
        key: np.mean([reward for _, reward in each]) - noise / np.sqrt(len(each))
        for key, each in rewards.items()
    }
    order = sorted(surely, key=surely.__getitem__, reverse=True)

    top = json.loads(nas("top", "small", "-n", "10", "--json").out)

    assert NOISE / 2 < noise < NOISE * 2
    assert [row["number"] for row in top] == [
        max(rewards[key], key=lambda each: each[1])[0] for key in order[:10]
    ]
    assert [row["surely"] for row in top] == pytest.approx([surely[key] for key in order[:10]])
    assert [row["rewards"] for row in top] == [
        [reward for _, reward in sorted(rewards[key])] for key in order[:10]
    ]
    highest = max(rewards, key=lambda key: max(reward for _, reward in rewards[key]))
    assert highest != order[0], "choose another seed: the luckiest is also the best, which tests nothing"


def test_the_table_for_people_has_means_and_says_so(
    nas: Nas, rewards: dict[str, list[tuple[int, float]]]
) -> None:
    del rewards
    first = json.loads(nas("top", "small", "-n", "1", "--json").out)[0]

    shown = nas("top", "small").out

    line = next(line for line in shown.splitlines() if line.split()[:2] == ["1", str(first["number"])])
    assert f"{first['mean']:.4f}" in line
    assert str(len(first["rewards"])) in line.split()
    assert "by the mean less its standard error" in shown


def test_a_trial_says_which_one_it_repeats(nas: Nas, rewards: dict[str, list[tuple[int, float]]]) -> None:
    first, second = next(sorted(each) for each in rewards.values() if len(each) == 2)
    shown = nas("show", "small", str(second[0])).out
    assert ["repeats", "trial", str(first[0])] in [line.split() for line in shown.splitlines()]
    assert "repeats" not in nas("show", "small", str(first[0])).out


def test_what_is_exported_is_the_surest_and_not_the_luckiest(
    nas: Nas, rewards: dict[str, list[tuple[int, float]]], tmp_path: Path
) -> None:
    del rewards
    best = json.loads(nas("top", "small", "-n", "1", "--json").out)[0]

    assert nas("export", "small", "--out", tmp_path / "winner").code == 0

    assert read_spec(tmp_path / "winner" / "spec.yaml").genome.to_text() == best["genome"]
