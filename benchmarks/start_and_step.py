"""Time from a genome never seen to its first finished optimizer step, and of a steady step, in a warm worker.

    python -m benchmarks.start_and_step [--garden PYTHON] [--genomes 10] [--xla-genomes 3] [--cores 1]
        [--only XLA]

One process a way, one after the other, pinned: each trains one genome to warm up, then the same unseen
ones. Ways: the proxy trainer, in float32 and in bfloat16; the same network of Keras's own layers, compile
and fit, and, where the environment of docs/model_garden.md is at hand, TF Model Garden's RetinaNet in a
tf.function, both in float32, without XLA and with it (which takes a minute a genome, so that there are
fewer). All but ours with TensorFlow as it comes, Grappler included. --only: ours and the ways with this
in their name. Prints a table and writes benchmarks/results/start_and_step_CORES.json (with --only
start_and_step_CORES_ONLY.json): medians over genomes, least and most, and every genome's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.record import write
from search_space.catalog import space_by_name
from search_space.genome import Genome

CLASSES = 4
STEPS = 20
SEED = 8000
GARDEN = Path(__file__).parent / "garden_step.py"
OURS = {"proxy trainer": "float32", "proxy trainer, bfloat16": "bfloat16"}
THEIRS = ("Keras fit", "Model Garden")


def genomes(count: int) -> list[Genome]:
    """The first is for warming up."""
    space = space_by_name("spinenet-49")
    return [space.sample(np.random.default_rng(SEED + number)) for number in range(count + 1)]


def proxy_steps(genome: Genome, precision: str) -> Iterator[None]:
    """Every item is a finished step."""
    import tensorflow as tf
    from pydantic import TypeAdapter

    from proxy_trainer.detector import Blueprint, Detector
    from proxy_trainer.recipe import Recipe

    recipe = TypeAdapter(Recipe).validate_python({"precision": precision})
    blueprint = Blueprint.of(genome, recipe, CLASSES)
    detector = Detector(blueprint, recipe, CLASSES, seed=0)
    images, classes, offsets = batch(recipe, len(blueprint.anchors.boxes))
    while True:
        float(detector.step(images, classes, offsets, tf.constant(0.01), tf.constant(0.0)))
        yield


def keras_steps(genome: Genome, *, xla: bool) -> Iterator[None]:
    """One call of fit, whose steps are told by a callback."""
    import keras

    from benchmarks.keras_layers import keras_detector, keras_loss
    from proxy_trainer.detector import Blueprint
    from proxy_trainer.recipe import Recipe

    recipe = Recipe()
    blueprint = Blueprint.of(genome, recipe, CLASSES)
    model = keras_detector(blueprint, recipe, CLASSES)
    optimizer = keras.optimizers.SGD(0.01, momentum=recipe.momentum)
    model.compile(optimizer, keras_loss(recipe, CLASSES), jit_compile=xla)
    anchors = len(blueprint.anchors.boxes)
    images = np.random.default_rng(0).normal(size=(recipe.batch, 128, 128, 3)).astype(np.float32)
    wanted = np.full((recipe.batch, anchors, 5), -1, np.float32)
    times: list[float] = []
    callback = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda *_, **__: times.append(time.perf_counter())
    )
    repeated = np.tile(images, (STEPS + 1, 1, 1, 1)), np.tile(wanted, (STEPS + 1, 1, 1))
    model.fit(*repeated, batch_size=recipe.batch, shuffle=False, verbose=0, callbacks=[callback])
    yield from replayed(times)


def replayed(times: list[float]) -> Iterator[Any]:
    """Steps that have happened, with the moments at which they ended."""
    yield from times


def batch(recipe: Any, anchors: int) -> tuple[Any, Any, Any]:
    """Pictures, classes and offsets that cost what real ones cost."""
    import tensorflow as tf

    size = recipe.resolution
    pixels = np.random.default_rng(0).integers(0, 256, (recipe.batch, size, size, 3), dtype=np.uint8)
    nothing = np.full((recipe.batch, anchors), -1, np.int32)
    return tf.constant(pixels), tf.constant(nothing), tf.zeros([recipe.batch, anchors, 4])


def measure(way: str, count: int, threads: int) -> list[dict[str, float]]:
    """Start and step of each genome, in this process."""
    import tensorflow as tf

    from proxy_trainer.runtime import prepare

    steps: Callable[[Genome], Iterator[Any]]
    if way in OURS:
        prepare(threads)
        steps = partial(proxy_steps, precision=OURS[way])
    else:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        steps = partial(keras_steps, xla=way.endswith("XLA"))
    rows = []
    for genome in genomes(count):
        began = last = time.perf_counter()
        laps = []
        for number, ended in enumerate(steps(genome)):
            moment = ended or time.perf_counter()
            laps.append(moment - last)
            last = moment
            if number == STEPS:
                break
        rows.append({"start": laps[0], "step": median(laps[1:]), "whole": last - began})
    return rows[1:]


def child(way: str, options: argparse.Namespace, cores: str) -> list[dict[str, float]]:
    """One way, in a process of its own."""
    count = options.xla_genomes if way.endswith("XLA") else options.genomes
    if way.startswith("Model Garden"):
        command = [options.garden, str(GARDEN), "xla" if way.endswith("XLA") else "plain"]
        texts = "\n".join(genome.to_text() for genome in genomes(count))
    else:
        command = [sys.executable, "-m", "benchmarks.start_and_step", "--way", way]
        command += ["--genomes", str(count), "--cores", str(options.cores)]
        texts = ""
    environment = {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_NUM_INTRAOP_THREADS": str(options.cores),
        "TF_NUM_INTEROP_THREADS": "1",
        "OMP_NUM_THREADS": str(options.cores),
    }
    done = subprocess.run(
        ["/usr/bin/env", "taskset", "-c", cores, *command],
        input=texts,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{way}: {done.stderr[-2000:]}")
    found: list[dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure every way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--garden", help="Python of TF Model Garden's environment")
    parser.add_argument("--genomes", type=int, default=10)
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--xla-genomes", type=int, default=3, help="0: without XLA")
    parser.add_argument("--only", help="ways to measure beside ours")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        print(json.dumps(measure(options.way, options.genomes, options.cores)))
        return
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))[: options.cores]))
    others = THEIRS if options.garden else THEIRS[:1]
    ways = [*OURS, *others, *(f"{each}, XLA" for each in others if options.xla_genomes)]
    name = f"start_and_step_{options.cores}"
    if options.only:
        ways = [way for way in ways if way in OURS or options.only in way]
        name += f"_{options.only}"
    rows: dict[str, Any] = {}
    for way in ways:
        found = child(way, options, cores)
        rows[way] = {
            part: [median(values), min(values), max(values)]
            for part in ("start", "step")
            for values in [[row[part] for row in found]]
        } | {"genomes": found}
        start, step = rows[way]["start"], rows[way]["step"]
        print(
            f"{way:<24} start {start[0]:6.1f} s [{start[1]:.1f}, {start[2]:.1f}]   "
            f"step {step[0]:.3f} s [{step[1]:.3f}, {step[2]:.3f}]",
            flush=True,
        )
        facts = {
            "cores": options.cores,
            "genomes": options.genomes,
            "xla_genomes": options.xla_genomes,
            "rows": rows,
        }
        write(name, facts)


if __name__ == "__main__":
    main()
