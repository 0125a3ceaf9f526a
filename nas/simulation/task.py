"""What is searched in a simulation: a space whose genomes have values that need no training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from controller.config import SearchSpace
from controller.protocol import G


@dataclass(frozen=True, slots=True)
class Measured:
    """What one trial of a genome gives: a value (more is better), and how long it takes."""

    value: float
    seconds: float


class Task(Protocol[G]):
    """A simulated problem. More is better.

    `measure` is what a trial would see, noise included; `truth` is what is really sought, and what
    controllers are judged by.
    """

    @property
    def space(self) -> SearchSpace[G]: ...

    def measure(self, genome: G, rng: np.random.Generator) -> Measured: ...

    def truth(self, genome: G) -> float: ...
