"""Softmax over the open options of each site, with its entropies and the way back.

Shapes: B sequences, T sites, and N for the options of all sites, one site after the other; `starts` (T)
says where each site's begin. Logarithms are natural.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def masked_log_softmax(
    logits: NDArray[np.float64], is_open: NDArray[np.bool_], starts: NDArray[np.intp]
) -> NDArray[np.float64]:
    """From logits (..., N): minus infinity for options that are not open. Each site needs one that is."""
    counts = np.diff(starts, append=logits.shape[-1])
    masked = np.where(is_open, logits, -np.inf)
    masked -= np.repeat(np.maximum.reduceat(masked, starts, axis=-1), counts, axis=-1)
    masked -= np.repeat(np.log(np.add.reduceat(np.exp(masked), starts, axis=-1)), counts, axis=-1)
    return masked


def site_entropies(log_softmax: NDArray[np.float64], starts: NDArray[np.intp]) -> NDArray[np.float64]:
    """Of the distribution of each site, (B, T)."""
    entropies: NDArray[np.float64] = -np.add.reduceat(_weighed(log_softmax), starts, axis=1)
    return entropies


def logit_gradient(
    log_softmax: NDArray[np.float64],
    chosen: NDArray[np.intp],
    starts: NDArray[np.intp],
    by_log_probability: NDArray[np.float64],
    by_entropy: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The gradient by the logits (B, N) of what depends so on log-probability and entropy, two times (B).

    `chosen` (B, T) says where the choices stand among the N. With p the softmax of a site, H its entropy
    and a the choice: d log p_a = [j = a] - p_j and dH = -p_j (log p_j + H), by the logit of option j.
    """
    probabilities = np.exp(log_softmax)
    counts = np.diff(starts, append=log_softmax.shape[1])
    entropies = np.repeat(site_entropies(log_softmax, starts), counts, axis=1)
    gradient = -by_log_probability[:, None] * probabilities
    gradient -= by_entropy[:, None] * (_weighed(log_softmax) + probabilities * entropies)
    at_choices = np.take_along_axis(gradient, chosen, axis=1) + by_log_probability[:, None]
    np.put_along_axis(gradient, chosen, at_choices, axis=1)
    return gradient


def _weighed(log_softmax: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each logarithm times its probability: 0 for closed options."""
    weighed: NDArray[np.float64] = np.exp(log_softmax) * np.where(np.isneginf(log_softmax), 0.0, log_softmax)
    return weighed
