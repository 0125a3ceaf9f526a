"""Architectures as pictures: order from left to right, level from bottom to top, parents as curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nas.designs import Design
from search_space.cost import network_cost
from search_space.genome import MAX_LEVEL, BlockKind, Genome
from search_space.graph import Graph, resolve

FORMATS: Final = (".svg", ".pdf", ".png")

_SHAPES: Final = {BlockKind.BOTTLENECK: "s", BlockKind.RESIDUAL: "D", BlockKind.MBCONV: "h"}
_SIZE: Final = {BlockKind.BOTTLENECK: 19, BlockKind.RESIDUAL: 16, BlockKind.MBCONV: 21}
_STEM, _BLOCK, _OUTPUT = "#c9ced6", "#9ec5e8", "#f4b183"
_EDGE, _RAW, _DEAD, _DIFFERENT = "#6b7480", "#3a9d5d", "#b8bcc2", "#d62728"


def draw_designs(designs: Sequence[Design], path: Path) -> None:
    """Write a picture of one architecture, or of two with what differs in red. Raises OSError."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    most = max(len(design.genome) for design in designs)
    # Text stays text in vector files, so that papers can restyle it.
    with plt.rc_context({"svg.fonttype": "none", "pdf.fonttype": 42, "font.size": 9}):
        figure, grid = plt.subplots(
            len(designs),
            1,
            figsize=(0.62 * most + 1.2, 4.1 * len(designs)),
            squeeze=False,
            layout="constrained",
        )
        for axes, design, other in zip(grid[:, 0], designs, reversed(designs), strict=True):
            _draw(axes, design, differences(design.genome, other.genome))
        figure.savefig(path, dpi=160)
        plt.close(figure)


@dataclass(frozen=True, slots=True)
class Differences:
    """The nodes of a genome whose level, kind or role is another one elsewhere, and the edges not there."""

    nodes: frozenset[int]
    edges: frozenset[tuple[int, int]]


def differences(genome: Genome, other: Genome) -> Differences:
    """What a genome has that another one, node by node, has not."""

    def role(each: Genome, node: int) -> object:
        outputs = each.outputs.values()
        return (each.level(node), each.kind(node), node in outputs, node < len(each.stem.nodes))

    shared = min(len(genome), len(other))
    nodes = {node for node in range(len(genome)) if node >= shared or role(genome, node) != role(other, node)}
    return Differences(frozenset(nodes), frozenset(_parents(genome) - _parents(other)))


def _parents(genome: Genome) -> set[tuple[int, int]]:
    first = len(genome.stem.nodes)
    return {(parent, node) for node, block in enumerate(genome.blocks, first) for parent in block.parents}


def _draw(axes: Any, design: Design, different: Differences) -> None:
    genome, graph = design.genome, resolve(design.genome)
    _grid(axes, genome)
    _edges(axes, genome, graph, different)
    first = len(genome.stem.nodes)
    for node in range(len(genome)):
        kind, dead = genome.kind(node), node in graph.dead
        output = node >= first and genome.blocks[node - first].output
        fill = "white" if dead else _STEM if node < first else _OUTPUT if output else _BLOCK
        marked = node in different.nodes
        edge = _DIFFERENT if marked else _DEAD if dead else "#2f3b4a"
        axes.plot(
            node,
            genome.level(node),
            marker=_SHAPES[kind],
            markersize=_SIZE[kind],
            markerfacecolor=fill,
            markeredgecolor=edge,
            markeredgewidth=2.2 if marked else 1.8 if output else 1.0,
            linestyle="",
            zorder=3,
        )
        colour = _DEAD if dead else "black"
        axes.text(node, genome.level(node), str(node), ha="center", va="center", color=colour, zorder=4)
    for level, node in graph.outputs.items():
        axes.annotate(
            f"P{level}",
            (node, level),
            (len(genome) - 0.3, level),
            arrowprops={"arrowstyle": "<-", "color": _OUTPUT, "linewidth": 1.0, "shrinkB": 10},
            va="center",
            fontweight="bold",
        )
    axes.set_title(design.name, loc="left", fontweight="bold")
    axes.set_xlabel(_caption(design))


