"""The pool of workers: who does what, and what becomes of it.

Every trouble of Ray's becomes a typed failure of one attempt; retries belong to the campaign. A slot of
the pool has an actor that waits for a place, starts, idles or works; when it is gone, another is hired.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import ray
from ray.exceptions import OutOfMemoryError, RayError, RayTaskError

from nas.campaign import Campaign, Done
from nas.runners.options import RayOptions
from nas.runners.ray.actor import Actor
from nas.runners.ray.cluster import Cluster, bounded, in_a_line
from nas.runners.ray.slot import Phase, Slot, place_of
from nas.runners.worker import RunnerError
from proxy_trainer.protocol import Evaluator, TrialFailed
from search_space.trial import Assignment, FailureKind, Measurement, Progress

log = logging.getLogger(__name__)

TURN_SECONDS: Final = 0.2
STARTS_IN_VAIN: Final = 3
LONGEST_PAUSE: Final = 60.0
NO_ROOM_SECONDS: Final = 900.0
"""So long a cluster may have no node for any worker before the first: its autoscaler may be at it."""

ABLE: Final = (Phase.IDLE, Phase.ASKED, Phase.WORKING, Phase.STOPPING)

LIVELY_SECONDS: Final = 1.0
"""Who idled for longer is asked whether it is there before it gets a trial: else its death while it idled,
which nobody saw, would be a failure of that trial."""

AWAY_SECONDS: Final = 1.0
"""While the driver was elsewhere for longer (waiting for its database, or stopped) nobody's time runs."""


