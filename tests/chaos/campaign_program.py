"""Not a test: starts or goes on with a synthetic campaign in a process of its own, for tests that strike it.

python campaign_program.py drive URL '{"trials": 60, "runner": "ray", "workers": 3, "seconds": 0.3}'
python campaign_program.py audit URL '{"trials": 60}'
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from controller.config import build
from controller.protocol import Controller
from controller.regularized_evolution import RegularizedEvolutionConfig
from nas import audit
from nas.campaign import Campaign
from nas.evaluators import MakeEvaluator
from nas.rules import CampaignRules
from nas.runners.options import RayOptions
from nas.runners.worker import RunnerError
from proxy_trainer.synthetic import SyntheticConfig
from results_db.records import NewCampaign
from results_db.store import Store
from search_space.catalog import space_by_name
from search_space.genome import Genome
from search_space.trial import FailureKind

NAME = "chaos"
SPACE = space_by_name("spinenet-49")


def rules(words: dict[str, Any]) -> CampaignRules:
    """Lost workers are what these tests are about: a trial may lose many."""
    return CampaignRules(trials=words["trials"], retries={FailureKind.LOST_WORKER: 5}, failure_share=1.0)


def controller() -> Controller[Genome]:
    """A fresh one, whose proposals hang on all that it was told."""
    return build(RegularizedEvolutionConfig(population=8, tournament=4), SPACE)


def drive(url: str, words: dict[str, Any]) -> None:
    """Says `running` when trials may run, and ends by itself when the budget is spent."""
    config = SyntheticConfig(seconds=words.get("seconds", 0.04), failures=words.get("failures", 0.1), steps=1)
    make_evaluator = MakeEvaluator(config, Path(), None)
    with Store.create(url) as store:
        if NAME not in {each.name for each in store.campaigns()}:
            store.add(NewCampaign(name=NAME, seed=11, config={}, config_hash="", code_version=""))
        with store.take(NAME) as writer:
            campaign = Campaign(writer, rules(words), SPACE, controller())
            print("running", flush=True)
            if words.get("runner") == "ray":
                from nas.runners.ray.run import run

                run(campaign, make_evaluator, RayOptions(workers=words.get("workers")), lambda: None)
            else:
                from nas.runners import serial

                serial.run(campaign, make_evaluator(), lambda: None)


def main(what: str, url: str, words: dict[str, Any]) -> None:
    """Drive, or say what is wrong, a line each."""
    if what == "drive":
        try:
            drive(url, words)
        except RunnerError as error:
            sys.exit(f"nas: {error}")
        return
    with Store.read(url) as store:
        print("\n".join(audit.violations(store, NAME, rules(words), SPACE, controller())))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
