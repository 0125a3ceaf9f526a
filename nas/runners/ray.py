"""The Ray runner: a pool of warm actors and one loop that moves assignments out and results back.

Every trouble of Ray's becomes a typed failure of one attempt; retries belong to the campaign.
"""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ray
from ray.exceptions import OutOfMemoryError, RayActorError, RayError, RayTaskError

from nas.campaign import Campaign, Done
from nas.runners.capacity import local_workers
from nas.runners.options import RayOptions
from nas.runners.worker import Place, RunnerError, Worker
from proxy_trainer.protocol import Evaluator, TrialFailed
from results_db.records import ENDED
from search_space.trial import Assignment, FailureKind, Measurement, Progress

TURN_SECONDS: Final = 0.2
STARTS_IN_VAIN: Final = 3
OBJECT_STORE_BYTES: Final = 100 * 2**20  # results are small: data reaches the workers through files


@dataclass(slots=True)
class _Slot:
    """A place in the pool and the actor that fills it; `assignment` is None while it is idle."""

    index: int
    actor: Any
    starting: bool = True
    assignment: Assignment | None = None
    deadline: float = math.inf


def run(
    campaign: Campaign[Any],
    make_evaluator: Callable[[], Evaluator],
    options: RayOptions,
    tick: Callable[[], None],
    log: Path | None = None,
) -> None:
    """Run the campaign to its end; `tick` is called about five times a second.

    Each worker calls `make_evaluator` once. On this machine workers print to `log`. Raises
    RunnerError; KeyboardInterrupt passes through, as everything does, once all workers are gone.
    """
    snapshot = campaign.snapshot()
    left = snapshot.budget - sum(snapshot.counts[status] for status in ENDED)
    with _engine(options, max(1, left)) as workers:
        pool = _Pool(campaign, make_evaluator, options, workers, log)
        try:
            while not pool.finished:
                pool.turn(tick)
                tick()
        finally:
            pool.close()


