"""Proposals asked for again: each follows from config, seed, number, outcomes told and trials pending."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from controller.protocol import Controller, Outcome, Pending, Proposal
from nas.campaign import Campaign
from nas.config import CampaignConfig
from nas.controllers import controller_of
from results_db.records import AttemptRecord, CampaignRecord, MetricRecord, TrialRecord
from results_db.store import Store
from results_db.writer import Writer
from search_space.genome import Genome


@dataclass(slots=True)
class _Listener:
    """Hears every outcome in finish order, as a controller would."""

    heard: list[Outcome[Genome]] = field(default_factory=list)

    def ask(self, rng: np.random.Generator, pending: Sequence[Pending[Genome]]) -> Proposal[Genome] | None:
        raise AssertionError((rng, pending))

    def tell(self, outcome: Outcome[Genome]) -> None:
        self.heard.append(outcome)


@dataclass(frozen=True, slots=True)
class _Stored:
    """What a campaign reads of its writer when it is opened, from a store that nobody drives."""

    store: Store
    campaign: CampaignRecord

    def trials(self) -> tuple[TrialRecord, ...]:
        return self.store.trials(self.campaign.name)

    def attempts(self) -> tuple[AttemptRecord, ...]:
        return self.store.attempts(self.campaign.name)

    def intermediate(self, name: str) -> tuple[MetricRecord, ...]:
        return self.store.intermediate(self.campaign.name, name)

    def final(self, names: Collection[str]) -> Mapping[int, Mapping[str, float]]:
        return self.store.final(self.campaign.name, names)


def strange_proposals(store: Store, config: CampaignConfig, trials: Sequence[TrialRecord]) -> Iterator[str]:
    """A line for the first trial that a fresh controller, told what was told then, would not propose."""
    space = config.space.build()
    listener = _Listener()
    stored = cast("Writer", _Stored(store, store.campaign(config.name)))
    Campaign(stored, config.rules, space, listener)
    controller: Controller[Genome] = controller_of(config, space)
    pendings = {
        trial.number: Pending(trial.number, space.from_text(trial.genome), trial.note) for trial in trials
    }
    told = 0
    in_flight: dict[int, Pending[Genome]] = {}
    for trial in trials:
        for outcome in listener.heard[told : trial.told]:
            controller.tell(outcome)
            del in_flight[outcome.number]
        told = trial.told
        proposal = controller.ask(
            np.random.default_rng([config.seed, trial.number]), list(in_flight.values())
        )
        if proposal is None:
            yield f"trial {trial.number}: asked again, the controller proposes nothing"
            return
        asked = space.to_text(proposal.genome), json.loads(json.dumps(dict(proposal.note)))
        if asked != (trial.genome, trial.note):
            yield f"trial {trial.number}: asked again, the controller proposes {asked[0]}"
            return
        in_flight[trial.number] = pendings[trial.number]
