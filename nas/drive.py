"""Running a campaign in front of a user: live progress, and what to type next."""

from __future__ import annotations

from pathlib import Path

import typer

from nas import control, engine_noise, facts, finalists, interrupts, launch, progress
from nas.config import FinalistsConfig
from nas.errors import INTERRUPTED
from nas.report import print_end
from nas.terminal import console


def drive(root: Path, name: str, go_on: str) -> None:
    """Run a campaign that exists and show it; when asked to stop, say that `go_on` goes on with it."""
    place, config = launch.find(root, name)
    try:
        with interrupts.heeded() as asked, launch.driving(place, config) as driven:
            with (
                engine_noise.moved_to(place.log) as terminal,
                progress.shown(driven.campaign, terminal, str(place.path), asked) as view,
            ):
                launch.run(driven, view, asked)
            print_end(console(), name, driven.campaign.snapshot(), facts.top(driven.store, name, 5))
    except KeyboardInterrupt:
        typer.echo(f"stopped; go on with: {go_on}", err=True)
        raise typer.Exit(INTERRUPTED) from None


def drive_finalists(root: Path, name: str, wanted: FinalistsConfig | None) -> None:
    """Train a campaign's finalists, or go on with them, and show where they stand."""
    made = finalists.prepare(root, name, wanted)
    drive(root, made.name, go_on=f"nas finalists {name}")
    found = finalists.standing(root, name)
    if found:
        finalists.print_finalists(console(), name, finalists.finalist_facts(found))


def drive_control(root: Path, name: str) -> None:
    """Run a campaign's control, or go on with it, and compare the two."""
    made = control.prepare(root, name)
    drive(root, made.name, go_on=f"nas control {name}")
    control.print_control(console(), control.control_facts(root, name))
