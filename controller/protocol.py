"""What a controller is, and what it needs of a space. SpineNet is nowhere in here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeAlias, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from search_space.trial import FailureKind

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
"""What a note may hold: it is stored with the trial as JSON."""

G = TypeVar("G")
"""A genome of whatever space: the controller passes it around and never looks inside."""

G_contra = TypeVar("G_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class Proposal(Generic[G]):
    """What a controller asks to have tried; the note (parents, say) comes back with the outcome."""

    genome: G
    note: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pending(Generic[G]):
    """A trial that was proposed and has no outcome yet."""

    number: int
    genome: G
    note: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Outcome(Generic[G]):
    """What a controller is told of a trial that ended: values, one an objective, or a failure.

    `fidelity` is set for a trial that was stopped early: the optimizer steps after which it had these
    values. They are never to be compared with those of a finished trial, whose fidelity is None.

    More is better, in every objective. Raises ValueError for no value at all and for NaN, which no
    controller could rank: a trial without a value is a failure, and has a kind.
    """

    number: int
    genome: G
    note: Mapping[str, Json]
    result: tuple[float, ...] | FailureKind
    fidelity: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.result, FailureKind):
            return
        if not self.result or any(math.isnan(value) for value in self.result):
            raise ValueError(f"outcome of trial {self.number}: values={self.result}, expected numbers")


def check_single(kind: str, outcome: Outcome[G]) -> None:
    """Raise ValueError for an outcome of several objectives, which most controllers can't rank."""
    if not isinstance(outcome.result, FailureKind) and len(outcome.result) != 1:
        raise ValueError(
            f"{kind}: trial {outcome.number} has {len(outcome.result)} objectives, "
            "expected 1; choose a controller for several"
        )


class NothingLeft(RuntimeError):
    """No proposal turned up in a bounded number of draws, with these trials told and these in flight."""


class Controller(Protocol[G]):
    """Decides what to try next.

    `ask` is pure: it draws only from `rng` and changes nothing, so asking twice with equal
    generators gives equal proposals; `None` means "wait for outcomes". It raises NothingLeft where
    all that is drawn is refused. All state is a fold over `tell`, which is called once for each outcome, in
    finish order.
    """

    def ask(self, rng: np.random.Generator, pending: Sequence[Pending[G]]) -> Proposal[G] | None: ...

    def tell(self, outcome: Outcome[G]) -> None: ...


class Space(Protocol[G]):
    """What every controller needs of a space; a mutant is valid and differs from its parent."""

    def sample(self, rng: np.random.Generator) -> G: ...

    def mutate(self, genome: G, rng: np.random.Generator) -> G: ...

    def fingerprint(self, genome: G) -> str: ...


class Textual(Protocol[G]):
    """Genomes as canonical text: what is stored, sent and compared."""

    def to_text(self, genome: G) -> str: ...

    def from_text(self, text: str) -> G: ...


@runtime_checkable
class Recombining(Protocol[G]):
    """A space whose genomes can be crossed."""

    def crossover(self, a: G, b: G, rng: np.random.Generator) -> G: ...


class Site(Protocol):
    """One categorical decision: a choice is an integer from 0 to options - 1."""

    @property
    def options(self) -> int: ...


class Decisions(Protocol[G]):
    """A space's genomes as sequences of masked categorical decisions, one a site.

    `mask` says which options of the site after a prefix are open; every open option leads to a genome.
    `decode` raises ValueError for choices that are not open; `encode` gives one preimage of a genome.
    """

    @property
    def sites(self) -> Sequence[Site]: ...

    def mask(self, prefix: Sequence[int]) -> NDArray[np.bool_]: ...

    def decode(self, choices: Sequence[int]) -> G: ...

    def encode(self, genome: G) -> Sequence[int]: ...


@runtime_checkable
class Sequential(Protocol[G]):
    """A space whose genomes a policy can draw decision by decision."""

    def decisions(self) -> Decisions[G]: ...


@runtime_checkable
class Featured(Protocol[G_contra]):
    """A space whose genomes have vectors, all of one length, that surrogates learn from."""

    def features(self, genome: G_contra) -> NDArray[np.float64]: ...


class FeaturedSpace(Space[G], Featured[G], Protocol[G]):
    """What guided controllers need of a space."""
