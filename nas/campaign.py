"""A campaign as a state machine that knows no engine: what to try next, and what became of it.

Reserve before evaluate, store before tell: so opening a campaign and resuming it are the same thing.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Final, Generic, Protocol

import numpy as np

from controller.protocol import Controller, G, NothingLeft, Outcome, Pending, Proposal, Space, Textual
from nas.budget import Account, uses
from nas.objectives import values
from nas.placement import InFlight, hand_over, open_to_new, take_back, waiting_for
from nas.rules import CampaignRules, Verdict
from nas.snapshot import Snapshot
from nas.stopping import Rungs
from proxy_trainer.protocol import TrialFailed
from results_db.records import Failure, NewTrial, TrialRecord, TrialStatus
from search_space.trial import Assignment, FailureKind, Measurement, Progress

if TYPE_CHECKING:  # SQLAlchemy takes a moment to import, and only who opens a database needs it
    from results_db.writer import Writer

BESIDE: Final = "beside"
"""Word in the provenance of an attempt that failed, and is made again: other trials ran on its node."""

log = logging.getLogger(__name__)


class TooManyFailures(RuntimeError):
    """So many trials failed that going on would waste the budget."""


class DataFailure(RuntimeError):
    """The data cannot be read, so no trial can succeed; the trial was given back and will be tried again."""


class FatalFailure(RuntimeError):
    """A trial failed in a way after which the config says to stop; the trial was given back."""


class ControllerStuck(RuntimeError):
    """The controller waits for outcomes, but nothing is in flight."""


class CampaignSpace(Space[G], Textual[G], Protocol[G]):
    """What a campaign needs of its space."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to hand out until a running trial has ended; or to other workers only, not `for_all`."""

    for_all: bool = True


@dataclass(frozen=True, slots=True)
class Done:
    """The budget is spent, nothing is in flight and nothing can come back."""


