"""What is true of every campaign that ended, whatever struck it meanwhile: read from the database alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Generic, TypeAlias

import numpy as np

from controller.protocol import Controller, G, Outcome, Pending
from nas.campaign import CampaignSpace, trial_seed
from nas.objectives import values
from nas.rules import CampaignRules
from results_db.records import ENDED, AttemptRecord, MetricRecord, TrialRecord, TrialStatus
from results_db.store import Store

Trials: TypeAlias = Sequence[TrialRecord]
Metrics: TypeAlias = Mapping[int, Sequence[MetricRecord]]


def violations(
    store: Store, name: str, rules: CampaignRules, space: CampaignSpace[G], controller: Controller[G]
) -> list[str]:
    """What is wrong with a campaign that should have ended and been released; empty when all is well.

    The last check tells the fresh `controller` the stored outcomes in finish order and asks it for every
    proposal anew: the state that all drivers together had is the one that the table gives.
    """
    seed, trials = store.campaign(name).seed, store.trials(name)
    last = {trial.number: trial.attempt for trial in trials}
    metrics: dict[int, list[MetricRecord]] = {trial.number: [] for trial in trials}
    for metric in store.metrics(name):
        if metric.attempt == last[metric.number] or metric.final:
            metrics[metric.number].append(metric)
    wrong = [
        *_numbers(trials, rules.trials, seed),
        *_attempts(trials, store.attempts(name)),
        *_rewards(trials, metrics),
        *_proposals(trials, _Told(rules, space, metrics), controller, seed),
    ]
    return [*wrong, "it was not released"] if store.fence(name).pid is not None else wrong


def _numbers(trials: Trials, budget: int, seed: int) -> Iterator[str]:
    """Every number once, none missing, each ended, in one order."""
    numbers = [trial.number for trial in trials]
    if numbers != list(range(1, budget + 1)):
        yield f"numbers {numbers[:5]} ... {numbers[-5:]}, expected 1 to {budget}"
    if left := [trial.number for trial in trials if trial.status not in ENDED]:
        yield f"not ended: {left}"
    elif sorted(trial.finish_order or 0 for trial in trials) != list(range(1, len(trials) + 1)):
        yield "the finish orders have gaps or repeats"
    if wrong := [trial.number for trial in trials if trial.seed != trial_seed(seed, trial.number)]:
        yield f"another seed than the number gives: {wrong}"


def _attempts(trials: Trials, attempts: Sequence[AttemptRecord]) -> Iterator[str]:
    """Numbered without gaps, and the last ended as its trial did; others failed, or were cut off."""
    by_number = {number: list(each) for number, each in groupby(attempts, key=lambda each: each.number)}
    for trial in trials:
        own = by_number.get(trial.number, [])
        if [each.attempt for each in own] != list(range(1, trial.attempt + 1)):
            yield f"trial {trial.number}: attempts {[each.attempt for each in own]}, at {trial.attempt} now"
        elif own[-1].ended is None or own[-1].failure != trial.failure:
            yield f"trial {trial.number}: its last attempt ended otherwise than the trial"


def _rewards(trials: Trials, metrics: Metrics) -> Iterator[str]:
    """One measurement for each finished trial, of its last attempt, and none for any other."""
    for trial in trials:
        final = [metric for metric in metrics[trial.number] if metric.final]
        if (trial.status is TrialStatus.FINISHED) != bool(final):
            yield f"trial {trial.number}: {trial.status} with {len(final)} final metrics"
        if {metric.attempt for metric in final} - {trial.attempt}:
            yield f"trial {trial.number}: a measurement of an attempt that is not its last"
        if any(count > 1 for count in Counter(metric.name for metric in final).values()):
            yield f"trial {trial.number}: two measurements"


@dataclass(frozen=True, slots=True)
class _Told(Generic[G]):
    """What the controller was told of each trial."""

    rules: CampaignRules
    space: CampaignSpace[G]
    metrics: Metrics

    def pending(self, trial: TrialRecord) -> Pending[G]:
        return Pending(trial.number, self.space.from_text(trial.genome), trial.note)

    def outcome(self, trial: TrialRecord) -> Outcome[G]:
        genome, found = self.space.from_text(trial.genome), self.metrics[trial.number]
        if trial.failure is not None:
            return Outcome(trial.number, genome, trial.note, trial.failure.kind)
        if trial.reward is not None:
            final = {metric.name: metric.value for metric in found if metric.final}
            result = values(self.rules.objectives, final) or (trial.reward,)
            return Outcome(trial.number, genome, trial.note, result)
        stopping = self.rules.stopping
        rungs = [
            (metric.step, metric.value)
            for metric in found
            if stopping and metric.name == stopping.metric and metric.step in stopping.rungs
        ]
        step, value = max(rungs)
        return Outcome(trial.number, genome, trial.note, (value,), step)


def _proposals(trials: Trials, told: _Told[G], controller: Controller[G], seed: int) -> Iterator[str]:
    """A controller that is told the table proposes the table."""
    order = sorted((each for each in trials if each.finish_order), key=lambda each: each.finish_order or 0)
    known = 0
    for trial in trials:
        for ended in order[known : trial.told]:
            controller.tell(told.outcome(ended))
        known = trial.told
        earlier = trials[: trial.number - 1]
        busy = [told.pending(each) for each in earlier if not 0 < (each.finish_order or 0) <= known]
        proposal = controller.ask(np.random.default_rng([seed, trial.number]), busy)
        if proposal is None or told.space.to_text(proposal.genome) != trial.genome:
            yield f"trial {trial.number}: the stored outcomes lead to another proposal"
            return
