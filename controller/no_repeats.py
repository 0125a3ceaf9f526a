"""No repeats: a wrapper that refuses genomes whose network was already proposed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Generic

import numpy as np

from controller.protocol import Controller, G, Json, NothingLeft, Outcome, Pending, Proposal, Space

DRAWS: Final = 100
"""How often the controller, and after it the space, is asked for something new."""

_KEY: Final = "fingerprint"


class SpaceExhausted(NothingLeft):
    """Nothing new turned up in a bounded number of draws."""


class NoRepeats(Generic[G]):
    """Composes around any controller; seen is what was told, failures too, or is pending.

    A refused proposal is drawn again from the same generator: DRAWS times from the controller,
    then, should it be stuck (a population that has converged, say), as often from the space. A
    proposal that came to be this way says so in its note under `redrawn`, how many were refused.

    The fingerprint travels in the note, so that neither pending trials nor a replay cost another
    one; it is computed where a note has none.
    """

    def __init__(self, controller: Controller[G], space: Space[G]) -> None:
        self._controller = controller
        self._space = space
        self._told: set[str] = set()

    def ask(self, rng: np.random.Generator, pending: Sequence[Pending[G]]) -> Proposal[G] | None:
        """The controller's first proposal that is new, or None where it waits. Raises SpaceExhausted."""
        waiting = {self._fingerprint(trial.genome, trial.note) for trial in pending}
        for refused, proposal in enumerate(self._draws(rng, pending)):
            if proposal is None:
                return None
            found = self._space.fingerprint(proposal.genome)
            if found not in self._told and found not in waiting:
                redrawn: dict[str, Json] = {"redrawn": refused} if refused else {}
                return Proposal(proposal.genome, {**proposal.note, _KEY: found, **redrawn})
        raise SpaceExhausted(
            f"no repeats: {2 * DRAWS} draws gave no network that is not among the {len(self._told)} told and "
            f"{len(waiting)} pending ones, expected a new one; lower the budget or set no_repeats: false"
        )

    def tell(self, outcome: Outcome[G]) -> None:
        """Remembers the network and passes the outcome on."""
        self._told.add(self._fingerprint(outcome.genome, outcome.note))
        self._controller.tell(outcome)

    def _draws(self, rng: np.random.Generator, pending: Sequence[Pending[G]]) -> Iterator[Proposal[G] | None]:
        for _ in range(DRAWS):
            yield self._controller.ask(rng, pending)
        for _ in range(DRAWS):
            yield Proposal(self._space.sample(rng))

    def _fingerprint(self, genome: G, note: Mapping[str, Json]) -> str:
        known = note.get(_KEY)
        return known if isinstance(known, str) else self._space.fingerprint(genome)
