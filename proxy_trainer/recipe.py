"""A recipe: everything that decides how a proxy detector is trained and judged, but for the data."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from search_space.genome import MAX_LEVEL
from search_space.scaling import Scaling


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Sizes are in pixels of the input, schedules in optimizer steps. The defaults are the shipped proxy,
    but for its `precision` (configs/proxy.yaml), which not every machine is good at.

    `clip_ratio`: see clipping.py; `branch_scale`: where the last batch norm scale of a block starts;
    `average`: share of the old weights that a moving average keeps (0: none is kept);
    `anchor_size`, `anchor_growth`: see anchors.py; `jitter`: least and most scale of a picture;
    `precision` is that of the feature maps in a training step; what is judged and exported is float32;
    `statistics_batches`: batches that re-estimate the batch norm statistics (0: the moving ones are used).

    The losses' constants are the paper's (Lin et al., 2017, as set in the released RetinaNet
    configs): focal alpha 0.25 and gamma 1.5, Huber delta 0.1, box weight 50.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    resolution: int = 128
    steps: int = 250
    batch: int = 8
    precision: Literal["float32", "bfloat16"] = "float32"
    learning_rate: float = 0.6
    warmup_steps: int = 15
    momentum: float = 0.9
    weight_decay: float = 4e-5
    clip_ratio: float = 0.02
    branch_scale: float = 0.0
    average: float = 0.0
    width: float = 0.25
    alpha: float = 0.5
    endpoint_width: int = 32
    head_convs: int = 2
    head_width: int = 32
    anchor_size: float = 2.0
    anchor_growth: float = 1.45
    match_iou: float = 0.4
    jitter: tuple[float, float] = (0.8, 1.2)
    flip: bool = True
    focal_alpha: float = 0.25
    focal_gamma: float = 1.5
    huber_delta: float = 0.1
    box_weight: float = 50.0
    statistics_batches: int = 20
    evaluate_every: int | None = None
    evaluation_batch: int = 16
    score_threshold: float = 0.01
    nms_iou: float = 0.5
    detections: int = 100

    def __post_init__(self) -> None:
        self._check_finite()
        stride = 2**MAX_LEVEL
        if self.resolution < stride or self.resolution % stride:
            raise ValueError(f"recipe: resolution={self.resolution}, expected a multiple of {stride}")
        for name in ("steps", "batch", "head_convs", "head_width", "evaluation_batch", "detections"):
            if getattr(self, name) < 1:
                raise ValueError(f"recipe: {name}={getattr(self, name)}, expected at least 1")
        for name in (
            *("learning_rate", "anchor_size", "anchor_growth", "clip_ratio"),
            *("focal_alpha", "focal_gamma", "huber_delta", "box_weight"),
        ):
            if getattr(self, name) <= 0:
                raise ValueError(f"recipe: {name}={getattr(self, name)}, expected above 0")
        self._check_ranges()
        self._check_shares()
        _ = self.scaling

    def _check_finite(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            numbers = value if isinstance(value, tuple) else (value,)
            if any(isinstance(number, float) and not math.isfinite(number) for number in numbers):
                raise ValueError(f"recipe: {name}={value}, expected a finite number")

    def _check_ranges(self) -> None:
        if not 0 <= self.warmup_steps < self.steps:
            raise ValueError(f"recipe: warmup_steps={self.warmup_steps}, expected 0 to {self.steps - 1}")
        if not 0.05 <= self.jitter[0] <= self.jitter[1] <= 20:  # the limits of data/augment.py
            raise ValueError(f"recipe: jitter={self.jitter}, expected 0.05 <= low <= high <= 20")
        if self.evaluate_every is not None and self.evaluate_every < 1:
            raise ValueError(f"recipe: evaluate_every={self.evaluate_every}, expected at least 1 or nothing")
        if self.statistics_batches < 0:
            raise ValueError(f"recipe: statistics_batches={self.statistics_batches}, expected at least 0")

    def _check_shares(self) -> None:
        for name in ("average", "momentum", "score_threshold"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"recipe: {name}={getattr(self, name)}, expected 0 to below 1")
        for name in ("match_iou", "nms_iou"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"recipe: {name}={getattr(self, name)}, expected above 0 and below 1")
        for name in ("weight_decay", "branch_scale"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"recipe: {name}={getattr(self, name)}, expected at least 0")

    @property
    def scaling(self) -> Scaling:
        """The proxy's scaling."""
        return Scaling(width=self.width, alpha=self.alpha, endpoint_width=self.endpoint_width)

    def to_json(self) -> dict[str, Any]:
        """All settings, without those that came later where they are as before."""
        whole = dataclasses.asdict(self)
        if self.precision == "float32":
            del whole["precision"]
        return whole

    @property
    def hash(self) -> str:
        """Equal exactly when all settings are equal: trials with different ones are never compared."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
