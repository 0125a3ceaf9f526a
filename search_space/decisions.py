"""A genome as a sequence of masked categorical decisions, in the paper's order.

The order of the intermediates (drawn without replacement from the labelled base blocks), the order
of the outputs, then for each block one unordered pair of parents out of all allowed pairs, then each
intermediate's level offset, then each block's kind (Du et al., CVPR 2020, section 3.1). Decisions
that a space leaves no choice in (a single offset, a single kind) are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations, islice
from math import comb
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from search_space.genome import BlockGene, Genome

if TYPE_CHECKING:  # space.py delegates to this module
    from search_space.space import SpineNetSpace


class InvalidDecisions(ValueError):
    """A sequence of choices that the sites and their masks do not allow."""


@dataclass(frozen=True, slots=True)
class Site:
    """One decision: a choice is an integer from 0 to options - 1, where the mask allows it."""

    name: str
    options: int


@dataclass(frozen=True, slots=True)
class Choices:
    """All choices, group by group; `offsets` and `kinds` are empty where the space leaves no choice.

    `order` and `output_order` hold labels: indices into the space's `intermediates` and `outputs`.
    `parents` holds an index into the allowed pairs for each block, `offsets` and `kinds` one into
    the space's for each block in order.
    """

    order: tuple[int, ...]
    output_order: tuple[int, ...]
    parents: tuple[int, ...]
    offsets: tuple[int, ...]
    kinds: tuple[int, ...]

    def __iter__(self) -> Iterator[int]:
        """The choices in the order of the sites."""
        for group in (self.order, self.output_order, self.parents, self.offsets, self.kinds):
            yield from group


@dataclass(frozen=True, slots=True)
class Decisions:
    """The decision sites of a space, and the way from choices to genomes and back.

    Several sequences may give one genome; `encode` returns the same one for equal genomes.
    """

    space: SpineNetSpace
    sites: tuple[Site, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sites", _sites(self.space))

    def mask(self, prefix: Sequence[int]) -> NDArray[np.bool_]:
        """Which options of the site after this prefix are open: a boolean array, as long as its options."""
        index = len(prefix)
        open_options = np.ones(self.sites[index].options, dtype=np.bool_)
        inner = len(self.space.intermediates)
        start = 0 if index < inner else inner
        if index < inner + len(self.space.outputs):
            open_options[list(prefix[start:])] = False
        return open_options

    def draw(self, rng: np.random.Generator) -> tuple[int, ...]:
        """Uniform choices, each among the open options."""
        prefix: list[int] = []
        while len(prefix) < len(self.sites):
            options = np.flatnonzero(self.mask(prefix))
            prefix.append(int(options[rng.integers(len(options))]))
        return tuple(prefix)

    def decode(self, choices: Sequence[int]) -> Genome:
        """The genome that these choices give. Raises InvalidDecisions."""
        self._check(choices)
        groups = self.split(choices)
        space = self.space
        levels = [space.intermediates[label] for label in groups.order]
        if groups.offsets:
            levels = [level + space.offsets[k] for level, k in zip(levels, groups.offsets, strict=True)]
        else:
            levels = [level + space.offsets[0] for level in levels]
        levels += [space.outputs[label] for label in groups.output_order]
        kinds = groups.kinds or (0,) * space.blocks
        blocks = tuple(
            BlockGene(
                levels[place],
                space.kinds[kinds[place]],
                next(islice(combinations(space.allowed_parents(place), 2), groups.parents[place], None)),
                place >= len(space.intermediates),
            )
            for place in range(space.blocks)
        )
        return Genome(space.stem, blocks)

    def encode(self, genome: Genome) -> tuple[int, ...]:
        """The canonical choices that `decode` turns into this genome. Raises NotInSpace."""
        return tuple(self.encode_groups(genome))

    def encode_groups(self, genome: Genome) -> Choices:
        """`encode`, group by group. Raises NotInSpace."""
        space = self.space
        order = space.base_blocks(genome)
        inner = len(order)
        shifts = (
            space.offsets.index(block.level - space.intermediates[label])
            for block, label in zip(genome.blocks, order, strict=False)  # the outputs have no base block
        )
        return Choices(
            order,
            tuple(space.outputs.index(block.level) for block in genome.blocks[inner:]),
            tuple(
                _pair_index(space.allowed_parents(place), block.parents)
                for place, block in enumerate(genome.blocks)
            ),
            tuple(shifts) if len(space.offsets) > 1 else (),
            tuple(space.kinds.index(block.kind) for block in genome.blocks) if len(space.kinds) > 1 else (),
        )

    def split(self, choices: Sequence[int]) -> Choices:
        """Choices in the order of the sites, group by group."""
        space = self.space
        inner, outputs, blocks = len(space.intermediates), len(space.outputs), space.blocks
        lengths = (inner, outputs, blocks, inner if len(space.offsets) > 1 else 0)
        rest = iter(choices)
        order, output_order, parents, offsets = (tuple(islice(rest, length)) for length in lengths)
        return Choices(order, output_order, parents, offsets, tuple(rest))

    def _check(self, choices: Sequence[int]) -> None:
        if len(choices) != len(self.sites):
            raise InvalidDecisions(f"{len(choices)} choices, expected {len(self.sites)}")
        for site, choice in zip(self.sites, choices, strict=True):
            if not 0 <= choice < site.options:
                raise InvalidDecisions(f"{site.name}: choice {choice}, expected 0 to {site.options - 1}")
        groups = self.split(choices)
        for name, order in (("order", groups.order), ("output order", groups.output_order)):
            if len(set(order)) != len(order):
                raise InvalidDecisions(f"{name}: {list(order)}, expected each block once")


@lru_cache(maxsize=16)  # half of what a sample costs
def _sites(space: SpineNetSpace) -> tuple[Site, ...]:
    return tuple(_each_site(space))


def _each_site(space: SpineNetSpace) -> Iterator[Site]:
    inner, outputs = len(space.intermediates), len(space.outputs)
    yield from (Site(f"order {place}", inner) for place in range(inner))
    yield from (Site(f"output order {place}", outputs) for place in range(outputs))
    for block in range(space.blocks):
        yield Site(f"parents {block}", comb(len(space.allowed_parents(block)), 2))
    if len(space.offsets) > 1:
        yield from (Site(f"offset {place}", len(space.offsets)) for place in range(inner))
    if len(space.kinds) > 1:
        yield from (Site(f"kind {block}", len(space.kinds)) for block in range(space.blocks))


def _pair_index(nodes: Sequence[int], pair: tuple[int, int]) -> int:
    """Where a pair stands among `combinations(nodes, 2)`."""
    a, b = nodes.index(pair[0]), nodes.index(pair[1])
    return a * (2 * len(nodes) - a - 1) // 2 + b - a - 1
