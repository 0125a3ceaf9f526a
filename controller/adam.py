"""Adam, as a value: parameters under way, with the moments of their gradients.

Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, algorithm 1
(https://arxiv.org/abs/1412.6980), with the constants it recommends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

DECAY_MEAN: Final = 0.9
DECAY_SQUARE: Final = 0.999
EPSILON: Final = 1e-8


@dataclass(frozen=True, slots=True, eq=False)
class Adam:
    """After `steps` steps: the parameters, and moving averages of the gradient and of its square.

    All three are flat and of one length. A step makes a new value and leaves this one as it was.
    """

    parameters: NDArray[np.float64]
    mean: NDArray[np.float64]
    square: NDArray[np.float64]
    steps: int = 0

    @classmethod
    def start(cls, parameters: NDArray[np.float64]) -> Adam:
        """Before the first step."""
        return cls(parameters, np.zeros_like(parameters), np.zeros_like(parameters))

    def ascend(self, gradient: NDArray[np.float64], rate: float) -> Adam:
        """One step uphill."""
        steps = self.steps + 1
        mean = DECAY_MEAN * self.mean
        mean += (1 - DECAY_MEAN) * gradient
        square = DECAY_SQUARE * self.square
        square += (1 - DECAY_SQUARE) * gradient**2
        # Both averages began at zero; divided by the weight that gradients have in them, they no longer lean.
        # In place, since vectors of this length cost more to allocate than to compute.
        moved = np.sqrt(square / (1 - DECAY_SQUARE**steps))
        moved += EPSILON
        np.divide(mean, moved, out=moved)
        moved *= rate / (1 - DECAY_MEAN**steps)
        moved += self.parameters
        return Adam(moved, mean, square, steps)