class Campaign(Generic[G]):
    """One driver's view of a campaign; everything it knows is in the database or follows from it.

    Constructing it tells the controller (which must be fresh) every outcome in finish order, and
    puts what was in flight back in line. Every verb can be repeated after a StorageError.
    """

    def __init__(
        self, writer: Writer, rules: CampaignRules, space: CampaignSpace[G], controller: Controller[G]
    ) -> None:
        self._writer = writer
        self._rules = rules
        self._space = space
        self._controller = controller
        self._name = writer.campaign.name
        self._seed = writer.campaign.seed
        self._in_flight: dict[int, InFlight[G]] = {}  # always in order of number
        self._rungs = None if rules.stopping is None else Rungs(rules.stopping)
        self._told = 0
        self._nothing_left = (0, 0)
        self._rewards: list[float] = []
        self._best: tuple[float, TrialRecord] | None = None
        self._failures: Counter[FailureKind] = Counter()
        self._retried: Counter[FailureKind] = Counter()
        self._account = Account(rules.limits, ())
        self._replay()
        self._told_before, self._failures_before = self._told, self._failures.copy()

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do: `propose` would say Done."""
        if any(trial.running for trial in self._in_flight.values()):
            return False
        return (not self._in_flight and self._told >= self._rules.trials) or not self._has_room()

    @property
    def seconds_left(self) -> float:
        """For how long what runs now may go on before a hard limit is reached; inf without limits."""
        return self._account.seconds_left(datetime.now(UTC))

    def propose(self, worker: str = "", crew: Collection[str] = ()) -> Assignment | Wait | Done:
        """Hand out the next attempt, storing it first.

        `worker` gets it, named NAME@NODE; `crew` are all workers that could work now. Raises
        TooManyFailures, ControllerStuck, and NothingLeft once nothing is in flight.
        """
        in_flight = self._in_flight.values()
        waiting = waiting_for(worker, crew, in_flight)
        number = self._told + len(in_flight) + 1
        if waiting is None and number > self._rules.trials:
            return Wait(all(trial.running for trial in in_flight)) if in_flight else Done()
        if not self._has_room():
            return Wait() if any(trial.running for trial in in_flight) else Done()
        self._check_failures()
        if waiting is not None:
            return self._hand_out_again(waiting, worker)
        if not open_to_new(worker, crew, in_flight):
            return Wait(for_all=False)
        return self._hand_out_new(number, worker)

    def observe(self, number: int, attempt: int, progress: Progress) -> bool:
        """Store intermediate metrics; False means the trial ends here: close it and report nothing.

        Whether it does is a pure rule over what is stored, so that a resumed campaign goes by the same.
        """
        trial = self._under_way(number, attempt)
        if trial is None:
            return True
        self._writer.observe(number, attempt, progress)
        if self._rungs is None or self._rungs.goes_on(number, progress.step, progress.metrics):
            return True
        self._end(self._writer.stop(number, attempt, progress.provenance), trial.pending, {})
        return False

    def record(self, number: int, attempt: int, result: Measurement | TrialFailed) -> None:
        """Store what became of an attempt, then tell the controller.

        The first result of the attempt that is under way counts; every other one is logged and
        ignored. A failure with retries left gives the trial back. Raises DataFailure, FatalFailure.
        """
        trial = self._under_way(number, attempt)
        if trial is None:
            log.warning(
                "campaign %r trial %d: ignored a late result of attempt %d", self._name, number, attempt
            )
            return
        judged = self._rules.judged(result)
        if isinstance(judged, Failure):
            self._fail(trial, judged)
        else:
            measurement, value = judged
            stored = self._writer.finish(number, attempt, measurement, value)
            self._end(stored, trial.pending, measurement.metrics)

    def give_back(self) -> None:
        """Put what runs now back in line, to be handed out first by whoever drives the campaign next."""
        running = {number: trial for number, trial in self._in_flight.items() if trial.running}
        attempts = {number: trial.record.attempt for number, trial in running.items()}
        stored = self._writer.give_back_all(attempts) if attempts else {}
        for number, record in stored.items():
            running[number].record, running[number].running = record, False
            self._account.end(number, datetime.now(UTC))

    def beat(self) -> None:
        """Give a sign of life; cheap enough to be called at every turn of a loop."""
        self._writer.beat()

    def snapshot(self) -> Snapshot:
        """Where the campaign stands now."""
        running = tuple(number for number, trial in self._in_flight.items() if trial.running)
        waiting = tuple(number for number, trial in self._in_flight.items() if not trial.running)
        finished, failed = len(self._rewards), self._failures.total()
        return Snapshot(
            name=self._name,
            budget=self._rules.trials,
            counts={
                TrialStatus.PROPOSED: len(waiting),
                TrialStatus.RUNNING: len(running),
                TrialStatus.FINISHED: finished,
                TrialStatus.STOPPED: self._told - finished - failed,
                TrialStatus.FAILED: failed,
            },
            running=running,
            waiting=waiting,
            best=self._best[1] if self._best else None,
            rewards=tuple(self._rewards),
            failures=dict(self._failures),
            retried=dict(self._retried),
            created=self._writer.campaign.created,
            uses=uses(self._rules.limits, self._account.spent(datetime.now(UTC))),
            spent=not self._has_room(),
        )

    def _replay(self) -> None:
        """Come to know what is stored, in the order in which it became known the first time."""
        if self._rungs is not None:
            for metric in self._writer.intermediate(self._rungs.metric):
                self._rungs.take(metric.number, metric.step, metric.value)
        trials = {trial.number: trial for trial in self._writer.trials()}
        for trial in trials.values():
            if trial.finish_order is None:
                self._in_flight[trial.number] = InFlight(trial, self._pending(trial))
        attempts = self._writer.attempts()
        self._account = Account(self._rules.limits, ((each.started, each.ended) for each in attempts))
        for attempt in attempts:
            trial = trials[attempt.number]
            if attempt.failure is None or (trial.failure is not None and attempt.attempt == trial.attempt):
                continue
            self._retried[attempt.failure.kind] += 1
            if waiting := self._in_flight.get(trial.number):
                waiting.shared = BESIDE in attempt.provenance
                self._take_back(waiting, attempt.failure.kind, attempt.worker)
        ended = [(trial.finish_order, trial) for trial in trials.values() if trial.finish_order is not None]
        metrics = self._writer.final({each.metric for each in self._rules.objectives})
        for _, trial in sorted(ended, key=itemgetter(0)):
            self._tell(trial, self._pending(trial), metrics.get(trial.number, {}))

    def _pending(self, trial: TrialRecord) -> Pending[G]:
        # From the text also when the genome is at hand, so that a rebuilt controller is told the same.
        return Pending(trial.number, self._space.from_text(trial.genome), trial.note)

    def _under_way(self, number: int, attempt: int) -> InFlight[G] | None:
        trial = self._in_flight.get(number)
        return trial if trial is not None and trial.running and trial.record.attempt == attempt else None

    def _check_failures(self) -> None:
        # Only since this driver opened it: else one bad day would keep it from being resumed for ever.
        failures = self._failures - self._failures_before
        failed, ended = failures.total(), self._told - self._told_before
        if self._rules.too_many(failed, ended):
            kinds = ", ".join(f"{count} {kind}" for kind, count in failures.most_common())
            raise TooManyFailures(
                f"campaign {self._name!r}: {failed} of {ended} trials failed ({kinds}),"
                f" more than the share of {self._rules.failure_share:g} that it may lose;"
                f" `nas resume {self._name}` tries on"
            )

    def _hand_out_new(self, number: int, worker: str) -> Assignment | Wait:
        pending = [trial.pending for trial in self._in_flight.values()]
        proposal = self._asked(number, pending)
        if proposal is None:
            if not pending:
                raise ControllerStuck(
                    f"campaign {self._name!r} trial {number}: the controller asks for outcomes,"
                    " but nothing is in flight"
                )
            # Who else asks may get one that waits for another worker than this.
            return Wait(all(trial.running for trial in self._in_flight.values()))
        new = NewTrial(
            number=number,
            genome=self._space.to_text(proposal.genome),
            fingerprint=self._space.fingerprint(proposal.genome),
            note=json.loads(json.dumps(dict(proposal.note))),  # as it will come out of the database
            seed=trial_seed(self._seed, number),
            told=self._told,
        )
        stored = self._writer.reserve(new, worker)
        self._in_flight[number] = trial = InFlight(stored, self._pending(stored))
        hand_over(trial, worker, self._in_flight.values())
        self._account.begin(number, stored.started)
        return self._assignment(stored)

    def _asked(self, number: int, pending: Sequence[Pending[G]]) -> Proposal[G] | None:
        """The controller's proposal; None where it waits, or has nothing left while trials are in flight.

        Those are brought to their end first. Asked again before, it would draw the same.
        """
        if self._nothing_left == (number, self._told) and pending:
            return None
        try:
            return self._controller.ask(np.random.default_rng([self._seed, number]), pending)
        except NothingLeft:
            if not pending:
                raise
            self._nothing_left = (number, self._told)
            return None

    def _hand_out_again(self, trial: InFlight[G], worker: str) -> Assignment:
        trial.record = self._writer.start(trial.record.number, trial.record.attempt + 1, worker)
        hand_over(trial, worker, self._in_flight.values())
        self._account.begin(trial.record.number, trial.record.started)
        return self._assignment(trial.record)

    def _has_room(self) -> bool:
        return self._account.has_room(datetime.now(UTC))

    def _assignment(self, trial: TrialRecord) -> Assignment:
        return Assignment(
            campaign=self._name,
            number=trial.number,
            attempt=trial.attempt,
            seed=trial.seed,
            genome=trial.genome,
        )

    def _fail(self, trial: InFlight[G], failure: Failure) -> None:
        number, attempt, kind = trial.record.number, trial.record.attempt, failure.kind
        verdict = self._rules.verdict(kind, trial.failures[kind], shared=trial.shared)
        if verdict is Verdict.GIVE_UP:
            self._end(self._writer.fail(number, attempt, failure), trial.pending, {})
            return
        beside = {BESIDE: "others"} if trial.shared else {}
        failure = replace(failure, provenance={**failure.provenance, **beside})
        trial.record = self._writer.give_back(number, attempt, failure)
        self._account.end(number, datetime.now(UTC))
        self._take_back(trial, kind, trial.worker)
        self._retried[kind] += 1
        if verdict is Verdict.STOP:
            stopped = DataFailure if kind is FailureKind.DATA else FatalFailure
            raise stopped(f"campaign {self._name!r} trial {number}: {failure.message}")

    def _take_back(self, trial: InFlight[G], kind: FailureKind, worker: str) -> None:
        verdict = self._rules.verdict(kind, trial.failures[kind], shared=trial.shared)
        take_back(trial, kind, worker, alone=verdict is Verdict.ALONE)

    def _end(self, stored: TrialRecord, pending: Pending[G], metrics: Mapping[str, float]) -> None:
        del self._in_flight[stored.number]
        self._account.end(stored.number, stored.ended or datetime.now(UTC))
        self._tell(stored, pending, metrics)

    def _tell(self, trial: TrialRecord, pending: Pending[G], metrics: Mapping[str, float]) -> None:
        self._told += 1
        if trial.reward is not None:
            if self._best is None or trial.reward > self._best[0]:
                self._best = (trial.reward, trial)
            self._rewards.append(trial.reward)
            self._account.finished((trial.ended or trial.started) - trial.started)
            result = values(self._rules.objectives, metrics) or (trial.reward,)
            self._controller.tell(Outcome(pending.number, pending.genome, pending.note, result))
        elif trial.status is TrialStatus.STOPPED and self._rungs is not None:
            step, value = self._rungs.last(trial.number)
            self._controller.tell(Outcome(pending.number, pending.genome, pending.note, (value,), step))
        elif trial.failure is not None:
            self._failures[trial.failure.kind] += 1
            self._controller.tell(Outcome(pending.number, pending.genome, pending.note, trial.failure.kind))


def trial_seed(campaign_seed: int, number: int) -> int:
    """The seed of a trial, below 2**31; a stream of its own beside the one its proposal is drawn from."""
    return int(np.random.SeedSequence([campaign_seed, number, 1]).generate_state(1)[0] >> 1)
