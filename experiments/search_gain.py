"""Announced before it was run: does the default controller find better networks than random search?

    python -m experiments.search_gain [--root DIR]    about 2 hours on 2 cores; goes on where it was stopped
    python -m experiments.search_gain --report

On the shipped proxy and the embedded set (configs/proxy.yaml): `PAIRS` pairs of campaigns with equal seeds,
`TRIALS` trials each, guided evolution against random search. Then the best `TOP` of each campaign are
trained again with `AGAIN` new seeds and judged on the confirm split, which no reward came from. The first
`CHOOSE` of these trainings choose a campaign's winner, and the mean of the others is what the campaign is
worth: so no choice is judged by what it was made by, which would favour whoever has finalists that
are alike. A training that fails counts as an AP of 0. Reported whatever it shows: the mean of the paired
differences with its 95 % interval (Student's), and every pair; beside it, for comparison only, the
difference of the means of all finalists. The number of pairs is fixed. Nothing of it is used to tune a
controller. (100 trials were announced first; it became 60 for want of hours, before any had run. With 60, of
which the first 20 are random, guided evolution screens its children from the 41st on at the earliest, and
measures a few contenders again: on other campaigns 11 to 16 and 4 to 8. `screened` and `again` say how many.
Run at commit c6797f1: 0 to 7 were screened, 9 measured again. docs/controllers.md has what came of it.)
Databases stay in DIR; writes experiments/results/search_gain.json.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import typer
from scipy.stats import t

from controller.config import ControllerConfig, resolved
from controller.guided_evolution import GuidedEvolutionConfig
from controller.random_search import RandomSearchConfig
from nas import finalists
from nas import folder as folders
from nas.budget import Budget
from nas.config import CampaignConfig, FinalistsConfig, load
from nas.drive import drive
from nas.launch import create, same
from results_db.store import Store

HERE = Path(__file__).parent
ROOT = HERE / "results" / "search_gain"
PAIRS, TRIALS, TOP, AGAIN, CHOOSE = 5, 60, 3, 5, 2
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


def train(root: Path) -> None:
    """Pair after pair, so that what is there is balanced whenever it is stopped. Raises FolderError."""
    for repetition in range(PAIRS):
        for arm in ARMS:
            config = campaign(arm, repetition)
            if (root / config.name).exists():
                same(root, config)
            else:
                create(config, root)
            again = "python -m experiments.search_gain"
            drive(root, config.name, go_on=again)
            made = finalists.prepare(root, config.name, FinalistsConfig(top=TOP, seeds=AGAIN))
            drive(root, made.name, go_on=again)


def worth(root: Path, arm: str, repetition: int) -> tuple[float, float] | None:
    """What a campaign's winner is worth, and the mean of all its finalists, once all are trained."""
    rows = finalists.standing(root, campaign(arm, repetition).name)
    if rows is None or any(len(row.rewards) + row.failures < AGAIN for row in rows):
        return None
    found = [[reward or 0.0 for reward in row.trainings] for row in rows]
    chosen = max(found, key=lambda rewards: float(np.mean(rewards[:CHOOSE])))
    return float(np.mean(chosen[CHOOSE:])), float(np.mean(found))


def notes(root: Path, repetition: int) -> dict[str, int]:
    """How many trials of the guided campaign were screened, and how many measured a contender again."""
    name = campaign("guided", repetition).name
    with Store.read(folders.find(root, name).database) as store:
        found = [trial.note for trial in store.trials(name)]
    return {word: sum(word in note for note in found) for word in ("screened", "again")}


def afterwards(root: Path, arm: str, repetition: int) -> dict[str, float]:
    """Of a campaign's own rewards, looked at once all was over: the best, and the median of trials 31 to 51.

    Between those that begin the default and those that measure contenders again.
    """
    name = campaign(arm, repetition).name
    with Store.read(folders.find(root, name).database) as store:
        rewards = {t.number: t.reward for t in store.trials(name) if t.reward is not None}
        again = {t.number for t in store.trials(name) if "again" in t.note}
    return {
        "best": max(reward for number, reward in rewards.items() if number not in again),
        "median of 31 to 51": float(np.median([rewards[n] for n in range(31, 52) if n in rewards])),
    }


def report(root: Path) -> dict[str, Any]:
    """Of all pairs that are complete."""
    winners, means = [], []
    for repetition in range(PAIRS):
        values = {arm: worth(root, arm, repetition) for arm in ARMS}
        known = {arm: value for arm, value in values.items() if value is not None}
        if len(known) == len(ARMS):
            winners.append({arm: value[0] for arm, value in known.items()})
            means.append({arm: value[1] for arm, value in known.items()})
    return {
        "trials": TRIALS,
        "guided": [notes(root, repetition) for repetition in range(len(winners))],
        "pairs": winners,
        **difference(winners),
        "all finalists": {"pairs": means, **difference(means)},
        "afterwards": [
            {arm: afterwards(root, arm, repetition) for arm in ARMS} for repetition in range(len(winners))
        ],
    }


def difference(pairs: list[dict[str, float]]) -> dict[str, Any]:
    """Guided evolution less random search, with Student's interval; nothing for under two pairs."""
    values = np.array([pair["guided"] - pair["random"] for pair in pairs], np.float64)
    if len(values) < 2:
        return {}
    mean, sem = values.mean(), values.std(ddof=1) / np.sqrt(len(values))
    half = float(t.ppf(0.975, len(values) - 1)) * sem
    return {"difference": float(mean), "interval": [float(mean - half), float(mean + half)]}


def main() -> None:
    """Train what is missing, report what is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=ROOT)
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    if not options.report:
        try:
            train(options.root.absolute())
        except typer.Exit as end:  # Ctrl-C; what it says is said
            raise SystemExit(end.exit_code) from None
    facts = report(options.root.absolute())
    (HERE / "results" / "search_gain.json").write_text(json.dumps(facts, indent=1) + "\n")
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
