"""A smoke run of every controller on really trained proxies, no ranking: does it come to its end, and sound?

    python -m experiments.smoke [--root DIR]     half an hour on 2 cores; goes on where it was stopped

The shipped recipe with 40 steps, `TRIALS` trials a controller; `nsga2` goes by AP and multiply-adds. Each
campaign is then asked for every proposal again (`nas db check --replay`); `notes` are the words that its
proposals were stored with, which tell what was done (`screened`, `again`, `climb`, `version`). Writes
experiments/results/smoke.json.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import typer

from controller.bayesian import BayesianConfig
from controller.config import ControllerConfig
from controller.contenders import ContendersConfig
from controller.guided_evolution import GuidedEvolutionConfig
from controller.local_search import LocalSearchConfig
from controller.nsga2 import Nsga2Config
from controller.ppo import PpoConfig
from controller.random_search import RandomSearchConfig
from controller.regularized_evolution import RegularizedEvolutionConfig
from controller.reinforce import ReinforceConfig
from nas import folder
from nas.budget import Budget
from nas.check import check
from nas.config import CampaignConfig, load
from nas.drive import drive
from nas.launch import create
from nas.objectives import Objective
from proxy_trainer.config import ProxyConfig
from results_db.records import TrialStatus
from results_db.store import Store

HERE = Path(__file__).parent
ROOT = HERE / "results" / "smoke"
TRIALS = 30
PRICES = (Objective(metric="AP"), Objective(metric="flops", better="less"))
CONTROLLERS: tuple[ControllerConfig, ...] = (
    RandomSearchConfig(),
    RegularizedEvolutionConfig(population=8, tournament=3),
    LocalSearchConfig(start=4, patience=4),
    GuidedEvolutionConfig(
        population=6, tournament=2, start=6, trust=-1, contenders=ContendersConfig(first=20, top=4)
    ),
    BayesianConfig(start=6, trust=-1),
    Nsga2Config(population=8),
    ReinforceConfig(batch=4),
    PpoConfig(batch=4),
)
"""With settings so small that each comes to what is particular to it within so few trials."""


def campaign(controller: ControllerConfig) -> CampaignConfig:
    """A controller's campaign."""
    base = load(HERE.parent / "configs" / "proxy.yaml")
    if not isinstance(base.evaluator, ProxyConfig):
        raise TypeError("configs/proxy.yaml does not train proxies")
    several = isinstance(controller, Nsga2Config)
    return dataclasses.replace(
        base,
        name=f"smoke-{controller.kind.replace('_', '-')}",
        controller=controller,
        evaluator=base.evaluator.with_recipe(steps=40, warmup_steps=10),
        objectives=PRICES if several else (),
        budget=Budget(trials=TRIALS),
        keep_weights=0,
    )


def facts(root: Path, config: CampaignConfig) -> dict[str, Any]:
    """What became of a campaign."""
    with Store.read(folder.find(root, config.name).database) as store:
        counts = store.counts(config.name)
        trials = store.trials(config.name)
        checked = check(store, config.name, replay=True)
    return {
        "controller": config.controller.kind,
        "finished": counts[TrialStatus.FINISHED],
        "failed": counts[TrialStatus.FAILED],
        "networks": len({trial.fingerprint for trial in trials}),
        "notes": sorted({word for trial in trials for word in trial.note}),
        "replayed": checked["replayed"],
        "problems": checked["problems"],
    }


def main() -> None:
    """Run what is missing, then report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=ROOT)
    root = parser.parse_args().root.absolute()
    found = []
    for controller in CONTROLLERS:
        config = campaign(controller)
        if not (root / config.name).exists():
            create(config, root)
        try:
            drive(root, config.name, go_on="python -m experiments.smoke")
        except typer.Exit as end:  # Ctrl-C; what it says is said
            raise SystemExit(end.exit_code) from None
        found.append(facts(root, config))
        print(json.dumps(found[-1]), flush=True)
    (HERE / "results" / "smoke.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
