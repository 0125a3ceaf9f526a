"""How trials are evaluated by proxy training: the words of the `evaluator` part of a config."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from proxy_trainer.checkpoint import CheckpointConfig
from proxy_trainer.data.config import CocoData, RenderedData, Split, Splits
from proxy_trainer.recipe import Recipe

COCO_METRICS: Final = (
    "AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large",
    "AR_1", "AR_10", "AR_100", "AR_small", "AR_medium", "AR_large",
)  # fmt: skip
"""The names of COCO's twelve numbers, in the order in which pycocotools gives them."""

METRICS: Final = (
    *COCO_METRICS, "loss", "parameters", "flops", "memory_mb", "seconds", "seconds_start",
    "seconds_train", "seconds_statistics", "seconds_evaluate", "seconds_data", "seconds_cpu",
)  # fmt: skip
"""The names of all that every trial measures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyConfig:
    """Train a small detector: on which data, divided how, by which recipe.

    `ranking`: the metrics that are told at every evaluation and the better the higher. `judge` is the split
    that trials are judged by: searches use the reward split, and finalists the confirm split, which no
    reward came from.
    `checkpoint` changes no result: trials that outlive a worker go on where it was lost. `latency_runs`: how
    often the trained proxy is timed on one image; 0 for not at all.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}
    ranking: ClassVar[tuple[str, ...]] = COCO_METRICS

    kind: Literal["proxy"] = "proxy"
    data: Annotated[RenderedData | CocoData, Field(discriminator="kind")] = field(
        default_factory=RenderedData
    )
    splits: Splits = field(default_factory=Splits)
    recipe: Recipe = field(default_factory=Recipe)
    judge: Literal[Split.REWARD, Split.CONFIRM] = Split.REWARD
    checkpoint: CheckpointConfig | None = None
    latency_runs: int = 0

    def __post_init__(self) -> None:
        if self.judge is Split.CONFIRM and not self.splits.confirm:
            raise ValueError("judge: confirm, but splits: confirm=0, expected some images to judge by")
        if not 0 <= self.latency_runs <= 10_000:
            raise ValueError(f"latency_runs={self.latency_runs}, expected 0 (not measured) to 10000")

    @property
    def metrics(self) -> tuple[str, ...]:
        """What a trial measures, durations and memory included."""
        return (*METRICS, "latency_ms") if self.latency_runs else METRICS

    @property
    def told_at(self) -> range:
        """The steps after which intermediate metrics are told, the last one left out."""
        every = self.recipe.evaluate_every
        return range(0) if every is None else range(every, self.recipe.steps, every)

    def with_recipe(self, **changes: Any) -> ProxyConfig:
        """The same with some settings of the recipe changed."""
        return dataclasses.replace(self, recipe=dataclasses.replace(self.recipe, **changes))
