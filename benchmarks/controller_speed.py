"""What a proposal costs: milliseconds of `ask` and `tell` on the SpineNet space, one trial in flight.

    OMP_NUM_THREADS=1 python -m benchmarks.controller_speed [--trials 1000]

Truths of a made-up landscape are told, so that surrogates and policies have something to learn. Settings are
those for a budget of 14,000 trials. Writes benchmarks/results/controller_speed.json.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from benchmarks.record import write
from controller.bayesian import BayesianConfig
from controller.config import ControllerConfig, build, resolved
from controller.guided_evolution import GuidedEvolutionConfig
from controller.local_search import LocalSearchConfig
from controller.nsga2 import Nsga2Config
from controller.ppo import PpoConfig
from controller.protocol import Outcome
from controller.random_search import RandomSearchConfig
from controller.regularized_evolution import RegularizedEvolutionConfig
from controller.reinforce import ReinforceConfig
from nas.simulation.landscapes import Landscape, LandscapeConfig

BUDGET = 14_000
CONTROLLERS: tuple[ControllerConfig, ...] = (
    RandomSearchConfig(),
    RegularizedEvolutionConfig(),
    LocalSearchConfig(),
    Nsga2Config(),
    GuidedEvolutionConfig(),
    BayesianConfig(),
    ReinforceConfig(),
    PpoConfig(),
)


def measure(config: ControllerConfig, landscape: Landscape, trials: int) -> tuple[float, float]:
    """Mean seconds of ask and of tell, fits and updates included."""
    controller = build(resolved(config, BUDGET), landscape.space)
    asking = telling = 0.0
    for number in range(trials):
        began = time.perf_counter()
        proposal = controller.ask(np.random.default_rng([1, number]), ())
        asking += time.perf_counter() - began
        if proposal is None:
            raise RuntimeError(f"{config.kind} waits, and nothing is in flight")
        value = landscape.truth(proposal.genome)
        began = time.perf_counter()
        controller.tell(Outcome(number, proposal.genome, proposal.note, (value,)))
        telling += time.perf_counter() - began
    return asking / trials, telling / trials


def main() -> None:
    """Every controller."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    options = parser.parse_args()
    landscape = Landscape(LandscapeConfig())
    rows = {}
    for config in CONTROLLERS:
        ask, tell = measure(config, landscape, options.trials)
        rows[config.kind] = {"ask": ask, "tell": tell}
        print(f"{config.kind:<22} ask {ask * 1e3:6.1f} ms   tell {tell * 1e3:6.1f} ms", flush=True)
    write("controller_speed", {"trials": options.trials, "rows": rows})


if __name__ == "__main__":
    main()
