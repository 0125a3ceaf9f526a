"""The words about a trial that controllers, trainers, the database and campaigns share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class FailureKind(StrEnum):
    """Why a trial gave no measurement."""

    OUT_OF_MEMORY = "out_of_memory"
    DIVERGED = "diverged"
    INVALID = "invalid"
    DATA = "data"
    TIMEOUT = "timeout"
    LOST_WORKER = "lost_worker"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One attempt at one trial, as handed to a worker: plain text and numbers, so it can cross any wire.

    `genome` is the canonical text. `seed` belongs to the trial: every attempt has the same.
    """

    campaign: str
    number: int
    attempt: int
    seed: int
    genome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Intermediate facts of a running trial: metrics by name after `step` optimizer steps.

    They may be the last that is heard of it, so `provenance` is that of a measurement.
    """

    step: int
    metrics: Mapping[str, float]
    provenance: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """The facts that a finished trial produced. There is no reward here: rewards are opinions.

    `provenance` says where and with what it was made (device, versions, recipe and data hashes).
    """

    step: int
    metrics: Mapping[str, float]
    provenance: Mapping[str, str] = field(default_factory=dict)
