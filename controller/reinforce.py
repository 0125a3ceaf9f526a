"""REINFORCE: make what was rewarded above the baseline more likely.

Williams 1992; for architectures Zoph and Le, ICLR 2017 (https://arxiv.org/abs/1611.01578).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from controller.learning import check_learning
from controller.policy_gradient import PolicyGradient
from controller.protocol import G, Sequential


@dataclass(frozen=True, slots=True, kw_only=True)
class ReinforceConfig:
    """A batch of 8 as in Zoph and Le; the rest as NASNet's and AutoAugment's controllers, and NASNet's size.

    `truncation`: the most that a trial counts whose decisions became more likely since it was proposed;
    one whose decisions became less likely counts less. Repeats are let through: they are a converged
    policy's samples, and without them it would learn from its second choices only.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    kind: Literal["reinforce"] = "reinforce"
    batch: int = 8
    truncation: float = 1.0
    units: int = 100
    seed: int = 0
    learning_rate: float = 3.5e-4
    entropy: float = 1e-5
    baseline: float = 0.95
    failure_reward: float | None = None
    no_repeats: bool = False

    def __post_init__(self) -> None:
        check_learning(self)
        if not 1 <= self.truncation <= 1000:
            raise ValueError(f"reinforce: truncation={self.truncation}, expected 1 to 1000")


def reinforce(space: Sequential[G], config: ReinforceConfig) -> PolicyGradient[G]:
    """A learner that has been told nothing yet."""

    def slope(ratios: NDArray[np.float64], advantages: NDArray[np.float64]) -> NDArray[np.float64]:
        return truncated_slope(ratios, advantages, config.truncation)

    return PolicyGradient(space, config, slope, epochs=1)


def truncated_slope(
    ratios: NDArray[np.float64], advantages: NDArray[np.float64], truncation: float
) -> NDArray[np.float64]:
    """Advantages with truncated importance weights: min(c, ratio) A, as in IMPALA (Espeholt et al. 2018).

    Of one policy's own samples the ratio is 1: then this is REINFORCE as published.
    """
    return np.minimum(ratios, truncation) * advantages
