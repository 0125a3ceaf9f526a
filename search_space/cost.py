"""What networks cost, by arithmetic on their resolved graphs: parameters, multiply-adds, memory.

Counted as the references count: trained parameters (kernels, biases, batch norm scale and offset; no
moving statistics) and multiply-adds of convolutions and dense layers only. Every term belongs to one
node or one edge and depends on levels and kinds alone, so that tables of terms are summed over many
genomes at once. Semantics: Du et al., CVPR 2020, section 3.2, figure 5 and appendix A, and TF Model
Garden's SpineNet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from search_space.cost_terms import Cost, Terms
from search_space.genome import MAX_LEVEL, BlockKind, Genome
from search_space.graph_arrays import KINDS, GraphArrays, resolve_all
from search_space.scaling import Scaling

BOX_CODE: Final = 4
"""Numbers that a box is predicted with."""

FIELDS: Final = 3
"""Numbers of a `Cost`."""

LOSS_MAPS: Final = 9
"""Arrays of the size of all class predictions that the focal loss holds for its gradient."""

FLOAT_BYTES: Final = 4

BACKBONE_SHARE: Final = 1.16
HEADS_SHARE: Final = 0.7
"""Of the maps kept for the gradient, what the peak of training holds. More than all of the backbone's
(gradients in flight, working space), less than all of the heads', the first to be given up. Near the
least squares for how a process's memory grows from batch to batch (python -m benchmarks.activation_memory
--fit prints both), moved so that no genome there is told more than 15 % too little.
"""

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """RetinaNet heads: two towers of `convs` 3x3 convs, `width` wide, then class and box predictors.

    Kernels are shared by all output levels, batch norms are not. A mobile network's convs are
    separable.
    """

    convs: int = 4
    width: int = 256
    classes: int = 91
    anchors: int = 9

    def __post_init__(self) -> None:
        if self.convs < 0 or min(self.width, self.classes, self.anchors) < 1:
            raise ValueError(f"head: {self}, expected convs of at least 0 and the rest of at least 1")


@dataclass(frozen=True, slots=True)
class NetworkCost:
    """Cost of the backbone, endpoint convs included, and of the heads on it (nothing without heads)."""

    backbone: Cost
    heads: Cost

    @property
    def total(self) -> Cost:
        """Backbone and heads together."""
        return self.backbone + self.heads

    @property
    def training_memory(self) -> int:
        """Predicted bytes by which the peak of training grows with one more image in the batch."""
        return int(FLOAT_BYTES * (BACKBONE_SHARE * self.backbone.kept + HEADS_SHARE * self.heads.kept))


@dataclass(frozen=True, slots=True, eq=False)
class NetworkCosts:
    """The same of G genomes: [G, FIELDS] each, the fields of a `Cost` in their order."""

    backbone: Counts
    heads: Counts

    @property
    def total(self) -> Counts:
        """Backbone and heads together."""
        return self.backbone + self.heads

    def one(self, row: int) -> NetworkCost:
        """One genome's."""
        return NetworkCost(*(Cost(*part[row].tolist()) for part in (self.backbone, self.heads)))


def network_cost(genome: Genome, scaling: Scaling, input_size: int, head: Head | None = None) -> NetworkCost:
    """The cost of a genome at a scaling, for square images of `input_size` pixels.

    Dead nodes cost nothing. Raises InvalidGenome for a stem that starts before its pool.
    """
    return network_costs([genome], scaling, input_size, head).one(0)


def network_costs(
    genomes: Sequence[Genome], scaling: Scaling, input_size: int, head: Head | None = None
) -> NetworkCosts:
    """The costs of many genomes, which may be of several spaces. Raises InvalidGenome."""
    backbone, heads = (np.zeros((len(genomes), FIELDS), np.int64) for _ in range(2))
    groups: dict[object, list[int]] = {}
    for index, genome in enumerate(genomes):
        groups.setdefault((genome.stem, len(genome.blocks)), []).append(index)
    for rows in groups.values():
        graphs = resolve_all([genomes[row] for row in rows])
        terms = Terms(scaling, input_size)
        backbone[rows] = _backbones(graphs, terms)
        if head is not None:
            heads[rows] = _heads(graphs, terms, head)
    return NetworkCosts(backbone, heads)


