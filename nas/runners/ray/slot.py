"""A place in the pool, and what the actor that fills it does."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any

from nas.runners.worker import Place
from search_space.trial import Assignment


class Phase(Enum):
    """What a slot's actor does. ASKED: it idles, and is asked whether it is still there."""

    PLACING = auto()
    STARTING = auto()
    IDLE = auto()
    ASKED = auto()
    WORKING = auto()
    STOPPING = auto()
    GONE = auto()


@dataclass(slots=True)
class Slot:
    """A place in the pool and the actor that fills it.

    `name` is NAME@NODE once Ray has placed it. `until` is when its patience ends: for a start, an
    attempt or its early end, or for hiring again. `heard` is when it last answered. `vain` counts the
    starts that came to nothing, one after the other.
    """

    index: int
    phase: Phase = Phase.GONE
    actor: Any = None
    name: str = ""
    assignment: Assignment | None = None
    until: float = 0.0
    heard: float = 0.0
    vain: int = 0


def place_of(index: int, cpus: int, log: Path | None) -> Place:
    """What the worker of a slot may use. On a cluster Ray places workers and nobody pins them: it doesn't say
    which cores are free.
    """
    if os.environ.get("RAY_ADDRESS"):
        return Place(threads=cpus)
    cores = sorted(os.sched_getaffinity(0))
    mine = frozenset(cores[(index * cpus + offset) % len(cores)] for offset in range(cpus))
    return Place(cores=mine, threads=cpus, log=log)
