"""With which genomes a campaign begins: published ones, given ones, and the best of earlier campaigns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeAlias

from nas import folder as folders
from nas import ranking
from nas.limits import Limits
from nas.validation import Refused
from search_space.catalog import genome_by_name
from search_space.genome import Genome
from search_space.space import SpineNetSpace


@dataclass(frozen=True, slots=True, kw_only=True)
class BestOf:
    """The networks of highest reward of an earlier campaign, those left out that are in the list already."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    campaign: str
    best: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.best <= 10_000:
            raise ValueError(f"best={self.best}, expected 1 to 10000")


Start: TypeAlias = str | BestOf
"""A published name or a genome's text; or what is looked up when the campaign is made."""


def named(starts: Sequence[Start]) -> tuple[Start, ...]:
    """The same with names and texts as canonical texts. Raises UnknownName, InvalidGenome."""
    return tuple(start if isinstance(start, BestOf) else _genome(start).to_text() for start in starts)


def check_starts(starts: Sequence[Start], trials: int, space: SpineNetSpace, limits: Limits | None) -> None:
    """Raise ValueError for more genomes than trials, and for one that can't be tried.

    That is: it is none, is not in the space, costs too much, or is in the list already.
    """
    count = sum(start.best if isinstance(start, BestOf) else 1 for start in starts)
    if count > trials:
        raise ValueError(f"warm_start: {count} genomes, expected no more than the {trials} trials")
    seen: dict[str, int] = {}
    for place, start in enumerate(starts):
        if isinstance(start, BestOf):
            continue
        try:
            genome = _genome(start)
            space.check(genome)
        except (ValueError, LookupError) as error:
            raise ValueError(f"warm_start[{place}]: {error}") from error
        if limits is not None and (excess := limits.excess(genome)):
            raise ValueError(f"warm_start[{place}]: {excess}")
        first = seen.setdefault(space.fingerprint(genome), place)
        if first != place:
            raise ValueError(f"warm_start[{place}]: the same network as warm_start[{first}]")


def looked_up(starts: Sequence[Start], space: SpineNetSpace, root: Path) -> tuple[str, ...]:
    """The same with the best of earlier campaigns, below `root`, in their places.

    Raises Refused, FolderError, StorageError.
    """
    fixed = [_genome(start) for start in starts if not isinstance(start, BestOf)]
    seen = {space.fingerprint(genome) for genome in fixed}
    found: list[str] = []
    for place, start in enumerate(starts):
        if not isinstance(start, BestOf):
            found.append(start)
            continue
        best = _best(start, seen, space, root)
        if len(best) < start.best:
            problem = f"campaign {start.campaign!r} has {len(best)} finished networks that are new here"
            raise Refused(("warm_start", place), f"{problem}, expected best={start.best}")
        found += best
    return tuple(found)


def as_made(starts: Sequence[Start], made: Sequence[Start]) -> tuple[Start, ...]:
    """The same with what was found for a campaign when it was made in the places of what was looked up."""
    found: list[Start] = []
    for start in starts:
        found += made[len(found) :][: start.best] if isinstance(start, BestOf) else [start]
    return tuple(found)


def _best(start: BestOf, seen: set[str], space: SpineNetSpace, root: Path) -> list[str]:
    from results_db.store import Store  # SQLAlchemy takes a moment, and configs are read without it

    with Store.read(folders.find(root, start.campaign).database) as store:
        ranked = ranking.best(store, start.campaign, start.best + len(seen))
    best: list[str] = []
    for genome in (each.trial.genome for each in ranked):
        fingerprint = space.fingerprint(Genome.from_text(genome))
        if len(best) < start.best and fingerprint not in seen:
            seen.add(fingerprint)
            best.append(genome)
    return best


def _genome(words: str) -> Genome:
    return Genome.from_text(words) if "|" in words else genome_by_name(words.lower())
