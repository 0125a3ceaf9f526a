"""The evaluator of real trials: it trains the proxy of a genome and keeps its weights."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import json
import math
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import tensorflow as tf

from proxy_trainer.checkpoint import Checkpoint
from proxy_trainer.config import ProxyConfig
from proxy_trainer.data.config import Split
from proxy_trainer.data.errors import DataError
from proxy_trainer.data.image_set import data_hash, open_split
from proxy_trainer.latency import latency_ms
from proxy_trainer.memory import PeakMemory
from proxy_trainer.network.weights import unflatten
from proxy_trainer.protocol import TrialFailed
from proxy_trainer.provenance import code_version, process, versions
from proxy_trainer.runtime import prepare
from proxy_trainer.training import Trained, train
from search_space.genome import Genome, InvalidGenome
from search_space.trial import Assignment, FailureKind, Measurement, Progress

VERSIONED: Final = ("tensorflow", "keras", "numpy", "pillow", "pycocotools", "hotcoco")


class ProxyEvaluator:
    """Trains and judges one genome after the other in this process; nothing of a trial stays behind.

    Raises DataError when it is made, if the data cannot be opened. `weights` is the folder where
    each trial's weights go, as `NUMBER.npz`; without it none are kept; `checkpoints` likewise, for trials
    that are under way. `deadline` in seconds ends
    a trial as TIMEOUT between two steps; a step that hangs is the runner's to end. Equal trials give equal
    numbers, whatever `threads` is. Raises DataError.
    """

    def __init__(
        self,
        config: ProxyConfig,
        *,
        cache: Path,
        weights: Path | None = None,
        checkpoints: Path | None = None,
        deadline: float | None = None,
        threads: int = 1,
    ) -> None:
        self._config = config
        self._weights = weights
        self._checkpoints = checkpoints
        self._deadline = math.inf if deadline is None else deadline
        device = prepare(threads)
        resolution = config.recipe.resolution
        self._train_set, self._reward_set = (
            open_split(config.data, config.splits, split, resolution, cache)
            for split in (Split.TRAIN, config.judge)
        )
        self._provenance = {
            "code": code_version(),
            "recipe": config.recipe.hash,
            "data": data_hash(self._train_set, self._reward_set),
            "classes": json.dumps([each.name for each in self._train_set.categories]),
            "device": device,
            **process(),
            **versions(VERSIONED),
        }
        # TensorFlow's modules are hundreds of thousands of objects, and stay: to look through them after each
        # trial would take a quarter of a second.
        gc.collect()
        gc.freeze()

    def require(self, data: str) -> None:
        """Raises DataError unless the data have this hash: a node may have others than the campaign."""
        if (found := self._provenance["data"]) != data:
            raise DataError(
                f"{socket.gethostname()}: its data are not those of the campaign ({found[:8]}, expected "
                f"{data[:8]}); give every node the same pictures and annotations"
            )

    def evaluate(self, assignment: Assignment) -> Iterator[Progress | Measurement]:
        """Progress while the proxy trains, then its measurement. Raises TrialFailed."""
        # Of a trial that failed the traceback held the detector until the failure had been dealt with.
        gc.collect()
        try:
            yield from self._evaluate(assignment)
        except TrialFailed as failed:
            raise self._failed(failed.kind, failed.message) from failed
        except InvalidGenome as error:
            raise self._failed(FailureKind.INVALID, str(error)) from error
        except DataError as error:
            raise self._failed(FailureKind.DATA, str(error)) from error
        except (MemoryError, tf.errors.ResourceExhaustedError) as error:
            raise self._failed(FailureKind.OUT_OF_MEMORY, _what_was_wanted(error)) from error
        finally:
            # Compiled functions refer to their detector and back; without this their graphs pile up.
            gc.collect()

    def _evaluate(self, assignment: Assignment) -> Iterator[Progress | Measurement]:
        recipe = self._config.recipe
        memory = PeakMemory()
        genome = Genome.from_text(assignment.genome)
        sets = (self._train_set, self._reward_set)
        checkpoint = self._checkpoint(assignment)
        for event in train(genome, *sets, recipe, assignment.seed, self._deadline, checkpoint):
            if isinstance(event, Trained):
                if self._weights is not None:
                    save_weights(self._weights / f"{assignment.number:05d}.npz", event)
                metrics = event.metrics | {"memory_mb": memory.megabytes()}
                if runs := self._config.latency_runs:
                    classes = len(self._train_set.categories)
                    metrics["latency_ms"] = latency_ms(event, recipe, classes, runs)
                yield Measurement(step=recipe.steps, metrics=metrics, provenance=self._provenance)
            else:
                yield dataclasses.replace(event, provenance=self._provenance)

    def _checkpoint(self, assignment: Assignment) -> Checkpoint | None:
        """Who ended the trial removes the file: a runner may close a training that will go on later."""
        if self._config.checkpoint is None or self._checkpoints is None:
            return None
        same = {word: self._provenance[word] for word in ("code", "recipe", "data", "tensorflow")}
        trial = {"campaign": assignment.campaign, "number": assignment.number, "seed": assignment.seed}
        identity = json.dumps({**same, **trial, "genome": assignment.genome}, sort_keys=True)
        path = self._checkpoints / f"{assignment.number:05d}.npz"
        return Checkpoint(path, identity, self._config.checkpoint.every)

    def _failed(self, kind: FailureKind, message: str) -> TrialFailed:
        return TrialFailed(kind, message, self._provenance)


def _what_was_wanted(error: Exception) -> str:
    # TensorFlow tells it below where the tensor comes from; Python's own MemoryError says nothing.
    lines = str(error).splitlines() or [type(error).__name__]
    return next((line for line in lines if line.startswith("OOM")), lines[0])[:500]


def save_weights(path: Path, trained: Trained) -> None:
    """Write trained weights and statistics as named arrays; the file appears whole or not at all.

    Raises TrialFailed of kind DATA, so that a full disk costs an attempt and no trial.
    """
    layout = trained.blueprint.layout
    arrays = unflatten(layout.trained, trained.judged.weights)
    arrays |= unflatten(layout.statistics, trained.judged.statistics)
    partial = path.with_suffix(f".{socket.gethostname()}-{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type] # numpy's stub takes the flag allow_pickle for an array
        partial.replace(path)
    except OSError as error:
        why = f"cannot save weights: {path}: {error.strerror or error}"
        raise TrialFailed(FailureKind.DATA, f"{why}; make room there, or set keep_weights: 0") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
