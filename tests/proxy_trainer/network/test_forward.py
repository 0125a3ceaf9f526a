"""Plans on tensors: the declared shapes, weights and multiply-adds are those of the traced graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from proxy_trainer.network.declare import Declaration, Shape, declare
from proxy_trainer.network.forward import forward, split
from proxy_trainer.network.plan import backbone_plan, detector_plan
from proxy_trainer.network.weights import Layout, initial, room, unflatten
from search_space.catalog import SPACES, SPINENET_49
from search_space.genome import Genome
from search_space.scaling import Scaling

PROXY = Scaling(width=0.25, alpha=0.25, endpoint_width=16)


def traced(genome: Genome, scaling: Scaling, size: int, *, training: bool) -> tuple[Declaration, Any]:
    """The declaration and the graph of a detector, for a batch of any size; nothing is computed."""
    plan = detector_plan(backbone_plan(genome, scaling), convs=2, width=24, classes=5, anchors=9)
    declaration = declare(plan, size)
    layout = Layout.of(declaration)
    lengths = (sum(room(weight) for weight in part) for part in (layout.trained, layout.statistics))
    vectors = tuple(tf.TensorSpec([length], tf.float32) for length in lengths)
    function = tf.function(
        lambda trained, statistics, images: forward(
            plan, layout, (trained, statistics), images, training=training
        ),
        autograph=False,
    )
    return declaration, function.get_concrete_function(
        *vectors, tf.TensorSpec([None, size, size, 3], tf.float32)
    )


def multiply_adds(graph: Any) -> int:
    """Of one image, counted over the graph's convolutions; nothing else has kernels."""
    total = 0
    for op in graph.get_operations():
        assert op.type not in {
            "PartitionedCall",
            "StatefulPartitionedCall",
            "MatMul",
            "Einsum",
            "BatchMatMulV2",
        }
        if op.type in {"Conv2D", "DepthwiseConv2dNative"}:
            kernel, out = op.inputs[1].shape.as_list(), op.outputs[0].shape.as_list()
            # A depthwise kernel is [3, 3, channels, 1], and each channel sees its own.
            assert out[-1] == (kernel[2] if op.type == "DepthwiseConv2dNative" else kernel[-1])
            total += int(np.prod(out[1:-1])) * int(np.prod(kernel))
    return total


def check(genome: Genome, scaling: Scaling, size: int, modes: tuple[bool, ...] = (True, False)) -> None:
    for training in modes:
        declaration, function = traced(genome, scaling, size, training=training)
        outputs, moments = function.structured_outputs
        real = {
            name: tuple(Shape(*tensor.shape.as_list()[1:]) for tensor in tensors)
            for name, tensors in outputs.items()
        }
        del real["images"]
        declared = dict(declaration.shapes)
        del declared["images"]
        assert real == declared
        assert multiply_adds(function.graph) == sum(declaration.multiply_adds.values())
        assert moments.shape.as_list() == [
            sum(weight.shape[0] for weight in declaration.weights if not weight.trained)
        ]


def test_spinenet_49() -> None:
    check(SPINENET_49, Scaling(), 640, modes=(True,))


@pytest.mark.parametrize("seed", [3, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(20, 40))])
def test_sampled_genomes(seed: int) -> None:
    genome = SPACES["spinenet-49"].sample(np.random.default_rng(seed))
    check(genome, Scaling(width=0.3, alpha=0.5, endpoint_width=16, repeats=1 + seed % 2), 128, modes=(False,))


@pytest.mark.parametrize("name", ["spinenet-mobile-49", "vertex-spinenet-mbconv"])
def test_mobile_networks(name: str) -> None:
    check(SPACES[name].sample(np.random.default_rng(2)), Scaling(endpoint_width=24), 128)


def test_a_longer_stem() -> None:
    check(Genome.from_text("2b 2r 3b* 3b 4b* 5r* | 4b:2,4 5b:4,5^ 6r:5,6^"), PROXY, 128)


def test_weights_are_split_as_they_are_unflattened(small: Genome) -> None:
    layout = Layout.of(declare(backbone_plan(small, PROXY), 128))
    flat = initial(layout.trained, 0)
    arrays = unflatten(layout.trained, flat)
    found = split(layout.trained, tf.constant(flat))
    assert {f"{step}/{name}" for step, names in found.items() for name in names} == arrays.keys()
    for step, names in found.items():
        for name, tensor in names.items():
            np.testing.assert_array_equal(tensor, arrays[f"{step}/{name}"])


def test_statistics_are_those_of_the_batch_in_training_only(small: Genome) -> None:
    plan = backbone_plan(small, PROXY)
    layout = Layout.of(declare(plan, 128))
    rng = np.random.default_rng(0)
    trained = tf.constant(initial(layout.trained, 0))
    images = tf.constant(rng.standard_normal((2, 128, 128, 3)), tf.float32)
    moving = initial(layout.statistics, 0)
    other = moving + rng.uniform(0.1, 1, moving.shape).astype(np.float32)

    def run(statistics: Any, *, training: bool) -> tuple[Any, Any]:
        outputs, used = forward(plan, layout, (trained, tf.constant(statistics)), images, training=training)
        return np.asarray(outputs["endpoint7"][0]), np.asarray(used)

    np.testing.assert_array_equal(run(moving, training=True)[0], run(other, training=True)[0])
    assert np.abs(run(moving, training=False)[0] - run(other, training=False)[0]).max() > 1e-3
    np.testing.assert_array_equal(run(other, training=False)[1], other)
    used = unflatten(layout.statistics, run(moving, training=True)[1])
    kernel = unflatten(layout.trained, np.asarray(trained))["stem/conv/conv/kernel"]
    features = np.asarray(tf.nn.conv2d(images, kernel, 2, "SAME"))
    np.testing.assert_allclose(used["stem/conv/norm/mean"], features.mean(axis=(0, 1, 2)), atol=1e-5)
    np.testing.assert_allclose(used["stem/conv/norm/variance"], features.var(axis=(0, 1, 2)), rtol=1e-3)
