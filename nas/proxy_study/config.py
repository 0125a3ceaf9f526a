"""A proxy study's config: genomes, a reference recipe, and candidates that shall rank like it."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field

from controller.listed import ListedConfig
from nas.budget import Budget
from nas.config import CampaignConfig, FailureConfig
from nas.config_file import read_config
from nas.evaluators import EvaluatorConfig
from nas.folder import NAME
from nas.proxy_study.genomes import spread
from nas.runners.options import RayOptions, RunnerOptions
from nas.space_config import SpaceConfig
from nas.validation import Refused, adapter, validate
from proxy_trainer.data.config import PATHS
from search_space.catalog import GENOMES

REFERENCE: Final = "reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class GenomeSet:
    """`count` genomes out of many random ones, spread out over cost and depth, and published ones by name."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    count: int = 24
    seed: int = 0
    include: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 4 <= self.count + len(self.include) <= 1000 or self.count < 0 or self.seed < 0:
            raise ValueError(f"count={self.count}, expected 4 to 1000 genomes")
        for name in self.include:
            if name not in GENOMES:
                raise ValueError(f"include: {name!r}, expected some of {', '.join(GENOMES)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way to train: the words of the study's evaluator that differ, and how many seeds a genome gets."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    evaluator: dict[str, Any] = field(default_factory=dict)
    seeds: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.seeds <= 100:
            raise ValueError(f"seeds={self.seeds}, expected 1 to 100")


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyConfig:
    """Everything that decides what a study measures. `metric` is what genomes are ranked by."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    name: str
    space: SpaceConfig
    genomes: GenomeSet = GenomeSet()
    evaluator: Annotated[EvaluatorConfig, Field(discriminator="kind")]
    reference: Arm
    candidates: dict[str, Arm]
    metric: str = "AP"
    runner: Annotated[RunnerOptions, Field(discriminator="kind")] = RayOptions()

    def __post_init__(self) -> None:
        for name in (self.name, *self.candidates):
            if not NAME.fullmatch(name) or len(name) > 30 or name == REFERENCE:
                raise ValueError(
                    f"name={name[:80]!r}, expected letters, digits, '.', '_', '-' (at most 30), "
                    f"and none but the reference called {REFERENCE!r}"
                )
        if not self.candidates:
            raise ValueError("candidates: expected at least one")
        if self.metric not in self.evaluator.ranking:
            raise ValueError(f"metric={self.metric!r}, expected one of {', '.join(self.evaluator.ranking)}")
        for name in self.genomes.include:
            if not self.space.build().contains(GENOMES[name]):
                raise ValueError(f"genomes: include: {name!r} is not in the space")
        for name in self.arms:
            self.evaluator_of(name)

    @property
    def arms(self) -> dict[str, Arm]:
        """The reference and the candidates, by name."""
        return {REFERENCE: self.reference, **self.candidates}

    def evaluator_of(self, name: str) -> EvaluatorConfig:
        """How an arm trains. Raises ValueError."""
        kind: Any = type(self.evaluator)  # mypy finds a union of types not hashable
        whole = adapter(kind).dump_python(self.evaluator, mode="json")
        try:
            changed: EvaluatorConfig = validate(kind, _merged(whole, self.arms[name].evaluator))
        except Refused as error:
            raise ValueError(f"{name}: evaluator.{error}") from error
        return changed

    def texts(self) -> tuple[str, ...]:
        """The genomes, published ones first."""
        space = self.space.build()
        named = [GENOMES[name] for name in self.genomes.include]
        return tuple(
            genome.to_text() for genome in (*named, *spread(space, self.genomes.count, self.genomes.seed))
        )

    def campaign(self, name: str) -> CampaignConfig:
        """The campaign that trains all genomes in the way of an arm, seed after seed.

        Arms draw their seeds apart, so that no luck is shared between them.
        """
        texts = self.texts()
        digest = hashlib.blake2b(name.encode(), digest_size=4).digest()
        return CampaignConfig(
            name=f"{self.name}.{name}",
            seed=int.from_bytes(digest, "big"),
            space=self.space.resolved(),
            controller=ListedConfig(genomes=texts),
            evaluator=self.evaluator_of(name),
            runner=self.runner,
            budget=Budget(trials=len(texts) * self.arms[name].seeds),
            keep_weights=0,
            # A candidate that fails is a result too.
            failures=FailureConfig(share=1.0),
        )


def _merged(words: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The words with some of them changed, however deep they stand; another `kind` inherits nothing."""
    if changes.get("kind", words.get("kind")) != words.get("kind"):
        return changes
    found = dict(words)
    for key, value in changes.items():
        inside = found.get(key)
        found[key] = _merged(inside, value) if isinstance(inside, dict) and isinstance(value, dict) else value
    return found


def _inside(words: Any) -> dict[str, Any]:
    return words if isinstance(words, dict) else {}


def load(path: Path) -> StudyConfig:
    """Read a study's config; relative paths in it count from its own directory. Raises ConfigError."""
    base = path.absolute().parent
    return read_config(path, lambda data: _from_json(data, base))


def _from_json(data: dict[str, Any], base: Path) -> StudyConfig:
    for arm in (data.get("reference"), *_inside(data.get("candidates")).values()):
        words = _inside(_inside(_inside(arm).get("evaluator")).get("data"))
        for key in PATHS & words.keys():
            if isinstance(words[key], str):
                words[key] = str(base / Path(words[key]).expanduser())
    if isinstance(data.get("space"), str):
        data = data | {"space": {"preset": data["space"]}}
    config = validate(StudyConfig, data)
    return dataclasses.replace(config, space=config.space.resolved())
