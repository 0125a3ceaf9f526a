"""The same detector made of Keras's own small layers: what a user of Keras would write, to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from proxy_trainer.detector import Blueprint
from proxy_trainer.losses import detection_loss
from proxy_trainer.network.ops import NORM_EPSILON, NORM_MOMENTUM, Normal
from proxy_trainer.network.plan import apply
from proxy_trainer.recipe import Recipe

layers = keras.layers


@dataclass(slots=True)
class KerasOps:
    """One layer an operation; layers of one name are shared, as the heads need. Regular networks only."""

    step: str
    made: dict[str, Any] = field(default_factory=dict)

    def conv(self, name: str, x: Any, filters: int, kernel: int, stride: int = 1) -> Any:
        return self._layer(name, layers.Conv2D, filters, kernel, stride, "same", use_bias=False)(x)

    def predict(self, name: str, x: Any, filters: int, init: Normal, bias: float = 0.0) -> Any:
        start = keras.initializers.RandomNormal(stddev=init.stddev or 0.01)
        constant = keras.initializers.Constant(bias)
        words = {"kernel_initializer": start, "bias_initializer": constant}
        return self._layer(name, layers.Conv2D, filters, 3, 1, "same", **words)(x)

    def biased(self, name: str, x: Any, filters: int, kernel: int, stride: int = 1) -> Any:
        return self._layer(name, layers.Conv2D, filters, kernel, stride, "same")(x)

    def channels(self, x: Any) -> int:
        return int(x.shape[-1])

    def depthwise(self, name: str, x: Any, stride: int = 1) -> Any:
        raise NotImplementedError(name)

    def separable(self, name: str, x: Any, filters: int, init: Normal, bias: float = 0.0) -> Any:
        raise NotImplementedError(name)

    def excite(self, name: str, x: Any, squeezed: int) -> Any:
        raise NotImplementedError(name)

    def norm(self, name: str, x: Any, *, activated: bool = False) -> Any:
        words = {"momentum": NORM_MOMENTUM, "epsilon": NORM_EPSILON}
        y = self._layer(name, layers.BatchNormalization, **words)(x)
        return self.activate(y) if activated else y

    def activate(self, x: Any) -> Any:
        return layers.Activation("relu")(x)

    def max_pool(self, x: Any) -> Any:
        return layers.MaxPooling2D(3, 2, "same")(x)

    def upsample(self, x: Any, factor: int) -> Any:
        return layers.UpSampling2D(factor, interpolation="nearest")(x)

    def add(self, xs: Sequence[Any]) -> Any:
        return layers.Add()(list(xs)) if len(xs) > 1 else xs[0]

    def _layer(self, name: str, kind: Any, *words: Any, **more: Any) -> Any:
        if name not in self.made:
            self.made[name] = kind(*words, **more, name=f"{self.step}_{name}".replace("/", "_"))
        return self.made[name]


def keras_detector(blueprint: Blueprint, recipe: Recipe, classes: int) -> Any:
    """Normalised images to [B, A, K + 4]: logits and offsets side by side."""
    images = keras.Input((recipe.resolution, recipe.resolution, 3))
    ops = {step.name: KerasOps(step.name) for step in blueprint.plan.steps}
    heads = apply(blueprint.plan, ops, images)["head"]
    half = len(heads) // 2
    rows = [
        layers.Concatenate(axis=-1)([layers.Reshape((-1, classes))(logits), layers.Reshape((-1, 4))(offsets)])
        for logits, offsets in zip(heads[:half], heads[half:], strict=True)
    ]
    return keras.Model(images, layers.Concatenate(axis=1)(rows))


def keras_loss(recipe: Recipe, classes: int) -> Any:
    """The proxy's loss, of what is wanted as [B, A, 1 + 4]: the class, then offsets."""

    def loss(wanted: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
        labels = tf.cast(wanted[:, :, 0], tf.int32)
        logits, offsets = found[:, :, :classes], found[:, :, classes:]
        return detection_loss(logits, offsets, labels, wanted[:, :, 1:], recipe).value

    return loss
