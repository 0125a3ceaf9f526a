"""Contenders: a wrapper that spends the end of a budget on measuring the best genomes again.

The best of many noisy values is in part the luckiest, and a search that finds many good genomes is
fooled more often than one that finds few. So the last trials go to those that may be the best, under
draws from what is known of each (Thompson's rule; for finding the best: Russo, COLT 2016), each trial
with a seed of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Generic

import numpy as np

from controller.protocol import Controller, G, Json, Outcome, Pending, Proposal, Space, check_single
from controller.standing import Standing
from search_space.trial import FailureKind

PAIRS: Final = 4
"""Degrees of freedom from which on the noise counts as known."""

APART: Final = 2.0
"""So many standard errors behind the leader, a genome is no contender any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContendersConfig:
    """From the proposal after `first` on, the `top` genomes are measured again, `most` times in all at most.

    `first` None: all but the last `share` of the budget.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    share: float = 0.15
    first: int | None = None
    top: int = 10
    most: int = 6

    def __post_init__(self) -> None:
        if not 0 < self.share < 1 or self.top < 2 or self.most < 2 or (self.first or 0) < 0:
            raise ValueError(
                f"contenders: share={self.share}, first={self.first}, top={self.top}, most={self.most}, "
                "expected a share between 0 and 1, and at least 2 of top and most"
            )

    def resolved(self, trials: int) -> ContendersConfig:
        """The same with its beginning settled for a budget of so many trials.

        Never, where so few would be measured again that the noise stays unknown.
        """
        again = round(self.share * trials)
        return self if self.first is not None else replace(self, first=trials - again * (again >= PAIRS))


class Contenders(Generic[G]):
    """Composes around any controller of one objective; belongs outside of NoRepeats.

    Once it has begun, one genome is drawn from what is known of the leading ones and measured again,
    with the number of its first trial in the note under `again`. Where the drawn one was measured often
    enough, or the best is apart from the others, the controller is asked as before. It is told every
    outcome. A repetition that failed or was stopped early counts as one, so that no genome is tried for ever.
    """

    def __init__(self, controller: Controller[G], space: Space[G], config: ContendersConfig) -> None:
        if config.first is None:
            raise ValueError("contenders: when to begin is not resolved yet, expected a number of trials")
        self._controller = controller
        self._space = space
        self._config = config
        self._first = config.first
        self._standing = Standing()
        self._known: dict[str, Outcome[G]] = {}
        self._in_vain: Counter[str] = Counter()
        self._told = 0

    def ask(self, rng: np.random.Generator, pending: Sequence[Pending[G]]) -> Proposal[G] | None:
        """A contender once more, or what the controller proposes."""
        again = self._again(rng, pending) if self._told + len(pending) >= self._first else None
        if again is None:
            return self._controller.ask(rng, pending)
        known = self._known[again]
        kept = {key: value for key, value in known.note.items() if key == "fingerprint"}
        return Proposal(known.genome, {**kept, "again": known.number})

    def tell(self, outcome: Outcome[G]) -> None:
        """Takes the outcome in and passes it on. Raises ValueError for several objectives."""
        check_single("contenders", outcome)
        self._told += 1
        self._controller.tell(outcome)
        key = self._key(outcome.genome, outcome.note)
        if isinstance(outcome.result, FailureKind) or outcome.fidelity is not None:
            self._in_vain[key] += "again" in outcome.note
            return
        self._known.setdefault(key, outcome)
        self._standing.add(key, outcome.result[0])

    def _again(self, rng: np.random.Generator, pending: Sequence[Pending[G]]) -> str | None:
        """Whom to measure again; None for nobody."""
        standing = self._standing
        leaders = standing.leaders(self._config.top)
        under_way = [self._key(trial.genome, trial.note) for trial in pending if "again" in trial.note]
        counts = {key: standing.count(key) + self._in_vain[key] + under_way.count(key) for key in leaders}
        if standing.freedom < PAIRS:  # the noise is not known: each of the best once more, and on from there
            least = min(leaders, key=counts.__getitem__, default=None)
            return None if least is None or counts[least] >= max(2, self._config.most) else least
        best = standing.mean(leaders[0])
        apart = APART * standing.error(leaders[0])
        rivals = [key for key in leaders if standing.mean(key) + APART * standing.error(key) > best - apart]
        if len(rivals) < 2:
            return None
        draws = [rng.normal(standing.mean(key), standing.error(key)) for key in rivals]
        drawn = rivals[int(np.argmax(draws))]
        return drawn if counts[drawn] < self._config.most else None

    def _key(self, genome: G, note: Mapping[str, Json]) -> str:
        known = note.get("fingerprint")
        return known if isinstance(known, str) else self._space.fingerprint(genome)
