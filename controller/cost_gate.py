"""Cost gate: a wrapper that lets only affordable genomes be tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Generic

import numpy as np

from controller.protocol import Controller, G, Json, NothingLeft, Outcome, Pending, Proposal

DRAWS: Final = 500
"""How often the controller is asked for something affordable."""

OTHERWISE: Final = 5000
"""How often the other one is, after it. The draws follow from the trial's number: to resume a campaign draws
the same ones. So few campaigns may end here that could have gone on: where one genome in a thousand is
affordable it is one trial in 250, where two are one in 60,000."""


class NothingAffordable(NothingLeft):
    """Nothing within the limits turned up in a bounded number of draws."""


class CostGate(Generic[G]):
    """Composes around any controller; `affordable` knows what a genome may cost, before any training.

    A proposal that is refused is drawn again from the same generator: DRAWS times from the controller,
    then, should it be stuck (a population whose cheap neighbours were all tried, say), OTHERWISE times
    from `otherwise`, a random search. How many were refused says the note of the one that passed, under
    `too_costly`. Both are told all outcomes. Belongs outside of wrappers that draw past their
    controller, as NoRepeats does.
    """

    def __init__(
        self, controller: Controller[G], otherwise: Controller[G], affordable: Callable[[G], bool]
    ) -> None:
        self._controller = controller
        self._otherwise = otherwise
        self._affordable = affordable

    def ask(self, rng: np.random.Generator, pending: Sequence[Pending[G]]) -> Proposal[G] | None:
        """The first proposal within the limits; None where the controller waits. Raises NothingAffordable."""
        for refused in range(DRAWS + OTHERWISE):
            proposal = (self._controller if refused < DRAWS else self._otherwise).ask(rng, pending)
            if proposal is None:
                return None
            if self._affordable(proposal.genome):
                note: dict[str, Json] = {"too_costly": refused} if refused else {}
                return Proposal(proposal.genome, {**proposal.note, **note})
        raise NothingAffordable(
            f"cost gate: {DRAWS + OTHERWISE} proposals in a row cost more than the limits allow; "
            "raise the limits, or search a space of cheaper genomes"
        )

    def tell(self, outcome: Outcome[G]) -> None:
        """Passes the outcome on."""
        self._controller.tell(outcome)
        self._otherwise.tell(outcome)
