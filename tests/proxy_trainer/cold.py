"""A process that has computed nothing yet; run by the tests as a script: cold.py FOLDER.

FOLDER/task.json says what to do. What it finds goes into files beside it, one after the other.
"""

from __future__ import annotations

import json
import resource
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from pydantic import TypeAdapter

from proxy_trainer.config import ProxyConfig
from proxy_trainer.evaluator import ProxyEvaluator
from proxy_trainer.protocol import TrialFailed
from search_space.trial import Assignment, Measurement


def main(folder: Path) -> None:
    """The steps in order; the last may kill the process."""
    task = json.loads((folder / "task.json").read_text())
    config = TypeAdapter(ProxyConfig).validate_python(task["config"])
    cache = Path(task["cache"])
    evaluator = ProxyEvaluator(config, cache=cache, weights=folder)
    metrics = measured(evaluator, task["genome"], task["seed"])
    (folder / "metrics.json").write_text(json.dumps(metrics))
    load_model(Path(task["model"]), folder / "outputs.npz")
    quick = ProxyEvaluator(config.with_recipe(statistics_batches=0), cache=cache)
    (folder / "memory.json").write_text(json.dumps([grown(quick, task["genome"], seed) for seed in range(5)]))
    (folder / "failure.json").write_text(json.dumps(exhausted(config, cache)))


def measured(evaluator: ProxyEvaluator, genome: str, seed: int) -> dict[str, float]:
    """The metrics of one trial, number 7."""
    assignment = Assignment(campaign="cold", number=7, attempt=1, seed=seed, genome=genome)
    *_, last = evaluator.evaluate(assignment)
    if not isinstance(last, Measurement):
        raise TypeError(last)
    return dict(last.metrics)


def load_model(path: Path, out: Path) -> None:
    """Outputs of a .keras file for a fixed picture."""
    import keras

    import proxy_trainer.network.keras_model

    model: Any = keras.saving.load_model(path)
    images = np.random.default_rng(0).standard_normal((2, *model.input_shape[1:]), np.float32)
    arrays = {name: np.asarray(array) for name, array in model(images).items()}
    np.savez(out, **arrays)  # type: ignore[arg-type] # numpy's stub takes the flag allow_pickle for an array
    del proxy_trainer.network.keras_model


def grown(evaluator: ProxyEvaluator, genome: str, seed: int) -> float:
    """Memory in MiB that this process holds after one more trial."""
    measured(evaluator, genome, seed)
    return float(psutil.Process().memory_info().rss / 2**20)


def exhausted(config: ProxyConfig, cache: Path) -> list[str]:
    """How a trial fails whose evaluation batch (2.2 GiB as floats) does not fit into 2.5 GiB more."""
    recipe = replace(config.recipe, statistics_batches=0, evaluation_batch=12_000)
    evaluator = ProxyEvaluator(replace(config, recipe=recipe), cache=cache)
    held = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (held + 5 * 2**29, resource.RLIM_INFINITY))
    try:
        measured(evaluator, "2r* 2r* | 6r:0,1^", 0)
    except TrialFailed as failure:
        return [failure.kind, failure.message]
    return []


if __name__ == "__main__":
    main(Path(sys.argv[1]))
