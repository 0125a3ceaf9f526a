"""Several objectives: from the config to what a controller is told, live and at replay."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.config import build
from controller.protocol import Controller, Outcome, Pending, Proposal
from nas.campaign import Campaign
from nas.config import CampaignConfig, from_json
from nas.launch import create
from nas.objectives import Objective, values
from nas.reward import NoReward
from proxy_trainer.synthetic import SyntheticConfig, SyntheticEvaluator
from results_db.records import TrialStatus
from results_db.store import Store
from search_space.genome import Genome
from search_space.trial import Assignment, FailureKind, Measurement

Nas = Callable[..., Any]
Written = Callable[..., Path]
Words = dict[str, Any]

OBJECTIVES = ["AP", {"metric": "flops", "better": "less"}]
TWO = {"controller": {"kind": "nsga2", "population": 5}, "objectives": OBJECTIVES}


def test_more_is_better_in_what_is_told() -> None:
    objectives = [Objective(metric="AP"), Objective(metric="flops", better="less")]
    assert values(objectives, {"flops": 12, "AP": 0.5, "loss": 1.0}) == (0.5, -12.0)
    assert values([], {"AP": 0.5}) == ()
    with pytest.raises(NoReward, match="objectives: no metric 'flops' in the measurement, it has: AP"):
        values(objectives, {"AP": 0.5})


def test_a_name_alone_means_that_more_is_better(words: Words) -> None:
    config = from_json(words | TWO)
    assert config.objectives == (Objective(metric="AP"), Objective(metric="flops", better="less"))
    assert config.rules.objectives == config.objectives
    assert from_json(json.loads(json.dumps(config.to_json()))) == config
    assert config.hash != from_json(words | TWO | {"objectives": ["AP"]}).hash


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"objectives": ["AP", "flopz"]}, ["objectives: metric='flopz'", "did you mean 'flops'?"]),
        ({"objectives": ["AP", "AP"]}, ["objectives: 'AP' is named twice"]),
        ({"objectives": "AP"}, ["objectives", "expected a list"]),
        ({"objectives": [{"metric": "AP", "better": "fewer"}]}, ["objectives[0].better", '"fewer"']),
        ({"objectives": [{"metric": "AP", "bettr": "less"}]}, ["objectives[0].bettr", "'better'"]),
        (
            {"controller": {"kind": "regularized_evolution"}},
            ["objectives: regularized_evolution goes by one, found 2; choose nsga2"],
        ),
        (
            {"controller": {"kind": "random_search", "contenders": {}}},
            ["contenders: measured again by one objective, found 2; set it to null"],
        ),
        ({"stopping": {"kind": "halving", "rungs": [1]}}, ["stopping: 2 objectives, expected one at most"]),
    ],
)
def test_objectives_that_can_not_be(
    nas: Nas, home: Path, written: Written, changes: Words, told: list[str]
) -> None:
    ended = nas("run", written(TWO | changes))
    assert (ended.code, ended.err.count("\n")) == (2, 1), ended
    assert all(word in ended.err for word in told), ended.err
    assert not home.exists()


@pytest.mark.parametrize("kind", ["random_search", "nsga2"])
def test_who_takes_several_is_let_pass(words: Words, kind: str) -> None:
    assert len(from_json(words | TWO | {"controller": {"kind": kind}}).objectives) == 2


def test_evolution_may_go_by_one_that_is_not_the_reward(words: Words) -> None:
    assert from_json(words | {"objectives": ["AP50"]}).controller.kind == "regularized_evolution"


@dataclass
class Heard:
    """A controller, and what it is told."""

    controller: Controller[Genome]
    told: list[Outcome[Genome]] = field(default_factory=list)

    def ask(self, rng: np.random.Generator, pending: Sequence[Pending[Genome]]) -> Proposal[Genome] | None:
        return self.controller.ask(rng, pending)

    def tell(self, outcome: Outcome[Genome]) -> None:
        self.told.append(outcome)
        self.controller.tell(outcome)


@dataclass
class Driven:
    """A campaign in a database, which can be opened again and again."""

    config: CampaignConfig
    url: str

    def run(self, trials: int, change: Callable[[Measurement], Measurement] = lambda same: same) -> Heard:
        """Opens it and runs so many trials, two in flight; what the controller heard, replay included."""
        space = self.config.space.build()
        heard = Heard(build(self.config.controller, space))
        evaluator = SyntheticEvaluator(SyntheticConfig())
        with Store.open(self.url) as store, store.take(self.config.name) as writer:
            campaign = Campaign(writer, self.config.rules, space, heard)
            waiting: list[Assignment] = []
            for _ in range(trials):
                while len(waiting) < 2:
                    step = campaign.propose()
                    assert isinstance(step, Assignment)
                    waiting.append(step)
                assignment = waiting.pop(len(heard.told) % 2)
                *_, last = evaluator.evaluate(assignment)
                assert isinstance(last, Measurement)
                campaign.record(assignment.number, assignment.attempt, change(last))
        return heard


@pytest.fixture
def driven(words: Words, home: Path) -> Driven:
    config = from_json(words | TWO | {"budget": {"trials": 40}, "failures": {"share": 1.0, "least": 99}})
    return Driven(config, create(config, home).database)


def test_the_controller_is_told_the_objectives_as_they_are_stored(driven: Driven) -> None:
    heard = driven.run(12)
    with Store.read(driven.url) as store:
        for outcome in heard.told:
            stored = {each.name: each.value for each in store.metrics("small", outcome.number) if each.final}
            assert outcome.result == (stored["AP"], -stored["flops"])
            assert store.trial("small", outcome.number).reward == stored["AP"]


def test_a_replay_tells_the_same_numbers(driven: Driven) -> None:
    live = driven.run(12).told
    again = driven.run(0).told
    assert again == live
    assert [outcome.number for outcome in again] != sorted(outcome.number for outcome in again)


def test_what_was_interrupted_proposes_the_same(driven: Driven, tmp_path: Path) -> None:
    whole = Driven(driven.config, create(driven.config, tmp_path / "whole").database)
    whole.run(24)
    for _ in range(4):
        driven.run(6)
    assert [each.note for each in trials(driven)] == [each.note for each in trials(whole)]
    assert any("parents" in each.note for each in trials(whole))


@pytest.mark.parametrize(
    ("spoil", "kind", "message"),
    [
        ({"flops": math.nan}, FailureKind.DIVERGED, "objectives: flops=nan"),
        ({"flops": None}, FailureKind.INTERNAL, "objectives: no metric 'flops'"),
        ({"AP": math.inf}, FailureKind.DIVERGED, "objectives: AP=inf"),
    ],
)
def test_an_objective_that_is_no_number_is_a_failure(
    driven: Driven, spoil: Words, kind: FailureKind, message: str
) -> None:
    def spoilt(measurement: Measurement) -> Measurement:
        metrics = {key: value for key, value in {**measurement.metrics, **spoil}.items() if value is not None}
        return Measurement(step=measurement.step, metrics=metrics)

    heard = driven.run(1, spoilt)
    assert [outcome.result for outcome in heard.told] == [kind]
    failed = next(each for each in trials(driven) if each.status is TrialStatus.FAILED)
    assert failed.failure is not None
    assert message in failed.failure.message
    assert driven.run(0).told == heard.told


def trials(driven: Driven) -> list[Any]:
    with Store.read(driven.url) as store:
        return list(store.trials("small"))


def test_the_front_is_what_no_trial_beats(nas: Nas, written: Written) -> None:
    assert nas("run", written(TWO | {"budget": {"trials": 25}})).code == 0

    front = json.loads(nas("front", "small", "--json").out)
    rows = json.loads(nas("top", "small", "-n", "25", "--json").out)

    points = {row["number"]: (row["metrics"]["AP"], -row["metrics"]["flops"]) for row in rows}
    unbeaten = {
        number
        for number, (ap, flops) in points.items()
        if not any(a >= ap and f >= flops and (a, f) != (ap, flops) for a, f in points.values())
    }
    assert {row["number"] for row in front} == unbeaten
    assert 1 < len(front) < 25
    assert all(
        row["objectives"] == {"AP": points[row["number"]][0], "flops": -points[row["number"]][1]}
        for row in front
    )
    assert [row["reward"] for row in front] == sorted((row["reward"] for row in front), reverse=True)
    shown = nas("front", "small").out.splitlines()
    assert shown[0].split() == ["trial", "reward", "AP", "flops", "genome"]
    assert [int(line.split()[0]) for line in islice(shown, 1, None)] == [row["number"] for row in front]


def test_without_objectives_the_front_is_the_best(nas: Nas, written: Written) -> None:
    assert nas("run", written()).code == 0

    (best,) = json.loads(nas("front", "small", "--json").out)

    assert best["number"] == json.loads(nas("top", "small", "--json").out)[0]["number"]
    assert best["objectives"] == {}
