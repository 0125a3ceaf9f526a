"""Published genomes and spaces, by name.

Transcribed in reference/spinenet.md, sections 2.4, 4.1 and 4.2: SpineNet-49 from the released code,
R0-SP53 from figure 4(c) of Du et al., CVPR 2020.
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

GENOMES: Final[Mapping[str, Genome]] = MappingProxyType({"spinenet-49": SPINENET_49, "r0-sp53": R0_SP53})

_R0_INTERMEDIATES: Final = (2, 3, 3, 3, 4, 4, 4, 4, 4, 5)

SPACES: Final[Mapping[str, SpineNetSpace]] = MappingProxyType(
    {
        space.name: space
        for space in (
            SpineNetSpace(
                name="spinenet-49",
                stem=R0_STEM,
                intermediates=_R0_INTERMEDIATES,
                offsets=(-1, 0, 1, 2),
                kinds=(BlockKind.BOTTLENECK, BlockKind.RESIDUAL),
                inferred=("intermediates",),
            ),
            SpineNetSpace(name="r0-sp53", stem=R0_STEM, intermediates=_R0_INTERMEDIATES),
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
    if name in entries:
        return entries[name]
    near = get_close_matches(name.lower(), entries, n=1, cutoff=0.3)
    hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(entries)}"
    raise UnknownName(f"{what} {name!r} is not in the catalog: {hint}")
