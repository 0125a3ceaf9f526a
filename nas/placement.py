"""Which worker may have which trial: one that failed goes elsewhere, one that needs a node alone gets it.

A worker is named NAME@NODE, as in the database; a worker without a node shares none with others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Generic

from controller.protocol import G, Pending
from results_db.records import TrialRecord
from search_space.trial import FailureKind


@dataclass(slots=True)
class InFlight(Generic[G]):
    """A trial without an outcome: as stored, as the controller sees it, and what befell it so far.

    While it runs `worker` has it, and `shared` says whether another trial ran on the same node
    meanwhile. `failed_on` are the workers of its failed attempts; `alone`: it waits for, or has, a node
    of its own.
    """

    record: TrialRecord
    pending: Pending[G]
    running: bool = False
    worker: str = ""
    shared: bool = False
    alone: bool = False
    failures: Counter[FailureKind] = field(default_factory=Counter)
    failed_on: set[str] = field(default_factory=set)


def node_of(worker: str) -> str:
    """The node that a worker is on."""
    return worker.partition("@")[2]


def waiting_for(worker: str, crew: Collection[str], trials: Collection[InFlight[G]]) -> InFlight[G] | None:
    """The first trial to be tried again that this worker may have; `crew` are all that could work now."""
    return next(
        (
            trial
            for trial in trials
            if not trial.running
            and (
                _vacant(node_of(worker), trials)
                if trial.alone
                else _elsewhere(worker, crew, trial.failed_on) and not _held(worker, crew, trials)
            )
        ),
        None,
    )


def open_to_new(worker: str, crew: Collection[str], trials: Collection[InFlight[G]]) -> bool:
    """Whether a new trial may begin on this worker's node: none is alone there, or about to be."""
    return not _held(worker, crew, trials)


def hand_over(trial: InFlight[G], worker: str, trials: Iterable[InFlight[G]]) -> None:
    """The trial now runs on this worker, beside those that run on its node."""
    trial.worker, trial.running, trial.shared = worker, True, False
    for other in trials:
        if other is not trial and other.running and node_of(other.worker) == node_of(worker):
            other.shared = trial.shared = True


def take_back(trial: InFlight[G], kind: FailureKind, worker: str, *, alone: bool) -> None:
    """The trial's attempt failed on this worker, and it waits for another, perhaps without neighbours."""
    trial.running, trial.alone = False, alone
    trial.failures[kind] += 1
    trial.failed_on.add(worker)


def _elsewhere(worker: str, crew: Collection[str], failed_on: Collection[str]) -> bool:
    """Another node where there is one, else another worker where there is one."""
    nodes = {node_of(each) for each in failed_on}
    if any(node_of(each) not in nodes for each in crew):
        return node_of(worker) not in nodes
    return worker not in failed_on or all(each in failed_on for each in crew)


def _held(worker: str, crew: Collection[str], trials: Collection[InFlight[G]]) -> bool:
    """A trial has this node for itself, or the node is being emptied for one that waits."""
    alone = [trial for trial in trials if trial.alone]
    if any(trial.running and node_of(trial.worker) == node_of(worker) for trial in alone):
        return True
    return any(not trial.running for trial in alone) and node_of(worker) == _emptiest(worker, crew, trials)


def _emptiest(worker: str, crew: Collection[str], trials: Collection[InFlight[G]]) -> str:
    """The node with the fewest running trials: once chosen it stays so, for it only gets emptier."""
    busy = Counter(node_of(trial.worker) for trial in trials if trial.running)
    return min({node_of(worker), *map(node_of, crew)}, key=lambda node: (busy[node], node))


def _vacant(node: str, trials: Iterable[InFlight[G]]) -> bool:
    return not any(trial.running and node_of(trial.worker) == node for trial in trials)
