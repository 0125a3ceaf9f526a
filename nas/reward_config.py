"""Which reward rule, chosen by `kind`: the words of the `reward` part of a config."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias

from pydantic import Field


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainReward:
    """The reward is this metric, as it is. Its kind need not be written, and is not stored."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    kind: Annotated[Literal["plain"], Field(exclude=True)] = "plain"
    metric: str = "AP"

    @property
    def needs(self) -> tuple[str, ...]:
        """The metrics that it is computed from."""
        return (self.metric,)


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftReward:
    """metric * (cost / target)^w: w is `alpha` up to the target and `beta` above it.

    Tan et al., "MnasNet", CVPR 2019, equations 2 and 3; the defaults are the paper's soft constraint.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    kind: Literal["soft"] = "soft"
    metric: str = "AP"
    cost: str
    target: float
    alpha: float = -0.07
    beta: float = -0.07

    def __post_init__(self) -> None:
        _check(self)
        if not -100 <= self.alpha <= 0:
            raise ValueError(f"alpha={self.alpha}, expected -100 to 0: a lower cost is never punished")

    @property
    def needs(self) -> tuple[str, ...]:
        """The metrics that it is computed from."""
        return (self.metric, self.cost)


@dataclass(frozen=True, slots=True, kw_only=True)
class HardReward:
    """metric * min(1, (cost / target)^beta): nothing is gained below the target.

    With beta = -1 MnasNet's hard constraint (alpha = 0, beta = -1) and Vertex AI NAS's default reward,
    accuracy * min(1, target / measured), which are the same.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    kind: Literal["hard"] = "hard"
    metric: str = "AP"
    cost: str
    target: float
    beta: float = -1.0

    def __post_init__(self) -> None:
        _check(self)

    @property
    def needs(self) -> tuple[str, ...]:
        """The metrics that it is computed from."""
        return (self.metric, self.cost)


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsoluteReward:
    """metric + beta * |cost / target - 1|: the best cost is the target, not less of it.

    Bender et al., "Can Weight Sharing Outperform Random Architecture Search?" (TuNAS), CVPR 2020,
    section 4; the default beta is that of its code.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    kind: Literal["absolute"] = "absolute"
    metric: str = "AP"
    cost: str
    target: float
    beta: float = -0.10

    def __post_init__(self) -> None:
        _check(self)

    @property
    def needs(self) -> tuple[str, ...]:
        """The metrics that it is computed from."""
        return (self.metric, self.cost)


SIZES: Final = ("small", "medium", "large")
"""COCO's sizes of objects: below 32 x 32, below 96 x 96 and the rest, in pixels of the picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BySizeReward:
    """The mean of AP_small, AP_medium and AP_large with these weights.

    Over those that the measurement has: data without small boxes have no AP_small. That is so for all
    trials of a campaign or for none, so its trials stay comparable.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    kind: Literal["by_size"] = "by_size"
    small: float = 1.0
    medium: float = 1.0
    large: float = 1.0

    def __post_init__(self) -> None:
        weights = [getattr(self, size) for size in SIZES]
        if not all(0 <= weight <= 1e6 for weight in weights) or not any(weights):
            raise ValueError(
                f"small={self.small}, medium={self.medium}, large={self.large}, "
                "expected weights from 0 to 1e6, one of them above 0"
            )

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each metric that counts."""
        weights = {f"AP_{size}": float(getattr(self, size)) for size in SIZES}
        return {metric: weight for metric, weight in weights.items() if weight}

    @property
    def needs(self) -> tuple[str, ...]:
        """The metrics that it is computed from; one of them is enough."""
        return tuple(self.weights)


Constrained: TypeAlias = SoftReward | HardReward | AbsoluteReward
"""A metric weighed against a cost: any other metric, such as flops, parameters or memory_mb."""

RewardConfig: TypeAlias = PlainReward | Constrained | BySizeReward
"""Told apart by `kind`; without one it is `plain`."""

REWARD: Final[Any] = Annotated[RewardConfig, Field(discriminator="kind")]
"""The type as pydantic takes it."""


def with_kind(words: Any) -> Any:
    """The words of a config, with the kind that they may leave out."""
    return {"kind": "plain", **words} if isinstance(words, Mapping) else words


def _check(config: Constrained) -> None:
    if not (math.isfinite(config.target) and config.target > 0):
        raise ValueError(f"target={config.target}, expected more than 0, in the units of {config.cost!r}")
    if not -100 <= config.beta <= 0:
        raise ValueError(f"beta={config.beta}, expected -100 to 0: a higher cost is never a merit")
    if config.cost == config.metric:
        raise ValueError(f"cost={config.cost!r}, expected another metric than the one that is weighed")
