"""Controllers chosen by a config: from text through pydantic, and built by type."""

from __future__ import annotations

from typing import Annotated, Any, get_args

import numpy as np
import pytest
from pydantic import Field, TypeAdapter, ValidationError

from controller.config import ControllerConfig, build
from controller.guided_evolution import GuidedEvolutionConfig
from controller.listed import Listed, ListedConfig
from controller.no_repeats import NoRepeats
from controller.nsga2 import Nsga2, Nsga2Config
from controller.policy_gradient import PolicyGradient
from controller.ppo import PpoConfig
from controller.random_search import RandomSearch, RandomSearchConfig
from controller.regularized_evolution import RegularizedEvolution, RegularizedEvolutionConfig
from controller.reinforce import ReinforceConfig
from search_space.catalog import space_by_name

ADAPTER: TypeAdapter[ControllerConfig] = TypeAdapter(Annotated[ControllerConfig, Field(discriminator="kind")])


SMALL = RegularizedEvolutionConfig(population=4, tournament=2, no_repeats=False)


class Coin:
    """The smallest space."""

    def sample(self, rng: np.random.Generator) -> int:
        return int(rng.integers(2))

    def mutate(self, genome: int, rng: np.random.Generator) -> int:  # noqa: ARG002 - there is one other side
        return 1 - genome

    def fingerprint(self, genome: int) -> str:
        return str(genome)

    def to_text(self, genome: int) -> str:
        return str(genome)

    def from_text(self, text: str) -> int:
        return int(text)


def test_text_becomes_a_config() -> None:
    config = ADAPTER.validate_python({"kind": "regularized_evolution", "population": 20, "tournament": 5})
    assert config == RegularizedEvolutionConfig(population=20, tournament=5)


def test_every_config_survives_text() -> None:
    for kind in get_args(ControllerConfig):
        config = kind(genomes=("0", "1")) if kind is ListedConfig else kind()
        assert ADAPTER.validate_json(ADAPTER.dump_json(config)) == config


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ({"kind": "regularised_evolution"}, "does not match any of the expected tags"),
        ({"kind": "random_search", "population": 20}, "population"),
        ({"kind": "regularized_evolution", "populaton": 20}, "populaton"),
        ({"kind": "nsga2", "population": 1}, "expected at least 2"),
        (
            {"kind": "regularized_evolution", "population": 5, "tournament": 9},
            "1 <= tournament <= population",
        ),
        ({"kind": "ppo", "clip": 2}, "clip=2"),
        ({"kind": "reinforce", "clip": 0.2}, "clip"),
    ],
)
def test_bad_text_is_refused(text: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        ADAPTER.validate_python(text)


def test_built_by_type() -> None:
    assert isinstance(build(ListedConfig(genomes=("1",)), Coin()), Listed)
    assert isinstance(build(Nsga2Config(no_repeats=False), Coin()), Nsga2)
    assert isinstance(build(RandomSearchConfig(no_repeats=False), Coin()), RandomSearch)
    assert isinstance(build(SMALL, Coin()), RegularizedEvolution)
    assert isinstance(build(RegularizedEvolutionConfig().resolved(300), Coin()), NoRepeats)
    with pytest.raises(
        ValueError, match=r"kind=guided_evolution, expected a space with features\(\), found Coin"
    ):
        build(GuidedEvolutionConfig().resolved(300), Coin())


@pytest.mark.parametrize("config", [ReinforceConfig(), PpoConfig()])
def test_policies_need_a_space_of_decisions(config: ReinforceConfig | PpoConfig) -> None:
    assert isinstance(build(config, space_by_name("spinenet-49")), PolicyGradient)
    with pytest.raises(ValueError, match=f"kind={config.kind}, expected .* decisions.*, found Coin without"):
        build(config, Coin())
