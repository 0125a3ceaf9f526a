"""Early stopping: the rule by itself, in a campaign on every runner, and the configs that cannot be."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.stopping import HalvingConfig, Rungs

Nas = Callable[..., Any]
Written = Callable[..., Path]
VALUES = st.lists(st.floats(0, 1), max_size=40)


@given(value=st.floats(0, 1), others=VALUES, keep=st.sampled_from([0.25, 1 / 3, 0.5]))
def test_the_best_share_goes_on(value: float, others: list[float], keep: float) -> None:
    config = HalvingConfig(rungs=(10,), keep=keep, least=2)
    whole = sorted([value, *others], reverse=True)
    kept = whole[: max(1, int(len(whole) * keep))]
    assert config.goes_on(value, others) == (value >= kept[-1] or len(whole) < 2)


@given(value=st.floats(0, 1), others=VALUES)
def test_nobody_is_stopped_while_few_were_there(value: float, others: list[float]) -> None:
    config = HalvingConfig(rungs=(10,), least=len(others) + 2)
    assert config.goes_on(value, others)


def test_rungs_are_a_fold_over_what_is_stored() -> None:
    rungs = Rungs(HalvingConfig(rungs=(10, 20), least=2))
    assert rungs.goes_on(1, 10, {"AP": 0.5})
    assert rungs.goes_on(2, 5, {"AP": 0.0})  # between rungs
    assert rungs.goes_on(2, 10, {"loss": 1.0})  # no metric to go by
    assert not rungs.goes_on(2, 10, {"AP": 0.1})
    assert not rungs.goes_on(2, 10, {"AP": 0.1})  # told twice, counted once
    assert rungs.goes_on(2, 10, {"AP": 0.6})  # another attempt replaces it
    assert not rungs.goes_on(3, 10, {"AP": math.nan})
    assert rungs.last(3) == (10, -math.inf)
    assert rungs.goes_on(1, 20, {"AP": 0.1})
    assert rungs.last(1) == (20, 0.1)
    # A second attempt of trial 1 is stopped at the first rung: what the first had later is no more.
    assert not rungs.goes_on(1, 10, {"AP": 0.0})
    assert rungs.last(1) == (10, 0.0)
    assert rungs.goes_on(1, 10, {"AP": 0.7})
    assert rungs.goes_on(1, 20, {"AP": 0.1})
    rebuilt = Rungs(rungs.config)
    for number, step, value in (
        (1, 10, 0.5),
        (1, 10, 0.7),
        (2, 10, 0.1),
        (2, 10, 0.6),
        (3, 10, math.nan),
        (1, 20, 0.1),
    ):
        rebuilt.take(number, step, value)
    assert rebuilt == rungs


@pytest.mark.parametrize("runner", [{"kind": "serial"}, {"kind": "ray", "workers": 2}])
def test_a_campaign_stops_trials_early(
    nas: Nas, written: Written, runner: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    if runner["kind"] == "ray":
        request.getfixturevalue("ray_session")
    stopping = {"kind": "halving", "rungs": [1, 2], "least": 3}
    changes = {"stopping": stopping, "runner": runner, "budget": {"trials": 24}}
    ran = nas("run", written(changes | {"evaluator": {"kind": "synthetic", "steps": 3, "noise": 0.0}}))
    assert ran.code == 0, ran.err
    counts = json.loads(nas("status", "small", "--json").out)["counts"]
    assert counts["stopped"] >= 6
    assert counts["stopped"] + counts["finished"] == 24
    trials = [json.loads(nas("show", "small", str(number), "--json").out) for number in range(1, 25)]
    stopped = {trial["number"]: trial for trial in trials if trial["status"] == "stopped"}
    for trial in stopped.values():
        assert trial["reward"] is None
        assert not trial["metrics"]
        assert trial["progress"]
        assert trial["attempts"][-1]["provenance"] == {"evaluator": "synthetic"}
    # A stopped trial is nobody's parent: its value is of another fidelity.
    parents = {parent for trial in trials for parent in trial["note"].get("parents", ())}
    assert parents
    assert not parents & set(stopped)
    top = json.loads(nas("top", "small", "-n", "24", "--json").out)
    assert len(top) == counts["finished"]


def test_a_resumed_campaign_goes_by_the_same_rule(
    nas: Nas, written: Written, home: Path, forge: Callable[[Path, str], None]
) -> None:
    words = {
        "stopping": {"kind": "halving", "rungs": [1], "least": 3},
        "evaluator": {"kind": "synthetic", "steps": 1},
        "budget": {"trials": 20},
    }
    assert nas("run", written(words)).code == 0
    whole = facts(nas, "small")
    assert nas("run", written(words | {"name": "cut", "seed": 3})).code == 0
    assert facts(nas, "cut") == whole
    # Cut in the middle: what came after trial 9 never happened.
    forge(
        home / "cut" / "campaign.sqlite",
        "DELETE FROM metrics WHERE number > 9; DELETE FROM attempts WHERE number > 9; "
        "DELETE FROM trials WHERE number > 9",
    )
    assert nas("resume", "cut").code == 0
    assert facts(nas, "cut") == whole


def facts(nas: Nas, name: str) -> list[tuple[Any, ...]]:
    rows = [json.loads(nas("show", name, str(number), "--json").out) for number in range(1, 21)]
    return [(row["genome"], row["status"], row["reward"]) for row in rows]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"stopping": {"rungs": []}}, "rungs=[], expected growing"),
        ({"stopping": {"rungs": [2, 1]}}, "rungs=[2, 1], expected growing"),
        ({"stopping": {"rungs": [3]}}, "metrics are told at steps 1, 2"),
        ({"stopping": {"rungs": [1], "keep": 1.0}}, "keep=1.0"),
        ({"stopping": {"rungs": [1], "metric": "loss"}}, "metric='loss', expected one of AP"),
        ({"controller": {"kind": "listed", "genomes": ["2b* 2b* | 3b:0,1^"]}}, "controller: genomes[0]: "),
        (
            {"stopping": {"rungs": [100]}, "evaluator": {"kind": "proxy"}},
            "told at steps none; set the recipe's evaluate_every",
        ),
        (
            {
                "stopping": {"rungs": [100]},
                "evaluator": {"kind": "proxy", "recipe": {"evaluate_every": 100}},
            },
            "the recipe's average=0",
        ),
    ],
)
def test_stopping_that_cannot_be(nas: Nas, written: Written, changes: dict[str, Any], line: str) -> None:
    ended = nas("run", written(changes))
    assert ended.code == 2
    assert line in ended.err
    assert ended.err.count("\n") == 1
