"""The weights of a network as two flat vectors: trained ones and batch norm statistics.

One vector instead of hundreds of variables makes the optimizer, clipping, weight decay, moving
averages and checkpoints a handful of operations, whatever the genome.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from proxy_trainer.network.declare import Declaration, Weight
from proxy_trainer.network.ops import Normal

Array = NDArray[np.float32]

ROW: Final = 16
"""Every trained array begins at a multiple of this: what is done array by array is done row by row."""

_TRUNCATED_STDDEV: Final = 0.87962566103423978
"""Standard deviation of a unit normal cut off at two: what variance scaling divides by."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each weight lies in the flat vectors: trained weights and statistics, each in order."""

    trained: tuple[Weight, ...]
    statistics: tuple[Weight, ...]

    @staticmethod
    def of(declaration: Declaration) -> Layout:
        """The layout of a declared network."""
        return Layout(
            tuple(weight for weight in declaration.weights if weight.trained),
            tuple(weight for weight in declaration.weights if not weight.trained),
        )


def size(weight: Weight) -> int:
    """How many numbers a weight has."""
    return math.prod(weight.shape)


def room(weight: Weight) -> int:
    """How many numbers it takes in the flat vector: trained weights fill whole rows of `ROW`, with zeros."""
    return -(-size(weight) // ROW) * ROW if weight.trained else size(weight)


def initial(weights: tuple[Weight, ...], seed: int, *, branch_scale: float = 1.0) -> Array:
    """The flat vector that training starts from. A weight's start depends on the seed and its path only.

    `branch_scale` is where the last batch norm scale of every block starts: 1 in the references, 0
    makes each block an identity at first (Goyal et al., 2017, section 5.1).
    """
    return _joined(
        weights,
        [_start(weight, seed).ravel() * (branch_scale if weight.ends_branch else 1.0) for weight in weights],
    )


def decay_mask(weights: tuple[Weight, ...]) -> Array:
    """One where weight decay applies (kernels), zero elsewhere."""
    return np.repeat(
        np.array([weight.is_kernel for weight in weights], np.float32), [room(weight) for weight in weights]
    )


def unflatten(weights: tuple[Weight, ...], flat: Array) -> dict[str, Array]:
    """The arrays of a flat vector, by path."""
    found, at = {}, 0
    for weight in weights:
        found[weight.path] = flat[at : at + size(weight)].reshape(weight.shape)
        at += room(weight)
    return found


def flatten(weights: tuple[Weight, ...], arrays: Mapping[str, Array]) -> Array:
    """The inverse of `unflatten`; raises ValueError for a missing array or a wrong shape."""
    parts = []
    for weight in weights:
        array = arrays.get(weight.path)
        if array is None or array.shape != weight.shape:
            found = "nothing" if array is None else f"shape {array.shape}"
            raise ValueError(f"weights: {weight.path}: expected shape {weight.shape}, found {found}")
        parts.append(np.asarray(array, np.float32).ravel())
    return _joined(weights, parts)


def _joined(weights: tuple[Weight, ...], parts: list[Array]) -> Array:
    flat = np.zeros(sum(room(weight) for weight in weights), np.float32)
    at = 0
    for weight, part in zip(weights, parts, strict=True):
        flat[at : at + len(part)] = part
        at += room(weight)
    return flat


def _start(weight: Weight, seed: int) -> Array:
    if not isinstance(weight.start, Normal):
        return np.full(weight.shape, weight.start, np.float32)
    rng = np.random.default_rng([seed, zlib.crc32(weight.path.encode())])
    if weight.start.stddev is not None:
        return rng.normal(0.0, weight.start.stddev, weight.shape).astype(np.float32)
    fan_in = math.prod(weight.shape[:-1])
    return (_truncated(rng, weight.shape) * (math.pow(fan_in, -0.5) / _TRUNCATED_STDDEV)).astype(np.float32)


def _truncated(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    values = rng.standard_normal(shape)
    while (outside := np.abs(values) > 2).any():
        values[outside] = rng.standard_normal(int(outside.sum()))
    return values
