"""Not a test: runs or resumes a synthetic campaign in a process of its own, for tests that kill it.

python synthetic_campaign.py sqlite:///campaign.sqlite 60
"""

from __future__ import annotations

import sys

from controller.config import build
from controller.regularized_evolution import RegularizedEvolutionConfig
from nas.campaign import Campaign
from nas.rules import CampaignRules
from nas.runners import serial
from proxy_trainer.synthetic import SyntheticConfig, SyntheticEvaluator
from results_db.records import NewCampaign
from results_db.store import Store
from search_space.catalog import space_by_name


def main(url: str, trials: int) -> None:
    """Says `running` when it begins to, and ends by itself when the budget is spent."""
    space = space_by_name("spinenet-49")
    controller = build(RegularizedEvolutionConfig(population=8, tournament=4), space)
    evaluator = SyntheticEvaluator(SyntheticConfig(seconds=0.04, failures=0.2, steps=1))
    with Store.create(url) as store:
        if not store.campaigns():
            store.add(NewCampaign(name="killed", seed=11, config={}, config_hash="", code_version=""))
        with store.take("killed") as writer:
            print("running", flush=True)
            campaign = Campaign(writer, CampaignRules(trials=trials), space, controller)
            serial.run(campaign, evaluator, lambda: None)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
