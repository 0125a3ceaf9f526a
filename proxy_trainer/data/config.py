"""Which pictures a campaign uses, and how they are divided: the words of the `data` part of a config."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, get_args

Shape = Literal["disc", "square", "triangle", "star", "cross", "ring", "crescent", "arrow"]
"""Classes that the rendered set knows, told apart by outline only."""

SHAPES: tuple[Shape, ...] = get_args(Shape)

_STRICT: dict[str, Any] = {"extra": "forbid"}


class Split(StrEnum):
    """What an image is used for. The first three are carved out of the training images."""

    TRAIN = "train"
    REWARD = "reward"
    CONFIRM = "confirm"
    VALIDATION = "validation"


def _between(owner: str, low: float, high: float, values: Iterable[tuple[str, float]]) -> None:
    for name, value in values:
        if not low <= value <= high:
            raise ValueError(f"{owner}: {name}={value}, expected {low} to {high}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedData:
    """The embedded set, rendered from a seed; equal values give equal files, bit for bit.

    `size` is the side of a picture in pixels, `objects` the fewest and most objects placed in one,
    `extent` the shortest and longest side of an object as a share of the picture's, drawn log-uniformly.
    The knobs of difficulty go from 0 to 1: `clutter` (distractors, strokes over everything, texture and
    noise), `occlusion` (share of the objects that may lie over others), `contrast` (least difference
    between an object and what lies behind it), `colour` (from greys to all colours). Objects of which
    less than `visible` can be seen are not painted at all.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    kind: Literal["rendered"] = "rendered"
    seed: int = 0
    train_images: int = 800
    val_images: int = 200
    size: int = 256
    classes: tuple[Shape, ...] = ("disc", "square", "triangle", "cross")
    objects: tuple[int, int] = (5, 9)
    extent: tuple[float, float] = (0.04, 0.6)
    clutter: float = 0.1
    occlusion: float = 0.1
    contrast: float = 1.0
    colour: float = 0.0
    visible: float = 0.35

    def __post_init__(self) -> None:
        unknown = [name for name in self.classes if name not in SHAPES]
        if unknown or len(self.classes) < 1 or len(set(self.classes)) < len(self.classes):
            raise ValueError(
                f"rendered data: classes={list(self.classes)}, expected distinct ones of {', '.join(SHAPES)}"
            )
        _between("rendered data", 0, 2**63 - 1, [("seed", self.seed)])
        _between(
            "rendered data",
            1,
            1_000_000,
            [("train_images", self.train_images), ("val_images", self.val_images)],
        )
        _between("rendered data", 32, 2048, [("size", self.size)])
        _between(
            "rendered data",
            0,
            1,
            [
                ("clutter", self.clutter),
                ("occlusion", self.occlusion),
                ("contrast", self.contrast),
                ("colour", self.colour),
            ],
        )
        _between("rendered data", 0.05, 1, [("visible", self.visible)])
        if not 1 <= self.objects[0] <= self.objects[1] <= 100:
            raise ValueError(f"rendered data: objects={self.objects}, expected 1 <= fewest <= most <= 100")
        if not 0.01 <= self.extent[0] <= self.extent[1] <= 1:
            raise ValueError(
                f"rendered data: extent={self.extent}, expected 0.01 <= shortest <= longest <= 1"
            )


PATHS: Final = frozenset({"images", "train", "val", "val_images"})
"""The words of CocoData that are paths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CocoData:
    """A COCO directory, or a subset of one.

    `images` holds the pictures, `train` and `val` are instances files; validation pictures may lie
    elsewhere (`val_images`). `classes` keeps only categories of these names, and only images that show
    one of them; `share` then keeps this part of the training images (by hash of the image id).
    `empty_boxes` says what becomes of boxes without area: COCO's own train2017 has two.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    kind: Literal["coco"] = "coco"
    images: Path
    train: Path
    val: Path | None = None
    val_images: Path | None = None
    share: float = 1.0
    classes: tuple[str, ...] | None = None
    empty_boxes: Literal["refuse", "drop"] = "refuse"

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"coco data: share={self.share}, expected above 0 and at most 1")
        if self.classes is not None and (not self.classes or len(set(self.classes)) < len(self.classes)):
            raise ValueError(f"coco data: classes={list(self.classes)}, expected distinct category names")
        if self.val is None and self.val_images is not None:
            raise ValueError(
                "coco data: val_images without val, expected the instances file of these pictures too"
            )


DataConfig = RenderedData | CocoData


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """How the training images are divided: a share (below 1) or a number of images (an integer) each.

    What is left after `reward` and `confirm` is trained on. Images are ranked by a hash of their id and
    `salt`, `reward` takes from one end and `confirm` from the other: neither moves when the other changes.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    reward: int | float = 0.2
    confirm: int | float = 0.1
    salt: str = ""

    def __post_init__(self) -> None:
        for name, part in (("reward", self.reward), ("confirm", self.confirm)):
            if part < 0 or (isinstance(part, float) and not part < 1):
                raise ValueError(
                    f"splits: {name}={part}, expected a share below 1.0 or a whole number of images"
                )

    def counts(self, images: int) -> tuple[int, int]:
        """Images of the reward split and of the confirm split, out of so many."""
        reward, confirm = (
            round(part * images) if isinstance(part, float) else part for part in (self.reward, self.confirm)
        )
        return reward, confirm
