"""The commands that say how sure a result is: finalists, and random search beside a campaign."""

from __future__ import annotations

from typing import Annotated

import typer

from nas.cli_words import Name, Root, print_json
from nas.terminal import console


def finalists(
    name: Name,
    best: Annotated[int | None, typer.Option("--top", min=1, max=1000, help="How many of the best.")] = None,
    seeds: Annotated[int | None, typer.Option(min=2, max=100, help="Trainings of each.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Train nothing; print what is there.")] = False,
    root: Root = None,
) -> None:
    """Train a campaign's best again with new seeds, judged by pictures that no reward came from."""
    from nas import finalists as again
    from nas import folder
    from nas.config import FinalistsConfig
    from nas.drive import drive_finalists
    from nas.errors import Refusal
    from nas.launch import find

    where = folder.root(root)
    again.check_searches(name)
    if not as_json:
        defaults = find(where, name)[1].finalists or FinalistsConfig()
        wanted = FinalistsConfig(top=best or defaults.top, seeds=seeds or defaults.seeds)
        drive_finalists(where, name, wanted if best or seeds else None)
        return
    found = again.standing(where, name)
    if found is None:
        raise Refusal(f"campaign {name!r} has no finalists yet; `nas finalists {name}` trains them")
    print_json(again.finalist_facts(found))


def control(
    name: Name,
    report: Annotated[bool, typer.Option("--report", help="Train nothing; compare what is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Train nothing; print JSON.")] = False,
    root: Root = None,
) -> None:
    """Run random search with a campaign's budget, or go on with it, and compare the two."""

    from nas import folder
    from nas.control import control_facts, print_control
    from nas.drive import drive_control

    where = folder.root(root)
    if not report and not as_json:
        drive_control(where, name)
        return
    facts = control_facts(where, name)
    if as_json:
        print_json(facts)
    else:
        print_control(console(), facts)


def register(app: typer.Typer) -> None:
    """Add them."""
    app.command()(finalists)
    app.command()(control)
