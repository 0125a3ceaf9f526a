"""The synthetic evaluator: arithmetic that a search can climb, and failures on demand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError
from scipy.stats import spearmanr

from proxy_trainer.protocol import TrialFailed
from proxy_trainer.synthetic import FAILURES, SyntheticConfig, SyntheticEvaluator
from search_space.catalog import space_by_name
from search_space.trial import Assignment, FailureKind, Measurement

SPACE = space_by_name("spinenet-49")
GENOMES = [SPACE.sample(np.random.default_rng(number)) for number in range(200)]


def ap(text: str, seed: int = 0, config: SyntheticConfig | None = None) -> float:
    evaluator = SyntheticEvaluator(config or SyntheticConfig())
    task = Assignment(campaign="c", number=1, attempt=1, seed=seed, genome=text)
    *_, last = evaluator.evaluate(task)
    assert isinstance(last, Measurement)
    return last.metrics["AP"]


def test_genomes_differ_more_than_seeds_do() -> None:
    between = np.std([ap(genome.to_text()) for genome in GENOMES])
    within = np.std([ap(GENOMES[0].to_text(), seed) for seed in range(200)])
    assert within > 0.001
    assert between > 10 * within
    assert ap(GENOMES[0].to_text(), 1, SyntheticConfig(noise=0)) == ap(
        GENOMES[0].to_text(), 2, SyntheticConfig(noise=0)
    )


def test_a_child_is_like_its_parent() -> None:
    rng = np.random.default_rng(0)
    parents = [ap(genome.to_text()) for genome in GENOMES]
    children = [ap(SPACE.mutate(genome, rng).to_text()) for genome in GENOMES]
    assert spearmanr(parents, children).statistic > 0.4


def test_the_asked_for_share_fails_of_every_kind_the_same_at_every_attempt() -> None:
    evaluator = SyntheticEvaluator(SyntheticConfig(failures=0.4))

    def fate(number: int, attempt: int) -> FailureKind | None:
        text = GENOMES[number].to_text()
        task = Assignment(campaign="c", number=number, attempt=attempt, seed=attempt, genome=text)
        try:
            list(evaluator.evaluate(task))
        except TrialFailed as failed:
            return failed.kind
        return None

    fates = [fate(number, 1) for number in range(200)]
    assert fates == [fate(number, 2) for number in range(200)]
    counted = Counter(fates)
    assert 50 < 200 - counted[None] < 110  # 80 are expected, with a standard deviation of 7
    assert set(counted) == {None, *FAILURES}


def test_steps_are_told() -> None:
    task = Assignment(campaign="c", number=1, attempt=1, seed=0, genome="a b c")
    for steps in (0, 5):
        events = list(SyntheticEvaluator(SyntheticConfig(steps=steps)).evaluate(task))
        assert [event.step for event in events] == list(range(1, steps + 2))


@pytest.mark.parametrize(
    "values",
    [{"seconds": -1}, {"failures": 1.5}, {"noise": -0.1}, {"steps": -1}, {"step": 3}, {"kind": "real"}],
)
def test_the_config_is_strict(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(SyntheticConfig).validate_python(values)
