"""Proposals asked for again: each follows from config, seed, number, outcomes told and trials pending."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, cast

import numpy as np

from controller.protocol import Controller, G, Outcome, Pending, Proposal
from nas.campaign import Campaign, CampaignSpace
from nas.rules import CampaignRules
from results_db.records import AttemptRecord, CampaignRecord, MetricRecord, Past, TrialRecord
from results_db.store import Store
from results_db.writer import Writer


@dataclass(slots=True)
class _Listener(Generic[G]):
    """Hears every outcome in finish order, as a controller would."""

    heard: list[Outcome[G]] = field(default_factory=list)

    def ask(self, rng: np.random.Generator, pending: Sequence[Pending[G]]) -> Proposal[G] | None:
        raise AssertionError((rng, pending))

    def tell(self, outcome: Outcome[G]) -> None:
        self.heard.append(outcome)


@dataclass(frozen=True, slots=True)
class _Stored:
    """What a campaign reads of its writer when it is opened, as of one moment: it may be driven meanwhile."""

    past: Past

    @property
    def campaign(self) -> CampaignRecord:
        return self.past.campaign

    def trials(self) -> tuple[TrialRecord, ...]:
        return self.past.trials

    def attempts(self) -> tuple[AttemptRecord, ...]:
        return self.past.attempts

    def intermediate(self, name: str) -> tuple[MetricRecord, ...]:
        del name
        return self.past.intermediate

    def final(self, names: Collection[str]) -> Mapping[int, Mapping[str, float]]:
        del names
        return self.past.final


def strange_proposals(
    store: Store, name: str, rules: CampaignRules, space: CampaignSpace[G], controller: Controller[G]
) -> Iterator[str]:
    """A line for the first trial that a fresh controller, told what was told then, would not propose.

    So the state that all drivers together had is the one that the table gives.
    """
    listener: _Listener[G] = _Listener()
    metric = rules.stopping.metric if rules.stopping is not None else None
    past = store.past(name, metric, {each.metric for each in rules.objectives})
    stored, trials = _Stored(past), past.trials
    Campaign(cast("Writer", stored), rules, space, listener)
    told = 0
    in_flight: dict[int, Pending[G]] = {}
    for trial in trials:
        for outcome in listener.heard[told : trial.told]:
            controller.tell(outcome)
            del in_flight[outcome.number]
        told = trial.told
        rng = np.random.default_rng([stored.campaign.seed, trial.number])
        proposal = controller.ask(rng, list(in_flight.values()))
        if proposal is None:
            yield f"trial {trial.number}: asked again, the controller proposes nothing"
            return
        asked = space.to_text(proposal.genome), json.loads(json.dumps(dict(proposal.note)))
        if asked != (trial.genome, trial.note):
            yield f"trial {trial.number}: asked again, the controller proposes {asked[0]}"
            return
        in_flight[trial.number] = Pending(trial.number, space.from_text(trial.genome), trial.note)
