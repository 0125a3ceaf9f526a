"""A trained detector as an ONNX file: pictures in, decoded boxes and probabilities out, not suppressed.

Suppression is left to who runs it: it belongs on the host, and runtimes differ in what they offer.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper

from proxy_trainer.anchors import PER_POSITION
from proxy_trainer.detector import CHANNEL_MEAN, CHANNEL_STDDEV, LARGEST_SHIFT, Blueprint
from proxy_trainer.network.declare import Shape, ShapeOps
from proxy_trainer.network.onnx_ops import Graph, OnnxOps, Value
from proxy_trainer.network.plan import apply
from proxy_trainer.rebuild import Arrays

OPSET = 18
"""ONNX Runtime 1.14 and later read it."""

IR_VERSION = 8
BATCH = "batch"


def save_onnx(blueprint: Blueprint, size: int, classes: int, arrays: Arrays, path: Path) -> None:
    """Write it: `images`, uint8 [batch, size, size, 3], to `boxes` [batch, A, 4] and `probabilities`
    [batch, A, K], boxes as (top, left, bottom, right) in input pixels.
    """
    graph = Graph()
    ops = {
        step.name: OnnxOps(step.name, _of_step(arrays, step.name), graph, ShapeOps(step.name))
        for step in blueprint.plan.steps
    }
    heads = apply(blueprint.plan, ops, _normalised(graph, size))["head"]
    half = len(heads) // 2
    logits = graph.node("Concat", [_rows(graph, x, classes) for x in heads[:half]], axis=1)
    offsets = graph.node("Concat", [_rows(graph, x, 4) for x in heads[half:]], axis=1)
    edges = [graph.constant(f"boxes/{name}", np.float32(at)) for name, at in (("low", 0), ("high", size))]
    boxes = graph.node("Clip", [_boxes(graph, blueprint, offsets), *edges])
    found = {"boxes": boxes, "probabilities": graph.node("Sigmoid", [logits])}
    for name, value in found.items():
        graph.nodes.append(helper.make_node("Identity", [value], [name]))
    anchors = len(blueprint.anchors.boxes)
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "detector",
            [helper.make_tensor_value_info("images", TensorProto.UINT8, [BATCH, size, size, 3])],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, [BATCH, anchors, columns])
                for name, columns in (("boxes", 4), ("probabilities", classes))
            ],
            list(graph.constants.values()),
        ),
        producer_name="spinenas",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def run_onnx(path: Path, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Load it in ONNX Runtime and run it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = ["boxes", "probabilities"]
    return dict(zip(names, session.run(names, {"images": images}), strict=True))


def _of_step(arrays: Arrays, step: str) -> Arrays:
    return {name.removeprefix(f"{step}/"): x for name, x in arrays.items() if name.startswith(f"{step}/")}


def _normalised(graph: Graph, size: int) -> Value:
    mean, scale = (np.array(each, np.float32) * 255 for each in (CHANNEL_MEAN, CHANNEL_STDDEV))
    pixels = graph.node("Cast", ["images"], to=TensorProto.FLOAT)
    centred = graph.node("Sub", [pixels, graph.constant("normalise/mean", mean)])
    scaled = graph.node("Div", [centred, graph.constant("normalise/stddev", scale)])
    return Value(graph.node("Transpose", [scaled], perm=[0, 3, 1, 2]), Shape(size, size, 3))


def _rows(graph: Graph, x: Value, columns: int) -> str:
    """One row an anchor: [batch, A, columns]."""
    count = x.shape.height * x.shape.width * PER_POSITION
    shape = graph.constant(f"rows/{count}/{columns}", np.array([0, count, columns], np.int64))
    return graph.node("Reshape", [graph.node("Transpose", [x.name], perm=[0, 2, 3, 1]), shape])


def _boxes(graph: Graph, blueprint: Blueprint, offsets: str) -> str:
    anchors = blueprint.anchors.boxes
    sides = graph.constant("anchors/sides", anchors[:, 2:] - anchors[:, :2])
    middles = graph.constant("anchors/middles", (anchors[:, :2] + anchors[:, 2:]) / 2)
    limit = graph.constant("boxes/limit", np.float32(LARGEST_SHIFT))
    two = graph.constant("boxes/two", np.float32(2))
    start, middle, end, axis = (
        graph.constant(f"boxes/{name}", np.array([number], np.int64))
        for name, number in (("start", 0), ("middle", 2), ("end", 4), ("axis", 2))
    )
    shifts = graph.node("Slice", [offsets, start, middle, axis])
    ratios = graph.node("Slice", [offsets, middle, end, axis])
    centres = graph.node("Add", [middles, graph.node("Mul", [shifts, sides])])
    grown = graph.node("Exp", [graph.node("Min", [ratios, limit])])
    halves = graph.node("Div", [graph.node("Mul", [sides, grown]), two])
    corners = [graph.node(kind, [centres, halves]) for kind in ("Sub", "Add")]
    return graph.node("Concat", corners, axis=2)
