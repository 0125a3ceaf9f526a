"""A campaign's config: the values that the packages own, put together, read from YAML and kept as JSON."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field

from controller.config import ControllerConfig, resolved
from controller.guided_evolution import GuidedEvolutionConfig
from controller.listed import ListedConfig
from nas.budget import Budget
from nas.config_file import read_config
from nas.evaluators import EvaluatorConfig
from nas.folder import LONGEST_NAME, NAME
from nas.limits import Limits
from nas.objectives import Objective, check_objectives, spelled_out
from nas.reward_config import PlainReward, RewardConfig, with_kind
from nas.rules import ALONE, CampaignRules
from nas.runners.options import RayOptions, RunnerOptions
from nas.space_config import SpaceConfig
from nas.stopping import HalvingConfig
from nas.validation import adapter, validate
from nas.warm_start import Start, check_starts, named
from proxy_trainer.config import ProxyConfig
from proxy_trainer.data.config import PATHS, Split
from search_space.trial import FailureKind

LATER: Final = ("control", "limits", "objectives", "warm_start")
"""Keys that came after the first campaigns: left out where they say nothing, so that hashes stay."""

UNHASHED: Final = (("runner",), ("finalists",), ("control",), ("evaluator", "checkpoint"))
"""What two campaigns may differ in, beside their names, that would search the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalistsConfig:
    """A campaign's end: its best `top` trained again with `seeds` new seeds each, for the confirm split."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    top: int = 10
    seeds: int = 3

    def __post_init__(self) -> None:
        if not 1 <= self.top <= 1000 or not 2 <= self.seeds <= 100:
            raise ValueError(
                f"finalists: top={self.top}, seeds={self.seeds}, expected 1 to 1000, and 2 to 100 seeds"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureConfig:
    """What failures lead to: how often a trial is tried again after each kind, and when to give up.

    `alone`: after these kinds a trial that had shared its node is tried again without neighbours.
    `stop`: after these the campaign stops, once there are no retries left; so it does when more than
    this `share` of the ended trials failed, `least` of them at least.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    retries: dict[FailureKind, int] = field(default_factory=lambda: {FailureKind.LOST_WORKER: 2})
    alone: tuple[FailureKind, ...] = tuple(ALONE)
    stop: tuple[FailureKind, ...] = ()
    share: float = 0.5
    least: int = 5

    def __post_init__(self) -> None:
        for kind, count in self.retries.items():
            if not 0 <= count <= 100:
                raise ValueError(f"retries: {kind}={count}, expected 0 to 100")
        if not 0 < self.share <= 1 or self.least < 1:
            raise ValueError(
                f"share={self.share}, least={self.least}, expected 0 < share <= 1 and least >= 1"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignConfig:
    """Everything that decides what a campaign does.

    `limits`: what a genome may cost to be tried. `warm_start`: the genomes that are tried first.
    `objectives`: what the controller is told; without any, the reward. `keep_weights`: of how many of the
    best trials the proxy's weights are kept. `database`: a SQLAlchemy URL, or None for SQLite in the
    campaign's folder; it is never stored in the database. `control`: whether the campaign ends with its
    control arm.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    name: str
    seed: int = 0
    space: SpaceConfig
    controller: Annotated[ControllerConfig, Field(discriminator="kind")] = GuidedEvolutionConfig()
    limits: Limits | None = None
    warm_start: tuple[Start, ...] = ()
    evaluator: Annotated[EvaluatorConfig, Field(discriminator="kind")]
    reward: Annotated[RewardConfig, Field(discriminator="kind")] = PlainReward()
    objectives: tuple[Objective, ...] = ()
    runner: Annotated[RunnerOptions, Field(discriminator="kind")] = RayOptions()
    budget: Budget
    stopping: HalvingConfig | None = None
    finalists: FinalistsConfig | None = None
    control: bool = False
    failures: FailureConfig = FailureConfig()
    keep_weights: int = 3
    database: str | None = None

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"name={self.name[:80]!r}, expected letters, digits, '.', '_', '-' (at most 64)")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed={self.seed}, expected 0 to 2**63 - 1")
        self._check_metrics("reward", self.reward.needs)
        self._check_metrics("objectives", (each.metric for each in self.objectives))
        check_objectives(self.objectives, self.controller, self.stopping)
        if self.stopping is not None:
            self._check_stopping(self.stopping)
        if isinstance(self.controller, ListedConfig):
            self._check_listed(self.controller)
        check_starts(self.warm_start, self.budget.trials, self.space.build(), self.limits)
        self.budget.limits(self.runner.cpus_per_worker, self.runner.gpus_per_worker)  # raises
        self._check_end()
        self._check_width()
        if not 0 <= self.keep_weights <= 1000:
            raise ValueError(f"keep_weights={self.keep_weights}, expected 0 to 1000")

    def _check_end(self) -> None:
        """What comes after the search must not turn out to be impossible then."""
        for suffix, wanted in ((".finalists", self.finalists is not None), (".control", self.control)):
            if wanted and len(self.name + suffix) > LONGEST_NAME:
                most = LONGEST_NAME - len(suffix)
                raise ValueError(f"name={self.name!r}, expected at most {most} characters before {suffix}")
        if self.finalists is not None and isinstance(self.evaluator, ProxyConfig):
            try:
                dataclasses.replace(self.evaluator, judge=Split.CONFIRM)
            except ValueError as error:
                raise ValueError(f"finalists: {error}") from error

    def _check_width(self) -> None:
        if not isinstance(self.evaluator, ProxyConfig) or not self.space.build().mobile:
            return
        if self.evaluator.recipe.scaling.mobile_stem_width < 1:
            width = self.evaluator.recipe.width
            raise ValueError(
                f"recipe: width={width} leaves the stem of mobile networks no channel, expected 0.125 or more"
            )

    def _check_metrics(self, part: str, names: Iterable[str]) -> None:
        known = self.evaluator.metrics
        for name in names:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}"
                kind = self.evaluator.kind
                raise ValueError(f"{part}: metric={name!r} is not measured by the evaluator {kind!r}; {hint}")

    def _check_stopping(self, stopping: HalvingConfig) -> None:
        told = self.evaluator.told_at
        wrong = [rung for rung in stopping.rungs if rung not in told]
        if wrong:
            shown = ", ".join(map(str, told[:3])) + (", ..." if told[3:] else "")  # no len: steps may be many
            raise ValueError(
                f"stopping: rungs={list(stopping.rungs)}, but metrics are told at steps {shown or 'none'}; "
                "set the recipe's evaluate_every"
            )
        if isinstance(self.evaluator, ProxyConfig) and not self.evaluator.recipe.average:
            raise ValueError(
                "stopping: the recipe's average=0, expected 0.9 or more: in the middle of a schedule "
                "weights that are not averaged say little of where it ends"
            )
        if stopping.metric not in self.evaluator.ranking:
            raise ValueError(
                f"stopping: metric={stopping.metric!r}, expected one of {', '.join(self.evaluator.ranking)}"
            )

    def _check_listed(self, listed: ListedConfig) -> None:
        if self.warm_start:
            raise ValueError("warm_start: the listed controller has its own genomes, expected none here")
        space = self.space.build()
        for place, text in enumerate(listed.genomes):
            try:
                genome = space.from_text(text)
            except ValueError as error:
                raise ValueError(f"controller: genomes[{place}]: {error}") from error
            if self.limits is not None and (excess := self.limits.excess(genome)):
                raise ValueError(f"controller: genomes[{place}]: {excess}")

    @property
    def rules(self) -> CampaignRules:
        """The part that the state machine reads."""
        return CampaignRules(
            trials=self.budget.trials,
            limits=self.budget.limits(self.runner.cpus_per_worker, self.runner.gpus_per_worker),
            reward=self.reward,
            objectives=self.objectives,
            stopping=self.stopping,
            retries=self.failures.retries,
            alone=frozenset(self.failures.alone),
            stop=frozenset(self.failures.stop),
            failure_share=self.failures.share,
            min_failures=self.failures.least,
        )

    def to_json(self) -> dict[str, Any]:
        """The resolved config, without the database's address."""
        whole: dict[str, Any] = adapter(CampaignConfig).dump_python(self, mode="json")
        del whole["database"]
        whole["budget"] = {key: value for key, value in whole["budget"].items() if value is not None}
        for key in ("alone", "stop"):  # these too came later
            if getattr(self.failures, key) == getattr(FailureConfig(), key):
                del whole["failures"][key]
        for key in ("checkpoint", "latency_runs"):
            if not whole["evaluator"].get(key, ...):
                del whole["evaluator"][key]
        if whole["evaluator"].get("recipe", {}).get("precision") == "float32":
            del whole["evaluator"]["recipe"]["precision"]  # as before there was a choice
        without = [each.name for each in dataclasses.fields(self.controller) if each.default is None]
        if "contenders" in without and whole["controller"]["contenders"] is None:
            del whole["controller"]["contenders"]  # as before there were any; elsewhere null says something
        return {key: value for key, value in whole.items() if value or key not in LATER}

    @property
    def hash(self) -> str:
        """Equal when two campaigns would search the same.

        Names, what is UNHASHED and where data lie don't count.
        `keep_weights` does, though it changes nothing in a search: so the stored hashes were made.
        """
        whole = self.to_json()
        whole.pop("control", None)
        del whole["name"], whole["runner"], whole["finalists"]  # none of them changes what is searched
        whole["evaluator"].pop("checkpoint", None)  # nor does this
        if whole["evaluator"].get("judge") == Split.REWARD:
            del whole["evaluator"]["judge"]  # as before there was a choice
        data = whole["evaluator"].get("data", {})
        for key in PATHS & data.keys():  # data are known by what is in them (campaign_data.py)
            data[key] = data[key] is not None
        text = json.dumps(whole, sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def load(path: Path) -> CampaignConfig:
    """Read a config file; relative paths in it count from its own directory. Raises ConfigError."""
    config = read_config(path, from_json)
    return dataclasses.replace(
        config, database=config.database and sqlite_from(config.database, path.absolute().parent)
    )


def from_json(data: dict[str, Any]) -> CampaignConfig:
    """The inverse of `to_json`, and the way from YAML's data. Raises Refused."""
    if isinstance(data.get("space"), str):
        data = data | {"space": {"preset": data["space"]}}
    if "reward" in data:
        data = data | {"reward": with_kind(data["reward"])}
    if "objectives" in data:
        data = data | {"objectives": spelled_out(data["objectives"])}
    config = validate(CampaignConfig, data)
    controller = resolved(config.controller, config.budget.trials)
    return dataclasses.replace(
        config,
        space=config.space.resolved(),
        controller=controller,
        warm_start=named(config.warm_start),
    )


def sqlite_from(url: str, base: Path) -> str:
    """A SQLite URL whose file counts from `base`; any other as it is."""
    scheme, found, file = url.partition(":///")
    if not found or not scheme.startswith("sqlite") or not file or file.startswith((":memory:", "file:")):
        return url
    return f"{scheme}:///{Path(str(base).replace('%', '%25')) / file}"
