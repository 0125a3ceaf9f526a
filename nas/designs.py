"""What a user may call an architecture: a name, a genome's text, a spec file, a campaign's trial."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from search_space.catalog import GENOMES, PROBABLE
from search_space.cost import Head, network_cost
from search_space.family import FAMILY, Member
from search_space.genome import Genome
from search_space.scaling import Scaling
from search_space.spec import InvalidSpec, Spec, read_spec
from search_space.vertex import read_vertex

DEFAULT: Final = FAMILY["spinenet-49"]
"""How a network is built of which nothing else is said."""

BASELINE: Final = "resnet-50-fpn"
"""The backbone to beat; no genome describes it."""

SCALES: Final = {name.removeprefix("spinenet-"): name for name in FAMILY}
"""Short names of the family's scalings."""


class UnknownDesign(LookupError):
    """Words that name no architecture."""


@dataclass(frozen=True, slots=True)
class Design:
    """A genome and how it is to be built; `name` is what the user called it.

    `caveat` says in a few words what of it was not published as such, `spec` is what a spec file said.
    """

    name: str
    genome: Genome
    scaling: Scaling
    head: Head
    input_size: int
    caveat: str = ""
    spec: Spec | None = None


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
    if GENOMES[member.genome].mobile != found.genome.mobile:
        raise UnknownDesign(f"scale {scale!r}: {_wrong_kind(found.genome)}")
    return dataclasses.replace(_built(found.name, found.genome, member), spec=found.spec)


def _found(words: str, trial_genome: Callable[[str, int], str]) -> Design:
    campaign, colon, number = words.rpartition(":")
    if words.lower() in FAMILY:
        member = FAMILY[words.lower()]
        return _built(words, GENOMES[member.genome], member)
    if words.lower() in GENOMES:
        return _built(words, GENOMES[words.lower()])
    if "|" in words:
        return _built("genome", Genome.from_text(words))
    if Path(words).is_file() and Path(words).suffix.lower() == ".json":
        return _built(Path(words).name, read_vertex(Path(words)))
    if Path(words).is_file():
        return _of_spec(Path(words))
    if colon and number.isdigit() and len(number) < 10:
        return _built(words, Genome.from_text(trial_genome(campaign, int(number))))
    if words.lower() == BASELINE:
        raise UnknownDesign(f"{BASELINE}: no genome describes it; `nas cost {BASELINE}` is all there is")
    raise UnknownDesign(
        f"{words[:80]!r}: expected a published name, a genome's text, a spec file, Vertex NAS's JSON "
        f"or CAMPAIGN:NUMBER; {_hint(words, {**FAMILY, **GENOMES, BASELINE: ''})}"
    )


def full_size(genome: Genome) -> Member:
    """How a genome is built that comes without a scaling: as SpineNet-49 is, or its mobile sibling."""
    return FAMILY["spinenet-mobile-49"] if genome.mobile else DEFAULT


def _of_spec(path: Path) -> Design:
    spec = read_spec(path)
    known = _known_like(spec)
    member = known or full_size(spec.genome)
    size = spec.expected.input_size if spec.expected is not None else member.input_size
    _check_expected(spec, path)
    caveat = _caveat(spec.genome, known)
    return Design(path.name, spec.genome, spec.scaling, spec.head or member.head, size, caveat, spec)


def _known_like(spec: Spec) -> Member | None:
    """The member of the family that is scaled so."""
    for member in FAMILY.values():
        alike = (member.scaling, GENOMES[member.genome].mobile) == (spec.scaling, spec.genome.mobile)
        if alike and spec.head in {None, member.head}:
            return member
    return None


def _check_expected(spec: Spec, path: Path) -> None:
    expected = spec.expected
    if expected is None:
        return
    cost = network_cost(spec.genome, spec.scaling, expected.input_size).backbone
    if (cost.params, cost.flops) != (expected.params, expected.flops):
        raise InvalidSpec(
            f"{path}: expected: params={expected.params}, flops={expected.flops}, but genome and scaling "
            f"give params={cost.params}, flops={cost.flops} at {expected.input_size} px: undo what has "
            "changed since it was written, or delete `expected` if that is meant"
        )


def _built(name: str, genome: Genome, member: Member | None = None) -> Design:
    member = member or full_size(genome)
    return Design(name, genome, member.scaling, member.head, member.input_size, _caveat(genome, member))


def _caveat(genome: Genome, member: Member | None) -> str:
    probable = any(genome == GENOMES[name] for name in PROBABLE)
    words = ["genome read off a figure"] if probable else []
    if member is not None and member.inferred:
        words.append(f"inferred: {', '.join(member.inferred)}")
    return "; ".join(words)


def _wrong_kind(genome: Genome) -> str:
    wanted = [short for short, name in SCALES.items() if GENOMES[FAMILY[name].genome].mobile == genome.mobile]
    kind = "a mobile genome" if genome.mobile else "no mobile genome"
    return f"this is {kind}, expected one of {', '.join(wanted)}"


def _hint(word: str, known: dict[str, object] | dict[str, Member] | dict[str, str]) -> str:
    near = difflib.get_close_matches(word.lower(), known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
