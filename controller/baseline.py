"""What a reward is compared with: an exponential moving average of the rewards so far."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Baseline:
    """`total` is the decayed sum of rewards, `weight` the sum of their shares in it.

    Bias-corrected as Adam's averages are: divided by `weight`, which is one minus decay to the power of
    how many rewards there were.
    """

    decay: float
    total: float = 0.0
    weight: float = 0.0

    def after(self, reward: float) -> Baseline:
        """With one reward more."""
        kept = self.decay
        return Baseline(kept, kept * self.total + (1 - kept) * reward, kept * self.weight + (1 - kept))

    @property
    def value(self) -> float:
        """The average, free of the zero it began with."""
        return self.total / self.weight
