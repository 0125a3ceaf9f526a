"""What a user may call an architecture: a name, a genome's text, a spec file, a campaign's trial."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from search_space.catalog import GENOMES, PROBABLE
from search_space.cost import Head
from search_space.family import FAMILY, Member
from search_space.genome import Genome
from search_space.scaling import Scaling
from search_space.spec import read_spec
from search_space.vertex import read_vertex

DEFAULT: Final = Member(genome="", scaling=Scaling(), head=Head(), input_size=640)
"""SpineNet-49's scaling."""

BASELINE: Final = "resnet-50-fpn"
"""The backbone to beat; no genome describes it."""

SCALES: Final = {name.removeprefix("spinenet-"): name for name in FAMILY}
"""Short names of the family's scalings."""


class UnknownDesign(LookupError):
    """Words that name no architecture."""


@dataclass(frozen=True, slots=True)
class Design:
    """A genome and how it is to be built; `name` is what the user called it.

    `caveat` says in a few words what of it was not published as such.
    """

    name: str
    genome: Genome
    scaling: Scaling
    head: Head
    input_size: int
    caveat: str = ""


def design(words: str, trial_genome: Callable[[str, int], str], scale: str | None = None) -> Design:
    """The architecture that words name, built at another member's `scale` where one is given.

    `trial_genome` looks a trial's genome up by campaign and number. Raises UnknownDesign,
    InvalidGenome, InvalidSpec, OSError and what `trial_genome` raises.
    """
    found = _found(words, trial_genome)
    if scale is None:
        return found
    member = FAMILY.get(SCALES.get(scale.lower(), scale.lower()))
    if member is None:
        raise UnknownDesign(f"scale {scale!r}: {_hint(scale, SCALES)}")
    return _built(found.name, found.genome, member)


def _found(words: str, trial_genome: Callable[[str, int], str]) -> Design:
    campaign, colon, number = words.rpartition(":")
    if words.lower() in FAMILY:
        member = FAMILY[words.lower()]
        return _built(words, GENOMES[member.genome], member)
    if words.lower() in GENOMES:
        return _built(words, GENOMES[words.lower()], DEFAULT)
    if "|" in words:
        return _built("genome", Genome.from_text(words), DEFAULT)
    if Path(words).is_file() and Path(words).suffix.lower() == ".json":
        return _built(Path(words).name, read_vertex(Path(words)), DEFAULT)
    if Path(words).is_file():
        spec = read_spec(Path(words))
        size = spec.expected.input_size if spec.expected is not None else DEFAULT.input_size
        return Design(Path(words).name, spec.genome, spec.scaling, DEFAULT.head, size)
    if colon and number.isdigit() and len(number) < 10:
        return _built(words, Genome.from_text(trial_genome(campaign, int(number))), DEFAULT)
    if words.lower() == BASELINE:
        raise UnknownDesign(f"{BASELINE}: no genome describes it; `nas cost {BASELINE}` is all there is")
    raise UnknownDesign(
        f"{words[:80]!r}: expected a published name, a genome's text, a spec file, Vertex NAS's JSON "
        f"or CAMPAIGN:NUMBER; {_hint(words, {**FAMILY, **GENOMES, BASELINE: ''})}"
    )


def full_size(genome: Genome) -> Member:
    """How a genome is built that comes without a scaling: as SpineNet-49 is, or its mobile sibling."""
    return FAMILY["spinenet-mobile-49"] if genome.mobile else DEFAULT


def _built(name: str, genome: Genome, member: Member) -> Design:
    if member is DEFAULT:
        member = full_size(genome)
    return Design(name, genome, member.scaling, member.head, member.input_size, _caveat(genome, member))


def _caveat(genome: Genome, member: Member) -> str:
    probable = any(genome == GENOMES[name] for name in PROBABLE)
    words = ["genome read off a figure"] if probable else []
    if member.inferred:
        words.append(f"inferred: {', '.join(member.inferred)}")
    return "; ".join(words)


def _hint(word: str, known: dict[str, object] | dict[str, Member] | dict[str, str]) -> str:
    near = difflib.get_close_matches(word.lower(), known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
