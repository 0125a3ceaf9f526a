"""Which controller, chosen by type: the union of their configs and the one place that builds them."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Protocol, TypeAlias, assert_never

from controller.bayesian import Bayesian, BayesianConfig
from controller.contenders import Contenders
from controller.guided_evolution import GuidedEvolution, GuidedEvolutionConfig
from controller.listed import Listed, ListedConfig
from controller.local_search import LocalSearch, LocalSearchConfig
from controller.no_repeats import NoRepeats
from controller.nsga2 import Nsga2, Nsga2Config
from controller.ppo import PpoConfig, ppo
from controller.protocol import Controller, Featured, FeaturedSpace, G, Sequential, Space, Textual
from controller.random_search import RandomSearch, RandomSearchConfig
from controller.regularized_evolution import RegularizedEvolution, RegularizedEvolutionConfig
from controller.reinforce import ReinforceConfig, reinforce

ControllerConfig: TypeAlias = (
    BayesianConfig
    | GuidedEvolutionConfig
    | ListedConfig
    | LocalSearchConfig
    | Nsga2Config
    | RandomSearchConfig
    | RegularizedEvolutionConfig
    | ReinforceConfig
    | PpoConfig
)
"""Told apart by `kind`, which is the name of the algorithm's file."""

MeasuringAgain: TypeAlias = (
    BayesianConfig
    | GuidedEvolutionConfig
    | LocalSearchConfig
    | RandomSearchConfig
    | RegularizedEvolutionConfig
)
"""Those that may end with measuring the best genomes again (contenders.py)."""

SEVERAL: Final = (ListedConfig, Nsga2Config, RandomSearchConfig)
"""The controllers that take outcomes of several objectives; the others refuse them."""


class SearchSpace(Space[G], Textual[G], Protocol[G]):
    """What the controllers together need of a space."""


def build(config: ControllerConfig, space: SearchSpace[G]) -> Controller[G]:
    """A controller that has been told nothing yet. Raises ValueError where the space lacks what it needs."""
    controller = _algorithm(config, space)
    # Guided evolution screens children that are new already.
    if config.no_repeats and not isinstance(config, GuidedEvolutionConfig):
        controller = NoRepeats(controller, space)
    if isinstance(config, MeasuringAgain) and config.contenders is not None:
        controller = Contenders(controller, space, config.contenders)
    return controller


def resolved(config: ControllerConfig, trials: int) -> ControllerConfig:
    """The same with what depends on the budget settled, as it is stored with a campaign."""
    if isinstance(config, GuidedEvolutionConfig | RegularizedEvolutionConfig):
        config = config.resolved(trials)
    if isinstance(config, MeasuringAgain) and config.contenders is not None:
        config = replace(config, contenders=config.contenders.resolved(trials))
    return config


def _algorithm(config: ControllerConfig, space: SearchSpace[G]) -> Controller[G]:
    match config:
        case BayesianConfig():
            return Bayesian(_featured(space, config.kind), config)
        case GuidedEvolutionConfig():
            return GuidedEvolution(_featured(space, config.kind), config)
        case ListedConfig():
            return Listed(space, config)
        case LocalSearchConfig():
            return LocalSearch(space, config)
        case Nsga2Config():
            return Nsga2(space, config)
        case RandomSearchConfig():
            return RandomSearch(space)
        case RegularizedEvolutionConfig():
            return RegularizedEvolution(space, config)
        case ReinforceConfig():
            return reinforce(_sequential(space, config.kind), config)
        case PpoConfig():
            return ppo(_sequential(space, config.kind), config)
        case _:
            assert_never(config)


def _featured(space: SearchSpace[G], kind: str) -> FeaturedSpace[G]:
    if isinstance(space, Featured):
        return space
    raise ValueError(
        f"controller: kind={kind}, expected a space with features(), found {type(space).__name__} without; "
        "add them (controller/protocol.py) or choose regularized_evolution"
    )


def _sequential(space: SearchSpace[G], kind: str) -> Sequential[G]:
    if isinstance(space, Sequential):
        return space
    raise ValueError(
        f"controller: kind={kind}, expected a space with decisions(), found {type(space).__name__} without; "
        "add them (controller/protocol.py) or choose regularized_evolution"
    )
