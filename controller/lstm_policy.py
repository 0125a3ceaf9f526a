"""A policy over masked decisions: an LSTM that reads the choice before and weighs the options of the next.

The controller of Zoph and Le, "Neural Architecture Search with Reinforcement Learning", ICLR 2017
(https://arxiv.org/abs/1611.01578), in the size of NASNet (Zoph et al., CVPR 2018, appendix: one layer
of 100 units, weights from U(-0.1, 0.1)). Each site has its own embedding of choices and its own head.

Shapes: B sequences, T sites, U units, and N for the options of all sites, one site after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from controller.lstm import GATES, Unrolled, backpropagate, step, unroll
from controller.masked_softmax import logit_gradient, masked_log_softmax, site_entropies

INITIAL: Final = 0.1
"""Untrained weights are uniform between minus and plus this (NASNet)."""

_FIRST: Final = np.zeros(1, dtype=np.intp)
"""Where the sites start when there is one."""

Mask = Callable[[Sequence[int]], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Named views into the flat vector of parameters, or into one of their gradient.

    An embedding that input weights multiply is again a table, so the two are one here: `embedding`
    holds what a choice adds to the gates. Its first row stands for the beginning.
    """

    embedding: NDArray[np.float64]  # 1 + N without the last site's, 4U
    recurrent: NDArray[np.float64]  # U, 4U
    heads: NDArray[np.float64]  # N, U
    biases: NDArray[np.float64]  # N


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """Sequences as a policy sees them: natural logarithms, summed over the sites.

    `entropies` are those of the sites' distributions, given the choices before. The rest is for the way back.
    """

    log_probabilities: NDArray[np.float64]  # B
    entropies: NDArray[np.float64]  # B
    parameters: NDArray[np.float64]
    chosen: NDArray[np.intp]  # B, T: where the choices stand among the N options
    run: Unrolled
    log_softmax: NDArray[np.float64]  # B, N; minus infinity where closed


class LstmPolicy:
    """Draws sequences and takes gradients. It holds no parameters: they are given, as one flat vector."""

    def __init__(self, options: Sequence[int], units: int) -> None:
        ends = np.cumsum(options, dtype=np.intp)
        self._starts: NDArray[np.intp] = ends - np.array(options, dtype=np.intp)
        self._sites = list(map(slice, self._starts.tolist(), ends.tolist()))
        self._units = units
        count, width = int(ends[-1]), GATES * units
        self._shapes = ((1 + count - options[-1], width), (units, width), (count, units), (count,))

    def initial(self, seed: int) -> NDArray[np.float64]:
        """Untrained parameters. The heads are zero, so that every open option is equally likely."""
        size = sum(int(np.prod(shape)) for shape in self._shapes)
        parameters = np.random.default_rng(seed).uniform(-INITIAL, INITIAL, size)
        weights = self.views(parameters)
        weights.heads[:] = 0
        weights.biases[:] = 0
        return parameters

    def views(self, flat: NDArray[np.float64]) -> Weights:
        """A flat vector's parts by name: to write to one is to write to the vector."""
        sizes = [int(np.prod(shape)) for shape in self._shapes]
        parts = np.split(flat, np.cumsum(sizes)[:-1])
        return Weights(*(part.reshape(shape) for part, shape in zip(parts, self._shapes, strict=True)))

    def draw(
        self, parameters: NDArray[np.float64], mask: Mask, rng: np.random.Generator
    ) -> tuple[list[int], float]:
        """A sequence and the logarithm of its probability."""
        weights = self.views(parameters)
        hidden = cell = np.zeros(self._units)
        choices: list[int] = []
        log_probability, row = 0.0, 0
        for site in self._sites:
            _, cell, hidden = step(weights.embedding[row] + hidden @ weights.recurrent, cell)
            log_softmax = masked_log_softmax(
                weights.heads[site] @ hidden + weights.biases[site], mask(choices), _FIRST
            )
            # The largest of logarithms plus Gumbel noise is a draw from the distribution.
            choice = int(np.argmax(log_softmax + rng.gumbel(size=log_softmax.size)))
            log_probability += float(log_softmax[choice])
            choices.append(choice)
            row = 1 + site.start + choice
        return choices, log_probability

    def evaluate(
        self, parameters: NDArray[np.float64], choices: NDArray[np.intp], is_open: NDArray[np.bool_]
    ) -> Evaluated:
        """Sequences (B, T), with what was open to them (B, N)."""
        weights = self.views(parameters)
        chosen: NDArray[np.intp] = self._starts + choices
        run = unroll(weights.embedding[_rows(chosen)], weights.recurrent)
        logits = np.empty(is_open.shape)
        for site, hidden in zip(self._sites, run.hidden[1:], strict=True):
            logits[:, site] = hidden @ weights.heads[site].T
        log_softmax = masked_log_softmax(logits + weights.biases, is_open, self._starts)
        log_probabilities = np.take_along_axis(log_softmax, chosen, axis=1).sum(axis=1)
        return Evaluated(
            log_probabilities,
            site_entropies(log_softmax, self._starts).sum(axis=1),
            parameters,
            chosen,
            run,
            log_softmax,
        )

    def gradient(
        self, at: Evaluated, by_log_probability: NDArray[np.float64], by_entropy: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The gradient of what depends so (two derivatives for each sequence, B) on the two results."""
        weights = self.views(at.parameters)
        flat = np.zeros_like(at.parameters)
        gradient = self.views(flat)
        d_logits = logit_gradient(at.log_softmax, at.chosen, self._starts, by_log_probability, by_entropy)
        gradient.biases[:] = d_logits.sum(axis=0)
        d_hidden = np.empty_like(at.run.hidden[1:])
        for t, site in enumerate(self._sites):
            gradient.heads[site] = d_logits[:, site].T @ at.run.hidden[t + 1]
            d_hidden[t] = d_logits[:, site] @ weights.heads[site]
        d_inputs, gradient.recurrent[:] = backpropagate(at.run, weights.recurrent, d_hidden)
        for b, rows in enumerate(_rows(at.chosen).T):  # one sequence reads no row twice
            gradient.embedding[rows] += d_inputs[:, b]
        return flat


def _rows(chosen: NDArray[np.intp]) -> NDArray[np.intp]:
    """The rows of the embedding that the sites read, (T, B): each that of the choice before."""
    rows = np.zeros(chosen.T.shape, dtype=np.intp)
    rows[1:] = 1 + chosen.T[:-1]
    return rows
