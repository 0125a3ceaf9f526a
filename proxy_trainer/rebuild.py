"""Networks outside of training: run by plain functions, built as Keras models, filled with stored weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_trainer.data.files import DAMAGED
from proxy_trainer.network.declare import declare
from proxy_trainer.network.forward import forward
from proxy_trainer.network.keras_model import assign_weights, keras_model
from proxy_trainer.network.plan import Plan
from proxy_trainer.network.weights import Layout, flatten, initial, unflatten

Arrays = Mapping[str, NDArray[np.float32]]


def load_arrays(path: Path) -> Arrays:
    """The weights that a trial kept, by path. Raises OSError, or ValueError for no such file of arrays."""
    # Opened here: numpy leaves a file open that turns out to be broken.
    with path.open("rb") as stream:
        try:
            with np.load(stream, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except DAMAGED as error:
            raise ValueError(f"{path}: not a whole file of arrays ({error})") from error


def fresh_arrays(plan: Plan, size: int, seed: int) -> Arrays:
    """The weights that training would start from, and untouched statistics."""
    layout = Layout.of(declare(plan, size))
    return unflatten(layout.trained, initial(layout.trained, seed)) | unflatten(
        layout.statistics, initial(layout.statistics, seed)
    )


def run_plan(plan: Plan, arrays: Arrays, images: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """The outputs of a network on normalised images, as the proxies compute them.

    By name: the endpoints ("P3") and, with heads, what they say of each ("class3", "box3"). Raises
    ValueError if an array is missing or has another shape than the plan declares.
    """
    layout = Layout.of(declare(plan, images.shape[1]))
    vectors = tuple(tf.constant(flatten(part, arrays)) for part in (layout.trained, layout.statistics))
    outputs, _ = forward(plan, layout, (vectors[0], vectors[1]), tf.constant(images), training=False)
    found = {f"P{level}": outputs[name][0].numpy() for level, name in plan.outputs.items()}
    heads = [f"{what}{level}" for what in ("class", "box") for level in plan.outputs]
    return found | {name: x.numpy() for name, x in zip(heads, outputs.get("head", ()), strict=False)}


def save_keras(plan: Plan, arrays: Arrays, size: int, path: Path) -> None:
    """Write a backbone as a `.keras` file for square images of `size` pixels."""
    model = keras_model(plan, size)
    assign_weights(model, arrays)
    model.save(path)


def run_keras(path: Path, images: NDArray[np.float32]) -> tuple[int, dict[str, NDArray[np.float32]]]:
    """Load a `.keras` file: its trained parameters, and its endpoints on normalised images."""
    model: Any = keras.models.load_model(path, safe_mode=True)
    parameters = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
    return parameters, {name: np.asarray(value) for name, value in model(images, training=False).items()}
