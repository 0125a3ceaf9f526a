"""The command `nas simulate`: controllers on tables and made-up landscapes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nas.cli_words import AsJson, print_json
from nas.terminal import console


def simulate(
    config: Annotated[Path, typer.Argument(help="A simulation's config, in YAML.", show_default=False)],
    processes: Annotated[int, typer.Option(min=1, help="Processes to use.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Try controllers without any training: on public tables, or on made-up landscapes."""

    from nas.simulation.config import load
    from nas.simulation.report import print_simulation, simulation_facts
    from nas.simulation.run import courses

    loaded = load(config)
    whole = len(loaded.tasks) * len(loaded.controllers) * loaded.seeds
    shown, found = console(stderr=True), []
    with shown.status("") as status:
        for course in courses(loaded, processes):
            found.append(course)
            status.update(f"{len(found)} of {whole} simulated campaigns")
    rows = simulation_facts(loaded, found)
    if as_json:
        print_json({"name": loaded.name, "rows": rows})
    else:
        print_simulation(console(), loaded, rows)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(simulate)
