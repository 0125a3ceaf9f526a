"""Whole trainings, tiny: equal bits for equal seeds, progress on time, failures of the right kind."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proxy_trainer.anchors import BACKGROUND
from proxy_trainer.data.augment import Augment
from proxy_trainer.data.batches import batch_at
from proxy_trainer.data.image_set import ImageSet
from proxy_trainer.detector import Blueprint
from proxy_trainer.evaluator import ProxyEvaluator
from proxy_trainer.protocol import TrialFailed
from proxy_trainer.recipe import Recipe
from proxy_trainer.training import REPORT_EVERY, Trained, batch_targets, train
from search_space.catalog import SPINENET_49
from search_space.genome import Genome
from search_space.trial import Assignment, FailureKind, Measurement, Progress

ONE_BLOCK = Genome.from_text("2r* 2r* | 6r:0,1^")
"""Compiles in a moment."""

TWO_OUTPUTS = Genome.from_text("2b* 2b* | 5b:0,1^ 3b:0,2^")


def run(
    evaluator: ProxyEvaluator, genome: Genome, seed: int, number: int
) -> tuple[dict[str, float], dict[str, Any]]:
    """The metrics that are no measurement of time or memory; and the rest."""
    assignment = Assignment(campaign="test", number=number, attempt=1, seed=seed, genome=genome.to_text())
    *_, last = evaluator.evaluate(assignment)
    assert isinstance(last, Measurement)
    return facts(last.metrics)


def facts(metrics: Any) -> tuple[dict[str, float], dict[str, Any]]:
    clock = {name for name in metrics if name.startswith("seconds") or name == "memory_mb"}
    return {name: metrics[name] for name in metrics if name not in clock}, {n: metrics[n] for n in clock}


def arrays(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def same_bits(a: Path, b: Path) -> bool:
    first, second = arrays(a), arrays(b)
    return first.keys() == second.keys() and all(
        first[name].tobytes() == second[name].tobytes() for name in first
    )


@pytest.fixture(scope="module")
def warm(evaluator: ProxyEvaluator, small: Genome) -> list[dict[str, float]]:
    """Trials 1 to 4 in one process: a genome, another one, the first again, and with another seed."""
    trials = ((small, 5), (TWO_OUTPUTS, 5), (small, 5), (small, 6))
    return [run(evaluator, genome, seed, number)[0] for number, (genome, seed) in enumerate(trials, 1)]


def test_equal_trials_have_equal_bits(warm: list[dict[str, float]], weights: Path) -> None:
    assert warm[0] == warm[2]
    assert same_bits(weights / "00001.npz", weights / "00003.npz")


@pytest.mark.timeout(600)  # for the process that it waits for
def test_a_cold_process_gives_the_same_bits(warm: list[dict[str, float]], weights: Path, cold: Path) -> None:
    found, _ = facts(json.loads((cold / "metrics.json").read_text()))
    assert found == warm[0]
    assert same_bits(weights / "00001.npz", cold / "00007.npz")


@pytest.mark.full
@pytest.mark.timeout(900)
def test_large_networks_have_equal_bits_too(evaluator: ProxyEvaluator, weights: Path, small: Genome) -> None:
    trials = ((SPINENET_49, 5), (small, 5), (SPINENET_49, 5))
    first, _, second = (run(evaluator, genome, seed, 50 + n)[0] for n, (genome, seed) in enumerate(trials))
    assert first == second
    assert same_bits(weights / "00050.npz", weights / "00052.npz")


def test_other_seeds_and_genomes_differ(warm: list[dict[str, float]], weights: Path) -> None:
    assert warm[0]["loss"] != warm[3]["loss"]
    assert warm[0]["loss"] != warm[1]["loss"]
    assert warm[0]["parameters"] == warm[3]["parameters"] != warm[1]["parameters"]
    assert not same_bits(weights / "00001.npz", weights / "00004.npz")


def test_a_measurement_is_complete(evaluator: ProxyEvaluator, warm: list[dict[str, float]]) -> None:
    metrics = warm[0]
    assert {"AP", "AP50", "AP75", "AR_100", "loss", "parameters", "flops"} <= metrics.keys()
    assert all(math.isfinite(value) for value in metrics.values())
    assert metrics["AR_100"] > 0
    _, clock = run(evaluator, ONE_BLOCK, 0, 9)
    phases = [clock[f"seconds_{phase}"] for phase in ("start", "train", "statistics", "evaluate")]
    # The phases lie side by side within the whole, and waiting for data within two of them.
    assert sum(phases) <= clock["seconds"]
    assert clock["seconds_data"] < sum(phases[:2])
    assert clock["seconds_cpu"] > 0.5 * phases[1]
    assert min(clock.values()) > 0
    assert 1 < clock["memory_mb"] < 500


def events(
    sets: tuple[ImageSet, ImageSet], recipe: Recipe, deadline: float = math.inf
) -> Iterator[Progress | Trained]:
    return train(ONE_BLOCK, *sets, recipe, 0, deadline)


@pytest.fixture(scope="module")
def sets(train_set: ImageSet, reward_set: ImageSet) -> tuple[ImageSet, ImageSet]:
    return train_set, reward_set


def test_progress_is_told_by_the_way(sets: tuple[ImageSet, ImageSet], recipe: Recipe) -> None:
    longer = dataclasses.replace(recipe, steps=2 * REPORT_EVERY, evaluate_every=20)
    *told, last = events(sets, longer)
    assert isinstance(last, Trained)
    assert [each.step for each in told if isinstance(each, Progress)] == [20, 25, 40]
    assert [sorted(each.metrics) == ["loss"] for each in told if isinstance(each, Progress)] == [
        False,
        True,
        False,
    ]
    judged = told[0].metrics
    assert {"AP", "AP50", "loss"} <= judged.keys()
    # It learns, even here.
    assert last.metrics["loss"] < judged["loss"] / 1.2


def test_judging_by_the_way_changes_nothing(sets: tuple[ImageSet, ImageSet], recipe: Recipe) -> None:
    *_, last = events(sets, recipe)
    *_, watched = events(sets, dataclasses.replace(recipe, evaluate_every=1))
    assert isinstance(last, Trained)
    assert isinstance(watched, Trained)
    assert facts(watched.metrics)[0] == facts(last.metrics)[0]
    assert watched.judged.weights.tobytes() == last.judged.weights.tobytes()
    assert watched.judged.statistics.tobytes() == last.judged.statistics.tobytes()


def test_without_statistics_batches_moving_averages_are_judged(
    sets: tuple[ImageSet, ImageSet], recipe: Recipe
) -> None:
    *_, moving = events(sets, dataclasses.replace(recipe, statistics_batches=0))
    *_, estimated = events(sets, recipe)
    assert isinstance(moving, Trained)
    assert isinstance(estimated, Trained)
    assert moving.judged.weights.tobytes() == estimated.judged.weights.tobytes()
    start = np.concatenate(
        [np.full(each.shape, each.start) for each in moving.blueprint.layout.statistics if each.shape]
    )
    # After three steps most of them is their start; of estimates nothing is.
    share = np.median(np.abs(moving.judged.statistics - start) / np.abs(estimated.judged.statistics - start))
    assert share == pytest.approx(1 - 0.99**3, rel=0.5)


def test_a_wild_learning_rate_diverges(sets: tuple[ImageSet, ImageSet], recipe: Recipe) -> None:
    with pytest.raises(TrialFailed, match=r"^diverged: loss is (nan|inf) at step [23] of 3$") as failure:
        list(events(sets, dataclasses.replace(recipe, learning_rate=1e30)))
    assert failure.value.kind is FailureKind.DIVERGED


def test_weights_that_blow_up_at_the_last_step_diverge(
    sets: tuple[ImageSet, ImageSet], recipe: Recipe
) -> None:
    wild = dataclasses.replace(recipe, steps=1, warmup_steps=0, learning_rate=3e38)
    with pytest.raises(TrialFailed, match="a weight or a batch norm statistic is not finite") as failure:
        list(events(sets, wild))
    assert failure.value.kind is FailureKind.DIVERGED


def test_a_deadline_ends_a_training_between_two_steps(
    sets: tuple[ImageSet, ImageSet], recipe: Recipe
) -> None:
    with pytest.raises(TrialFailed, match=r"^timeout: over 0 s at step 1 of 3$") as failure:
        list(events(sets, recipe, deadline=0.0))
    assert failure.value.kind is FailureKind.TIMEOUT


def test_what_becomes_of_progress_takes_no_time_of_the_trial(
    sets: tuple[ImageSet, ImageSet], recipe: Recipe
) -> None:
    """A driver may wait long for its database."""
    began, away = time.perf_counter(), 0.0
    metrics: Mapping[str, float] = {}
    for event in events(sets, dataclasses.replace(recipe, evaluate_every=1)):
        metrics = event.metrics
        away += 1 if isinstance(event, Progress) else 0
        time.sleep(1 if isinstance(event, Progress) else 0)
    assert away == 2
    assert metrics["seconds"] <= time.perf_counter() - began - away


def test_what_is_finished_is_kept_after_the_deadline(sets: tuple[ImageSet, ImageSet], recipe: Recipe) -> None:
    *_, last = events(sets, dataclasses.replace(recipe, steps=1, warmup_steps=0), deadline=0.0)
    assert isinstance(last, Trained)


def test_targets_of_a_batch(train_set: ImageSet, recipe: Recipe) -> None:
    blueprint = Blueprint.of(ONE_BLOCK, recipe, 3)
    batch = batch_at(train_set, 0, batch=3, seed=0, augment=Augment())
    classes, offsets = batch_targets(batch, blueprint.anchors, 0.5)
    count = len(blueprint.anchors.boxes)
    assert (classes.shape, offsets.shape) == ((3, count), (3, count, 4))
    for image, labels in enumerate(batch.labels):
        assert set(classes[image]) - {BACKGROUND} <= set(labels.tolist())
        assert len(labels) == 0 or (classes[image] != BACKGROUND).any()
