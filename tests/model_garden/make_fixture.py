"""Writes fixture.npz: endpoints of TF Model Garden's own SpineNets with the weights of cases.py.

Runs in an environment of its own (docs/model_garden.md). Weights are matched by the order in which
Model Garden creates its layers, which is that of its code: stem, then every block with its two edges,
dead ones included, then the endpoints.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
import tf_keras  # noqa: E402
from cases import IMAGES, SIZE, Case, array, cases, images, processor, sample  # noqa: E402
from official.vision.modeling.backbones import spinenet, spinenet_mobile  # noqa: E402
from official.vision.modeling.layers import nn_blocks  # noqa: E402

BLOCKS = (nn_blocks.BottleneckBlock, nn_blocks.ResidualBlock, nn_blocks.InvertedBottleneckBlock)
PRIMITIVES = (
    tf_keras.layers.Conv2D,
    tf_keras.layers.DepthwiseConv2D,
    tf_keras.layers.BatchNormalization,
)


class Recorder:
    """The layers that are called at the top level, in order: what a block calls inside is its own."""

    def __init__(self) -> None:
        self.layers: list[Any] = []
        self.depth = 0

    def __enter__(self) -> Recorder:
        self.original = tf_keras.layers.Layer.__call__
        recorder = self

        def call(layer: Any, *arguments: Any, **words: Any) -> Any:
            outer = recorder.depth == 0 and isinstance(layer, (*BLOCKS, *PRIMITIVES))
            if outer:
                recorder.layers.append(layer)
                recorder.depth += 1
            try:
                return recorder.original(layer, *arguments, **words)
            finally:
                if outer:
                    recorder.depth -= 1

        tf_keras.layers.Layer.__call__ = call
        return self

    def __exit__(self, *_: object) -> None:
        tf_keras.layers.Layer.__call__ = self.original


def units(case: Case) -> Iterator[str]:
    """The paths of our conv units and blocks in the order in which Model Garden calls them."""
    genome, first = case.genome, len(case.genome.stem.nodes)
    yield "stem/conv"
    for node in range(first):
        for repeat in range(case.scaling.repeats):
            yield f"node{node:02d}/block{repeat}"
    for node, gene in enumerate(genome.blocks, first):
        for index, parent in enumerate(gene.parents):
            octaves = gene.level - genome.level(parent)
            edge = f"node{node:02d}/edge{index}"
            if genome.mobile:
                yield from (f"{edge}/down{octave}" for octave in range(octaves))
            else:
                yield f"{edge}/reduce"
                if octaves > 0:
                    yield f"{edge}/down"
            yield f"{edge}/expand"
        for repeat in range(case.scaling.repeats):
            yield f"node{node:02d}/block{repeat}"
    for level in sorted(genome.outputs):
        yield f"endpoint{level}/endpoint"


def set_conv(layer: Any, path: str) -> None:
    """A conv with or without a bias."""
    values = [array(f"{path}/kernel", tuple(layer.weights[0].shape))]
    if len(layer.weights) > 1:
        values.append(array(f"{path}/bias", tuple(layer.weights[1].shape)))
    layer.set_weights(values)


def set_norm(layer: Any, path: str) -> None:
    shape = tuple(layer.gamma.shape)
    layer.set_weights([array(f"{path}/{part}", shape) for part in ("scale", "offset", "mean", "variance")])


def set_block(block: Any, path: str) -> None:
    """By the names of Model Garden's attributes."""
    if isinstance(block, nn_blocks.InvertedBottleneckBlock):
        shortcut = block._in_filters == block._out_filters and block._strides == 1
        names = ("widen", "depthwise", "narrow" if shortcut else "project")
        for index, name in enumerate(names):
            set_conv(getattr(block, f"_conv{index}"), f"{path}/{name}/conv")
            set_norm(getattr(block, f"_norm{index}"), f"{path}/{name}/norm")
        set_conv(block._squeeze_excitation._se_reduce, f"{path}/excitation/squeeze")
        set_conv(block._squeeze_excitation._se_expand, f"{path}/excitation/excite")
        return
    if block._use_projection:
        set_conv(block._shortcut, f"{path}/shortcut/conv")
        set_norm(block._norm0, f"{path}/shortcut/norm")
    bottleneck = isinstance(block, nn_blocks.BottleneckBlock)
    names = ("reduce", "feature", "expand") if bottleneck else ("feature", "expand")
    for index, name in enumerate(names, 1):
        set_conv(getattr(block, f"_conv{index}"), f"{path}/{name}/conv")
        set_norm(getattr(block, f"_norm{index}"), f"{path}/{name}/norm")


def build(case: Case) -> Any:
    """Model Garden's backbone of a case, with our weights."""
    garden = spinenet_mobile if case.genome.mobile else spinenet
    specs = [(b.level, str(b.kind), b.parents, b.output) for b in case.genome.blocks]
    words: dict[str, Any] = {
        "input_specs": tf_keras.layers.InputSpec(shape=[None, SIZE, SIZE, 3]),
        "block_specs": garden.build_block_specs(specs),
        "endpoints_num_filters": case.scaling.endpoint_width,
        "filter_size_scale": case.scaling.width,
        "block_repeats": case.scaling.repeats,
    }
    if not case.genome.mobile:
        words["resample_alpha"] = case.scaling.alpha
    tf_keras.backend.clear_session()
    with Recorder() as recorder:
        made = spinenet_mobile.SpineNetMobile if case.genome.mobile else spinenet.SpineNet
        model = made(**words)
    layers = iter(recorder.layers)
    for path in units(case):
        layer = next(layers)
        if isinstance(layer, BLOCKS):
            set_block(layer, path)
        else:
            set_conv(layer, f"{path}/conv")
            set_norm(next(layers), f"{path}/norm")
    if next(layers, None) is not None:
        raise RuntimeError(f"{case.name}: Model Garden has layers that were not matched")
    return model


def main() -> None:
    """All cases, in inference and in training mode."""
    # As in the tests: sums over threads differ in their last bits, and a deep network's batch norms make
    # hundreds of times more of that while training.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    found: dict[str, np.ndarray[Any, Any]] = {}
    x = tf.constant(images())
    for case in cases():
        model = build(case)
        live = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
        found[f"{case.name}/parameters"] = np.array(live)
        for mode, training in (("inference", False), ("training", True)):
            for level, value in model(x, training=training).items():
                values = value.numpy()
                found[f"{case.name}/{mode}/P{level}"] = sample(values)
                found[f"{case.name}/{mode}/P{level}/largest"] = np.abs(values).max()
        print(case.name, live, flush=True)
    found["processor"] = np.array(processor())
    found["versions"] = np.array([f"tensorflow {tf.__version__}", f"{IMAGES} images of {SIZE} px"])
    np.savez_compressed(HERE / "fixture.npz", **found)


if __name__ == "__main__":
    main()
