"""Announced before it was run: does the default controller find better networks than random search?

    python -m experiments.search_gain [--root DIR] [--repetitions 5]    hours; goes on where it was stopped
    python -m experiments.search_gain --report

On the shipped proxy and the embedded set (configs/proxy.yaml): pairs of campaigns with equal seeds,
`TRIALS` trials each, guided evolution against random search. Then the best `TOP` of each campaign are
trained again with `AGAIN` new seeds and judged on the confirm split, which no reward came from; a
campaign is worth the highest mean among its finalists. Reported whatever it shows: the mean of the
paired differences with its 95 % interval (Student's), and every pair. Nothing of it is used to tune a
controller. Databases stay in DIR; writes experiments/results/search_gain.json.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t

from controller.config import ControllerConfig, resolved
from controller.guided_evolution import GuidedEvolutionConfig
from controller.random_search import RandomSearchConfig
from nas import finalists
from nas.budget import Budget
from nas.config import CampaignConfig, FinalistsConfig, load
from nas.drive import drive
from nas.launch import create

HERE = Path(__file__).parent
ROOT = HERE / "results" / "search_gain"
TRIALS, TOP, AGAIN = 60, 3, 5
FIRST_SEED = 500
ARMS: dict[str, ControllerConfig] = {"guided": GuidedEvolutionConfig(), "random": RandomSearchConfig()}


def campaign(arm: str, repetition: int) -> CampaignConfig:
    """The campaign of an arm; both arms of a repetition have one seed."""
    base = load(HERE.parent / "configs" / "proxy.yaml")
    return dataclasses.replace(
        base,
        name=f"gain-{arm}-{repetition}",
        seed=FIRST_SEED + repetition,
        controller=resolved(ARMS[arm], TRIALS),
        budget=Budget(trials=TRIALS),
        keep_weights=0,
    )


def train(root: Path, repetitions: int) -> None:
    """Pair after pair, so that what is there is balanced whenever it is stopped."""
    for repetition in range(repetitions):
        for arm in ARMS:
            config = campaign(arm, repetition)
            if not (root / config.name).exists():
                create(config, root)
            again = "python -m experiments.search_gain"
            drive(root, config.name, go_on=again)
            made = finalists.prepare(root, config.name, FinalistsConfig(top=TOP, seeds=AGAIN))
            drive(root, made.name, go_on=again)


def worth(root: Path, arm: str, repetition: int) -> float | None:
    """The highest mean of a campaign's finalists, once all are trained."""
    rows = finalists.standing(root, campaign(arm, repetition).name)
    if rows is None or any(len(row.rewards) + row.failures < AGAIN for row in rows):
        return None
    return max(float(np.mean(row.rewards)) for row in rows if row.rewards)


def report(root: Path) -> dict[str, Any]:
    """Of all pairs that are complete."""
    pairs = []
    for repetition in range(100):
        values = {arm: worth(root, arm, repetition) for arm in ARMS}
        known = {arm: value for arm, value in values.items() if value is not None}
        if len(known) == len(ARMS):
            pairs.append(known)
    differences = np.array([pair["guided"] - pair["random"] for pair in pairs], np.float64)
    facts: dict[str, Any] = {"trials": TRIALS, "pairs": pairs}
    if len(differences) > 1:
        mean, sem = differences.mean(), differences.std(ddof=1) / np.sqrt(len(differences))
        half = float(t.ppf(0.975, len(differences) - 1)) * sem
        facts |= {"difference": float(mean), "interval": [float(mean - half), float(mean + half)]}
    return facts


def main() -> None:
    """Train what is missing, report what is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=ROOT)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    if not options.report:
        train(options.root.absolute(), options.repetitions)
    facts = report(options.root.absolute())
    (HERE / "results" / "search_gain.json").write_text(json.dumps(facts, indent=1) + "\n")
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
