"""Gradients by the tape against those of TensorFlow, which knows nothing of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from proxy_trainer.network.baseline import resnet_fpn_plan
from proxy_trainer.network.declare import declare
from proxy_trainer.network.forward import Pass, forward
from proxy_trainer.network.fused_norm import has_active_norm
from proxy_trainer.network.pieces import Edge, Node, StemGroup, StemInput
from proxy_trainer.network.plan import IMAGES, Plan, Step, backbone_plan, detector_plan
from proxy_trainer.network.siblings import Siblings
from proxy_trainer.network.tape import Tape
from proxy_trainer.network.taped_ops import TapedOps
from proxy_trainer.network.tensor_ops import TensorOps
from proxy_trainer.network.weights import Layout, initial, room, size
from search_space.catalog import space_by_name
from search_space.genome import BlockKind
from search_space.scaling import Scaling

PROXY = Scaling(width=0.125, alpha=0.5, endpoint_width=8)


def plan(name: str) -> Plan:
    if name == "fpn":
        backbone = resnet_fpn_plan(PROXY)
    else:
        backbone = backbone_plan(space_by_name(name).sample(np.random.default_rng(5)), PROXY)
    return detector_plan(backbone, convs=2, width=8, classes=3, anchors=9)


def compiled(function: Callable[..., Any], *arguments: tf.Tensor) -> Any:
    return tf.function(function, autograph=False)(*arguments)


@pytest.mark.parametrize("name", ["spinenet-49", "vertex-spinenet-v2", "spinenet-mobile-49", "fpn"])
def test_a_whole_detector(name: str) -> None:
    whole = plan(name)
    layout = Layout.of(declare(whole, 128))
    rng = np.random.default_rng(1)
    # Weights of no special value: blocks that start as identities would hide half of the gradients.
    start = initial(layout.trained, 0)
    weights = tf.constant(start + rng.normal(0, 0.05, start.shape).astype(np.float32))
    # Pictures that differ as a whole: the batch norms of the coarsest maps would divide rounding by rounding.
    images = tf.image.resize(rng.normal(size=(8, 2, 2, 3)).astype(np.float32), (128, 128), "nearest")

    def scores(heads: tuple[tf.Tensor, ...]) -> tf.Tensor:
        return tf.add_n([tf.reduce_sum(tf.sin(each)) for each in heads])

    def ours(weights: tf.Tensor) -> Any:
        forwards = Pass.of(whole, layout, weights, images)
        heads = forwards.outputs
        return forwards.gradient(
            zip(heads, tf.gradients(scores(heads), list(heads)), strict=True)
        ), forwards.moments

    def theirs(weights: tf.Tensor) -> Any:
        statistics = tf.constant(initial(layout.statistics, 0))
        outputs, moments = forward(whole, layout, (weights, statistics), images, training=True)
        return tf.gradients(scores(outputs["head"]), [weights])[0], moments

    (found, moments), (wanted, wanted_moments) = compiled(ours, weights), compiled(theirs, weights)

    # Not to the bit: convs of edges that begin together are summed in another order.
    np.testing.assert_allclose(moments, wanted_moments, rtol=1e-4, atol=1e-5)
    at, largest = 0, float(np.abs(wanted).max())
    for weight in layout.trained:
        part = slice(at, at + size(weight))
        # Rounding grows on the way back through a whole network (test_a_small_network is stricter), and
        # some gradients are nothing else: a batch norm undoes what its conv's scale does.
        off, whole_part = (np.sqrt(np.mean(each[part] ** 2)) for each in (found - wanted, wanted))
        assert off < 0.01 * whole_part + 1e-4 * largest, weight.path
        np.testing.assert_array_equal(found[at + size(weight) : at + room(weight)], 0)
        at += room(weight)
    assert at == len(found)


def small() -> Plan:
    """Two stem groups and three nodes; three edges leave node00 and two leave node02."""
    kind, edges = BlockKind.BOTTLENECK, (Edge(reduced=4, octaves=1), Edge(reduced=8, octaves=0))

    def node(name: str, *parents: str) -> Step:
        return Step(name, Node(kind=kind, width=4, filters=16, repeats=1, edges=edges), parents)

    return Plan(
        (
            Step("stem", StemInput(), (IMAGES,)),
            Step("node00", StemGroup(kind=kind, width=4, repeats=1, stride=1, project=True), ("stem",)),
            Step("node01", StemGroup(kind=kind, width=4, repeats=1, stride=2, project=True), ("node00",)),
            node("node02", "node00", "node01"),
            node("node03", "node00", "node02"),
            Step(
                "node04",
                Node(kind=kind, width=4, filters=16, repeats=1, edges=edges[::-1]),
                ("node02", "node00", "node03"),
            ),
        ),
        {},
    )


def test_a_small_network() -> None:
    """Where rounding stays small: every gradient and every moment, with edges computed together."""
    pieces = small()
    assert len(Siblings.of(pieces).edges) == 2
    layout = Layout.of(declare(pieces, 64))
    rng = np.random.default_rng(1)
    start = initial(layout.trained, 0)
    weights = tf.constant(start + rng.normal(0, 0.05, start.shape).astype(np.float32))
    images = tf.constant(rng.normal(size=(4, 64, 64, 3)), tf.float32)

    def ours(weights: tf.Tensor) -> Any:
        forwards = Pass.of(pieces, layout, weights, images)
        (y,) = forwards.outputs
        return forwards.gradient([(y, tf.cos(y))]), forwards.moments

    def theirs(weights: tf.Tensor) -> Any:
        statistics = tf.constant(initial(layout.statistics, 0))
        outputs, moments = forward(pieces, layout, (weights, statistics), images, training=True)
        return tf.gradients(tf.sin(outputs["node04"][0]), [weights])[0], moments

    (found, moments), (wanted, wanted_moments) = compiled(ours, weights), compiled(theirs, weights)
    np.testing.assert_allclose(moments, wanted_moments, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-5 * float(np.abs(wanted).max()))


@pytest.mark.parametrize("name", ["spinenet-49", "spinenet-mobile-49"])
def test_a_whole_detector_in_bfloat16(name: str) -> None:
    """Near the same as in float32: bfloat16 keeps 8 bits, a map is off by some 0.4 % after an operation."""
    whole = plan(name)
    layout = Layout.of(declare(whole, 128))
    rng = np.random.default_rng(1)
    weights = tf.constant(initial(layout.trained, 0))
    # Pictures that differ as a whole: of mere noise the coarsest maps would show little but rounding.
    images = tf.image.resize(rng.normal(size=(8, 2, 2, 3)), (128, 128), "nearest")

    def run(precision: tf.DType) -> Any:
        def inner(weights: tf.Tensor) -> Any:
            forwards = Pass.of(whole, layout, weights, images, precision)
            assert {each.dtype for each in forwards.outputs} == {tf.float32}
            ones = [tf.ones_like(each) for each in forwards.outputs]
            gradient = forwards.gradient(zip(forwards.outputs, ones, strict=True))
            return gradient, forwards.moments, forwards.outputs

        return compiled(inner, weights)

    for exact, rough in zip(run(tf.float32)[:2], run(tf.bfloat16)[:2], strict=True):
        assert exact.dtype == rough.dtype == tf.float32
        # Measured: at most 0.005 for gradients and 0.036 for moments; one gradient left out is more.
        assert 0 < float(tf.norm(rough - exact) / tf.norm(exact)) < 0.1


OPERATIONS: dict[str, Callable[[Any, tf.Tensor], tf.Tensor]] = {
    "1x1 conv": lambda ops, x: ops.conv("w", x, 5, 1),
    "1x1 conv, stride 2": lambda ops, x: ops.conv("w", x, 5, 1, 2),
    "3x3 conv": lambda ops, x: ops.conv("v", x, 5, 3),
    "3x3 conv, stride 2": lambda ops, x: ops.conv("v", x, 5, 3, 2),
    "conv with a bias": lambda ops, x: ops.biased("v", x, 5, 3),
    "conv twice": lambda ops, x: ops.conv("s", ops.conv("s", x, 6, 3), 6, 3),
    "max-pool": lambda ops, x: ops.max_pool(x),
    "upsampling": lambda ops, x: ops.upsample(x, 4),
    "activation": lambda ops, x: ops.activate(x),
    "sum with itself": lambda ops, x: ops.add((x, x, ops.activate(x))),
    "sum of one": lambda ops, x: ops.add((ops.activate(x),)),
    "batch norm": lambda ops, x: ops.norm("n", x),
    "batch norm and activation": lambda ops, x: ops.norm("n", x, activated=True),
    "depthwise conv": lambda ops, x: ops.depthwise("d", x, 2),
    "excitation": lambda ops, x: ops.excite("e", x, 2),
}
SHAPES = {
    "w/kernel": (1, 1, 6, 5),
    "v/kernel": (3, 3, 6, 5),
    "v/bias": (5,),
    "s/kernel": (3, 3, 6, 6),
    "n/scale": (6,),
    "n/offset": (6,),
    "d/kernel": (3, 3, 6, 1),
    "e/squeeze/kernel": (1, 1, 6, 2),
    "e/squeeze/bias": (2,),
    "e/excite/kernel": (1, 1, 2, 6),
    "e/excite/bias": (6,),
}


@pytest.mark.parametrize("activation", ["relu", "swish"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation(name: str, activation: Any) -> None:
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=(2, 6, 10, 6)), tf.float32)
    weights = {key: tf.constant(rng.normal(size=shape), tf.float32) for key, shape in SHAPES.items()}

    def both(x: tf.Tensor) -> Any:
        taped, plain = ({key: tf.identity(each) for key, each in weights.items()} for _ in range(2))
        tape = Tape()
        for each in (x, *taped.values()):
            tape.watch(each)
        y = OPERATIONS[name](TapedOps(TensorOps(taped, True, activation), tape), x)
        other = OPERATIONS[name](TensorOps(plain, True, activation), x)
        above = tf.constant(rng.normal(size=other.shape), tf.float32)
        tape.run_back([(y, above)])
        wanted = tf.gradients(other, [x, *plain.values()], above)
        pairs = zip((x, *taped.values()), wanted, strict=True)
        return [
            (tf.reshape(tape.gradient(each), tf.shape(grad)), grad)
            for each, grad in pairs
            if grad is not None
        ]

    found = compiled(both, x)

    assert found
    for one, wanted in found:
        np.testing.assert_allclose(one, wanted, rtol=1e-4, atol=1e-4)


def test_what_nothing_flows_to_has_no_gradient() -> None:
    def back(x: tf.Tensor) -> tf.Tensor:
        tape = Tape()
        ops = TapedOps(TensorOps({}, training=True), tape)
        tape.watch(x)
        used, unused = ops.activate(x), ops.max_pool(x)
        tape.run_back([(used, used)])
        with pytest.raises(KeyError):
            tape.gradient(unused)
        return tape.gradient(x)

    x = tf.constant([[[[-1.0], [2.0]]]])
    np.testing.assert_array_equal(compiled(back, x), [[[[0.0], [2.0]]]])


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
def test_batch_norm_and_relu_as_one_operation(dtype: tf.DType) -> None:
    """The same bits as of two, where this TensorFlow has it: on the machines that trials were timed on."""
    if not has_active_norm():
        pytest.skip("this build of TensorFlow has no such operation")
    rng = np.random.default_rng(0)
    x = tf.cast(tf.constant(rng.normal(size=(2, 6, 10, 16)), tf.float32), dtype)
    above = tf.cast(tf.constant(rng.normal(size=x.shape), tf.float32), dtype)
    arrays = {f"n/{name}": tf.constant(rng.normal(size=16), tf.float32) for name in ("scale", "offset")}

    def run(*, fused: bool) -> Any:
        def inner(x: tf.Tensor) -> Any:
            tape, weights = Tape(), {key: tf.identity(each) for key, each in arrays.items()}
            for each in (x, *weights.values()):
                tape.watch(each)
            ops = TensorOps(weights, training=True)
            y = TapedOps(ops, tape, fused).norm("n", x, activated=True)
            assert (y.op.type == "_FusedBatchNormEx") == fused
            tape.run_back([(y, above)])
            return y, ops.batch_moments, [tape.gradient(each) for each in (x, *weights.values())]

        return compiled(inner, x)

    for one, two in zip(tf.nest.flatten(run(fused=True)), tf.nest.flatten(run(fused=False)), strict=True):
        np.testing.assert_array_equal(one, two)


def test_joined_and_parted() -> None:
    rng = np.random.default_rng(0)
    xs = [tf.constant(rng.normal(size=(2, 3)), tf.float32) for _ in range(3)]
    seeds = [tf.constant(rng.normal(size=(2, 3)), tf.float32) for _ in range(3)]

    def inner(*xs: tf.Tensor) -> Any:
        tape = Tape()
        for x in xs:
            tape.watch(x)
        parts = tape.part(tape.join(xs), 3)
        tape.run_back([(parts[2], seeds[2]), (parts[0], seeds[0]), (parts[1], seeds[1])])
        return parts, [tape.gradient(x) for x in xs]

    for found, wanted in zip(compiled(inner, *xs), (xs, seeds), strict=True):
        for one, two in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(one, two)


def test_edges_that_leave_one_node_are_reduced_by_one_conv() -> None:
    whole = plan("spinenet-49")
    layout = Layout.of(declare(whole, 128))
    leaving = Siblings.of(whole).edges
    together = sum(len(edges) for edges in leaving.values())
    assert len(leaving) > 3
    assert together > 2 * len(leaving)

    def convs(function: Callable[..., Any]) -> int:
        graph = tf.function(function, autograph=False).get_concrete_function(start, images).graph
        return sum(operation.type == "Conv2D" for operation in graph.get_operations())

    start, images = tf.constant(initial(layout.trained, 0)), tf.zeros((2, 128, 128, 3))
    statistics = tf.constant(initial(layout.statistics, 0))
    one_by_one = convs(lambda w, x: forward(whole, layout, (w, statistics), x, training=True))
    assert convs(lambda w, x: Pass.of(whole, layout, w, x).outputs) == one_by_one - together + len(leaving)
