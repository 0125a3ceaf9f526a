"""Whether a stored campaign can be what happened: orders, attempts, rewards, fingerprints, proposals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from controller.protocol import G
from nas.campaign import CampaignSpace, trial_seed
from nas.config import from_json
from nas.controllers import controller_of
from nas.replay import strange_proposals
from nas.reward import NoReward, NotFinite, reward
from nas.reward_config import RewardConfig
from nas.rules import CampaignRules
from nas.validation import Refused
from results_db.records import AttemptRecord, TrialStatus, WholeCampaign
from results_db.store import Store

SHOWN: Final = 20
"""So many problems of a campaign are told; one cause often has many."""


def check(store: Store, name: str, *, replay: bool) -> dict[str, Any]:
    """What is wrong with a campaign, as JSON-ready facts; raises UnknownCampaign.

    `replay` asks a fresh controller for every proposal again, with what it was told by then.
    """
    whole = store.whole(name)
    replayed: int | None = None
    try:
        config = from_json(dict(whole.campaign.config))
    except Refused as error:
        found = [*_orders(whole), *_attempts(whole), f"its config cannot be read: {error}"]
    else:
        space = config.space.build()
        found = problems(whole, config.rules, space)
        if replay and not found:
            found += strange_proposals(store, name, config.rules, space, controller_of(config, space))
            replayed = len(whole.trials)
    return {
        "name": name,
        "trials": len(whole.trials),
        "ended": sum(trial.finish_order is not None for trial in whole.trials),
        "replayed": replayed,
        "problems": found[:SHOWN],
        "more_problems": max(0, len(found) - SHOWN),
    }


def problems(whole: WholeCampaign, rules: CampaignRules, space: CampaignSpace[G]) -> list[str]:
    """What cannot have happened in a campaign with these rules, a line each; empty when all is well."""
    return [*_orders(whole), *_attempts(whole), *_rewards(whole, rules), *_genomes(whole, space)]


def _orders(whole: WholeCampaign) -> Iterator[str]:
    """Numbers and finish orders without gaps, and nobody told of what came later."""
    numbers = [trial.number for trial in whole.trials]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"the trials are numbered {numbers[:5]}..., expected 1 to {len(numbers)} without gaps"
    by_order = {trial.finish_order: trial.number for trial in whole.trials if trial.finish_order is not None}
    ended = sum(trial.finish_order is not None for trial in whole.trials)
    if set(by_order) != set(range(1, ended + 1)):
        yield f"finish orders have gaps: {ended} trials have ended, expected 1 to {ended}, each once"
        return
    latest, told = 0, 0  # the highest number among the outcomes that were told
    for trial in whole.trials:
        if trial.told > ended:
            yield f"trial {trial.number}: proposed after {trial.told} outcomes, but there are {ended}"
            return
        if trial.told < told:
            yield f"trial {trial.number}: proposed after {trial.told} outcomes, the one before after {told}"
        for order in range(told + 1, trial.told + 1):
            latest = max(latest, by_order[order])
        told = max(told, trial.told)
        if latest >= trial.number:
            yield f"trial {trial.number}: proposed after the outcome of trial {latest}"


def _attempts(whole: WholeCampaign) -> Iterator[str]:
    """Attempts from the first to the latest, the last of them like the trial."""
    attempts: dict[int, list[AttemptRecord]] = {}
    for attempt in whole.attempts:
        attempts.setdefault(attempt.number, []).append(attempt)
    for trial in whole.trials:
        mine = attempts.get(trial.number, [])
        if [attempt.attempt for attempt in mine] != list(range(1, trial.attempt + 1)):
            stored = [attempt.attempt for attempt in mine]
            yield f"trial {trial.number}: has attempts {stored}, expected 1 to {trial.attempt}"
            continue
        # one that runs has ended only if it was cut off with its driver
        if mine[-1].ended is None and trial.status is not TrialStatus.RUNNING:
            yield f"trial {trial.number}: is {trial.status}, but its attempt {trial.attempt} has no end"
        if trial.finish_order is not None and mine[-1].failure != trial.failure:
            yield f"trial {trial.number}: failed otherwise than its last attempt"
        if trial.seed != trial_seed(whole.campaign.seed, trial.number):
            yield f"trial {trial.number}: its seed does not follow from the campaign's"
        data = mine[-1].provenance.get("data", whole.campaign.data_hash)
        if whole.campaign.data_hash not in ("", data):
            yield f"trial {trial.number}: was trained on other data than the campaign began with"


def _rewards(whole: WholeCampaign, rules: CampaignRules) -> Iterator[str]:
    """The rewards by the campaign's rule, from what was measured."""
    for trial in whole.trials:
        metrics = whole.final.get(trial.number, {})
        if trial.reward is None:
            if metrics:
                yield f"trial {trial.number}: is {trial.status}, but has a measurement"
        elif problem := _reward(trial.reward, rules.reward, metrics):
            yield f"trial {trial.number}: {problem}"


def _reward(stored: float, rule: RewardConfig, metrics: Mapping[str, float]) -> str:
    try:
        expected = reward(rule, metrics)
    except (NoReward, NotFinite) as error:
        return f"has a reward of {stored:g}, but {error}"
    same = math.isclose(stored, expected, rel_tol=1e-12, abs_tol=1e-300)
    return "" if same else f"has a reward of {stored!r}, but its measurement gives {expected!r}"


def _genomes(whole: WholeCampaign, space: CampaignSpace[G]) -> Iterator[str]:
    """Genomes of the space, each with its own fingerprint."""
    for trial in whole.trials:
        try:
            fingerprint = space.fingerprint(space.from_text(trial.genome))
        except ValueError as error:
            yield f"trial {trial.number}: {error}"
            continue
        if fingerprint != trial.fingerprint:
            yield f"trial {trial.number}: its fingerprint is not that of its genome"
