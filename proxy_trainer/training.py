"""One trial's training from start to end: genome, data, recipe and seed in, a trained detector out."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_trainer.anchors import Anchors, Floats, Ints, targets
from proxy_trainer.checkpoint import Checkpoint, State
from proxy_trainer.clock import Clock
from proxy_trainer.data.ahead import ahead
from proxy_trainer.data.augment import Augment
from proxy_trainer.data.batches import Batch, batch_at
from proxy_trainer.data.image_set import ImageSet
from proxy_trainer.detector import Blueprint, Detector
from proxy_trainer.evaluation import Judged, estimate_statistics, evaluate
from proxy_trainer.network.plan import Plan
from proxy_trainer.protocol import TrialFailed
from proxy_trainer.recipe import Recipe
from proxy_trainer.schedule import averaging, learning_rate
from search_space.genome import Genome
from search_space.trial import FailureKind, Progress

REPORT_EVERY: Final = 25
"""Steps between two reports of the loss."""

_STATISTICS_SEED: Final = 1
"""Sets the batches that re-estimate statistics apart from those of the training, for one trial seed."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished training: the facts, and what was judged."""

    metrics: dict[str, float]
    blueprint: Blueprint
    judged: Judged


def train(  # noqa: PLR0913, what it follows from, and how long and from where
    backbone: Genome | Plan,
    train_set: ImageSet,
    judge_set: ImageSet,
    recipe: Recipe,
    seed: int,
    deadline: float = math.inf,
    checkpoint: Checkpoint | None = None,
) -> Iterator[Progress | Trained]:
    """Train the proxy of a backbone on one split and judge it on another; the last item is `Trained`.

    Everything random comes from `seed`. With a `checkpoint` it goes on where another process left off, to
    the same result; the seconds of both are added. Raises TrialFailed: DIVERGED when the loss, a weight or a
    statistic is not finite, TIMEOUT between two steps when `deadline` seconds have passed. What whoever
    takes the progress does with it takes no time of the training.
    """
    clock = Clock()
    classes = len(train_set.categories)
    blueprint = Blueprint.of(backbone, recipe, classes)
    detector = Detector(blueprint, recipe, classes, seed)
    losses: list[float] = []
    first = _resume(checkpoint, detector, losses, clock, recipe.steps)
    lessons = ahead(
        lambda step: _lesson(blueprint.anchors, train_set, recipe, (seed, first + step)), recipe.steps - first
    )
    with closing(lessons):
        for step in range(first, recipe.steps):
            asked = time.perf_counter()
            lesson = next(lessons)
            clock.waited(time.perf_counter() - asked)
            losses.append(_step(detector, lesson, recipe, step))
            done = step + 1
            if step == first:
                clock.lap("seconds_start")
            if done < recipe.steps and clock.seconds() > deadline:
                raise TrialFailed(
                    FailureKind.TIMEOUT, f"over {deadline:g} s at step {done} of {recipe.steps}"
                )
            if recipe.evaluate_every and done % recipe.evaluate_every == 0 and done < recipe.steps:
                clock.lap("seconds_train")
                metrics = evaluate(
                    detector,
                    _judged(detector, blueprint, train_set, recipe, seed),
                    judge_set,
                    recipe.evaluation_batch,
                )
                clock.lap("seconds_evaluate")
                with clock.stopped():
                    yield Progress(step=done, metrics=metrics | {"loss": _recent(losses)})
            elif done % REPORT_EVERY == 0 and done < recipe.steps:
                with clock.stopped():
                    yield Progress(step=done, metrics={"loss": _recent(losses)})
            # After its progress was taken: who goes on from here does not tell it again.
            if checkpoint is not None and done % checkpoint.every == 0 and done < recipe.steps:
                clock.lap("seconds_train")
                checkpoint.save(State(done, detector.state, tuple(losses[-REPORT_EVERY:]), clock.laps))
    clock.lap("seconds_train")
    judged = _judged(detector, blueprint, train_set, recipe, seed)
    clock.lap("seconds_statistics")
    metrics = evaluate(detector, judged, judge_set, recipe.evaluation_batch)
    clock.lap("seconds_evaluate")
    metrics |= {
        "loss": _recent(losses),
        "parameters": float(blueprint.declaration.parameters),
        "flops": float(sum(blueprint.declaration.multiply_adds.values())),
    }
    yield Trained(metrics | clock.laps, blueprint, judged)


def _resume(
    checkpoint: Checkpoint | None, detector: Detector, losses: list[float], clock: Clock, steps: int
) -> int:
    """The first step that is left to do, with everything as it was before it."""
    state = checkpoint.load(detector.state, steps) if checkpoint is not None else None
    if state is None:
        return 0
    detector.restore(state.vectors)
    losses.extend(state.losses)
    clock.goes_on_from(state.seconds)
    return state.step


@dataclass(frozen=True, slots=True, eq=False)
class _Lesson:
    """What one step learns from: uint8 images [B, R, R, 3], classes [B, A] and offsets [B, A, 4]."""

    images: NDArray[np.uint8]
    classes: Ints
    offsets: Floats


def _lesson(anchors: Anchors, train_set: ImageSet, recipe: Recipe, at: tuple[int, int]) -> _Lesson:
    seed, step = at
    batch = batch_at(train_set, step, batch=recipe.batch, seed=seed, augment=_augment(recipe))
    return _Lesson(batch.images, *batch_targets(batch, anchors, recipe.match_iou))


def _step(detector: Detector, lesson: _Lesson, recipe: Recipe, step: int) -> float:
    loss = detector.step(
        tf.constant(lesson.images),
        tf.constant(lesson.classes),
        tf.constant(lesson.offsets),
        tf.constant(learning_rate(recipe, step), tf.float32),
        tf.constant(averaging(recipe, step), tf.float32),
    )
    value = float(loss)
    if not math.isfinite(value):
        raise TrialFailed(FailureKind.DIVERGED, f"loss is {value} at step {step + 1} of {recipe.steps}")
    return value


def batch_targets(batch: Batch, anchors: Anchors, threshold: float) -> tuple[Ints, Floats]:
    """The classes [B, A] and offsets [B, A, 4] that the heads should give for a batch."""
    pairs = [
        targets(anchors, boxes, labels, threshold)
        for boxes, labels in zip(batch.boxes, batch.labels, strict=True)
    ]
    return np.stack([classes for classes, _ in pairs]), np.stack([offsets for _, offsets in pairs])


def _judged(
    detector: Detector, blueprint: Blueprint, train_set: ImageSet, recipe: Recipe, seed: int
) -> Judged:
    weights, statistics = detector.weights, detector.statistics
    if recipe.statistics_batches:
        seed, augment = seed + _STATISTICS_SEED, _augment(recipe)
        batches = (
            batch_at(train_set, step, batch=recipe.batch, seed=seed, augment=augment)
            for step in range(recipe.statistics_batches)
        )
        # What is not finite is refused below.
        with np.errstate(invalid="ignore", over="ignore"):
            statistics = estimate_statistics(detector, weights, batches, blueprint.layout)
    if not (np.isfinite(weights).all() and np.isfinite(statistics).all()):
        raise TrialFailed(FailureKind.DIVERGED, "a weight or a batch norm statistic is not finite")
    return Judged(weights, statistics)


def _augment(recipe: Recipe) -> Augment:
    return Augment(flip=0.5 if recipe.flip else 0.0, scale=recipe.jitter)


def _recent(losses: list[float]) -> float:
    return float(np.mean(losses[-REPORT_EVERY:]))
