"""The words of a config about the space: a preset, a preset with changes, or everything spelled out."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from search_space.catalog import UnknownName, space_by_name
from search_space.genome import BlockKind, Stem, StemNode
from search_space.space import InvalidSpace, SpineNetSpace


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceConfig:
    """`intermediates` counts blocks by base level; the other words are those of SpineNetSpace.

    What is left out comes from the preset; without one, stem and intermediates are needed.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    preset: str | None = None
    name: str | None = None
    stem: tuple[StemNode, ...] | None = None
    intermediates: dict[int, int] | None = None
    outputs: tuple[int, ...] | None = None
    offsets: tuple[int, ...] | None = None
    kinds: tuple[BlockKind, ...] | None = None
    window: int | Literal["all"] | None = None
    inferred: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        self.build()

    def build(self) -> SpineNetSpace:
        """The space that these words mean. Raises ValueError."""
        given = self._given()
        if self.preset is None:
            if self.stem is None or self.intermediates is None:
                raise InvalidSpace(
                    "expected a preset, or stem and intermediates (levels and how many blocks)"
                )
            return SpineNetSpace(**{"name": "custom", **given})
        try:
            preset = space_by_name(self.preset)
        except UnknownName as error:
            raise InvalidSpace(str(error.args[0])) from error
        if not given:
            return preset
        inferred = tuple(word for word in preset.inferred if word not in given)
        return dataclasses.replace(
            preset, **{"name": f"{preset.name} changed", "inferred": inferred, **given}
        )

    def resolved(self) -> SpaceConfig:
        """The same space spelled out, so that a stored config doesn't change with the catalog."""
        space = self.build()
        return SpaceConfig(
            name=space.name,
            stem=space.stem.nodes,
            intermediates=dict(sorted(Counter(space.intermediates).items())),
            outputs=space.outputs,
            offsets=space.offsets,
            kinds=space.kinds,
            window="all" if space.window is None else space.window,
            inferred=space.inferred,
        )

    def _given(self) -> dict[str, Any]:
        given = {
            word: getattr(self, word)
            for word in ("name", "outputs", "offsets", "kinds", "inferred")
            if getattr(self, word) is not None
        }
        if self.stem is not None:
            given["stem"] = Stem(self.stem)
        if self.intermediates is not None:
            if any(count < 0 or count > 1000 for count in self.intermediates.values()):
                raise InvalidSpace(
                    f"intermediates={self.intermediates}, expected 0 to 1000 blocks on each level"
                )
            given["intermediates"] = tuple(Counter(self.intermediates).elements())
        if self.window is not None:
            given["window"] = None if self.window == "all" else self.window
        return given
