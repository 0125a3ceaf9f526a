"""What an export says of a trial: what was measured of it, and its spec. TensorFlow is not needed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from nas.designs import full_size
from nas.validation import adapter
from proxy_trainer.config import ProxyConfig
from proxy_trainer.recipe import Recipe
from results_db.records import CampaignRecord, TrialRecord
from results_db.store import Store
from search_space.cost import network_cost
from search_space.genome import Genome
from search_space.spec import Expected, Spec


@dataclass(frozen=True, slots=True)
class Facts:
    """What was measured of a trial; `classes` are the names of what its detector tells apart."""

    number: int
    metrics: Mapping[str, float]
    classes: tuple[str, ...]
    provenance: Mapping[str, str]


def facts_of(store: Store, campaign: CampaignRecord, trial: TrialRecord) -> Facts:
    """As stored."""
    metrics = {each.name: each.value for each in store.metrics(campaign.name, trial.number) if each.final}
    provenance = store.attempts(campaign.name, trial.number)[-1].provenance
    classes = tuple(json.loads(provenance.get("classes", "[]")))
    return Facts(trial.number, metrics, classes, provenance)


def spec_of(campaign: CampaignRecord, trial: TrialRecord, facts: Facts, proxy: ProxyConfig | None) -> Spec:
    """The full-size network as limits and `nas cost` count it, and where it came from."""
    genome = Genome.from_text(trial.genome)
    built = full_size(genome)
    cost = network_cost(genome, built.scaling, built.input_size).backbone
    return Spec(
        genome=genome,
        scaling=built.scaling,
        head=built.head,
        expected=Expected(params=cost.params, flops=cost.flops, input_size=built.input_size),
        proxy=None
        if proxy is None
        else {
            "recipe": adapter(Recipe).dump_python(proxy.recipe, mode="json"),
            "classes": list(facts.classes),
        },
        provenance={
            "campaign": campaign.name,
            "trial": trial.number,
            "seed": str(trial.seed),
            "reward": trial.reward,
            "metrics": {name: value for name, value in sorted(facts.metrics.items()) if math.isfinite(value)},
            "code": facts.provenance.get("code", campaign.code_version),
            "config": campaign.config_hash,
            "data": campaign.data_hash,
        },
    )
