"""The coarse pieces a network is made of, each a function of its weights and its inputs.

A piece is the grain at which weights are grouped, graphs are compiled and Keras layers are made.
It is a plain value: equal pieces on equal inputs compute the same, whatever genome they are from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar, assert_never

from proxy_trainer.network.blocks import active_unit, group, mobile_resample, reduce, resample
from proxy_trainer.network.ops import FAN_IN, Normal, Ops
from search_space.genome import BlockKind
from search_space.scaling import STEM_CONV_WIDTH

T = TypeVar("T")

TOWER_INIT: Final = Normal(0.01)
PREDICTOR_INIT: Final = Normal(1e-5)
SEPARABLE_INIT: Final = Normal(0.03)
PRIOR_BIAS: Final = -math.log(99.0)
"""Bias of the class predictor: every anchor starts at a probability of 0.01 (Lin et al., 2017)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One cross-scale connection: channels in between, and halvings (negative: doublings)."""

    reduced: int
    octaves: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileEdge:
    """A mobile network's connection: halvings (negative: doublings) at the parent's own width."""

    octaves: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StemInput:
    """7x7/2 conv and max-pool: images to level 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileStemInput:
    """A mobile network's 3x3/2 conv: images to level 1."""

    filters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StemGroup:
    """A block group of the stem; its first block may halve the resolution."""

    kind: BlockKind
    width: int
    repeats: int
    stride: int
    project: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A scale-permuted block: two resampled parents and any raw inputs, summed, activated, block group."""

    kind: BlockKind
    width: int
    filters: int
    repeats: int
    edges: tuple[Edge | MobileEdge, Edge | MobileEdge]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """The 1x1 conv that brings an output to the common width."""

    filters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PyramidConv:
    """A conv with a bias in a feature pyramid; `activated` applies to its input."""

    filters: int
    kernel: int
    stride: int = 1
    activated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PyramidMerge:
    """A lateral connection plus the next coarser map, doubled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PyramidNorm:
    """The batch norm of a pyramid's level."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadPiece:
    """The RetinaNet heads: towers and predictors shared over the levels, a batch norm per level.

    A mobile network's convs are `separable`.
    """

    levels: tuple[int, ...]
    convs: int
    width: int
    classes: int
    anchors: int
    separable: bool = False


Piece = (
    StemInput
    | MobileStemInput
    | StemGroup
    | Node
    | Endpoint
    | PyramidConv
    | PyramidMerge
    | PyramidNorm
    | HeadPiece
)


def run(
    piece: Piece, ops: Ops[T], inputs: Sequence[T], begun: Mapping[int, T] | None = None
) -> tuple[T, ...]:
    """Apply a piece. All pieces return one tensor, but for the heads: class logits, then boxes, by level.

    `begun` has the reduced maps of a node's edges, by the edge's number, where they are there already.
    """
    match piece:
        case StemInput():
            return (ops.max_pool(active_unit(ops, "conv", inputs[0], STEM_CONV_WIDTH, 7, 2)),)
        case MobileStemInput():
            return (active_unit(ops, "conv", inputs[0], piece.filters, 3, 2),)
        case StemGroup():
            return (
                group(
                    ops,
                    inputs[0],
                    piece.kind,
                    piece.width,
                    piece.repeats,
                    stride=piece.stride,
                    project=piece.project,
                ),
            )
        case Node():
            return (_node(piece, ops, inputs, begun or {}),)
        case Endpoint():
            return (active_unit(ops, "endpoint", inputs[0], piece.filters, 1),)
        case PyramidConv():
            x = ops.activate(inputs[0]) if piece.activated else inputs[0]
            return (ops.biased("conv", x, piece.filters, piece.kernel, piece.stride),)
        case PyramidMerge():
            return (ops.add((inputs[0], ops.upsample(inputs[1], 2))),)
        case PyramidNorm():
            return (ops.norm("norm", inputs[0]),)
        case HeadPiece():
            classes = _tower(piece, ops, "class", inputs, piece.classes * piece.anchors, PRIOR_BIAS)
            boxes = _tower(piece, ops, "box", inputs, 4 * piece.anchors, 0.0)
            return (*classes, *boxes)
        case _:
            assert_never(piece)


def _node(piece: Node, ops: Ops[T], inputs: Sequence[T], begun: Mapping[int, T]) -> T:
    edges = []
    for index, edge in enumerate(piece.edges):
        name, x = f"edge{index}", inputs[index]
        if isinstance(edge, MobileEdge):
            edges.append(mobile_resample(ops, name, x, piece.filters, edge.octaves))
        else:
            x = begun[index] if index in begun else reduce(ops, name, x, edge.reduced)
            edges.append(resample(ops, name, x, piece.filters, edge.octaves))
    fused = ops.activate(ops.add((*edges, *inputs[len(edges) :])))
    return group(ops, fused, piece.kind, piece.width, piece.repeats)


def _tower(
    piece: HeadPiece, ops: Ops[T], name: str, inputs: Sequence[T], filters: int, bias: float
) -> list[T]:
    # As in TF Model Garden, but for separable towers, which Keras starts by fan-in and fan-out there.
    tower, predictor = (FAN_IN, SEPARABLE_INIT) if piece.separable else (TOWER_INIT, PREDICTOR_INIT)
    conv = ops.separable if piece.separable else ops.predict
    found = []
    for level, x in zip(piece.levels, inputs, strict=True):
        for index in range(piece.convs):
            x = conv(f"{name}/conv{index}", x, piece.width, tower)
            x = ops.norm(f"{name}/conv{index}/norm{level}", x, activated=True)
        found.append(conv(f"{name}/predict", x, filters, predictor, bias))
    return found
