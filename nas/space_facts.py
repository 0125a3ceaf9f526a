"""What is known of a space: what is searched, how large it is, what its random genomes are like."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nas.designs import DEFAULT
from search_space.cost import network_costs
from search_space.genome import Genome
from search_space.graph import resolve
from search_space.size import space_size
from search_space.space import SpineNetSpace

QUANTILES: Final = (0.0, 0.05, 0.5, 0.95, 1.0)


def space_facts(space: SpineNetSpace, samples: int, seed: int) -> dict[str, Any]:
    """Everything as JSON-ready facts; costs are of full-size backbones as SpineNet-49 is."""
    rng = np.random.default_rng(seed)
    genomes = [space.sample(rng) for _ in range(samples)]
    with_window, without = space_size(space), space_size(dataclasses.replace(space, window=None))
    every = network_costs(genomes, DEFAULT.scaling, DEFAULT.input_size)
    costs = every.backbone
    memory = [every.one(row).training_memory for row in range(samples)]
    return {
        "name": space.name,
        "stem": [
            {"level": node.level, "kind": node.kind.value, "candidate": node.candidate}
            for node in space.stem.nodes
        ],
        "intermediates": {str(level): count for level, count in Counter(space.intermediates).items()},
        "outputs": list(space.outputs),
        "offsets": list(space.offsets),
        "kinds": [kind.value for kind in space.kinds],
        "window": space.window,
        "inferred": list(space.inferred),
        "log10_size": {
            "labelled": with_window.labelled,
            "distinct": with_window.distinct,
            "labelled_without_window": without.labelled,
            "distinct_without_window": without.distinct,
        },
        "sample": {
            "genomes": samples,
            "seed": seed,
            "with_dead_blocks": sum(_has_dead_block(genome) for genome in genomes) / samples,
            "with_level_1_blocks": sum(_has_level_1(genome) for genome in genomes) / samples,
            "quantiles": list(QUANTILES),
            "params": [int(value) for value in np.quantile(costs[:, 0], QUANTILES)],
            "flops": [int(value) for value in np.quantile(costs[:, 1], QUANTILES)],
            "training_memory": [int(value) for value in np.quantile(memory, QUANTILES)],
        },
    }


def print_space(console: Console, facts: dict[str, Any]) -> None:
    """The same for people."""
    inferred = facts["inferred"]

    def line(name: str, text: str) -> None:
        mark = "  [yellow](inferred, not published)[/]" if name in inferred else ""
        console.print(f"[dim]{name:<14}[/]{text}{mark}", markup=True)

    console.print(Text(f"{facts['name']}\n", style="bold"))
    line("stem", " ".join(f"L{n['level']}{'*' if n['candidate'] else ''}" for n in facts["stem"]))
    blocks = " ".join(f"{count}xL{level}" for level, count in facts["intermediates"].items())
    line("intermediates", f"{blocks}, in any order")
    line("outputs", f"{' '.join(f'L{level}' for level in facts['outputs'])}, in any order")
    line("offsets", " ".join(f"{offset:+d}" if offset else "0" for offset in facts["offsets"]))
    line("kinds", " ".join(facts["kinds"]))
    window = facts["window"]
    line("window", "all earlier nodes" if window is None else f"parents among the last {window} nodes")
    console.print("\n[dim]* candidate parent; an output may take any earlier node[/]\n", markup=True)
    console.print(_sizes(facts["log10_size"]))
    sample = facts["sample"]
    console.print(
        f"\n[dim]of {sample['genomes']:,} random genomes[/]  {sample['with_dead_blocks']:.0%} have dead "
        f"blocks, {sample['with_level_1_blocks']:.0%} have blocks on level 1",
        markup=True,
    )
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column(f"full-size backbone at {DEFAULT.input_size} px")
    for name in ("least", "5 %", "median", "95 %", "most"):
        table.add_column(name, justify="right")
    table.add_row("parameters", *(f"{value / 1e6:.1f} M" for value in sample["params"]))
    table.add_row("multiply-adds", *(f"{value / 1e9:.1f} B" for value in sample["flops"]))
    table.add_row("training memory", *(f"{value / 2**20:.0f} MiB" for value in sample["training_memory"]))
    console.print(table)


def _sizes(sizes: dict[str, float]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("size", "labelled", "distinct"):
        table.add_column(name, justify="left" if name == "size" else "right")
    for row, suffix in (("with the window", ""), ("without it", "_without_window")):
        table.add_row(row, *(f"10^{sizes[kind + suffix]:.1f}" for kind in ("labelled", "distinct")))
    return table


def _has_dead_block(genome: Genome) -> bool:
    return any(node >= len(genome.stem.nodes) for node in resolve(genome).dead)


def _has_level_1(genome: Genome) -> bool:
    return any(block.level == 1 for block in genome.blocks)
