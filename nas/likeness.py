"""How near a campaign's best came to a known network, against what random genomes come to."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table

from search_space.genome import Genome
from search_space.similarity import distance, wiring
from search_space.space import SpineNetSpace

ROWS: Final = {
    "jump": "mean level jump of an edge",
    "jumping": "edges that jump two levels or more",
    "long": "edges that span five nodes or more",
    "turns": "turns of the level along the order",
    "dead": "blocks that no output needs",
}


def likeness_facts(
    best: Sequence[tuple[int, Genome]], target: Genome, space: SpineNetSpace, samples: int
) -> dict[str, Any]:
    """Of the best trials (number and genome): distance to the target, wiring, and shares of random genomes.

    `nearer` is the share of random genomes of the space that lie nearer to the target: by chance 0.5.
    `below` gives, for every figure of the wiring, the share of random genomes below it.
    """
    rng = np.random.default_rng(0)
    others = [space.sample(rng) for _ in range(samples)]
    distances = np.array([distance(other, target) for other in others])
    figures = [dataclasses.asdict(wiring(other)) for other in others]
    columns = {name: np.array([row[name] for row in figures], float) for name in ROWS}

    def described(genome: Genome) -> dict[str, Any]:
        mine = dataclasses.asdict(wiring(genome))
        far = distance(genome, target)
        return {
            "distance": far,
            "nearer": float((distances < far).mean() + (distances == far).mean() / 2),
            "wiring": mine,
            "below": {
                name: float((column < mine[name]).mean() + (column == mine[name]).mean() / 2)
                for name, column in columns.items()
            },
        }

    return {
        "samples": samples,
        "random": {
            "distance": float(np.median(distances)),
            "wiring": {name: float(np.median(column)) for name, column in columns.items()},
        },
        "target": described(target),
        "best": [{"number": number, **described(genome)} for number, genome in best],
    }


def print_likeness(console: Console, name: str, target: str, facts: dict[str, Any]) -> None:
    """The same for people: the best trial beside the target and the median random genome."""
    first, *others = facts["best"]
    table = Table(title=f"{name}: its best beside {target}", title_justify="left")
    for heading in ("", f"trial {first['number']}", "random below", target, "random median"):
        table.add_column(heading, justify="right" if heading else "left")
    table.add_row(
        f"distance to {target}",
        f"{first['distance']:.3f}",
        f"{first['nearer']:.1%}",
        "0",
        f"{facts['random']['distance']:.3f}",
    )
    for key, words in ROWS.items():
        table.add_row(
            words,
            f"{first['wiring'][key]:.3g}",
            f"{first['below'][key]:.1%}",
            f"{facts['target']['wiring'][key]:.3g}",
            f"{facts['random']['wiring'][key]:.3g}",
        )
    console.print(table)
    if others:
        near = ", ".join(f"trial {each['number']} {each['distance']:.3f}" for each in others)
        console.print(f"distances of the next best: {near}")
    console.print(
        f"Distances go from 0 (the same network) to 1; {first['nearer']:.1%} of {facts['samples']:,} random "
        f"genomes lie nearer to {target} than trial {first['number']}."
    )
