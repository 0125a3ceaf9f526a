"""The parts of a node: conv units, blocks, block groups and resampling edges.

Semantics: TF Model Garden's SpineNet (Du et al., section 3.2, figure 5).
"""

from __future__ import annotations

from typing import TypeVar, assert_never

from proxy_trainer.network.ops import Ops
from search_space.genome import BlockKind
from search_space.scaling import EXPANSION, squeezed_width

T = TypeVar("T")


def unit(ops: Ops[T], name: str, x: T, filters: int, kernel: int, stride: int = 1) -> T:
    """Convolution and batch norm."""
    return ops.norm(f"{name}/norm", ops.conv(f"{name}/conv", x, filters, kernel, stride))


def active_unit(ops: Ops[T], name: str, x: T, filters: int, kernel: int, stride: int = 1) -> T:
    """Convolution, batch norm and activation."""
    return ops.norm(f"{name}/norm", ops.conv(f"{name}/conv", x, filters, kernel, stride), activated=True)


def block(  # noqa: PLR0913 - a block is told by these five
    ops: Ops[T], name: str, x: T, kind: BlockKind, width: int, *, stride: int = 1, project: bool = False
) -> T:
    """One residual block of feature width `width`; `project` puts a 1x1 conv on the shortcut."""
    match kind:
        case BlockKind.BOTTLENECK:
            filters = 4 * width
            branch = active_unit(ops, f"{name}/reduce", x, width, 1)
            branch = active_unit(ops, f"{name}/feature", branch, width, 3, stride)
            branch = unit(ops, f"{name}/expand", branch, filters, 1)
        case BlockKind.RESIDUAL:
            filters = width
            branch = active_unit(ops, f"{name}/feature", x, width, 3, stride)
            branch = unit(ops, f"{name}/expand", branch, filters, 3)
        case BlockKind.MBCONV:
            return mbconv(ops, name, x, width, stride=stride)
        case _:
            assert_never(kind)
    shortcut = unit(ops, f"{name}/shortcut", x, filters, 1, stride) if project else x
    return ops.activate(ops.add((shortcut, branch)))


def mbconv(ops: Ops[T], name: str, x: T, filters: int, *, stride: int = 1) -> T:
    """A mobile inverted bottleneck with squeeze and excitation; nothing is activated after the sum.

    Without the sum where shapes differ. As in TF Model Garden the gate is a hard sigmoid.
    """
    channels = ops.channels(x)
    y = active_unit(ops, f"{name}/widen", x, EXPANSION * channels, 1)
    y = ops.depthwise(f"{name}/depthwise/conv", y, stride)
    y = ops.norm(f"{name}/depthwise/norm", y, activated=True)
    y = ops.excite(f"{name}/excitation", y, squeezed_width(channels))
    if stride == 1 and channels == filters:
        return ops.add((unit(ops, f"{name}/narrow", y, filters, 1), x))
    return unit(ops, f"{name}/project", y, filters, 1)


def group(  # noqa: PLR0913 - and a group has repeats besides
    ops: Ops[T], x: T, kind: BlockKind, width: int, repeats: int, *, stride: int = 1, project: bool = False
) -> T:
    """A chain of `repeats` blocks: the first takes the stride, the last one's output is the node's."""
    x = block(ops, "block0", x, kind, width, stride=stride, project=project)
    for index in range(1, repeats):
        x = block(ops, f"block{index}", x, kind, width)
    return x


def reduce(ops: Ops[T], name: str, x: T, reduced: int) -> T:
    """How an edge begins: a 1x1 conv to `reduced` channels."""
    return active_unit(ops, f"{name}/reduce", x, reduced, 1)


def resample(ops: Ops[T], name: str, x: T, filters: int, octaves: int) -> T:
    """How a reduced edge goes on: `octaves` halvings (negative: doublings), then a 1x1 conv to `filters`.

    The first halving is a 3x3/2 conv, further ones are max-pools. No activation at the end: it
    follows the sum of the edges.
    """
    if octaves > 0:
        x = active_unit(ops, f"{name}/down", x, ops.channels(x), 3, 2)
        for _ in range(octaves - 1):
            x = ops.max_pool(x)
    elif octaves < 0:
        x = ops.upsample(x, 2**-octaves)
    return unit(ops, f"{name}/expand", x, filters, 1)


def mobile_resample(ops: Ops[T], name: str, x: T, filters: int, octaves: int) -> T:
    """A mobile network's edge: a depthwise 3x3/2 conv for every halving, or doublings, then a 1x1 conv."""
    for octave in range(octaves):
        down = f"{name}/down{octave}"
        x = ops.norm(f"{down}/norm", ops.depthwise(f"{down}/conv", x, 2), activated=True)
    if octaves < 0:
        x = ops.upsample(x, 2**-octaves)
    return unit(ops, f"{name}/expand", x, filters, 1)
