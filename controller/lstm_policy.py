"""A policy over masked decisions: an LSTM that reads the choice before and weighs the options of the next.

The controller of Zoph and Le, "Neural Architecture Search with Reinforcement Learning", ICLR 2017
(https://arxiv.org/abs/1611.01578), in the size of NASNet (Zoph et al., CVPR 2018, appendix: one layer
of 100 units, weights from U(-0.1, 0.1)). Each site has its own embedding of choices and its own head.

Shapes: B sequences, T sites, O options of the site that has most, U units.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from controller.lstm import GATES, Unrolled, backpropagate, step, unroll

INITIAL: Final = 0.1
"""Untrained weights are uniform between minus and plus this (NASNet)."""

Mask = Callable[[Sequence[int]], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Named views into the flat vector of parameters, or into one of their gradient.

    An embedding that input weights multiply is again a table, so the two are one here: `embedding`
    holds what a choice adds to the gates. Its first row stands for the beginning.
    """

    embedding: NDArray[np.float64]  # 1 + options of all sites but the last, 4U
    recurrent: NDArray[np.float64]  # U, 4U
    heads: NDArray[np.float64]  # options of all sites, U
    biases: NDArray[np.float64]  # options of all sites


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """Sequences as a policy sees them: natural logarithms, summed over the sites.

    `entropies` are those of the sites' distributions, given the choices before. The rest is for the way back.
    """

    log_probabilities: NDArray[np.float64]  # B
    entropies: NDArray[np.float64]  # B
    parameters: NDArray[np.float64]
    choices: NDArray[np.intp]  # B, T
    run: Unrolled
    log_softmax: NDArray[np.float64]  # T, B, O; minus infinity where closed


class LstmPolicy:
    """Draws sequences and takes gradients. It holds no parameters: they are given, as one flat vector."""

    def __init__(self, options: Sequence[int], units: int) -> None:
        ends = np.cumsum(options).tolist()
        self._sites = [slice(end - count, end) for end, count in zip(ends, options, strict=True)]
        self._units = units
        width = GATES * units
        self._shapes = ((1 + self._sites[-1].start, width), (units, width), (ends[-1], units), (ends[-1],))
        self.most = max(options)

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
            log_softmax = _log_softmax(weights.heads[site] @ hidden + weights.biases[site], mask(choices))
            # The largest of logarithms plus Gumbel noise is a draw from the distribution.
            choice = int(np.argmax(log_softmax + rng.gumbel(size=log_softmax.size)))
            log_probability += float(log_softmax[choice])
            choices.append(choice)
            row = 1 + site.start + choice
        return choices, log_probability

    def evaluate(
        self, parameters: NDArray[np.float64], choices: NDArray[np.intp], is_open: NDArray[np.bool_]
    ) -> Evaluated:
        """Sequences (B, T), with what was open to them (B, T, O; closed beyond a site's own options)."""
        weights = self.views(parameters)
        run = unroll(weights.embedding[self._rows(choices)], weights.recurrent)
        logits = np.zeros((len(self._sites), len(choices), self.most))
        for t, site in enumerate(self._sites):
            head, bias = weights.heads[site], weights.biases[site]
            logits[t, :, : len(bias)] = run.hidden[t + 1] @ head.T + bias
        log_softmax = _log_softmax(logits, is_open.swapaxes(0, 1))
        chosen = np.take_along_axis(log_softmax, choices.T[:, :, None], axis=2)
        return Evaluated(
            chosen.sum(axis=(0, 2)),
            _entropies(log_softmax).sum(axis=0),
            parameters,
            choices,
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
        d_logits = _logit_gradient(at, by_log_probability, by_entropy)
        d_hidden = np.empty_like(at.run.hidden[1:])
        for t, site in enumerate(self._sites):
            d_site = d_logits[t, :, : site.stop - site.start]
            gradient.heads[site] = d_site.T @ at.run.hidden[t + 1]
            gradient.biases[site] = d_site.sum(axis=0)
            d_hidden[t] = d_site @ weights.heads[site]
        d_inputs, gradient.recurrent[:] = backpropagate(at.run, weights.recurrent, d_hidden)
        for b, rows in enumerate(self._rows(at.choices).T):  # one sequence reads no row twice
            gradient.embedding[rows] += d_inputs[:, b]
        return flat

    def _rows(self, choices: NDArray[np.intp]) -> NDArray[np.intp]:
        """The rows of the embedding that the sites read, (T, B)."""
        rows = np.zeros(choices.T.shape, dtype=np.intp)
        starts = np.array([site.start for site in self._sites[:-1]], dtype=np.intp)
        rows[1:] = 1 + starts[:, None] + choices.T[:-1]
        return rows


def _log_softmax(logits: NDArray[np.float64], is_open: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Over the last axis and its open options; minus infinity for the others."""
    masked = np.where(is_open, logits, -np.inf)
    masked -= masked.max(axis=-1, keepdims=True)
    masked -= np.log(np.exp(masked).sum(axis=-1, keepdims=True))
    return masked


def _entropies(log_softmax: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the distributions on the last axis; closed options add nothing."""
    finite = np.where(np.isneginf(log_softmax), 0, log_softmax)
    entropies: NDArray[np.float64] = -(np.exp(log_softmax) * finite).sum(axis=-1)
    return entropies


def _logit_gradient(
    at: Evaluated, by_log_probability: NDArray[np.float64], by_entropy: NDArray[np.float64]
) -> NDArray[np.float64]:
    """With p the softmax, H its entropy, a the choice: d log p_a = [j = a] - p_j, dH = -p_j (log p_j + H)."""
    probabilities = np.exp(at.log_softmax)
    finite = np.where(np.isneginf(at.log_softmax), 0, at.log_softmax)
    entropies = -(probabilities * finite).sum(axis=-1, keepdims=True)
    d_logits: NDArray[np.float64] = -probabilities * (
        by_log_probability[:, None] + by_entropy[:, None] * (finite + entropies)
    )
    places = at.choices.T[:, :, None]
    chosen = np.take_along_axis(d_logits, places, axis=2) + by_log_probability[:, None]
    np.put_along_axis(d_logits, places, chosen, axis=2)
    return d_logits
