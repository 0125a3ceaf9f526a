"""The command `nas simulate`: controllers on tables and made-up landscapes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def simulate(
    config: Annotated[Path, typer.Argument(help="A simulation's config, in YAML.", show_default=False)],
    processes: Annotated[int, typer.Option(min=1, help="Processes to use.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Try controllers without any training: on public tables, or on made-up landscapes."""
    from rich.console import Console

    from nas.simulation.config import load
    from nas.simulation.report import print_simulation, simulation_facts
    from nas.simulation.run import courses

    loaded = load(config)
    whole = len(loaded.tasks) * len(loaded.controllers) * loaded.seeds
    console, found = Console(stderr=True, highlight=False), []
    with console.status("") as status:
        for course in courses(loaded, processes):
            found.append(course)
            status.update(f"{len(found)} of {whole} simulated campaigns")
    rows = simulation_facts(loaded, found)
    if as_json:
        typer.echo(json.dumps({"name": loaded.name, "rows": rows}, indent=2))
    else:
        print_simulation(Console(highlight=False), loaded, rows)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(simulate)