@contextmanager
def _engine(options: RayOptions, left: int) -> Iterator[int]:
    """Ray, started here unless it runs already or elsewhere; yields the number of workers."""
    started = not ray.is_initialized()
    here = options.workers or local_workers(options.cpus_per_worker, left)
    if started:
        _connect(here * options.cpus_per_worker)
    try:
        total = ray.cluster_resources()  # type: ignore[no-untyped-call] # Ray's own omission
        if not os.environ.get("RAY_ADDRESS") and options.gpus_per_worker > total.get("GPU", 0):
            raise RunnerError(
                f"runner: gpus_per_worker={options.gpus_per_worker:g}, but this machine has "
                f"{total.get('GPU', 0):g}; set it to 0"
            )
        if started and not os.environ.get("RAY_ADDRESS"):
            bearable = here
        else:
            bearable = min(left, int(total.get("CPU", 1)) // options.cpus_per_worker)
        if options.gpus_per_worker:
            bearable = min(bearable, _workers_by_gpu(total.get("GPU", 0), options.gpus_per_worker))
        yield options.workers or max(1, bearable)
    finally:
        if started:
            ray.shutdown()


def _workers_by_gpu(gpus: float, share: float) -> int:
    """A share never spans two GPUs."""
    return int(gpus) * int(1 / share) if share <= 1 else int(gpus // share)


def _connect(cpus: int) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = os.environ.get("RAY_ADDRESS")
    try:
        if address:
            _check_reachable(address)
            ray.init(**quiet)
            return
        # "local": by default Ray would join whatever cluster was last started on this machine.
        ray.init(
            "local", num_cpus=cpus, include_dashboard=False, object_store_memory=OBJECT_STORE_BYTES, **quiet
        )
    except Exception as error:  # Ray raises bare Exceptions too, when a node is slow to start
        where = f"the Ray cluster at RAY_ADDRESS={address} can't be used" if address else "Ray doesn't start"
        hint = "; if it asks for a token, set RAY_AUTH_MODE=token" if address else ""
        raise RunnerError(f"{where}: {_line(error)}{hint}") from error


def _check_reachable(address: str) -> None:
    """Ray itself would try for minutes. Raises OSError."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


class _Pool:
    def __init__(
        self,
        campaign: Campaign[Any],
        make_evaluator: Callable[[], Evaluator],
        options: RayOptions,
        workers: int,
        log: Path | None,
    ) -> None:
        self._campaign = campaign
        self._make_evaluator = make_evaluator
        self._options = options
        self._log = None if os.environ.get("RAY_ADDRESS") else log
        self._actor_class: Any = ray.remote(Worker)
        self._awaited: dict[ray.ObjectRef[Any], _Slot] = {}
        self._idle: list[_Slot] = []
        self._all: dict[int, _Slot] = {}
        self._in_vain = 0
        self.finished = False
        for index in range(workers):
            self._hire(index)

    def turn(self, tick: Callable[[], None]) -> None:
        """Hand out what there is, wait a moment for what comes back, and take it in.

        `tick` comes before the last: who stops us may have ended the workers with us, and that is no failure.
        """
        self._campaign.beat()
        while self._idle and not self.finished:
            given = self._campaign.propose(f"ray-{self._idle[-1].index}")
            if isinstance(given, Assignment):
                self._start(self._idle.pop(), given)
            elif isinstance(given, Done):
                self.finished = True
            else:
                break
        if self.finished:
            return
        answers = _answers(list(self._awaited))
        tick()
        for answer in answers:
            self._take_in(self._awaited.pop(answer), answer)
        self._enforce_deadlines()

    def close(self) -> None:
        """End all workers, whatever they do."""
        for slot in self._all.values():
            ray.kill(slot.actor)

    def _hire(self, index: int) -> None:
        actor = self._actor_class.options(
            num_cpus=self._options.cpus_per_worker, num_gpus=self._options.gpus_per_worker, max_restarts=0
        ).remote(_place(index, self._options.cpus_per_worker, self._log))
        self._awaited[actor.ready.remote(self._make_evaluator)] = self._all[index] = _Slot(index, actor)

    def _start(self, slot: _Slot, assignment: Assignment) -> None:
        slot.assignment = assignment
        slot.deadline = time.monotonic() + (self._options.timeout_seconds or math.inf)
        self._awaited[slot.actor.start.remote(assignment)] = slot

    def _take_in(self, slot: _Slot, answer: ray.ObjectRef[Any]) -> None:
        item: Any
        try:
            item = ray.get(answer)
        except RayTaskError as error:
            if slot.starting:
                raise RunnerError(f"the evaluator can't be built: {_line(error.cause)}") from error
            item = TrialFailed(FailureKind.INTERNAL, _line(error.cause))
        except (RayError, TimeoutError) as error:
            self._lost(slot, error)
            return
        if slot.starting:
            if item is not None:
                raise RunnerError(str(item))
            slot.starting = False
            self._in_vain = 0
            self._idle.append(slot)
        elif isinstance(item, Progress):
            self._go_on(slot, item)
        else:
            self._record(slot, item)
            self._idle.append(slot)

    def _go_on(self, slot: _Slot, progress: Progress) -> None:
        assignment = slot.assignment
        if assignment is None or self._campaign.observe(assignment.number, assignment.attempt, progress):
            self._awaited[slot.actor.advance.remote()] = slot
            return
        slot.actor.stop.remote()
        slot.assignment, slot.deadline = None, math.inf
        self._idle.append(slot)

    def _record(self, slot: _Slot, result: Measurement | TrialFailed) -> None:
        assignment, slot.assignment, slot.deadline = slot.assignment, None, math.inf
        if assignment is not None:
            self._campaign.record(assignment.number, assignment.attempt, result)

    def _lost(self, slot: _Slot, error: Exception) -> None:
        """The worker is gone: record it and hire another, unless none ever gets to work."""
        if slot.starting:
            self._in_vain += 1
            if self._in_vain >= STARTS_IN_VAIN and all(each.starting for each in self._all.values()):
                raise RunnerError(f"{self._in_vain} workers in a row died while they started: {_line(error)}")
        memory = isinstance(error, OutOfMemoryError) or "OutOfMemory" in str(error)
        kind = FailureKind.OUT_OF_MEMORY if memory else FailureKind.LOST_WORKER
        ray.kill(slot.actor)
        self._hire(slot.index)
        self._record(slot, TrialFailed(kind, _line(error)))

    def _enforce_deadlines(self) -> None:
        now = time.monotonic()
        for answer, slot in [(answer, slot) for answer, slot in self._awaited.items() if slot.deadline < now]:
            del self._awaited[answer]
            ray.kill(slot.actor)
            self._hire(slot.index)
            limit = f"not finished after {self._options.timeout_seconds:g} s"
            self._record(slot, TrialFailed(FailureKind.TIMEOUT, limit))


def _answers(waiting: list[ray.ObjectRef[Any]]) -> list[ray.ObjectRef[Any]]:
    """Wait a moment for the first answer, then take all that are there."""
    first, _ = ray.wait(waiting, num_returns=1, timeout=TURN_SECONDS)
    return ray.wait(waiting, num_returns=len(waiting), timeout=0)[0] if first else []


def _place(index: int, cpus: int, log: Path | None) -> Place:
    """On a cluster Ray places workers and nobody pins them: it doesn't say which cores are free."""
    if os.environ.get("RAY_ADDRESS"):
        return Place(threads=cpus)
    cores = sorted(os.sched_getaffinity(0))
    mine = frozenset(cores[(index * cpus + offset) % len(cores)] for offset in range(cpus))
    return Place(cores=mine, threads=cpus, log=log)


def _line(error: BaseException) -> str:
    """An error in one line: Ray's own run over many, of which the one about the exit says why."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if "exit detail" in line.lower()] or lines[:1]
    if isinstance(error, RayActorError) and told:
        return told[0].rsplit("Worker exit detail: ", 1)[-1][:200]
    return (told[0] if told else type(error).__name__)[:200]
