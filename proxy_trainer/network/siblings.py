"""The edges that leave one node begin alike, with a 1x1 conv of the same map: computed as one while training.

The channels of a conv and of a batch norm know nothing of one another, so that the numbers are the same. The
map is read once instead of once an edge, and gradients by it need not be added up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import tensorflow as tf

from proxy_trainer.network.blocks import reduce
from proxy_trainer.network.pieces import Edge, Node
from proxy_trainer.network.plan import EdgeName, Plan
from proxy_trainer.network.taped_ops import TapedOps
from proxy_trainer.network.tensor_ops import TensorOps

_PARTS = ("reduce/conv/kernel", "reduce/norm/scale", "reduce/norm/offset")
_MOMENTS = ("reduce/norm/mean", "reduce/norm/variance")


@dataclass(frozen=True, slots=True)
class Siblings:
    """By step: the edges that leave it, two and more, and how many channels each is reduced to."""

    edges: Mapping[str, Sequence[EdgeName]]
    reduced: Mapping[str, int]

    @staticmethod
    def of(plan: Plan) -> Siblings:
        """Those of a plan. How far an edge is reduced depends on where it comes from alone."""
        edges: dict[str, list[EdgeName]] = {}
        reduced: dict[str, int] = {}
        for step in plan.steps:
            if isinstance(step.piece, Node):
                for index, edge in enumerate(step.piece.edges):
                    if isinstance(edge, Edge):
                        parent = step.inputs[index]
                        edges.setdefault(parent, []).append((step.name, index))
                        reduced[parent] = edge.reduced
        return Siblings({parent: each for parent, each in edges.items() if len(each) > 1}, reduced)

    def begin(self, taped: Mapping[str, TapedOps], parent: str, x: tf.Tensor) -> dict[EdgeName, tf.Tensor]:
        """The reduced maps of all edges that leave `parent`, whose output is `x`."""
        edges = self.edges.get(parent, ())
        if not edges:
            return {}
        first, tape = taped[edges[0][0]], taped[edges[0][0]].tape
        weights = {
            f"edge/{part}": tape.join(
                [taped[step].ops.weights[f"edge{index}/{part}"] for step, index in edges]
            )
            for part in _PARTS
        }
        ops = TensorOps(weights, training=True, activation=first.ops.activation)
        y = reduce(TapedOps(ops, tape, first.fused), "edge", x, self.reduced[parent] * len(edges))
        for moment in _MOMENTS:
            parts = tf.split(ops.batch_moments[f"edge/{moment}"], len(edges))
            for (step, index), part in zip(edges, parts, strict=True):
                taped[step].ops.batch_moments[f"edge{index}/{moment}"] = part
        return dict(zip(edges, tape.part(y, len(edges)), strict=True))
