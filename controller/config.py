"""Which controller, chosen by type: the union of their configs and the one place that builds them."""

from __future__ import annotations

from typing import Final, Protocol, TypeAlias, assert_never

from controller.listed import Listed, ListedConfig
from controller.no_repeats import NoRepeats
from controller.nsga2 import Nsga2, Nsga2Config
from controller.protocol import Controller, G, Space, Textual
from controller.random_search import RandomSearch, RandomSearchConfig
from controller.regularized_evolution import RegularizedEvolution, RegularizedEvolutionConfig

ControllerConfig: TypeAlias = ListedConfig | Nsga2Config | RandomSearchConfig | RegularizedEvolutionConfig
"""Told apart by `kind`, which is the name of the algorithm's file."""

SEVERAL: Final = (ListedConfig, Nsga2Config, RandomSearchConfig)
"""The controllers that take outcomes of several objectives; the others refuse them."""


class SearchSpace(Space[G], Textual[G], Protocol[G]):
    """What the controllers together need of a space."""


def build(config: ControllerConfig, space: SearchSpace[G]) -> Controller[G]:
    """A controller that has been told nothing yet."""
    controller = _algorithm(config, space)
    return NoRepeats(controller, space) if config.no_repeats else controller


def _algorithm(config: ControllerConfig, space: SearchSpace[G]) -> Controller[G]:
    match config:
        case ListedConfig():
            return Listed(space, config)
        case Nsga2Config():
            return Nsga2(space, config)
        case RandomSearchConfig():
            return RandomSearch(space)
        case RegularizedEvolutionConfig():
            return RegularizedEvolution(space, config)
        case _:
            assert_never(config)