def _backbones(graphs: GraphArrays, terms: Terms) -> Counts:
    total = np.zeros((len(graphs.levels), FIELDS), np.int64) + _row(terms.stem(graphs.stem))
    blocks, endpoints, edges = _tables(terms, mobile=graphs.stem.nodes[0].kind is BlockKind.MBCONV)
    for node in range(graphs.levels.shape[1]):
        alive = graphs.alive[:, node]
        if node < len(graphs.stem.nodes):
            total += alive[:, np.newaxis] * _row(terms.stem_node(graphs.stem, node))
            continue
        rows = np.flatnonzero(alive)
        level, kind = graphs.levels[rows, node], graphs.kinds[rows, node]
        total[rows] += blocks[level, kind]
        for side in (0, 1):
            parent = graphs.parents[rows, node, side]
            total[rows] += edges[graphs.levels[rows, parent], graphs.kinds[rows, parent], level, kind]
        out = np.flatnonzero(graphs.outputs[:, node])
        total[out] += endpoints[graphs.levels[out, node], graphs.kinds[out, node]]
    return total


@lru_cache(maxsize=32)
def _tables(terms: Terms, *, mobile: bool) -> tuple[Counts, Counts, Counts]:
    """Costs of a block group, of an endpoint, [level, kind, FIELDS], and of an edge, parent's first."""
    size = (MAX_LEVEL + 1, len(KINDS))
    blocks, endpoints, edges = (
        np.zeros((*shape, FIELDS), np.int64) for shape in (size, size, (*size, *size))
    )
    kinds = [(place, kind) for place, kind in enumerate(KINDS) if (kind is BlockKind.MBCONV) == mobile]
    levels = range(1, MAX_LEVEL + 1)
    for level in levels:
        for place, kind in kinds:
            blocks[level, place] = _row(terms.group(level, kind))
            endpoints[level, place] = _row(terms.endpoint(level, kind))
            for source in levels:
                for above, parent in kinds:
                    edges[source, above, level, place] = _row(terms.edge(source, parent, level, kind))
    for table in (blocks, endpoints, edges):
        table.flags.writeable = False  # it is shared by all callers
    return blocks, endpoints, edges


def _heads(graphs: GraphArrays, terms: Terms, head: Head) -> Counts:
    outputs = graphs.outputs.sum(axis=1)
    area = np.array([0] + [terms.pixels(level) for level in range(1, MAX_LEVEL + 1)], np.int64)
    pixels = (area[graphs.levels] * graphs.outputs).sum(axis=1)
    mobile = graphs.stem.nodes[0].kind is BlockKind.MBCONV
    params = np.zeros(len(pixels), np.int64)
    flops = np.zeros(len(pixels), np.int64)
    kept = np.zeros(len(pixels), np.int64)
    for filters, copies in ((head.classes * head.anchors, 1 + LOSS_MAPS), (BOX_CODE * head.anchors, 1)):
        channels = terms.scaling.endpoint_width
        for width in (*[head.width] * head.convs, filters):
            weights = channels * (9 + width) if mobile else 9 * channels * width
            params += weights + width
            flops += pixels * weights
            # A separable conv's halves meet in a map of their own.
            kept += pixels * channels if mobile else 0
            channels = width
        params += outputs * head.convs * 2 * head.width
        # Each tower conv's output, which its batch norm reads, and what is activated of it.
        kept += pixels * (2 * head.convs * head.width + copies * filters)
    return np.stack([params, flops, kept], axis=1)


def _row(cost: Cost) -> Counts:
    return np.array([cost.params, cost.flops, cost.kept], np.int64)
