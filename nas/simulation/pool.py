"""A finished campaign as a task: search among the genomes that it trained, by what it measured.

What was never trained can't be proposed, so a move leads to one of the nearest that were. With many
trials it says which controller would have found the best of them sooner.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nas.errors import Refusal
from nas.launch import find
from nas.simulation.tables import Choice
from nas.simulation.task import Measured
from results_db.store import Store
from search_space.features import features
from search_space.fingerprint import fingerprint
from search_space.genome import Genome

NEAREST: Final = 5
"""A move leads to one of so many neighbours."""

LEAST: Final = 2 * NEAREST


@dataclass(frozen=True)
class PoolSpace:
    """The space of some genomes: a move leads to one of the nearest by their vectors."""

    texts: tuple[str, ...]

    @cached_property
    def _genomes(self) -> dict[str, Genome]:
        return {text: Genome.from_text(text) for text in self.texts}

    @cached_property
    def _neighbours(self) -> dict[str, list[str]]:
        rows = np.stack([features(genome) for genome in self._genomes.values()])
        deviation = rows.std(axis=0)
        rows = rows[:, deviation > 0] / deviation[deviation > 0]
        found = {}
        for text, row in zip(self.texts, rows, strict=True):
            order = np.argsort(((rows - row) ** 2).sum(axis=1), kind="stable")
            found[text] = [self.texts[index] for index in order if self.texts[index] != text][:NEAREST]
        return found

    @cached_property
    def networks(self) -> int:
        """How many of them differ as networks."""
        return len({fingerprint(genome) for genome in self._genomes.values()})

    def sample(self, rng: np.random.Generator) -> Genome:
        """One of them."""
        return self._genomes[self.texts[int(rng.integers(len(self.texts)))]]

    def mutate(self, genome: Genome, rng: np.random.Generator) -> Genome:
        """One of the nearest."""
        near = self._neighbours[genome.to_text()]
        return self._genomes[near[int(rng.integers(len(near)))]]

    def fingerprint(self, genome: Genome) -> str:
        """As in every space."""
        return fingerprint(genome)

    def features(self, genome: Genome) -> NDArray[np.float64]:
        """As in every space."""
        return features(genome)

    def to_text(self, genome: Genome) -> str:
        """The canonical text."""
        return genome.to_text()

    def from_text(self, text: str) -> Genome:
        """The inverse of `to_text`. Raises ValueError for a genome that the campaign has not measured."""
        if text not in self._genomes:
            raise ValueError(f"genome {text[:80]!r} was not measured by the campaign")
        return self._genomes[text]

    def decisions(self) -> PoolDecisions:
        """One choice among all, for policies."""
        return PoolDecisions(self)


@dataclass(frozen=True, slots=True)
class PoolDecisions:
    """Which of the genomes: a single decision."""

    space: PoolSpace

    @property
    def sites(self) -> tuple[Choice, ...]:
        """The one."""
        return (Choice(len(self.space.texts)),)

    def mask(self, prefix: Sequence[int]) -> NDArray[np.bool_]:  # noqa: ARG002, there is one site
        """All are open."""
        return np.ones(len(self.space.texts), np.bool_)

    def decode(self, choices: Sequence[int]) -> Genome:
        """The genome of that place."""
        return self.space.from_text(self.space.texts[choices[0]])

    def encode(self, genome: Genome) -> tuple[int, ...]:
        """Its place."""
        return (self.space.texts.index(genome.to_text()),)


@dataclass(frozen=True, slots=True)
class Pool:
    """What was measured: rewards and seconds of the finished trials, by genome."""

    space: PoolSpace
    rewards: Mapping[str, tuple[float, ...]]
    seconds: Mapping[str, float]

    def measure(self, genome: Genome, rng: np.random.Generator) -> Measured:
        """One of the genome's rewards."""
        text = genome.to_text()
        rewards = self.rewards[text]
        return Measured(rewards[int(rng.integers(len(rewards)))], self.seconds[text])

    def truth(self, genome: Genome) -> float:
        """The mean of the genome's rewards."""
        return float(np.mean(self.rewards[genome.to_text()]))


def pool(root: Path, name: str) -> Pool:
    """The finished trials of a campaign. Raises Refusal for too few, FolderError, StorageError."""
    place, _ = find(root, name)
    rewards: dict[str, list[float]] = defaultdict(list)
    seconds: dict[str, float] = {}
    with Store.read(place.database) as store:
        took = {(a.number, a.attempt): a.seconds for a in store.attempts(name)}
        for trial in store.trials(name):
            if trial.reward is not None:
                rewards[trial.genome].append(trial.reward)
                seconds[trial.genome] = took[trial.number, trial.attempt] or 1.0
    if len(rewards) < LEAST:
        raise Refusal(f"campaign {name!r}: {len(rewards)} genomes with a reward, expected at least {LEAST}")
    return Pool(PoolSpace(tuple(rewards)), {text: tuple(each) for text, each in rewards.items()}, seconds)
