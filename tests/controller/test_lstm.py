"""The LSTM layer against its equations, one number at a time, and its way back against differences."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray

from controller.lstm import backpropagate, step, unroll

STEPS: Final = 4
BATCH: Final = 3
UNITS: Final = 2


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.fixture
def case() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(0)
    inputs, recurrent = rng.normal(size=(STEPS, BATCH, 4 * UNITS)), rng.normal(size=(UNITS, 4 * UNITS))
    return inputs, recurrent, rng.normal(size=(STEPS, BATCH, UNITS))


def test_it_follows_the_equations(case: tuple[Any, Any, Any]) -> None:
    inputs, recurrent, _ = case
    run = unroll(inputs, recurrent)
    for b in range(BATCH):
        hidden, cell = [0.0] * UNITS, [0.0] * UNITS
        for t in range(STEPS):
            sums = [
                inputs[t, b, k] + sum(hidden[j] * recurrent[j, k] for j in range(UNITS))
                for k in range(4 * UNITS)
            ]
            let_in, keep, new, show = (sums[gate * UNITS : (gate + 1) * UNITS] for gate in range(4))
            cell = [sigmoid(keep[u]) * cell[u] + sigmoid(let_in[u]) * math.tanh(new[u]) for u in range(UNITS)]
            hidden = [sigmoid(show[u]) * math.tanh(cell[u]) for u in range(UNITS)]
            np.testing.assert_allclose(run.cells[t + 1, b], cell, rtol=1e-12)
            np.testing.assert_allclose(run.hidden[t + 1, b], hidden, rtol=1e-12)


def test_single_steps_are_the_unrolled_ones(case: tuple[Any, Any, Any]) -> None:
    inputs, recurrent, _ = case
    run = unroll(inputs, recurrent)
    hidden = cell = np.zeros(UNITS)
    for t in range(STEPS):
        _, cell, hidden = step(inputs[t, 1] + hidden @ recurrent, cell)
        np.testing.assert_allclose(hidden, run.hidden[t + 1, 1], rtol=1e-12)


def test_the_way_back_is_the_gradient(case: tuple[Any, Any, Any]) -> None:
    inputs, recurrent, weights = case

    def result() -> float:
        return float((unroll(inputs, recurrent).hidden[1:] * weights).sum())

    d_inputs, d_recurrent = backpropagate(unroll(inputs, recurrent), recurrent, weights)
    np.testing.assert_allclose(d_inputs, differences(result, inputs), atol=1e-8)
    np.testing.assert_allclose(d_recurrent, differences(result, recurrent), atol=1e-8)


def differences(result: Callable[[], float], variable: NDArray[np.float64]) -> NDArray[np.float64]:
    """Central differences of `result` by each entry of an array that it reads."""
    found, h = np.empty_like(variable), 1e-5
    for place in np.ndindex(variable.shape):
        kept = variable[place]
        variable[place] = kept + h
        above = result()
        variable[place] = kept - h
        found[place] = (above - result()) / (2 * h)
        variable[place] = kept
    return found
