"""The published networks: a genome with a scaling, heads and an input size, by name.

Du et al., CVPR 2020, section 3.4 and appendix A, and the scaling tables of TF Model Garden
(docs/sources.md, sections 1 and 2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from search_space.cost import Head
from search_space.scaling import Scaling


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One network of the family. `genome` is its name in the catalog, `input_size` in pixels.

    `inferred` names what is not published but inferred.
    """

    genome: str
    scaling: Scaling
    head: Head
    input_size: int
    inferred: tuple[str, ...] = ()


def _regular(input_size: int, head: Head, **scaling: float | int) -> Member:
    words = Scaling(**scaling)  # type: ignore[arg-type] # mypy sees one type for all keywords
    return Member(genome="spinenet-49", scaling=words, head=head, input_size=input_size)


def _mobile(input_size: int, width: float, channels: int) -> Member:
    return Member(
        genome="spinenet-mobile-49",
        scaling=Scaling(width=width, endpoint_width=channels),
        head=Head(width=channels),
        input_size=input_size,
    )


FAMILY: Final[Mapping[str, Member]] = MappingProxyType(
    {
        # Published for mobile networks only: here with SpineNet-49S's heads.
        "spinenet-49xs": Member(
            genome="spinenet-49",
            scaling=Scaling(width=0.6, endpoint_width=128),
            head=Head(width=128),
            input_size=640,
            inferred=("scaling", "head", "input_size"),
        ),
        # The released checkpoint and every published figure of 49S have endpoints of 256 channels,
        # the released code has 128 (tensorflow/tpu issue 767).
        "spinenet-49s": _regular(640, Head(width=128), width=0.65, endpoint_width=256),
        "spinenet-49s-code": _regular(640, Head(width=128), width=0.65, endpoint_width=128),
        "spinenet-49": _regular(640, Head()),
        "spinenet-96": _regular(1024, Head(), repeats=2),
        "spinenet-143": _regular(1280, Head(), repeats=3, alpha=1.0),
        "spinenet-190": _regular(
            1280, Head(convs=7, width=512), repeats=4, alpha=1.0, width=1.3, endpoint_width=512
        ),
        "spinenet-mobile-49": _mobile(384, 1.0, 48),
        "spinenet-mobile-49s": _mobile(384, 0.65, 40),
        "spinenet-mobile-49xs": _mobile(256, 0.6, 24),
    }
)
