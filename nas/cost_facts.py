"""What a network costs, as JSON-ready facts."""

from __future__ import annotations

import dataclasses
from typing import Any

import typer

from nas.designs import BASELINE, Design
from search_space.catalog import SPINENET_49
from search_space.cost import Head, NetworkCost, network_cost
from search_space.cost_terms import Cost
from search_space.graph import resolve
from search_space.scaling import Scaling


def cost_facts(design: Design) -> dict[str, Any]:
    """Of the backbone, the heads and both: `flops` are multiply-adds, `training_memory` bytes an image."""
    cost = network_cost(design.genome, design.scaling, design.input_size, design.head)
    words = {
        "name": design.name,
        "genome": design.genome.to_text(),
        "caveat": design.caveat,
        "dead_nodes": list(resolve(design.genome).dead),
    }
    return words | _facts(design.scaling, design.head, design.input_size, cost)


def baseline_facts(input_size: int) -> dict[str, Any]:
    """Of ResNet-50-FPN, with SpineNet-49's heads: counted on the network, run on shapes."""
    from proxy_trainer.network.baseline import resnet_fpn_plan
    from proxy_trainer.network.declare import declare
    from proxy_trainer.network.kept import kept_elements

    scaling, head = Scaling(), Head()
    backbone = resnet_fpn_plan(scaling)
    declared = declare(backbone, input_size)
    flops = sum(declared.multiply_adds.values())
    # The heads are those of any backbone with outputs on levels 3 to 7.
    cost = NetworkCost(
        Cost(declared.parameters, flops, kept_elements(backbone, input_size)),
        network_cost(SPINENET_49, scaling, input_size, head).heads,
    )
    words: dict[str, Any] = {"name": BASELINE, "genome": None, "caveat": "", "dead_nodes": []}
    return words | _facts(scaling, head, input_size, cost)


def _facts(scaling: Scaling, head: Head, input_size: int, cost: NetworkCost) -> dict[str, Any]:
    parts = {
        "backbone": NetworkCost(cost.backbone, Cost()),
        "heads": NetworkCost(Cost(), cost.heads),
        "detector": cost,
    }
    return {
        "scaling": dataclasses.asdict(scaling),
        "head": dataclasses.asdict(head),
        "input_size": input_size,
        **{
            name: {
                "params": part.total.params,
                "flops": part.total.flops,
                "training_memory": part.training_memory,
            }
            for name, part in parts.items()
        },
    }


def print_cost(facts: dict[str, Any]) -> None:
    """The same for people."""
    scaling, head = facts["scaling"], facts["head"]
    typer.echo(f"{facts['name']} at {facts['input_size']} px")
    typer.echo(
        f"width {scaling['width']:g}, alpha {scaling['alpha']:g}, endpoints {scaling['endpoint_width']}, "
        f"repeats {scaling['repeats']}; heads {head['convs']} x {head['width']}, {head['classes']} classes"
    )
    for part in ("backbone", "heads", "detector"):
        cost = facts[part]
        typer.echo(f"{part:<9} {cost['params']:>12,} parameters  {cost['flops'] / 1e9:>9.2f} B multiply-adds")
    memory = facts["detector"]["training_memory"] / 2**20
    typer.echo(f"one more image in a training batch takes about {memory:,.0f} MiB")
    if facts["caveat"]:
        typer.echo(facts["caveat"])
    if facts["dead_nodes"]:
        typer.echo(f"dead nodes, which are not built: {', '.join(map(str, facts['dead_nodes']))}")
