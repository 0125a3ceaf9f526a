"""Warm start: a wrapper that has given genomes tried first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic

import numpy as np

from controller.protocol import Controller, G, Outcome, Pending, Proposal, Textual


class WarmStart(Generic[G]):
    """Composes around any controller: the first trials get `genomes`, canonical texts, in their order.

    The controller is told what became of them like of its own, and from then on it is asked. Which
    trials are the first is counted in proposals, told and pending together, so each is proposed once
    however many are in flight. Their notes hold their place in the list, from 1, under `warm_start`.

    Belongs outside of NoRepeats: nothing then keeps the given genomes from being tried, and none of
    them is tried again.
    """

    def __init__(self, controller: Controller[G], space: Textual[G], genomes: Sequence[str]) -> None:
        self._controller = controller
        self._genomes = [space.from_text(text) for text in genomes]
        self._told = 0

    def ask(self, rng: np.random.Generator, pending: Sequence[Pending[G]]) -> Proposal[G] | None:
        """The next given genome; after the last one what the controller proposes."""
        place = self._told + len(pending)
        if place < len(self._genomes):
            return Proposal(self._genomes[place], {"warm_start": place + 1})
        return self._controller.ask(rng, pending)

    def tell(self, outcome: Outcome[G]) -> None:
        """Counts the outcome and passes it on."""
        self._told += 1
        self._controller.tell(outcome)
