"""A stand-in for training: AP and costs by arithmetic on the genome's text, to try a campaign's machinery."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Final, Literal

import numpy as np

from proxy_trainer.protocol import TrialFailed
from search_space.trial import Assignment, FailureKind, Measurement, Progress

PROVENANCE: Final = {"evaluator": "synthetic"}

FAILURES: Final = (
    FailureKind.OUT_OF_MEMORY,
    FailureKind.DIVERGED,
    FailureKind.INVALID,
    FailureKind.TIMEOUT,
    FailureKind.LOST_WORKER,
    FailureKind.INTERNAL,
)
"""What a synthetic trial may fail of: anything but the data, which would stop the campaign."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticConfig:
    """`seconds` is how long a trial takes, `failures` the share of genomes that fail, `noise` the
    standard deviation of AP between seeds, `steps` how often progress is told before the end.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    metrics: ClassVar[tuple[str, ...]] = ("AP", "AP50", "AP75", "loss", "parameters", "flops")
    ranking: ClassVar[tuple[str, ...]] = ("AP",)

    kind: Literal["synthetic"] = "synthetic"
    seconds: float = 0.0
    failures: float = 0.0
    noise: float = 0.005
    steps: int = 2

    def __post_init__(self) -> None:
        if not (math.isfinite(self.seconds) and self.seconds >= 0):
            raise ValueError(f"synthetic: seconds={self.seconds}, expected 0 or more")
        if not 0 <= self.failures <= 1:
            raise ValueError(f"synthetic: failures={self.failures}, expected a share from 0 to 1")
        if not (math.isfinite(self.noise) and self.noise >= 0):
            raise ValueError(f"synthetic: noise={self.noise}, expected 0 or more")
        if self.steps < 0:
            raise ValueError(f"synthetic: steps={self.steps}, expected 0 or more")

    @property
    def told_at(self) -> range:
        """The steps after which intermediate metrics are told."""
        return range(1, self.steps + 1)


class SyntheticEvaluator:
    """Deterministic by genome and seed. Similar genomes get similar AP: each word of the genome's text,
    and each pair of neighbours, adds what its hash says.
    """

    def __init__(self, config: SyntheticConfig) -> None:
        self._config = config

    def evaluate(self, assignment: Assignment) -> Iterator[Progress | Measurement]:
        """As the protocol says."""
        config, genome = self._config, assignment.genome
        if not genome.split():
            raise TrialFailed(FailureKind.INVALID, f"genome {genome!r}, expected words")
        end = _ap(genome, assignment.seed, config.noise)
        for step in range(1, config.steps + 1):
            time.sleep(config.seconds / (config.steps + 1))
            ap = end * (1 - math.exp(-3 * step / (config.steps + 1)))
            yield Progress(step=step, metrics={"AP": ap, "loss": 1 - ap}, provenance=PROVENANCE)
        time.sleep(config.seconds / (config.steps + 1))
        fate = _uniform("fate", genome)
        if fate < config.failures:
            kind = FAILURES[int(fate / config.failures * len(FAILURES))]
            raise TrialFailed(kind, "made up, as the synthetic evaluator was told to")
        metrics = {"AP": end, "AP50": math.sqrt(end), "AP75": end**1.5, "loss": 1 - end, **_costs(genome)}
        yield Measurement(step=config.steps + 1, metrics=metrics, provenance=PROVENANCE)


def _ap(genome: str, seed: int, noise: float) -> float:
    """Between 0 and 1; around 0.5 for a random genome, the higher the more of its motifs are good."""
    words = genome.split()
    motifs = [*words, *(" ".join(pair) for pair in pairwise(words))]
    # a sum of n independent terms shrinks by the root of n: scaled back, so that genomes differ
    mean = sum(_uniform("motif", motif) - 0.5 for motif in motifs) / math.sqrt(max(1, len(motifs)))
    rng = np.random.default_rng([seed, int(_uniform("noise", genome) * 2**32)])
    return 1 / (1 + math.exp(-4 * mean - 4 * noise * rng.standard_normal()))


def _costs(genome: str) -> dict[str, float]:
    """Made up as well, from the single words, and nothing to do with AP: about a million a word."""
    return {
        cost: float(sum(round(2e6 * _uniform(cost, word)) for word in genome.split()))
        for cost in ("parameters", "flops")
    }


def _uniform(what: str, text: str) -> float:
    """From 0 up to 1, by hash: the same in every process."""
    digest = hashlib.blake2b(f"{what} {text}".encode(), digest_size=6).digest()
    return int.from_bytes(digest) / 2**48