class Pool:
    """`turn` again and again until `finished`, then `close`. Every call may raise RunnerError."""

    def __init__(
        self,
        campaign: Campaign[Any],
        make_evaluator: Callable[[], Evaluator],
        options: RayOptions,
        cluster: Cluster,
        worker_log: Path | None,
    ) -> None:
        self._campaign = campaign
        self._make_evaluator = make_evaluator
        self._options = options
        self._cluster = cluster
        self._log = None if os.environ.get("RAY_ADDRESS") else worker_log
        self._actor_class: Any = ray.remote(Actor)
        self._awaited: dict[ray.ObjectRef[Any], Slot] = {}
        self._slots: list[Slot] = []
        self._room_seen = self._listened = time.monotonic()
        self._ready_once = False
        self.finished = False

    def turn(self, tick: Callable[[], None]) -> None:
        """Hand out what there is, wait a moment for what comes back, and take it in.

        `tick` comes before the last: who stops us may have ended the workers too, and that is no failure.
        """
        self._campaign.beat()
        self._cluster.check()
        if self._campaign.finished:  # the last trial may have ended with its worker: nobody need be hired
            self.finished = True
            return
        self._staff()
        self._hand_out()
        if self.finished:
            return
        answers = self._answers()
        tick()
        for answer in answers:
            self._take_in(self._awaited.pop(answer), answer)
        self._enforce_deadlines()

    def close(self) -> None:
        """End all workers, whatever they do."""
        actors = [slot.actor for slot in self._slots if slot.phase is not Phase.GONE]
        bounded(lambda: [ray.kill(actor) for actor in actors])

    def _staff(self) -> None:
        """As many slots as there should be, and somebody in each.

        Actors that have found no place stay where the config says how many there are to be: they tell an
        autoscaler what to start. Where it doesn't, they go when the cluster has shrunk.
        """
        now, wanted = time.monotonic(), self._cluster.workers
        self._slots += [Slot(index) for index in range(len(self._slots), wanted)]
        for slot in self._slots[wanted:]:
            if slot.phase is Phase.PLACING:
                self._dismiss(slot, pause=0)
        if not self._cluster.answers:
            return
        for slot in self._slots[:wanted]:
            if slot.phase is Phase.GONE and now >= slot.until:
                self._hire(slot)
        if self._cluster.has_room:
            self._room_seen = now
        elif not self._ready_once and now - self._room_seen > NO_ROOM_SECONDS:
            cpus, gpus = self._options.cpus_per_worker, self._options.gpus_per_worker
            raise RunnerError(
                f"for {NO_ROOM_SECONDS / 60:.0f} minutes no node of the Ray cluster has had"
                f" {cpus} CPUs and {gpus:g} GPUs, which a worker needs"
            )

    def _hire(self, slot: Slot) -> None:
        slot.actor = self._actor_class.options(
            num_cpus=self._options.cpus_per_worker, num_gpus=self._options.gpus_per_worker, max_restarts=0
        ).remote(place_of(slot.index, self._options.cpus_per_worker, self._log))
        # Where Ray is ours there is room. Elsewhere it may have to be made first, which takes its time.
        patience = math.inf if self._cluster.grows else self._options.start_seconds
        slot.phase, slot.until = Phase.PLACING, time.monotonic() + patience
        self._awaited[slot.actor.node.remote()] = slot

    def _dismiss(self, slot: Slot, pause: float) -> Assignment | None:
        """End the slot's actor; what it was at."""
        for answer in [answer for answer, each in self._awaited.items() if each is slot]:
            del self._awaited[answer]
        ray.kill(slot.actor)
        given, slot.assignment, slot.actor = slot.assignment, None, None
        slot.phase, slot.until = Phase.GONE, time.monotonic() + pause
        return given

    def _hand_out(self) -> None:
        able = [slot for slot in self._slots if slot.phase in ABLE]
        crew = frozenset(slot.name for slot in able)
        for slot in able:
            if slot.phase is not Phase.IDLE:
                continue
            if time.monotonic() - slot.heard > LIVELY_SECONDS:
                self._ask(slot)
                continue
            given = self._campaign.propose(slot.name, crew)
            if isinstance(given, Assignment):
                self._start(slot, given)
            elif isinstance(given, Done):
                self.finished = True
                return
            elif given.for_all:
                return

    def _ask(self, slot: Slot) -> None:
        slot.phase, slot.until = Phase.ASKED, time.monotonic() + self._options.start_seconds
        self._awaited[slot.actor.node.remote()] = slot

    def _start(self, slot: Slot, assignment: Assignment) -> None:
        slot.phase, slot.assignment = Phase.WORKING, assignment
        slot.until = time.monotonic() + (self._options.timeout_seconds or math.inf)
        self._awaited[slot.actor.start.remote(assignment)] = slot

    def _answers(self) -> list[ray.ObjectRef[Any]]:
        """Wait a moment for the first answer, then take all that are there."""
        self._put_off()
        waiting = list(self._awaited)
        answers: list[ray.ObjectRef[Any]] = []
        if not waiting:
            time.sleep(TURN_SECONDS)
        elif ray.wait(waiting, num_returns=1, timeout=TURN_SECONDS)[0]:
            answers = ray.wait(waiting, num_returns=len(waiting), timeout=0)[0]
        self._listened = time.monotonic()
        return answers

    def _put_off(self) -> None:
        """Deadlines by as long as nobody listened: a trial is not late because its driver was."""
        away = time.monotonic() - self._listened
        if away > AWAY_SECONDS:
            self._listened += away
            for slot in self._slots:
                slot.until += away

    def _take_in(self, slot: Slot, answer: ray.ObjectRef[Any]) -> None:
        item: Any
        slot.heard = time.monotonic()
        try:
            item = ray.get(answer)
        except RayTaskError as error:
            if slot.phase in (Phase.STOPPING, Phase.ASKED):
                self._lost(slot, error)
                return
            if slot.phase is not Phase.WORKING:
                self._not_ready(slot, f"the evaluator can't be built: {in_a_line(error.cause)}")
                return
            item = TrialFailed(FailureKind.INTERNAL, in_a_line(error.cause))
        except (RayError, TimeoutError) as error:
            self._lost(slot, error)
            return
        match slot.phase:
            case Phase.PLACING:
                self._placed(slot, str(item))
            case Phase.STARTING if item is not None:
                self._not_ready(slot, str(item))
            case Phase.STARTING:
                slot.vain, slot.phase, slot.until = 0, Phase.IDLE, math.inf
                self._ready_once = True
            case Phase.STOPPING | Phase.ASKED:
                self._freed(slot)
            case _ if isinstance(item, Progress):
                self._go_on(slot, item)
            case _:
                self._record(self._freed(slot), item)

    def _placed(self, slot: Slot, node: str) -> None:
        slot.name, slot.phase = f"ray-{slot.index}@{node}", Phase.STARTING
        slot.until = time.monotonic() + self._options.start_seconds
        self._awaited[slot.actor.ready.remote(self._make_evaluator)] = slot

    def _not_ready(self, slot: Slot, line: str) -> None:
        """A worker that can't work, though it started. Where others can, it is its node's fault.

        Raises RunnerError where none ever could, nor may yet: what is wrong is the config's or everybody's.
        """
        if not self._ready_once and not self._others_may_be_ready(slot):
            raise RunnerError(line)
        log.warning("worker %s can't work: %s", slot.name or slot.index, line)
        self._dismiss(slot, self._pause(slot, line))

    def _go_on(self, slot: Slot, progress: Progress) -> None:
        assignment = slot.assignment
        if assignment is None or self._campaign.observe(assignment.number, assignment.attempt, progress):
            self._awaited[slot.actor.advance.remote()] = slot
            return
        # It is free when it is done with this one: whatever closing it leads to is not its next trial's.
        self._awaited[slot.actor.stop.remote()] = slot
        slot.assignment, slot.phase = None, Phase.STOPPING
        slot.until = time.monotonic() + self._options.start_seconds

    def _freed(self, slot: Slot) -> Assignment | None:
        """The slot can take something else; what it was at."""
        given, slot.assignment = slot.assignment, None
        slot.phase, slot.until = Phase.IDLE, math.inf
        return given

    def _record(self, assignment: Assignment | None, result: Measurement | TrialFailed) -> None:
        if assignment is not None:
            self._campaign.record(assignment.number, assignment.attempt, result)

    def _lost(self, slot: Slot, error: Exception) -> None:
        """The worker is gone: record it, and hire another."""
        line = in_a_line(error)
        memory = isinstance(error, OutOfMemoryError) or "OutOfMemory" in str(error)
        kind = FailureKind.OUT_OF_MEMORY if memory else FailureKind.LOST_WORKER
        log.warning("worker %s is gone: %s", slot.name or slot.index, line)
        self._record(self._dismiss(slot, self._pause(slot, line)), TrialFailed(kind, line))

    def _pause(self, slot: Slot, line: str) -> float:
        """How long to wait before another is hired: not at all, or longer from start to start in vain.

        Raises RunnerError where one slot's workers fail again and again and nobody else works, or may yet.
        """
        if slot.phase not in (Phase.PLACING, Phase.STARTING):
            return 0.0
        slot.vain += 1
        works = any(each.phase in ABLE for each in self._slots)
        if slot.vain >= STARTS_IN_VAIN and not works and not self._others_may_be_ready(slot):
            raise RunnerError(f"{slot.vain} workers in a row came to nothing while they started: {line}")
        return min(LONGEST_PAUSE, 2.0 ** (slot.vain - 2)) if slot.vain > 1 else 0.0

    def _others_may_be_ready(self, slot: Slot) -> bool:
        return any(
            each is not slot and each.phase is Phase.STARTING and not each.vain for each in self._slots
        )

    def _enforce_deadlines(self) -> None:
        self._put_off()
        now = time.monotonic()
        for slot in self._slots:
            if slot.until >= now or slot.phase is Phase.GONE or self._has_answered(slot):
                continue
            if slot.phase in (Phase.PLACING, Phase.STARTING):
                line = f"not ready after {self._options.start_seconds:g} s"
                self._dismiss(slot, self._pause(slot, line))
            elif slot.phase in (Phase.STOPPING, Phase.ASKED):
                log.warning("worker %s does not answer after its last trial", slot.name)
                self._dismiss(slot, pause=0)
            elif slot.phase is Phase.WORKING:
                limit = f"not finished after {self._options.timeout_seconds:g} s"
                self._record(self._dismiss(slot, pause=0), TrialFailed(FailureKind.TIMEOUT, limit))

    def _has_answered(self, slot: Slot) -> bool:
        """Whether there is something from it that is to be taken in first."""
        awaited = [answer for answer, each in self._awaited.items() if each is slot]
        return bool(awaited and ray.wait(awaited, num_returns=1, timeout=0)[0])
