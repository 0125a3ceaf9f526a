"""Mobile networks' operations against Keras's own layers, after TF Model Garden's spinenet_mobile."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from proxy_trainer.network.blocks import mbconv, mobile_resample
from proxy_trainer.network.declare import Shape, ShapeOps, declare
from proxy_trainer.network.ops import FAN_IN
from proxy_trainer.network.plan import backbone_plan, detector_plan
from proxy_trainer.network.tensor_ops import TensorOps
from proxy_trainer.rebuild import fresh_arrays, run_keras, run_plan, save_keras
from search_space.catalog import MOBILE_49
from search_space.genome import Genome
from search_space.scaling import Scaling, squeezed_width

Arrays = dict[str, NDArray[np.float32]]


def weights(shapes: ShapeOps) -> Arrays:
    rng = np.random.default_rng(0)
    found = {}
    for name, weight in shapes.weights.items():
        if name.endswith("/kernel"):
            value = rng.standard_normal(weight.shape) / math.sqrt(math.prod(weight.shape[:-1]))
        else:
            value = rng.uniform(0.5, 1.5, weight.shape)
        found[name] = value.astype(np.float32)
    return found


def images(size: int, channels: int) -> tf.Tensor:
    return tf.constant(np.random.default_rng(1).standard_normal((3, size, size, channels)), tf.float32)


def layer(made: Any, x: Any, *arrays: NDArray[np.float32]) -> Any:
    made.build(x.shape)
    made.set_weights(list(arrays))
    return made(x)


def norm(arrays: Arrays, name: str, x: Any, training: bool) -> Any:
    made = keras.layers.BatchNormalization(epsilon=1e-3)
    made.build(x.shape)
    made.set_weights([arrays[f"{name}/norm/{part}"] for part in ("scale", "offset", "mean", "variance")])
    return made(x, training=training)


def conv(arrays: Arrays, name: str, x: Any) -> Any:
    kernel = arrays[f"{name}/conv/kernel"]
    return layer(keras.layers.Conv2D(kernel.shape[-1], 1, use_bias=False), x, kernel)


def depthwise(arrays: Arrays, name: str, x: Any, stride: int) -> Any:
    made = keras.layers.DepthwiseConv2D(3, stride, "same", use_bias=False)
    return layer(made, x, arrays[f"{name}/conv/kernel"])


def excitation(arrays: Arrays, x: Any) -> Any:
    gate = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
    for part, activation in (("squeeze", "relu"), ("excite", None)):
        kernel, bias = (arrays[f"block0/excitation/{part}/{each}"] for each in ("kernel", "bias"))
        gate = layer(keras.layers.Conv2D(kernel.shape[-1], 1, activation=activation), gate, kernel, bias)
    return keras.layers.Multiply()([x, keras.activations.hard_sigmoid(gate)])


def agree(ours: Any, theirs: Any) -> None:
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("stride", "filters"), [(1, 10), (1, 7), (2, 10)])
def test_an_mbconv_block(stride: int, filters: int, training: bool) -> None:
    x = images(16, 10)
    shapes = ShapeOps("step")
    out = mbconv(shapes, "block0", Shape(16, 16, 10), filters, stride=stride)
    arrays = weights(shapes)
    ops = TensorOps({name: tf.constant(array) for name, array in arrays.items()}, training)
    last = "block0/narrow" if (stride, filters) == (1, 10) else "block0/project"

    y = keras.activations.relu(norm(arrays, "block0/widen", conv(arrays, "block0/widen", x), training))
    y = depthwise(arrays, "block0/depthwise", y, stride)
    y = keras.activations.relu(norm(arrays, "block0/depthwise", y, training))
    y = norm(arrays, last, conv(arrays, last, excitation(arrays, y)), training)
    theirs = y + x if last.endswith("narrow") else y

    assert arrays["block0/excitation/squeeze/kernel"].shape[-1] == squeezed_width(10) == 2
    assert tuple(theirs.shape[1:]) == (out.height, out.width, out.channels)
    agree(mbconv(ops, "block0", x, filters, stride=stride), theirs)


@pytest.mark.parametrize("octaves", [-2, 0, 1, 3])
def test_a_mobile_edge(octaves: int) -> None:
    x = images(16, 6)
    shapes = ShapeOps("step")
    mobile_resample(shapes, "edge0", Shape(16, 16, 6), 9, octaves)
    arrays = weights(shapes)
    ops = TensorOps({name: tf.constant(array) for name, array in arrays.items()}, training=False)
    y = x
    for octave in range(octaves):
        name = f"edge0/down{octave}"
        y = keras.activations.relu(norm(arrays, name, depthwise(arrays, name, y, 2), False))
    if octaves < 0:
        y = keras.layers.UpSampling2D(2**-octaves)(y)
    theirs = norm(arrays, "edge0/expand", conv(arrays, "edge0/expand", y), False)
    agree(mobile_resample(ops, "edge0", x, 9, octaves), theirs)


def test_heads_are_separable() -> None:
    scaling = Scaling(endpoint_width=8)
    mobile = detector_plan(backbone_plan(MOBILE_49, scaling), convs=1, width=8, classes=3, anchors=9)
    declared = {weight.path: weight for weight in declare(mobile, 128).weights}
    assert declared["head/class/predict/pointwise/kernel"].shape == (1, 1, 8, 27)
    x = images(5, 4)
    arrays = {
        name: np.random.default_rng(2).standard_normal(shape).astype(np.float32)
        for name, shape in (
            ("h/depthwise/kernel", (3, 3, 4, 1)),
            ("h/pointwise/kernel", (1, 1, 4, 6)),
            ("h/bias", (6,)),
        )
    }
    theirs = layer(keras.layers.SeparableConv2D(6, 3, padding="same"), x, *arrays.values())
    ops = TensorOps({name: tf.constant(array) for name, array in arrays.items()}, training=False)
    agree(ops.separable("h", x, 6, FAN_IN), theirs)


@pytest.mark.parametrize("text", [MOBILE_49.to_text(), "1m* 2m* | 1m:0,1 5m:0,2 3m:0,1^ 5m:0,1^"])
def test_a_mobile_backbone_as_a_keras_file(text: str, tmp_path: Path) -> None:
    plan = backbone_plan(Genome.from_text(text), Scaling(width=0.5, endpoint_width=8))
    arrays = fresh_arrays(plan, 128, seed=4)
    save_keras(plan, arrays, 128, tmp_path / "mobile.keras")
    pictures = np.random.default_rng(5).standard_normal((1, 128, 128, 3)).astype(np.float32)
    parameters, found = run_keras(tmp_path / "mobile.keras", pictures)
    assert parameters == declare(plan, 128).parameters
    for name, wanted in run_plan(plan, arrays, pictures).items():
        np.testing.assert_allclose(found[name], wanted, rtol=1e-5, atol=1e-5)


def test_only_blocks_with_a_shortcut_may_start_as_identities() -> None:
    plan = backbone_plan(MOBILE_49, Scaling(endpoint_width=8))
    ends = {weight.path for weight in declare(plan, 128).weights if weight.ends_branch}
    assert ends == {f"node{number:02d}/block0/narrow/norm/scale" for number in range(2, 18)}
