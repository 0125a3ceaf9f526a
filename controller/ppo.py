"""Proximal policy optimization: REINFORCE in small steps, several with each batch.

Schulman et al. 2017 (https://arxiv.org/abs/1707.06347), section 3; for architectures NASNet (Zoph et al.,
CVPR 2018). One architecture is one action: the ratio is that of whole sequences.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Literal

import numpy as np
from numpy.typing import NDArray

from controller.learning import check_learning
from controller.policy_gradient import PolicyGradient
from controller.protocol import G, Sequential

DUAL_CLIP: Final = 3.0
"""Ye et al., AAAI 2020 (https://arxiv.org/abs/1912.09729), equation 5, their c."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PpoConfig:
    """NASNet's settings (appendix), since SpineNet's paper gives none; `clip` is Schulman's.

    `epochs`, the steps made with one batch, is published by nobody. Repeats are let through: they are a
    converged policy's samples, and without them it would learn from its second choices only.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    kind: Literal["ppo"] = "ppo"
    batch: int = 20
    epochs: int = 2
    clip: float = 0.2
    units: int = 100
    seed: int = 0
    learning_rate: float = 3.5e-4
    entropy: float = 1e-5
    baseline: float = 0.95
    failure_reward: float | None = None
    no_repeats: bool = False

    def __post_init__(self) -> None:
        check_learning(self)
        if not 1 <= self.epochs <= 1000:
            raise ValueError(f"ppo: epochs={self.epochs}, expected 1 to 1000")
        if not 0 < self.clip < 1:
            raise ValueError(f"ppo: clip={self.clip}, expected over 0, under 1")


def ppo(space: Sequential[G], config: PpoConfig) -> PolicyGradient[G]:
    """A learner that has been told nothing yet."""

    def slope(ratios: NDArray[np.float64], advantages: NDArray[np.float64]) -> NDArray[np.float64]:
        return clipped_slope(ratios, advantages, config.clip)

    return PolicyGradient(space, config, slope, epochs=config.epochs)


def clipped_slope(
    ratios: NDArray[np.float64], advantages: NDArray[np.float64], clip: float
) -> NDArray[np.float64]:
    """The derivative of min(ratio A, clip(ratio, 1 - clip, 1 + clip) A) by the log-probability.

    It is zero where the policy has already gone further than `clip` in the direction of the advantage.
    A negative advantage with a large ratio (an old proposal, since become more likely) would have no
    bound: one such trial would decide the step, and stay in Adam's average of squares for a thousand
    more. So its objective is cut off at DUAL_CLIP, which fresh samples never reach.
    """
    better = (advantages >= 0) & (ratios <= 1 + clip)
    worse = (advantages < 0) & (ratios >= 1 - clip) & (ratios <= DUAL_CLIP)
    return np.where(better | worse, ratios * advantages, 0.0)
