"""A genome: one scale-permuted architecture as pure structure.

It must never know a framework, a database, a trial or a reward.

Nodes are numbered through: the stem's nodes first, then the blocks in order, so that a parent is
always an earlier number (Du et al., CVPR 2020, section 3).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MIN_LEVEL: Final = 1
MAX_LEVEL: Final = 7
MAX_NODES: Final = 256


class InvalidGenome(ValueError):
    """A structure, or a text for one, that is no scale-permuted network."""


class BlockKind(StrEnum):
    """What a node computes; the value is the word in specs, the first letter the one in texts.

    MBCONV (Du et al., appendix A) makes a mobile network: all nodes are of that kind, or none is.
    """

    BOTTLENECK = "bottleneck"
    RESIDUAL = "residual"
    MBCONV = "mbconv"


_BY_LETTER: Final = {kind.value[0]: kind for kind in BlockKind}


def _check_level(where: str, level: int) -> None:
    if not MIN_LEVEL <= level <= MAX_LEVEL:
        raise InvalidGenome(f"{where}: level={level}, expected {MIN_LEVEL} to {MAX_LEVEL}")


@dataclass(frozen=True, slots=True)
class StemNode:
    """One block group of the scale-decreased stem; only a candidate may be a parent."""

    level: int
    kind: BlockKind = BlockKind.BOTTLENECK
    candidate: bool = True


@dataclass(frozen=True, slots=True)
class Stem:
    """The fixed head of the network: each node feeds the next one.

    Before the first node stand a 7x7/2 conv and a pool; in a mobile network a 3x3/2 conv only, so
    that its first node may lie on level 1.
    """

    nodes: tuple[StemNode, ...]

    def __post_init__(self) -> None:
        for index, node in enumerate(self.nodes):
            _check_level(f"stem node {index}", node.level)
            if index and node.level < self.nodes[index - 1].level:
                raise InvalidGenome(f"stem node {index}: level={node.level} is finer than the one before it")
        if len(self.candidates) < 2:
            raise InvalidGenome(f"stem: {len(self.candidates)} candidate parents, expected at least 2")

    @property
    def candidates(self) -> tuple[int, ...]:
        """The node numbers that blocks may take as parents."""
        return tuple(index for index, node in enumerate(self.nodes) if node.candidate)


@dataclass(frozen=True, slots=True)
class BlockGene:
    """One searched block. `parents` are two distinct node numbers, kept sorted: they are unordered."""

    level: int
    kind: BlockKind
    parents: tuple[int, int]
    output: bool = False

    def __post_init__(self) -> None:
        a, b = self.parents
        if a > b:
            object.__setattr__(self, "parents", (b, a))


@dataclass(frozen=True, slots=True)
class Genome:
    """A stem and the blocks after it. It determines the network by itself.

    Raises InvalidGenome for parents that are not two distinct, earlier, candidate nodes, for two
    outputs on one level, and for a network without outputs.
    """

    stem: Stem
    blocks: tuple[BlockGene, ...]

    def __post_init__(self) -> None:
        first = len(self.stem.nodes)
        if first + len(self.blocks) > MAX_NODES:
            raise InvalidGenome(f"{first + len(self.blocks)} nodes, expected at most {MAX_NODES}")
        levels: set[int] = set()
        for node, block in enumerate(self.blocks, start=first):
            _check_level(f"node {node}", block.level)
            a, b = block.parents
            if not 0 <= a < b < node:
                raise InvalidGenome(f"node {node}: parents={block.parents}, expected 0 <= a < b < {node}")
            for parent in (a, b):
                if parent < first and not self.stem.nodes[parent].candidate:
                    raise InvalidGenome(f"node {node}: parent {parent} is a stem node that is no candidate")
            if block.output and block.level in levels:
                raise InvalidGenome(f"node {node}: a second output on level {block.level}")
            if block.output:
                levels.add(block.level)
        if not levels:
            raise InvalidGenome("no block is an output, expected at least one")
        kinds = [node.kind for node in self.stem.nodes] + [block.kind for block in self.blocks]
        mobile = [kind is BlockKind.MBCONV for kind in kinds]
        if any(mobile) and not all(mobile):
            node = mobile.index(not mobile[0])
            raise InvalidGenome(
                f"node {node}: kind={kinds[node]}, but node 0 is {kinds[0]}; "
                "expected mbconv everywhere or nowhere"
            )

    def __len__(self) -> int:
        """How many nodes there are, the stem's included."""
        return len(self.stem.nodes) + len(self.blocks)

    @property
    def mobile(self) -> bool:
        """Whether its nodes are MBConv blocks, which changes its stem, its edges and its heads too."""
        return self.stem.nodes[0].kind is BlockKind.MBCONV

    def level(self, node: int) -> int:
        """The level of a node, by its number."""
        first = len(self.stem.nodes)
        return self.stem.nodes[node].level if node < first else self.blocks[node - first].level

    def kind(self, node: int) -> BlockKind:
        """The block kind of a node, by its number."""
        first = len(self.stem.nodes)
        return self.stem.nodes[node].kind if node < first else self.blocks[node - first].kind

    @property
    def outputs(self) -> dict[int, int]:
        """The output node of each output level, in order of level."""
        first = len(self.stem.nodes)
        found = {block.level: node for node, block in enumerate(self.blocks, first) if block.output}
        return dict(sorted(found.items()))

    def to_text(self) -> str:
        """The canonical text: `2b* 2b* | 2b:0,1 4r:0,1 ... 4b:5,10^` (* candidate, ^ output)."""
        stem = (f"{n.level}{n.kind[0]}{'*' if n.candidate else ''}" for n in self.stem.nodes)
        blocks = (
            f"{b.level}{b.kind[0]}:{b.parents[0]},{b.parents[1]}{'^' if b.output else ''}"
            for b in self.blocks
        )
        return f"{' '.join(stem)} | {' '.join(blocks)}"

    @staticmethod
    def from_text(text: str) -> Genome:
        """The inverse of `to_text`; raises InvalidGenome with the word that it could not read."""
        halves = text.split("|")
        if len(halves) != 2:
            raise InvalidGenome(f"genome text: {len(halves) - 1} '|', expected one between stem and blocks")
        stem = Stem(tuple(_stem_node(word) for word in halves[0].split()))
        return Genome(stem, tuple(_block(word) for word in halves[1].split()))


_LETTERS: Final = "".join(_BY_LETTER)
_STEM_WORD: Final = re.compile(rf"([0-9])([{_LETTERS}])(\*?)", re.ASCII)
_BLOCK_WORD: Final = re.compile(rf"([0-9])([{_LETTERS}]):([0-9]{{1,3}}),([0-9]{{1,3}})(\^?)", re.ASCII)


def _stem_node(word: str) -> StemNode:
    match = _STEM_WORD.fullmatch(word)
    if match is None:
        raise InvalidGenome(f"genome text: stem node {word[:40]!r}, expected like '2b*'")
    return StemNode(int(match[1]), _BY_LETTER[match[2]], match[3] == "*")


def _block(word: str) -> BlockGene:
    match = _BLOCK_WORD.fullmatch(word)
    if match is None:
        raise InvalidGenome(f"genome text: block {word[:40]!r}, expected like '4r:0,1' or '4b:5,10^'")
    return BlockGene(int(match[1]), _BY_LETTER[match[2]], (int(match[3]), int(match[4])), match[5] == "^")
