"""Published genomes and spaces, by name.

Their sources are in docs/sources.md, sections 3 and 5: SpineNet-49 and its mobile
sibling from the released code, R0-SP53 and R23-SP30 from figure 4 of Du et al., CVPR 2020, the
`vertex-` spaces from Vertex AI NAS.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final, TypeVar

from search_space.genome import BlockKind, Genome, Stem, StemNode
from search_space.space import SpineNetSpace

T = TypeVar("T")


class UnknownName(LookupError):
    """A name that is not in the catalog; the message gives the nearest one that is."""


R0_STEM: Final = Stem((StemNode(2), StemNode(2)))
"""Two bottleneck groups on level 2, both candidate parents."""

SPINENET_49: Final = Genome.from_text(
    "2b* 2b* | 2b:0,1 4r:0,1 3b:2,3 4b:2,4 6r:3,5 4b:3,5 5r:6,7 7r:6,8 5b:8,9 5b:8,10 "
    "4b:5,10^ 3b:4,10^ 5b:7,12^ 7b:5,14^ 6b:12,14^"
)

R0_SP53: Final = Genome.from_text(
    "2b* 2b* | 2b:0,1 3b:0,1 3b:2,3 4b:2,4 4b:3,5 3b:5,6 5b:4,7 4b:4,8 4b:8,9 4b:8,10 "
    "3b:4,10^ 4b:6,7^ 5b:8,13^ 7b:6,9^ 6b:7,9^"
)

R23_SP30: Final = Genome.from_text(
    "2b 2b 3b 3b 4b 4b* 5b* | 4b:5,6 4b:5,6 4b:7,8 3b:8,9 2b:9,10 "
    "4b:5,9^ 3b:9,10^ 5b:9,10^ 7b:11,13^ 6b:9,14^"
)
"""Read off figure 4(b), not published as a spec: probable, not certain."""

MOBILE_49: Final = Genome.from_text(
    "1m* 2m* | 2m:0,1 2m:1,2 4m:1,2 3m:3,4 4m:3,5 6m:4,6 4m:4,6 5m:7,8 7m:7,9 5m:9,10 5m:9,11 "
    "4m:6,11^ 3m:5,11^ 5m:8,13^ 7m:6,15^ 6m:13,15^"
)
"""SpineNet-49's topology by hand with MBConv blocks (Du et al., appendix A)."""

GENOMES: Final[Mapping[str, Genome]] = MappingProxyType(
    {
        "spinenet-49": SPINENET_49,
        "r0-sp53": R0_SP53,
        "r23-sp30": R23_SP30,
        "spinenet-mobile-49": MOBILE_49,
    }
)

PROBABLE: Final = ("r23-sp30",)
"""Genomes that were read off a figure."""


def _stem(*levels: int) -> Stem:
    """A bottleneck stem of which the last two blocks are candidates."""
    return Stem(tuple(StemNode(level, candidate=len(levels) - n <= 2) for n, level in enumerate(levels)))


MOBILE_STEM: Final = Stem((StemNode(1, BlockKind.MBCONV), StemNode(2, BlockKind.MBCONV)))
"""MBConv groups on levels 1 and 2, both candidate parents."""

_BOTH: Final = (BlockKind.BOTTLENECK, BlockKind.RESIDUAL)
_OFFSETS: Final = (-1, 0, 1, 2)
_R0_INTERMEDIATES: Final = (2, 3, 3, 3, 4, 4, 4, 4, 4, 5)

SPACES: Final[Mapping[str, SpineNetSpace]] = MappingProxyType(
    {
        space.name: space
        for space in (
            SpineNetSpace(
                name="spinenet-49",
                stem=R0_STEM,
                intermediates=_R0_INTERMEDIATES,
                offsets=_OFFSETS,
                kinds=_BOTH,
                inferred=("intermediates",),
            ),
            SpineNetSpace(name="r0-sp53", stem=R0_STEM, intermediates=_R0_INTERMEDIATES),
            # Which stem blocks may be parents is not published; figure 4(b) shows the last two in use.
            SpineNetSpace(
                name="r35-sp18",
                stem=_stem(2, 2, 3, 3, 3, 4, 4, 4, 4, 4, 5),
                intermediates=(2,),
                inferred=("stem",),
            ),
            SpineNetSpace(
                name="r23-sp30",
                stem=_stem(2, 2, 3, 3, 4, 4, 5),
                intermediates=(2, 3, 4, 4, 4),
                inferred=("stem",),
            ),
            SpineNetSpace(
                name="r14-sp39",
                stem=_stem(2, 3, 4, 5),
                intermediates=(2, 2, 3, 3, 4, 4, 4, 4),
                inferred=("stem",),
            ),
            # The paper plugged MBConv blocks into SpineNet-49 by hand and searched nothing.
            SpineNetSpace(
                name="spinenet-mobile-49",
                stem=MOBILE_STEM,
                intermediates=(2, *_R0_INTERMEDIATES),
                offsets=_OFFSETS,
                kinds=(BlockKind.MBCONV,),
                inferred=("intermediates", "offsets", "window"),
            ),
            SpineNetSpace(
                name="vertex-spinenet",
                stem=R0_STEM,
                intermediates=(2, 3, 3, 3, 4, 4, 4, 4, 4, 5, 5),
                offsets=_OFFSETS,
                kinds=_BOTH,
                window=4,
            ),
            SpineNetSpace(
                name="vertex-spinenet-v2",
                stem=R0_STEM,
                intermediates=_R0_INTERMEDIATES,
                offsets=(-1, 0, 1),
                window=4,
            ),
            SpineNetSpace(
                name="vertex-spinenet-mbconv",
                stem=MOBILE_STEM,
                intermediates=(2, 3, 4, 4, 4, 4, 4, 5, 5, 5, 5),
                offsets=_OFFSETS,
                kinds=(BlockKind.MBCONV,),
                window=4,
            ),
        )
    }
)


def genome_by_name(name: str) -> Genome:
    """A published genome. Raises UnknownName."""
    return _find(GENOMES, name, "genome")


def space_by_name(name: str) -> SpineNetSpace:
    """A published space. Raises UnknownName."""
    return _find(SPACES, name, "space")


def _find(entries: Mapping[str, T], name: str, what: str) -> T:
    """What goes by a name, which is a `what`. Raises UnknownName with the nearest one."""
    if name in entries:
        return entries[name]
    near = get_close_matches(name.lower(), entries, n=1, cutoff=0.3)
    hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(entries)}"
    raise UnknownName(f"{what} {name!r} is not in the catalog: {hint}")
