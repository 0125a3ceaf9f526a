"""A plan run on TensorFlow tensors, with its weights in flat vectors."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from proxy_trainer.network.declare import Weight
from proxy_trainer.network.plan import Plan, apply
from proxy_trainer.network.reshaping import reshaped
from proxy_trainer.network.tensor_ops import Activation, TensorOps
from proxy_trainer.network.weights import Layout, room, size


def split(weights: tuple[Weight, ...], flat: tf.Tensor, *, training: bool) -> dict[str, dict[str, tf.Tensor]]:
    """The arrays of a flat vector, by step and name.

    `training`: by reshapes that tf.gradients knows how to turn; a saved model can't hold those.
    """
    found: dict[str, dict[str, tf.Tensor]] = {}
    if not weights:
        return found
    # What pads an array to whole rows is a part of its own: slices cost more to trace.
    padded = [[size(weight), room(weight) - size(weight)] for weight in weights]
    parts = iter(tf.split(flat, [count for pair in padded for count in pair if count]))
    for weight, (_, padding) in zip(weights, padded, strict=True):
        part = next(parts)
        array = part
        if len(weight.shape) > 1:
            reshape = reshaped if training else tf.reshape
            array = reshape(part, tuple(weight.shape))
        found.setdefault(weight.step, {})[weight.name] = array
        if padding:
            next(parts)
    return found


def forward(
    plan: Plan,
    layout: Layout,
    vectors: tuple[tf.Tensor, tf.Tensor],
    images: tf.Tensor,
    *,
    training: bool,
    activation: Activation = "relu",
) -> tuple[dict[str, tuple[tf.Tensor, ...]], tf.Tensor]:
    """Outputs by step name, and the statistics that the batch norms used, as a vector.

    `vectors` are the trained weights and the statistics; while training, those of the batch are used.
    """
    trained, statistics = vectors
    weights = split(layout.trained, trained, training=training)
    if not training:
        for step, arrays in split(layout.statistics, statistics, training=False).items():
            weights[step].update(arrays)
    ops = {step.name: TensorOps(weights.get(step.name, {}), training, activation) for step in plan.steps}
    outputs = apply(plan, ops, images)
    return outputs, _moments(layout, ops) if training else statistics


def _moments(layout: Layout, ops: Mapping[str, TensorOps]) -> tf.Tensor:
    return tf.concat([ops[weight.step].batch_moments[weight.name] for weight in layout.statistics], axis=0)
