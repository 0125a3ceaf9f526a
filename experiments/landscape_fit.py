"""Are made-up landscapes as predictable as the real proxy? The same regressor on the same genomes, for both.

    python -m experiments.landscape_fit          a minute

The 48 genomes that the shipped proxy was studied and confirmed on (one training each). A genome's reward
is predicted by the surrogate of guided evolution from the other 47; predictability is Spearman's correlation
between predictions and rewards, of all and within the better half, with a bootstrap interval over genomes
for the real ones. The same on what ten landscapes of each family (seeds 100 to 109) say of the very same
genomes; `DETAIL` in nas/simulation/landscapes.py was set on seeds 200 to 207. Writes
experiments/results/landscape_fit.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from controller.regressors import bayesian_ridge
from controller.surrogate import normal_scores
from nas.simulation.landscapes import Landscape, LandscapeConfig
from results_db.store import Store
from search_space.features import features
from search_space.genome import Genome

RESULTS = Path(__file__).parent / "results"
ARMS = ("proxy-study.bfloat16", "proxy-confirm.bfloat16")
LANDSCAPES = range(100, 110)
RESAMPLES = 2000

Floats = NDArray[np.float64]


def real() -> dict[str, float]:
    """Rewards of the shipped proxy by genome."""
    found: dict[str, float] = {}
    for arm in ARMS:
        with Store.read(f"sqlite:///{RESULTS / 'proxy_study' / arm / 'campaign.sqlite'}") as store:
            for trial in store.trials(arm):
                if trial.reward is not None:
                    found.setdefault(trial.genome, trial.reward)
    return found


def predicted(rows: Floats, values: Floats) -> Floats:
    """Each value as the others predict it."""
    guesses = np.empty(len(values))
    for place in range(len(values)):
        rest = np.arange(len(values)) != place
        centre, spread = rows[rest].mean(axis=0), rows[rest].std(axis=0)
        varying = spread > 0
        scaled = (rows[:, varying] - centre[varying]) / spread[varying]
        fit = bayesian_ridge(scaled[rest], normal_scores(values[rest]))
        guesses[place] = fit.mean(scaled[place : place + 1])[0]
    return guesses


def correlation(first: Floats, second: Floats) -> float:
    """Spearman's."""
    return float(spearmanr(first, second).statistic)


def predictability(guesses: Floats, values: Floats) -> dict[str, float]:
    """Of all, and within the better half."""
    better = np.argsort(-values)[: len(values) // 2]
    return {"all": correlation(guesses, values), "better_half": correlation(guesses[better], values[better])}


def main() -> None:
    """Real, then both families."""
    rewards = real()
    genomes = [Genome.from_text(text) for text in rewards]
    rows = np.stack([features(genome) for genome in genomes])
    values = np.array(list(rewards.values()))
    guesses = predicted(rows, values)
    rng = np.random.default_rng(0)
    draws = [rng.integers(len(values), size=len(values)) for _ in range(RESAMPLES)]
    bounds = np.quantile([correlation(guesses[draw], values[draw]) for draw in draws], (0.025, 0.975))
    found: dict[str, Any] = {
        "genomes": len(values),
        "real": {**predictability(guesses, values), "interval": bounds.tolist()},
    }
    for family in ("motifs", "network"):
        each = []
        for seed in LANDSCAPES:
            landscape = Landscape(LandscapeConfig(family=family, seed=seed))
            said = np.array([landscape.measure(genome, rng).value for genome in genomes])
            each.append(predictability(predicted(rows, said), said))
        found[family] = {
            word: {"median": float(np.median(some)), "least": min(some), "most": max(some)}
            for word in ("all", "better_half")
            if (some := [row[word] for row in each])
        }
    (RESULTS / "landscape_fit.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
