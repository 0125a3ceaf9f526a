"""A SpineNet search space: what may be searched, and whether a genome is in it.

The paper's rules (Du et al., CVPR 2020, sections 3.1 and 5.1): intermediate blocks in any order, then
output blocks in any order; two distinct earlier parents each, an intermediate's among the last
`window` candidate nodes, an output's among all; an intermediate's level is its base level plus an
offset. Drawing, changing and crossing genomes live in modules of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from search_space.cost_terms import STEM_INPUT_LEVEL
from search_space.crossover import crossover
from search_space.decisions import Decisions
from search_space.features import features
from search_space.fingerprint import fingerprint
from search_space.genome import MAX_LEVEL, MAX_NODES, MIN_LEVEL, BlockKind, Genome, Stem
from search_space.matching import NoMatch, match_levels
from search_space.mutation import USUAL, MoveWeights, mutate
from search_space.size import SpaceSize, space_size

MIN_OUTPUT_LEVEL = 3


class InvalidSpace(ValueError):
    """A description that is no search space."""


class NotInSpace(ValueError):
    """A genome that is not in the space: which node, what was expected, what was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpineNetSpace:
    """What may be searched. Multisets and sets are kept sorted, so that equal spaces are equal values.

    `intermediates` are base levels (a multiset), `outputs` levels, `offsets` what may be added to a
    base level. `window` is how many of the latest candidate nodes an intermediate may take as
    parents (None: all). `inferred` names the fields that are not published but inferred.

    Raises InvalidSpace.
    """

    name: str
    stem: Stem
    intermediates: tuple[int, ...]
    outputs: tuple[int, ...] = (3, 4, 5, 6, 7)
    offsets: tuple[int, ...] = (0,)
    kinds: tuple[BlockKind, ...] = (BlockKind.BOTTLENECK,)
    window: int | None = 5
    inferred: tuple[str, ...] = ()
    _parents: tuple[tuple[int, ...], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._check_levels()
        first = self.stem.nodes[0]
        if first.kind is not BlockKind.MBCONV and first.level < STEM_INPUT_LEVEL:
            raise InvalidSpace(
                f"{self.name}: stem node 0: level={first.level}, but the pool before it ends on "
                f"{STEM_INPUT_LEVEL}: expected {STEM_INPUT_LEVEL} or more"
            )
        for name in ("outputs", "offsets", "kinds"):
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise InvalidSpace(f"{self.name}: {name}={values}, expected one or more, each once")
        mobile = {kind is BlockKind.MBCONV for kind in (*self.kinds, *(n.kind for n in self.stem.nodes))}
        if len(mobile) > 1:
            raise InvalidSpace(
                f"{self.name}: kinds={tuple(map(str, self.kinds))} on a stem of {self.stem.nodes[0].kind}, "
                "expected mbconv everywhere or nowhere"
            )
        if self.window is not None and self.window < 2:
            raise InvalidSpace(f"{self.name}: window={self.window}, expected 2 or more, or none")
        nodes = len(self.stem.nodes) + self.blocks
        if nodes > MAX_NODES:
            raise InvalidSpace(f"{self.name}: {nodes} nodes, expected at most {MAX_NODES}")
        for name in ("intermediates", "outputs", "offsets", "kinds"):
            object.__setattr__(self, name, tuple(sorted(getattr(self, name))))
        # Moves and draws ask for them all the time.
        parents = tuple(self._allowed(block) for block in range(self.blocks))
        object.__setattr__(self, "_parents", parents)

    def _check_levels(self) -> None:
        for level in self.outputs:
            if not MIN_OUTPUT_LEVEL <= level <= MAX_LEVEL:
                raise InvalidSpace(
                    f"{self.name}: output level {level}, expected {MIN_OUTPUT_LEVEL} to {MAX_LEVEL}"
                )
        for base in self.intermediates:
            for offset in self.offsets:
                if not MIN_LEVEL <= base + offset <= MAX_LEVEL:
                    raise InvalidSpace(
                        f"{self.name}: base level {base} with offset {offset} gives level {base + offset}, "
                        f"expected {MIN_LEVEL} to {MAX_LEVEL}"
                    )

    @property
    def mobile(self) -> bool:
        """Whether its networks are mobile ones, of MBConv blocks."""
        return BlockKind.MBCONV in self.kinds

    @property
    def blocks(self) -> int:
        """How many blocks a genome of this space has."""
        return len(self.intermediates) + len(self.outputs)

    def allowed_parents(self, block: int) -> tuple[int, ...]:
        """The node numbers, ascending, that the block at this place (from 0) may take as parents."""
        return self._parents[block]

    def _allowed(self, block: int) -> tuple[int, ...]:
        first = len(self.stem.nodes)
        nodes = (*self.stem.candidates, *range(first, first + block))
        windowed = self.window is not None and block < len(self.intermediates)
        return nodes[-self.window :] if self.window is not None and windowed else nodes

    def check(self, genome: Genome) -> None:
        """Raise NotInSpace unless the genome is in this space."""
        self.base_blocks(genome)

    def contains(self, genome: Genome) -> bool:
        """Whether the genome is in this space."""
        try:
            self.check(genome)
        except NotInSpace:
            return False
        return True

    def base_blocks(self, genome: Genome) -> tuple[int, ...]:
        """For each intermediate in order, the index in `intermediates` of one base level it can come from.

        Raises NotInSpace.
        """
        self._check_structure(genome)
        levels = [block.level for block in islice(genome.blocks, len(self.intermediates))]
        try:
            return match_levels(levels, self.intermediates, self.offsets)
        except NoMatch as error:
            node = len(self.stem.nodes) + error.position
            raise NotInSpace(
                f"node {node}: level={levels[error.position]}, expected what the blocks before it leave "
                f"of the base levels {list(self.intermediates)} with offsets {list(self.offsets)} "
                f"(space {self.name})"
            ) from None

    def has_levels(self, levels: tuple[int, ...]) -> bool:
        """Whether intermediates may have these levels, all together."""
        try:
            match_levels(levels, self.intermediates, self.offsets)
        except NoMatch:
            return False
        return len(levels) == len(self.intermediates)

    def _check_structure(self, genome: Genome) -> None:
        if genome.stem != self.stem:
            raise NotInSpace(f"stem: found another one than that of space {self.name}")
        if len(genome.blocks) != self.blocks:
            raise NotInSpace(f"{len(genome.blocks)} blocks, expected {self.blocks} (space {self.name})")
        for place, block in enumerate(genome.blocks):
            node = len(self.stem.nodes) + place
            expected = place >= len(self.intermediates)
            if block.output != expected:
                raise NotInSpace(
                    f"node {node}: output={block.output}, expected {expected} (space {self.name})"
                )
            if block.kind not in self.kinds:
                kinds = ", ".join(self.kinds)
                raise NotInSpace(f"node {node}: kind={block.kind}, expected {kinds} (space {self.name})")
            if block.output and block.level not in self.outputs:
                levels = list(self.outputs)
                raise NotInSpace(
                    f"node {node}: level={block.level}, expected one of {levels} (space {self.name})"
                )
            allowed = self.allowed_parents(place)
            if not all(parent in allowed for parent in block.parents):
                parents = f"parents={list(block.parents)}, expected two of {list(allowed)}"
                raise NotInSpace(f"node {node}: {parents} (space {self.name})")

    def size(self) -> SpaceSize:
        """How many genomes there are, as decimal logarithms."""
        return space_size(self)

    def sample(self, rng: np.random.Generator) -> Genome:
        """A genome drawn by uniform decisions, each among the options that the ones before it leave."""
        sequence = Decisions(self)
        return sequence.decode(sequence.draw(rng))

    def mutate(self, genome: Genome, rng: np.random.Generator, weights: MoveWeights = USUAL) -> Genome:
        """A genome of the space, one move away and with another fingerprint.

        Raises NotInSpace for a genome of another space, NoMutation where no move changes anything.
        """
        self.check(genome)
        return mutate(self, genome, rng, weights)

    def crossover(self, a: Genome, b: Genome, rng: np.random.Generator) -> Genome:
        """A genome of the space that takes every decision from one of two parents. Raises NotInSpace."""
        return crossover(self, a, b, rng)

    def decisions(self) -> Decisions:
        """Genomes as sequences of masked decisions, for policies."""
        return Decisions(self)

    def features(self, genome: Genome) -> NDArray[np.float64]:
        """A vector of structural features, for surrogates."""
        return features(genome)

    def fingerprint(self, genome: Genome) -> str:
        """Equal exactly when two genomes build the same network."""
        return fingerprint(genome)

    def to_text(self, genome: Genome) -> str:
        """The canonical text."""
        return genome.to_text()

    def from_text(self, text: str) -> Genome:
        """The inverse of `to_text`; raises InvalidGenome, or NotInSpace for a genome of another space."""
        genome = Genome.from_text(text)
        self.check(genome)
        return genome
