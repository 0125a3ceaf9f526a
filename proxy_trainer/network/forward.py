"""A plan run on TensorFlow tensors, with its weights in flat vectors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import tensorflow as tf

from proxy_trainer.network.constants import constant
from proxy_trainer.network.declare import Weight
from proxy_trainer.network.fused_norm import has_active_norm
from proxy_trainer.network.plan import Plan, apply
from proxy_trainer.network.reshaping import reshaped
from proxy_trainer.network.siblings import Siblings
from proxy_trainer.network.tape import Tape
from proxy_trainer.network.taped_ops import TapedOps
from proxy_trainer.network.tensor_ops import Activation, TensorOps
from proxy_trainer.network.weights import Layout, room, size


def split(weights: tuple[Weight, ...], flat: tf.Tensor) -> dict[str, dict[str, tf.Tensor]]:
    """The arrays of a flat vector, by step and name."""
    found: dict[str, dict[str, tf.Tensor]] = {}
    if not weights:
        return found
    # What pads an array to whole rows is a part of its own: slices cost more to trace.
    padded = [[size(weight), room(weight) - size(weight)] for weight in weights]
    parts = iter(tf.split(flat, [count for pair in padded for count in pair if count]))
    for weight, (_, padding) in zip(weights, padded, strict=True):
        part = next(parts)
        array = reshaped(part, weight.shape) if len(weight.shape) > 1 else part
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
    weights = split(layout.trained, trained)
    if not training:
        for step, arrays in split(layout.statistics, statistics).items():
            weights[step].update(arrays)
    ops = {step.name: TensorOps(weights.get(step.name, {}), training, activation) for step in plan.steps}
    outputs = apply(plan, ops, images)
    return outputs, _moments(layout, ops) if training else statistics


@dataclass(frozen=True, slots=True, eq=False)
class Pass:
    """A network run forward on a batch, from where `gradient` goes back.

    `outputs` are the last step's, in float32; `moments` are the statistics that the batch norms used, as a
    vector.
    """

    outputs: tuple[tf.Tensor, ...]
    moments: tf.Tensor
    _tape: Tape
    _weights: Sequence[tuple[Weight, tf.Tensor]]

    @staticmethod
    def of(
        plan: Plan,
        layout: Layout,
        trained: tf.Tensor,
        images: tf.Tensor,
        precision: tf.DType = tf.float32,
    ) -> Pass:
        """Of weights as a flat vector; in a graph, with all shapes known.

        Feature maps, and what convolutions are made of, are of this `precision`. Weights, gradients by them
        and what batch norms add up stay float32 (Micikevicius et al., 2018, section 3.1).
        """
        tape = Tape()
        weights = split(layout.trained, trained)
        for weight in layout.trained:
            if not weight.of_norm:
                arrays = weights[weight.step]
                arrays[weight.name] = tf.cast(arrays[weight.name], precision)
        pairs = [(weight, weights[weight.step][weight.name]) for weight in layout.trained]
        for _, array in pairs:
            tape.watch(array)
        ops = {step.name: TensorOps(weights.get(step.name, {}), training=True) for step in plan.steps}
        taped = {name: TapedOps(each, tape, has_active_norm()) for name, each in ops.items()}
        last = plan.steps[-1].name
        siblings = Siblings.of(plan)
        maps = apply(plan, taped, tf.cast(images, precision), partial(siblings.begin, taped))[last]
        outputs = tuple(taped[last].cast(each, tf.float32) for each in maps)
        return Pass(outputs, _moments(layout, ops), tape, pairs)

    def gradient(self, by_outputs: Iterable[tuple[tf.Tensor, tf.Tensor]]) -> tf.Tensor:
        """By the flat weights, from outputs with the gradients by them. Once a pass."""
        self._tape.run_back(by_outputs)
        parts = []
        for weight, array in self._weights:
            gradient = tf.cast(self._tape.gradient(array), tf.float32)
            parts.append(reshaped(gradient, (-1,)) if len(weight.shape) > 1 else gradient)
            if padding := room(weight) - size(weight):
                parts.append(constant((0.0,) * padding, tf.float32))
        return tf.concat(parts, axis=0)


def _moments(layout: Layout, ops: Mapping[str, TensorOps]) -> tf.Tensor:
    return tf.concat([ops[weight.step].batch_moments[weight.name] for weight in layout.statistics], axis=0)
