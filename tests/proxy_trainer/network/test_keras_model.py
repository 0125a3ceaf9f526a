"""The network as a Keras model: the same numbers, files that reload elsewhere, statistics that move."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from proxy_trainer.network.declare import declare
from proxy_trainer.network.forward import forward
from proxy_trainer.network.keras_model import PieceLayer, assign_weights, keras_model
from proxy_trainer.network.pieces import Edge, Endpoint, HeadPiece, Node, Piece, StemGroup, StemInput
from proxy_trainer.network.plan import Plan, backbone_plan
from proxy_trainer.network.weights import Layout, flatten
from search_space.genome import BlockKind, Genome
from search_space.scaling import Scaling

Arrays = dict[str, NDArray[np.float32]]
SCALING = Scaling(width=0.25, alpha=0.5, endpoint_width=8)


@pytest.fixture(scope="module")
def plan(other: Genome) -> Plan:
    return backbone_plan(other, SCALING)


@pytest.fixture(scope="module")
def images() -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((2, 128, 128, 3), np.float32)


def weights_of(model: Any) -> Arrays:
    return {
        f"{layer.name}/{name}": np.asarray(variable)
        for layer in model.layers
        if isinstance(layer, PieceLayer)
        for name, variable in layer._named.items()
    }


def plain(plan: Plan, arrays: Arrays, images: Any, *, training: bool) -> tuple[dict[int, Any], Arrays]:
    """Endpoints and used statistics by the plain functions."""
    layout = Layout.of(declare(plan, 128))
    vectors = tuple(tf.constant(flatten(part, arrays)) for part in (layout.trained, layout.statistics))
    outputs, used = forward(plan, layout, (vectors[0], vectors[1]), tf.constant(images), training=training)
    at, statistics = 0, {}
    for weight in layout.statistics:
        statistics[weight.path] = np.asarray(used[at : at + weight.shape[0]])
        at += weight.shape[0]
    return {level: np.asarray(outputs[name][0]) for level, name in plan.outputs.items()}, statistics


def test_the_same_outputs_as_the_plain_functions(
    saved_model: Any, plan: Plan, images: NDArray[np.float32]
) -> None:
    model, _ = saved_model
    found = model(images)
    wanted, _ = plain(plan, weights_of(model), images, training=False)
    assert list(found) == ["P3", "P4", "P5", "P6", "P7"]
    for level, array in wanted.items():
        assert np.abs(array).max() > 0.1
        np.testing.assert_array_equal(np.asarray(found[f"P{level}"]), array)


def test_the_weights_are_the_declared_ones(saved_model: Any, plan: Plan) -> None:
    model, _ = saved_model
    declaration = declare(plan, 128)
    assert {path: array.shape for path, array in weights_of(model).items()} == {
        weight.path: weight.shape for weight in declaration.weights
    }
    trained = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
    assert trained == declaration.parameters


def test_the_weights_start_as_the_proxys_do(plan: Plan) -> None:
    arrays = weights_of(keras_model(plan, 128))
    for weight in declare(plan, 128).weights:
        array = arrays[weight.path]
        if weight.is_kernel:
            fan_in = int(np.prod(weight.shape[:-1]))
            assert array.std() == pytest.approx(fan_in**-0.5, rel=0.5)
        else:
            assert (array == weight.start).all()


@pytest.mark.timeout(600)  # for the process that it waits for
def test_a_file_reloads_in_another_process(saved_model: Any, cold: Path, images: NDArray[np.float32]) -> None:
    model, _ = saved_model
    wanted = {name: np.asarray(array) for name, array in model(images).items()}
    with np.load(cold / "outputs.npz", allow_pickle=False) as found:
        assert sorted(found.files) == sorted(wanted)
        for name, array in wanted.items():
            np.testing.assert_array_equal(found[name], array)


def test_statistics_move_in_training_only(plan: Plan, images: NDArray[np.float32]) -> None:
    model = keras_model(plan, 128)
    before = weights_of(model)
    model(images)
    model(images, training=False)
    model.predict(images, verbose=0)
    for path, array in weights_of(model).items():
        np.testing.assert_array_equal(array, before[path], err_msg=path)
    found = model(images, training=True)
    wanted, used = plain(plan, before, images, training=True)
    after = weights_of(model)
    for level, array in wanted.items():
        np.testing.assert_array_equal(np.asarray(found[f"P{level}"]), array)
    for path, array in after.items():
        if path in used:
            moved = 0.99 * before[path] + 0.01 * used[path]
            np.testing.assert_allclose(array, moved, rtol=1e-5, atol=1e-7, err_msg=path)
        else:
            np.testing.assert_array_equal(array, before[path], err_msg=path)
    assert any(np.abs(after[path] - before[path]).max() > 1e-4 for path in used)


def test_keras_trains_it(images: NDArray[np.float32]) -> None:
    genome = Genome.from_text("2r* 2r* | 6r:0,1^")
    keras.utils.set_random_seed(0)
    model = keras_model(backbone_plan(genome, SCALING), 128)
    before = weights_of(model)
    model.compile(keras.optimizers.SGD(0.01), loss={"P6": "mse"})
    losses = [model.train_on_batch(images, {"P6": np.ones((2, 2, 2, 8))}) for _ in range(10)]
    assert losses[-1] < losses[0]
    changed = {path for path, array in weights_of(model).items() if not np.array_equal(array, before[path])}
    assert changed == before.keys()


PIECES = [
    StemInput(),
    StemGroup(kind=BlockKind.RESIDUAL, width=6, repeats=2, stride=2, project=True),
    Node(
        kind=BlockKind.BOTTLENECK,
        width=5,
        filters=20,
        repeats=1,
        edges=(Edge(reduced=3, octaves=-1), Edge(reduced=4, octaves=2)),
    ),
    Endpoint(filters=8),
    HeadPiece(levels=(3, 5), convs=1, width=4, classes=2, anchors=9),
]


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: type(piece).__name__)
@pytest.mark.parametrize("activation", ["relu", "swish"])
def test_every_piece_comes_back_from_its_config(piece: Piece, activation: Any) -> None:
    layer = PieceLayer(piece, activation, name="step")
    text = json.dumps(keras.saving.serialize_keras_object(layer))
    again = keras.saving.deserialize_keras_object(json.loads(text))
    assert isinstance(again, PieceLayer)
    assert again.piece == piece
    assert (again.activation_name, again.name) == (activation, "step")
    # As Keras's own clone does it, without text between.
    assert PieceLayer.from_config(layer.get_config()).piece == piece


def test_an_unknown_piece_is_refused() -> None:
    config = PieceLayer(Endpoint(filters=8), name="step").get_config()
    config["piece"] = {"type": "Pyramid"}
    with pytest.raises(ValueError, match="piece 'Pyramid': expected one of StemInput, "):
        PieceLayer.from_config(config)


def test_heads_give_all_levels() -> None:
    layer = PieceLayer(HeadPiece(levels=(3, 5), convs=1, width=4, classes=2, anchors=9), name="head")
    inputs = [tf.zeros((2, 16, 16, 8)), tf.zeros((2, 4, 4, 8))]
    wanted = [(2, 16, 16, 18), (2, 4, 4, 18), (2, 16, 16, 36), (2, 4, 4, 36)]
    assert [tuple(each.shape) for each in layer(inputs)] == wanted
    assert list(layer.compute_output_shape([tuple(each.shape) for each in inputs])) == wanted


def test_missing_weights_are_named(plan: Plan) -> None:
    model = keras_model(plan, 128)
    arrays = {path: array + 1 for path, array in weights_of(model).items()}
    assign_weights(model, arrays)
    for path, array in weights_of(model).items():
        np.testing.assert_array_equal(array, arrays[path])
    del arrays["node03/edge0/reduce/conv/kernel"]
    with pytest.raises(ValueError, match="weights: node03/edge0/reduce/conv/kernel is missing"):
        assign_weights(model, arrays)
