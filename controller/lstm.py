"""One LSTM layer over a batch of sequences, forward and back.

Hochreiter and Schmidhuber 1997 with the forget gate of Gers et al. 2000, without peepholes. Shapes:
T steps, B sequences, U units. The four gates stand in the order input, forget, candidate, output.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

GATES: Final = 4

# One tanh serves all gates: sigmoid(x) = tanh(x / 2) / 2 + 1 / 2. The candidate is a tanh itself.
_SCALE: Final = np.array([[0.5], [0.5], [1.0], [0.5]])
_SHIFT: Final = 1 - _SCALE


@dataclass(frozen=True, slots=True, eq=False)
class Unrolled:
    """What a forward pass leaves for the way back; `cells` and `hidden` begin with zeros, before step 0."""

    gates: NDArray[np.float64]  # T, B, 4, U
    cells: NDArray[np.float64]  # T + 1, B, U
    hidden: NDArray[np.float64]  # T + 1, B, U


def step(
    sums: NDArray[np.float64], cell: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Gates (..., 4, U), cell and hidden state (..., U) of one step, from the gates' sums (..., 4U)."""
    gates = sums.reshape(*cell.shape[:-1], GATES, cell.shape[-1]) * _SCALE
    np.tanh(gates, out=gates)
    gates *= _SCALE
    gates += _SHIFT
    cell = gates[..., 1, :] * cell + gates[..., 0, :] * gates[..., 2, :]
    return gates, cell, gates[..., 3, :] * np.tanh(cell)


def unroll(inputs: NDArray[np.float64], recurrent: NDArray[np.float64]) -> Unrolled:
    """All steps: `inputs` (T, B, 4U) is what the gates get from outside, `recurrent` is (U, 4U)."""
    steps, batch, width = inputs.shape
    units = width // GATES
    run = Unrolled(
        np.empty((steps, batch, GATES, units)),
        np.zeros((steps + 1, batch, units)),
        np.zeros((steps + 1, batch, units)),
    )
    for t in range(steps):
        sums = inputs[t] + run.hidden[t] @ recurrent
        run.gates[t], run.cells[t + 1], run.hidden[t + 1] = step(sums, run.cells[t])
    return run


def backpropagate(
    run: Unrolled, recurrent: NDArray[np.float64], d_hidden: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gradients with respect to `inputs` and `recurrent`, from that of the hidden states (T, B, U)."""
    steps, batch, units = d_hidden.shape
    squashed = np.tanh(run.cells[1:])
    hidden_to_cell = run.gates[:, :, 3] * (1 - squashed**2)
    # What a change of a gate's sum does to the cell (to the hidden state, for the output gate).
    d_gates = run.gates - _SHIFT
    np.subtract(_SCALE**2, np.square(d_gates, out=d_gates), out=d_gates)
    d_gates[:, :, 0] *= run.gates[:, :, 2]
    d_gates[:, :, 1] *= run.cells[:-1]
    d_gates[:, :, 2] *= run.gates[:, :, 0]
    d_gates[:, :, 3] *= squashed
    d_sums = d_gates.reshape(steps, batch, GATES * units)  # a view; the loop makes it what it is called
    to_hidden = np.ascontiguousarray(recurrent.T)
    later_hidden = later_cell = np.zeros((batch, units))
    for t in reversed(range(steps)):
        hidden = d_hidden[t] + later_hidden
        cell = later_cell + hidden * hidden_to_cell[t]
        d_gates[t, :, :3] *= cell[:, None]
        d_gates[t, :, 3] *= hidden
        later_hidden = d_sums[t] @ to_hidden
        later_cell = cell * run.gates[t, :, 1]
    before = run.hidden[:-1].reshape(steps * batch, units)
    return d_sums, before.T @ d_sums.reshape(steps * batch, GATES * units)
