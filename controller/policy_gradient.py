"""Learning a policy from outcomes: what REINFORCE and PPO share.

As in NASNet (Zoph et al., CVPR 2018, appendix): results come in from many workers, and whenever a
batch of them is complete the policy takes a step. By then it may have moved on since some of them were
proposed, so each proposal's note says which choices were made (`decisions`), how likely they were
(`log_probability`, natural) and after how many updates (`version`, for reports: what counts is how
likely they are by now).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic

import numpy as np
from numpy.typing import NDArray

from controller.adam import Adam
from controller.baseline import Baseline
from controller.learning import Learning
from controller.lstm_policy import LstmPolicy
from controller.protocol import Decisions, G, Outcome, Pending, Proposal, Sequential, check_single
from search_space.trial import FailureKind

BLAMED: Final = frozenset(
    {FailureKind.OUT_OF_MEMORY, FailureKind.DIVERGED, FailureKind.INVALID, FailureKind.TIMEOUT}
)
"""Failures that a genome may have caused; the others come from data, machines or bugs."""

MOST_LOG_RATIO: Final = 50.0
"""Ratios are cut off here, where no float overflows; all that use them cut far lower."""

Slope = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
"""From each trial's probability ratio (now over when it was proposed) and advantage (reward minus
baseline) to the derivative of the objective by the log-probability of its decisions."""


@dataclass(frozen=True, slots=True, eq=False)
class Experience:
    """One trial to learn from. T sites, N options of all sites, one site after the other."""

    choices: Sequence[int]  # T
    is_open: NDArray[np.bool_]  # N
    log_probability: float  # when it was proposed
    reward: float


class PolicyGradient(Generic[G]):
    """Proposes what the policy draws; every `batch` outcomes are an update of `epochs` steps of Adam.

    Nothing is learned from trials that were stopped early, whose values are of another fidelity; from
    those without the note above, whose probability nobody knows (redraws by a wrapper, a warm start,
    another controller's); and from infinite values. They don't count for the batch either.
    Needs outcomes of one objective.
    """

    def __init__(self, space: Sequential[G], config: Learning, slope: Slope, epochs: int) -> None:
        self._decisions: Decisions[G] = space.decisions()
        self._config = config
        self._slope = slope
        self._epochs = epochs
        self._policy = LstmPolicy([site.options for site in self._decisions.sites], config.units)
        self._adam = Adam.start(self._policy.initial(config.seed))
        self._baseline = Baseline(config.baseline)
        self._version = 0
        self._batch: list[Experience] = []

    def ask(
        self,
        rng: np.random.Generator,
        pending: Sequence[Pending[G]],  # noqa: ARG002 - a draw needs no knowledge of other draws
    ) -> Proposal[G]:
        """A draw from the policy; the note says how it came about."""
        choices, log_probability = self._policy.draw(self._adam.parameters, self._decisions.mask, rng)
        return Proposal(
            self._decisions.decode(choices),
            {"decisions": [*choices], "log_probability": log_probability, "version": self._version},
        )

    def tell(self, outcome: Outcome[G]) -> None:
        """Takes the outcome in; a full batch is learned. Raises ValueError for several objectives."""
        check_single(self._config.kind, outcome)
        experience = self._experience(outcome)
        if experience is None:
            return
        self._batch.append(experience)
        if len(self._batch) == self._config.batch:
            self._update()
            self._batch = []

    def _experience(self, outcome: Outcome[G]) -> Experience | None:
        reward = self._reward(outcome)
        choices, log_probability = outcome.note.get("decisions"), outcome.note.get("log_probability")
        if reward is None or not isinstance(choices, list) or not isinstance(log_probability, int | float):
            return None
        sites = self._decisions.sites
        if len(choices) != len(sites):
            return None
        prefix: list[int] = []
        masks: list[NDArray[np.bool_]] = []
        for site, choice in zip(sites, choices, strict=True):
            masks.append(self._decisions.mask(prefix))
            if not isinstance(choice, int) or not (0 <= choice < site.options and masks[-1][choice]):
                return None
            prefix.append(choice)
        return Experience(prefix, np.concatenate(masks), log_probability, reward)

    def _reward(self, outcome: Outcome[G]) -> float | None:
        if outcome.fidelity is not None:
            return None
        if isinstance(outcome.result, FailureKind):
            return self._config.failure_reward if outcome.result in BLAMED else None
        return outcome.result[0] if math.isfinite(outcome.result[0]) else None

    def _update(self) -> None:
        """The baseline takes the batch in first, as in NATS-Bench's REINFORCE.

        Otherwise the first batch would be compared with nothing. A reward's own share in its baseline
        makes its gradient shorter, and in expectation turns it nowhere.
        """
        for experience in self._batch:
            self._baseline = self._baseline.after(experience.reward)
        advantages = np.array([experience.reward for experience in self._batch]) - self._baseline.value
        behaviour = np.array([experience.log_probability for experience in self._batch])
        choices = np.array([experience.choices for experience in self._batch], dtype=np.intp)
        is_open = np.stack([experience.is_open for experience in self._batch])
        size = len(self._batch)
        by_entropy = np.full(size, self._config.entropy / size)
        for _ in range(self._epochs):
            at = self._policy.evaluate(self._adam.parameters, choices, is_open)
            ratios = np.exp(np.minimum(at.log_probabilities - behaviour, MOST_LOG_RATIO))
            gradient = self._policy.gradient(at, self._slope(ratios, advantages) / size, by_entropy)
            self._adam = self._adam.ascend(gradient, self._config.learning_rate)
        self._version += 1
