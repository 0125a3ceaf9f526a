"""A landscape by a random graph network: messages along the edges, read out at the outputs.

Outside of what guided controllers see: nothing in it is a sum of features. Weights are drawn once and
never trained.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from search_space.genome import MAX_LEVEL
from search_space.graph_arrays import KINDS, GraphArrays

Floats = NDArray[np.float64]

WIDTH: Final = 12
GAIN: Final = 1.6
"""Of the messages: above 1 small changes upstream grow on their way, which makes the landscape rugged."""


def network_quality(seed: int) -> Callable[[GraphArrays], Floats]:
    """The quality of graphs [G] on the landscape that this seed draws."""
    rng = np.random.default_rng([seed, 20])
    own = rng.normal(size=(MAX_LEVEL + 1, len(KINDS), WIDTH))
    message = rng.normal(size=(WIDTH, WIDTH)) * GAIN / np.sqrt(WIDTH)
    jump = 0.6 * rng.normal(size=(2 * MAX_LEVEL + 1, WIDTH))
    read = rng.normal(size=(MAX_LEVEL + 1, WIDTH))

    def quality(graphs: GraphArrays) -> Floats:
        count, nodes = graphs.levels.shape
        first, rows = len(graphs.stem.nodes), np.arange(count)
        states = np.zeros((count, nodes, WIDTH))
        added = np.nonzero(graphs.raw >= 0)
        for node in range(nodes):
            level = graphs.levels[:, node]
            heard = own[level, graphs.kinds[:, node]]
            parents = graphs.parents[:, node].T if node >= first else [np.full(count, node - 1)] * (node > 0)
            for parent in parents:
                step = graphs.levels[rows, parent] - level + MAX_LEVEL
                heard = heard + (states[rows, parent] @ message + jump[step]) / np.sqrt(2)
            states[:, node] = np.tanh(heard)
            here = graphs.raw[added] == node
            if here.any():
                np.add.at(states[:, node], added[0][here], states[added[0][here], added[1][here]])
        told = np.einsum("gnd,gnd->gn", states, read[graphs.levels])
        values: Floats = np.where(graphs.outputs, told, 0.0).sum(axis=1)
        return values

    return quality
