"""The controller of a campaign, with what is wrapped around it."""

from __future__ import annotations

from controller.config import build
from controller.cost_gate import CostGate
from controller.protocol import Controller
from controller.random_search import RandomSearchConfig
from controller.warm_start import WarmStart
from nas.config import CampaignConfig
from search_space.genome import Genome
from search_space.space import SpineNetSpace


def controller_of(config: CampaignConfig, space: SpineNetSpace) -> Controller[Genome]:
    """A controller that has been told nothing yet.

    From the inside: the algorithm, no repeats, contenders (these three by `build`), warm start, cost
    gate. So the given genomes are tried, and again as contenders only, and nothing at all gets past the
    gate (no repeats draws from the space when the algorithm is stuck, and the gate from a random search).
    """
    controller = build(config.controller, space)
    if config.warm_start:
        texts = [start for start in config.warm_start if isinstance(start, str)]
        controller = WarmStart(controller, space, texts)
    if config.limits is not None:
        otherwise = build(RandomSearchConfig(no_repeats=config.controller.no_repeats), space)
        controller = CostGate(controller, otherwise, config.limits.keeps)
    return controller
