"""A child of two genomes: order crossover on the permutations, a coin for everything else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from search_space.decisions import Choices, Decisions
from search_space.genome import Genome

if TYPE_CHECKING:  # space.py delegates to this module
    from search_space.space import SpineNetSpace


def crossover(space: SpineNetSpace, a: Genome, b: Genome, rng: np.random.Generator) -> Genome:
    """A genome of the space; crossing a genome with itself gives it back.

    Works on the canonical decisions. Parents are inherited by place (where they are always allowed),
    offset and kind by labelled block, because they belong to the block wherever it stands. Raises
    NotInSpace.
    """
    sites = Decisions(space)
    mother, father = sites.encode_groups(a), sites.encode_groups(b)
    order = order_crossover(mother.order, father.order, rng)
    output_order = order_crossover(mother.output_order, father.output_order, rng)
    inner = len(order)
    labels = (*order, *(inner + label for label in output_order))
    parents = tuple((x, y)[int(rng.integers(2))] for x, y in zip(mother.parents, father.parents, strict=True))
    by_block = (_by_label(mother), _by_label(father))
    kept = {label: by_block[int(rng.integers(2))][label] for label in labels}
    offsets = tuple(kept[label][0] for label in labels[:inner]) if mother.offsets else ()
    kinds = tuple(kept[label][1] for label in labels) if mother.kinds else ()
    return sites.decode(tuple(Choices(order, output_order, parents, offsets, kinds)))


def order_crossover(a: Sequence[int], b: Sequence[int], rng: np.random.Generator) -> tuple[int, ...]:
    """A random stretch of one permutation, the rest filled in the order of the other (Davis, 1985)."""
    if rng.integers(2):
        a, b = b, a
    start, stop = sorted(int(cut) for cut in rng.integers(len(a) + 1, size=2))
    kept = a[start:stop]
    rest = [label for label in b if label not in kept]
    return (*rest[:start], *kept, *rest[start:])


def _by_label(choices: Choices) -> dict[int, tuple[int, int]]:
    """The offset and the kind of each labelled block; the labels of outputs come after the others."""
    inner = len(choices.order)
    labels = (*choices.order, *(inner + label for label in choices.output_order))
    offsets = (*choices.offsets, *(0,) * (len(labels) - len(choices.offsets)))
    kinds = choices.kinds or (0,) * len(labels)
    return {label: (offset, kind) for label, offset, kind in zip(labels, offsets, kinds, strict=True)}
