"""A network as a Keras model: one coarse layer a piece, computing with the same functions as the proxies.

`.keras` files need this module imported when they are loaded (the layer is registered by name).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final, get_args

import keras
import numpy as np
import tensorflow as tf

from proxy_trainer.network.declare import Shape, ShapeOps, Weight
from proxy_trainer.network.ops import NORM_MOMENTUM, Normal
from proxy_trainer.network.pieces import (
    Edge,
    MobileEdge,
    Piece,
    run,
)
from proxy_trainer.network.plan import IMAGES, Plan
from proxy_trainer.network.tensor_ops import Activation, TensorOps
from search_space.genome import BlockKind

_KINDS: Final[Mapping[str, type[Any]]] = {kind.__name__: kind for kind in get_args(Piece)}


@keras.saving.register_keras_serializable(package="spinenas")
class PieceLayer(keras.layers.Layer):  # type: ignore[misc] # Keras is untyped
    """One piece of a network as a Keras layer; its batch norms keep moving statistics while training."""

    def __init__(self, piece: Piece, activation: Activation = "relu", **settings: Any) -> None:
        super().__init__(**settings)
        self.piece = piece
        self.activation_name = activation
        self._named: dict[str, Any] = {}
        self._out: tuple[Shape, ...] = ()

    def build(self, input_shape: Any) -> None:
        """Create the weights that the piece declares for these input shapes."""
        ops = ShapeOps(self.name)
        self._out = run(self.piece, ops, _shapes(input_shape))
        for name, weight in ops.weights.items():
            self._named[name] = self.add_weight(
                name=name.replace("/", "."),
                shape=weight.shape,
                initializer=_initializer(weight),
                trainable=weight.trained,
            )
        super().build(input_shape)

    def call(self, inputs: Any, training: bool = False) -> Any:  # noqa: FBT001, FBT002 - Keras's signature
        """The piece's outputs: one tensor, or the heads' tuple."""
        xs = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        weights = {name: tf.convert_to_tensor(variable) for name, variable in self._named.items()}
        ops = TensorOps(weights, training, self.activation_name)
        out = run(self.piece, ops, xs)
        for name, moment in ops.batch_moments.items():
            variable = self._named[name]
            variable.assign(NORM_MOMENTUM * variable.value + (1.0 - NORM_MOMENTUM) * moment)
        return out[0] if len(out) == 1 else out

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Output shapes; the piece is run on shapes."""
        batch = input_shape[0][0] if isinstance(input_shape[0], (list, tuple)) else input_shape[0]
        shapes = run(self.piece, ShapeOps(self.name), _shapes(input_shape))
        found = tuple((batch, each.height, each.width, each.channels) for each in shapes)
        return found[0] if len(found) == 1 else found

    def get_config(self) -> dict[str, Any]:
        """The piece as plain values."""
        return {
            **super().get_config(),
            "piece": {"type": type(self.piece).__name__, **dataclasses.asdict(self.piece)},
            "activation": self.activation_name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> PieceLayer:
        """The inverse of `get_config`."""
        settings = dict(config)
        return cls(_piece(settings.pop("piece")), settings.pop("activation"), **settings)

    def variable(self, name: str) -> Any:
        """The Keras variable of a declared weight."""
        return self._named[name]


def keras_model(plan: Plan, size: int, activation: Activation = "relu") -> Any:
    """The model of a backbone plan on square images: a dict of endpoints, "P3" to "P7" as a rule."""
    inputs = keras.Input((size, size, 3), name=IMAGES)
    values: dict[str, Any] = {IMAGES: inputs}
    for step in plan.steps:
        layer = PieceLayer(step.piece, activation, name=step.name)
        found = [values[name] for name in step.inputs]
        values[step.name] = layer(found[0] if len(found) == 1 else found)
    return keras.Model(inputs, {f"P{level}": values[name] for level, name in plan.outputs.items()})


def assign_weights(model: Any, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Set a model's weights from arrays by path (step and name); raises ValueError for a missing one."""
    for layer in model.layers:
        if isinstance(layer, PieceLayer):
            for name in layer._named:
                path = f"{layer.name}/{name}"
                if path not in arrays:
                    raise ValueError(f"weights: {path} is missing")
                layer.variable(name).assign(arrays[path])


def _shapes(input_shape: Any) -> list[Shape]:
    many = isinstance(input_shape[0], (list, tuple))
    return [Shape(*shape[1:]) for shape in (input_shape if many else [input_shape])]


def _initializer(weight: Weight) -> Any:
    if not isinstance(weight.start, Normal):
        return keras.initializers.Constant(weight.start)
    if weight.start.stddev is not None:
        return keras.initializers.RandomNormal(stddev=weight.start.stddev)
    return keras.initializers.VarianceScaling(1.0, "fan_in", "truncated_normal")


def _piece(config: Mapping[str, Any]) -> Piece:
    settings = dict(config)
    kind = _KINDS.get(str(settings.pop("type")))
    if kind is None:
        raise ValueError(f"piece {config.get('type')!r}: expected one of {', '.join(_KINDS)}")
    if "kind" in settings:
        settings["kind"] = BlockKind(settings["kind"])
    if "edges" in settings:
        settings["edges"] = tuple(
            Edge(**edge) if "reduced" in edge else MobileEdge(**edge) for edge in settings["edges"]
        )
    if "levels" in settings:
        settings["levels"] = tuple(settings["levels"])
    piece: Piece = kind(**settings)
    return piece
