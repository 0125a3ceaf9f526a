"""The network against the same thing built of Keras's own layers, literally after TF Model Garden."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from proxy_trainer.network.blocks import group, reduce, resample
from proxy_trainer.network.declare import Declaration, Shape, ShapeOps, declare
from proxy_trainer.network.forward import forward
from proxy_trainer.network.plan import backbone_plan
from proxy_trainer.network.tensor_ops import Activation, TensorOps
from proxy_trainer.network.weights import Layout, flatten
from search_space.catalog import R0_SP53, SPACES, SPINENET_49
from search_space.genome import BlockKind, Genome
from search_space.scaling import BASE_WIDTH, Scaling

Arrays = dict[str, NDArray[np.float32]]


@dataclass
class Oracle:
    """Keras layers on the arrays of a declared network, by the same names."""

    arrays: Mapping[str, NDArray[np.float32]]
    training: bool
    activation: str = "relu"
    moved: Arrays = field(default_factory=dict)

    def act(self, x: Any) -> Any:
        return keras.layers.Activation(self.activation)(x)

    def unit(self, name: str, x: Any, kernel: int, stride: int = 1) -> Any:
        """Conv2D and BatchNormalization; the moving statistics afterwards are left in `moved`."""
        array = self.arrays[f"{name}/conv/kernel"]
        conv = keras.layers.Conv2D(array.shape[-1], kernel, stride, "same", use_bias=False)
        conv.build(x.shape)
        conv.set_weights([array])
        norm = keras.layers.BatchNormalization(momentum=0.99, epsilon=1e-3)
        norm.build(conv.compute_output_shape(x.shape))
        norm.set_weights(
            [self.arrays[f"{name}/norm/{part}"] for part in ("scale", "offset", "mean", "variance")]
        )
        y = norm(conv(x), training=self.training)
        for part, value in zip(("mean", "variance"), norm.get_weights()[2:], strict=True):
            self.moved[f"{name}/norm/{part}"] = value
        return y

    def block(self, name: str, x: Any, kind: BlockKind, stride: int = 1) -> Any:
        shortcut = x
        if f"{name}/shortcut/conv/kernel" in self.arrays:
            shortcut = self.unit(f"{name}/shortcut", x, 1, stride)
        if kind is BlockKind.BOTTLENECK:
            y = self.act(self.unit(f"{name}/reduce", x, 1))
            y = self.act(self.unit(f"{name}/feature", y, 3, stride))
            y = self.unit(f"{name}/expand", y, 1)
        else:
            y = self.act(self.unit(f"{name}/feature", x, 3, stride))
            y = self.unit(f"{name}/expand", y, 3)
        return self.act(keras.layers.Add()([shortcut, y]))

    def edge(self, name: str, x: Any, width: int, target: int) -> Any:
        """From a feature map `width` pixels wide to one of `target`."""
        x = self.act(self.unit(f"{name}/reduce", x, 1))
        if width > target:
            x = self.act(self.unit(f"{name}/down", x, 3, 2))
            width //= 2
            while width > target:
                x = keras.layers.MaxPooling2D(3, 2, "same")(x)
                width //= 2
        elif width < target:
            x = keras.layers.UpSampling2D(target // width, interpolation="nearest")(x)
        return self.unit(f"{name}/expand", x, 1)


def random_weights(weights: Mapping[str, Any], seed: int) -> Arrays:
    """Kernels by fan-in; scales, offsets and statistics far from their start."""
    rng = np.random.default_rng(seed)
    found = {}
    for path, weight in weights.items():
        if path.endswith("/kernel"):
            value = rng.standard_normal(weight.shape) / math.sqrt(math.prod(weight.shape[:-1]))
        elif path.endswith(("/scale", "/variance")):
            value = rng.uniform(0.5, 1.5, weight.shape)
        else:
            value = rng.normal(0, 0.3, weight.shape)
        found[path] = value.astype(np.float32)
    return found


def agree(ours: Any, theirs: Any) -> None:
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=2e-4, atol=2e-4)


def images(count: int, size: int, channels: int, seed: int = 0) -> tf.Tensor:
    rng = np.random.default_rng(seed)
    return tf.constant(rng.standard_normal((count, size, size, channels)), tf.float32)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", [BlockKind.BOTTLENECK, BlockKind.RESIDUAL])
@pytest.mark.parametrize(
    ("stride", "project", "repeats", "activation"),
    [(1, False, 2, "relu"), (1, True, 1, "swish"), (2, True, 2, "relu")],
)
def test_a_block_group(
    kind: BlockKind, stride: int, project: bool, repeats: int, activation: Activation, training: bool
) -> None:
    channels = 12 if project else {BlockKind.BOTTLENECK: 24, BlockKind.RESIDUAL: 6}[kind]
    x = images(4, 32, channels)
    shapes = ShapeOps("step")
    group(shapes, Shape(32, 32, channels), kind, 6, repeats, stride=stride, project=project)
    arrays = random_weights(shapes.weights, seed=1)
    ops = TensorOps({name: tf.constant(array) for name, array in arrays.items()}, training, activation)
    ours = group(ops, x, kind, 6, repeats, stride=stride, project=project)
    oracle = Oracle(arrays, training, activation)
    theirs = oracle.block("block0", x, kind, stride)
    for index in range(1, repeats):
        theirs = oracle.block(f"block{index}", theirs, kind)
    agree(ours, theirs)
    if training:
        # Both moved by a hundredth of the way. The fused batch norm's variance is the unbiased one,
        # larger than Keras's by 1 / (4 * 16 * 16 - 1) at most.
        assert ops.batch_moments.keys() == oracle.moved.keys()
        for name, moment in ops.batch_moments.items():
            np.testing.assert_allclose(
                0.99 * arrays[name] + 0.01 * moment, oracle.moved[name], rtol=1e-4, atol=1e-5
            )


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("octaves", [-3, -1, 0, 1, 2, 4])
def test_a_resampling_edge(octaves: int, training: bool) -> None:
    x = images(2, 16, 10)
    shapes = ShapeOps("step")
    out = resample(shapes, "edge0", reduce(shapes, "edge0", Shape(16, 16, 10), 5), 7, octaves)
    arrays = random_weights(shapes.weights, seed=2)
    ops = TensorOps({name: tf.constant(array) for name, array in arrays.items()}, training)
    ours = resample(ops, "edge0", reduce(ops, "edge0", x, 5), 7, octaves)
    theirs = Oracle(arrays, training).edge("edge0", x, 16, 2 ** (4 - octaves))
    assert tuple(ours.shape[1:]) == (out.height, out.width, out.channels)
    agree(ours, theirs)


@dataclass
class Built:
    """A node as Model Garden keeps it while it builds; without a value if Keras would prune it."""

    value: Any
    side: int
    channels: int
    kind: BlockKind
    consumers: int = 0


def garden(genome: Genome, scaling: Scaling, oracle: Oracle, x: Any) -> dict[int, Any]:
    """Endpoints by level, as in TF Model Garden's SpineNet (docs/sources.md, 2).

    It knows no resolved graph: the dangling rule is carried out here as the blocks are built, on
    shapes and counts of consumers, over intermediates.
    """
    size, arrays = x.shape[1], oracle.arrays
    x = oracle.act(oracle.unit("stem/conv", x, 7, 2))
    x = keras.layers.MaxPooling2D(3, 2, "same")(x)
    nodes: list[Built] = []
    for number, stem in enumerate(genome.stem.nodes):
        side = size // 2**stem.level
        for repeat in range(scaling.repeats):
            x = oracle.block(f"node{number:02d}/block{repeat}", x, stem.kind, x.shape[1] // side)
        nodes.append(Built(x, side, x.shape[-1], stem.kind))
    endpoints = {}
    for number, gene in enumerate(genome.blocks, len(nodes)):
        name, side = f"node{number:02d}", size // 2**gene.level
        width = int(BASE_WIDTH[gene.level] * scaling.width)
        built = Built(None, side, 4 * width if gene.kind is BlockKind.BOTTLENECK else width, gene.kind)
        for parent in gene.parents:
            nodes[parent].consumers += 1
        raw = [
            earlier
            for earlier in nodes[len(genome.stem.nodes) :]
            if gene.output and not earlier.consumers and matches(earlier, built)
        ]
        for earlier in raw:
            earlier.consumers += 1
        if f"{name}/block0/expand/conv/kernel" in arrays:
            parents = [nodes[parent] for parent in gene.parents]
            edges = [
                oracle.edge(f"{name}/edge{index}", node.value, node.side, side)
                for index, node in enumerate(parents)
            ]
            x = oracle.act(keras.layers.Add()([*edges, *(earlier.value for earlier in raw)]))
            for repeat in range(scaling.repeats):
                x = oracle.block(f"{name}/block{repeat}", x, gene.kind)
            built.value = x
            for index, node in enumerate(parents):
                feature = node.channels // (4 if node.kind is BlockKind.BOTTLENECK else 1)
                reduced = arrays[f"{name}/edge{index}/reduce/conv/kernel"].shape[-1]
                assert reduced == int(feature * scaling.alpha)
        nodes.append(built)
        if gene.output:
            endpoints[gene.level] = oracle.act(oracle.unit(f"endpoint{gene.level}/endpoint", x, 1))
    return endpoints


def matches(a: Built, b: Built) -> bool:
    return (a.side, a.channels) == (b.side, b.channels)


def both(
    genome: Genome, scaling: Scaling, size: int, training: bool
) -> tuple[dict[int, Any], dict[int, Any], Declaration]:
    plan = backbone_plan(genome, scaling)
    declaration = declare(plan, size)
    layout = Layout.of(declaration)
    arrays = random_weights({weight.path: weight for weight in declaration.weights}, seed=3)
    vectors = (
        tf.constant(flatten(layout.trained, arrays)),
        tf.constant(flatten(layout.statistics, arrays)),
    )
    x = images(2, size, 3)
    outputs, _ = forward(plan, layout, vectors, x, training=training)
    ours = {level: outputs[name][0] for level, name in plan.outputs.items()}
    return ours, garden(genome, scaling, Oracle(arrays, training), x), declaration


def sampled(seed: int) -> Genome:
    return SPACES["spinenet-49"].sample(np.random.default_rng(seed))


PROXY = Scaling(width=0.125, alpha=0.25, endpoint_width=8)
LONG_STEM = Genome.from_text("2b 2r 3b* 3b 4r* 5b* | 4b:2,4 5b:4,5 3b:2,6^ 5b:5,8^ 7r:7,9^")
"""Its nodes 0, 1 and 3 are no candidates, node 3 has a child in the stem only."""

RAW_AND_DEAD = Genome.from_text("2b* 2r* | 3b:0,1 3b:0,1 3r:1,2 4b:0,1 3b:0,1^ 5r:5,6^")
"""Node 3 goes raw into output 6. Node 2 does not, for node 4 has it; and both are dead."""


@pytest.mark.parametrize(
    ("genome", "scaling"),
    [
        pytest.param(LONG_STEM, PROXY, id="long stem"),
        pytest.param(RAW_AND_DEAD, PROXY, id="raw and dead"),
        pytest.param(
            sampled(10),
            Scaling(width=0.1, alpha=0.7, endpoint_width=5, repeats=2),
            id="repeats",
            marks=pytest.mark.full,
        ),
        pytest.param(SPINENET_49, PROXY, id="SpineNet-49", marks=pytest.mark.full),
        pytest.param(R0_SP53, PROXY, id="R0-SP53", marks=pytest.mark.full),
        *(
            pytest.param(sampled(seed), PROXY, id=f"sample {seed}", marks=pytest.mark.full)
            for seed in range(10)
        ),
    ],
)
def test_a_backbone(genome: Genome, scaling: Scaling) -> None:
    ours, theirs, _ = both(genome, scaling, 128, training=False)
    assert list(ours) == sorted(theirs)
    for level, value in ours.items():
        agree(value, theirs[level])
        assert np.abs(value).max() > 0.05


def test_a_backbone_in_training() -> None:
    # Batch norms over few values amplify rounding: no coarse levels here.
    genome = Genome.from_text("2b* 2r* | 3r:0,1 3b:0,1 3r:2,3^ 4b:3,4^")
    ours, theirs, _ = both(genome, PROXY, 128, training=True)
    for level, value in ours.items():
        np.testing.assert_allclose(value, theirs[level], rtol=1e-3, atol=1e-3)