def _grid(axes: Any, genome: Genome) -> None:
    levels = range(min(genome.level(node) for node in range(len(genome))), MAX_LEVEL + 1)
    for level in levels:
        axes.axhline(level, color="#eceff3", linewidth=1, zorder=0)
    axes.set_yticks(list(levels), [f"L{level}\n1/{2**level}" for level in levels])
    axes.set_xticks([])
    axes.set_xlim(-0.8, len(genome) + 0.4)
    axes.set_ylim(levels[0] - 0.8, MAX_LEVEL + 0.8)
    axes.tick_params(length=0)
    for side in ("top", "right", "bottom", "left"):
        axes.spines[side].set_visible(False)


def _edges(axes: Any, genome: Genome, graph: Graph, different: Differences) -> None:
    first = len(genome.stem.nodes)
    for node in range(1, first):
        _curve(axes, (node - 1, genome.level(node - 1)), (node, genome.level(node)), color="#2f3b4a")
    for number, block in enumerate(genome.blocks, first):
        dead = number in graph.dead
        for parent in block.parents:
            level = genome.level(parent)
            colour = _DIFFERENT if (parent, number) in different.edges else _DEAD if dead else _EDGE
            _curve(axes, (parent, level), (number, block.level), color=colour, dashed=dead)
            if level != block.level and not dead:
                factor = 2 ** abs(block.level - level)
                arrow = "\N{DOWNWARDS ARROW}" if block.level > level else "\N{UPWARDS ARROW}"
                # At a quarter of the way from the child: there edges lie apart.
                x, y = parent + 0.72 * (number - parent), level + 0.84 * (block.level - level)
                box = {"facecolor": "white", "edgecolor": "none", "pad": 0.4}
                label = f"{arrow}{factor}"
                axes.text(
                    x, y, label, fontsize=6.5, color=colour, ha="center", va="center", bbox=box, zorder=2
                )
    for found in graph.nodes:
        for source in found.raw:
            _curve(axes, (source, genome.level(source)), (found.number, found.level), color=_RAW, dashed=True)


def _curve(
    axes: Any, start: tuple[int, int], end: tuple[int, int], *, color: str, dashed: bool = False
) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Curve

    (x0, y0), (x1, y1) = start, end
    bend = (x1 - x0) / 2
    # Between nodes of one level an arc, the higher the farther it goes: else it would cross the others.
    lift = 0.42 + 0.06 * (x1 - x0) if y0 == y1 and x1 - x0 > 1 else 0.0
    points = [(x0, y0), (x0 + bend, y0 + lift), (x1 - bend, y1 + lift), (x1, y1)]
    codes = [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4]
    style = (0, (3, 2)) if dashed else "solid"
    axes.add_patch(
        PathPatch(Curve(points, codes), fill=False, color=color, linewidth=1.1, linestyle=style, zorder=1)
    )


def _caption(design: Design) -> str:
    cost = network_cost(design.genome, design.scaling, design.input_size, design.head)
    kinds = {
        BlockKind.BOTTLENECK: "square: bottleneck",
        BlockKind.RESIDUAL: "diamond: residual",
        BlockKind.MBCONV: "hexagon: MBConv",
    }
    used = {design.genome.kind(node) for node in range(len(design.genome))}
    legend = ", ".join(text for kind, text in kinds.items() if kind in used)
    caveat = f" ({design.caveat})" if design.caveat else ""
    return (
        f"{design.input_size} px{caveat}: backbone {cost.backbone.params / 1e6:.2f} M parameters, "
        f"{cost.backbone.flops / 1e9:.2f} B multiply-adds; "
        f"with heads {cost.total.params / 1e6:.2f} M, {cost.total.flops / 1e9:.2f} B\n"
        f"{legend}; grey: stem; orange: output; green: dangling block added raw; dashed white: dead"
    )
