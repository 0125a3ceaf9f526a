"""Objectives: which metrics a controller is told, and which way is better; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from controller.config import SEVERAL, ControllerConfig
from nas.reward import finite
from nas.stopping import HalvingConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """A metric of the measurement, of which more (or less) is better."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    metric: str
    better: Literal["more", "less"] = "more"


def values(objectives: Sequence[Objective], metrics: Mapping[str, float]) -> tuple[float, ...]:
    """What a controller is told of a measurement: one number an objective, more being better.

    Raises NoReward and NotFinite.
    """
    found = ((each.better, finite(each.metric, metrics, "objectives")) for each in objectives)
    return tuple(value if better == "more" else -value for better, value in found)


def spelled_out(words: Any) -> Any:
    """The words of a config, where a bare name stands for a metric of which more is better."""
    if not isinstance(words, list):
        return words
    return [{"metric": word} if isinstance(word, str) else word for word in words]


def check_objectives(
    objectives: Sequence[Objective], controller: ControllerConfig, stopping: HalvingConfig | None
) -> None:
    """Raise ValueError for objectives that are named twice, and for several where only one will do."""
    names = [each.metric for each in objectives]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"objectives: {name!r} is named twice")
    takes_several = isinstance(controller, SEVERAL)
    if len(names) > 1 and not takes_several:
        raise ValueError(
            f"objectives: {controller.kind} goes by one, found {len(names)}; choose nsga2, or name one"
        )
    if len(names) > 1 and getattr(controller, "contenders", None) is not None:
        raise ValueError(f"contenders: measured again by one objective, found {len(names)}; set it to null")
    if len(names) > 1 and stopping is not None:
        raise ValueError(
            f"stopping: {len(names)} objectives, expected one at most: {stopping.metric} alone would stop "
            "what is best in another"
        )
