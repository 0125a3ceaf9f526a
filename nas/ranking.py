"""Which genomes of a campaign are best, where some were measured once and some again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from controller.standing import Standing
from results_db.records import TrialRecord

if TYPE_CHECKING:  # SQLAlchemy takes a moment to import, and only who opens a database needs it
    from results_db.store import Store


@dataclass(frozen=True, slots=True)
class Ranked:
    """A network by its trial of highest reward, with the rewards of all its trials, by number.

    `surely` is their mean less its standard error; the reward itself where no network was measured again.
    """

    trial: TrialRecord
    rewards: tuple[float, ...]
    surely: float

    @property
    def mean(self) -> float:
        """Of the rewards."""
        return float(np.mean(self.rewards))


def best(store: Store, name: str, limit: int) -> tuple[Ranked, ...]:
    """The networks that are surely best, best first; of equals the one that was tried earlier. Raises
    UnknownCampaign.
    """
    standing = Standing()
    trials: dict[str, list[tuple[int, float]]] = {}
    for number, fingerprint, reward in store.values(name):
        standing.add(fingerprint, reward)
        trials.setdefault(fingerprint, []).append((number, reward))
    keys = sorted(standing.ranked(len(trials)), key=lambda key: (-standing.surely(key), trials[key][0]))
    return tuple(
        Ranked(
            trial=store.trial(name, max(trials[key], key=lambda each: (each[1], -each[0]))[0]),
            rewards=tuple(reward for _, reward in trials[key]),
            surely=standing.surely(key),
        )
        for key in keys[:limit]
    )
