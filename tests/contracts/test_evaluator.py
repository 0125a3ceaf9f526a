"""What every evaluator must do. A new one adds one line to EVALUATORS."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest

from proxy_trainer.config import ProxyConfig
from proxy_trainer.data.config import RenderedData, Splits
from proxy_trainer.evaluator import ProxyEvaluator
from proxy_trainer.protocol import Evaluator, TrialFailed
from proxy_trainer.recipe import Recipe
from proxy_trainer.synthetic import SyntheticConfig, SyntheticEvaluator
from search_space.catalog import space_by_name
from search_space.trial import Assignment, Measurement, Progress

Factory: TypeAlias = Callable[[Path], Evaluator]

PROXY = ProxyConfig(
    data=RenderedData(train_images=24, val_images=1, size=64),
    splits=Splits(reward=6, confirm=4),
    recipe=Recipe(
        steps=2, warmup_steps=1, batch=2, width=0.125, head_convs=1, statistics_batches=1, evaluate_every=1
    ),
)

EVALUATORS: dict[str, Factory] = {
    "synthetic": lambda _: SyntheticEvaluator(SyntheticConfig()),
    "proxy": lambda folder: ProxyEvaluator(PROXY, cache=folder),
}
"""Each makes a cold evaluator; the folder is its own, and the same for all that one test makes."""

SPACE = replace(space_by_name("spinenet-49"), name="small", intermediates=(4,))

Made: TypeAlias = Callable[[], Evaluator]


@pytest.fixture(params=EVALUATORS)
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    factory = EVALUATORS[request.param]
    return lambda: factory(tmp_path)


def assignment(number: int = 1) -> Assignment:
    genome = SPACE.to_text(SPACE.sample(np.random.default_rng(number)))
    return Assignment(campaign="contract", number=number, attempt=1, seed=number, genome=genome)


def evaluated(evaluator: Evaluator, task: Assignment) -> list[Progress | Measurement]:
    return list(evaluator.evaluate(task))


def test_progress_comes_first_and_one_measurement_last(make: Made) -> None:
    *progress, last = evaluated(make(), assignment())
    assert isinstance(last, Measurement)
    assert all(isinstance(event, Progress) for event in progress)
    assert all(event.provenance == last.provenance for event in progress), "any may be the last that is heard"
    steps = [event.step for event in (*progress, last)]
    assert steps == sorted(steps)
    assert all(type(step) is int and step >= 0 for step in steps)


def test_a_measurement_is_plain_numbers_and_text(make: Made) -> None:
    last = evaluated(make(), assignment())[-1]
    assert isinstance(last, Measurement)
    assert 0 <= last.metrics["AP"] <= 1
    assert all(type(name) is str and type(value) is float for name, value in last.metrics.items())
    assert all(math.isfinite(value) for value in last.metrics.values())
    assert last.provenance
    assert all(type(key) is str and type(value) is str for key, value in last.provenance.items())
    assert pickle.loads(pickle.dumps(last)) == last  # noqa: S301, as Ray sends it


def test_the_same_genome_and_seed_measure_the_same_warm_or_cold(make: Made) -> None:
    warm = make()
    first = evaluated(warm, assignment())
    evaluated(warm, assignment(2))
    for again in (evaluated(warm, assignment()), evaluated(make(), assignment())):
        assert [deterministic(event) for event in again] == [deterministic(event) for event in first]


def deterministic(event: Progress | Measurement) -> tuple[int, dict[str, float]]:
    """An event without its durations and its memory."""
    measured = ("seconds", "memory")
    return event.step, {name: value for name, value in event.metrics.items() if not name.startswith(measured)}


def test_number_and_attempt_change_nothing(make: Made) -> None:
    evaluator = make()
    first = evaluated(evaluator, assignment())
    again = evaluated(evaluator, replace(assignment(), campaign="another", number=9, attempt=2))
    assert [deterministic(event) for event in again] == [deterministic(event) for event in first]


def test_the_seed_matters_and_so_does_the_genome(make: Made) -> None:
    evaluator = make()
    first = evaluated(evaluator, assignment())[-1]
    other_seed = evaluated(evaluator, replace(assignment(), seed=77))[-1]
    other_genome = evaluated(evaluator, replace(assignment(2), seed=1))[-1]
    assert len({str(deterministic(event)) for event in (first, other_seed, other_genome)}) == 3


def test_a_trial_can_be_stopped_early(make: Made) -> None:
    evaluator = make()
    events = evaluator.evaluate(assignment())
    assert isinstance(next(events), Progress)
    assert isinstance(events, Generator)
    events.close()
    assert evaluated(evaluator, assignment(2)) != []


def test_no_genome_is_a_typed_failure(make: Made) -> None:
    evaluator = make()
    with pytest.raises(TrialFailed) as caught:
        evaluated(evaluator, replace(assignment(), genome=""))
    assert caught.value.kind == "invalid"
    assert "\n" not in caught.value.message
    travelled = pickle.loads(pickle.dumps(caught.value))  # noqa: S301, as Ray sends it
    assert (travelled.kind, travelled.message, travelled.provenance) == (
        caught.value.kind,
        caught.value.message,
        caught.value.provenance,
    )
    assert evaluated(evaluator, assignment()) != []
