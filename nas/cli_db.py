"""The commands about databases: upgrade, check, copy."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nas.cli_words import AsJson, Root, print_json
from nas.redaction import one_line

app = typer.Typer(help="Databases: bring up to date, check, copy.", rich_markup_mode=None)

WRONG = 2

Where = Annotated[
    str, typer.Argument(help="A campaign's name, or a database URL.", metavar="NAME|URL", show_default=False)
]


@app.command()
def upgrade(where: Where, as_json: AsJson = False, root: Root = None) -> None:
    """Bring a database to the newest schema; earlier versions of SpineNAS don't read it any more then."""
    from nas import folder, upkeep

    found = upkeep.upgrade(upkeep.place(where, folder.root(root)))
    if as_json:
        print_json(found)
    elif found["before"] == found["now"]:
        typer.echo(f"{found['database']}: its schema is {found['now']}, the newest one")
    else:
        typer.echo(f"{found['database']}: upgraded from schema {found['before']} to {found['now']}")


@app.command()
def check(
    where: Where,
    replay: Annotated[
        bool, typer.Option("--replay", help="Ask a fresh controller for every proposal again (slow).")
    ] = False,
    as_json: AsJson = False,
    root: Root = None,
) -> None:
    """Look for damage: in the database itself, and in what its campaigns say of themselves."""
    from nas import folder, upkeep

    found = upkeep.checked(upkeep.place(where, folder.root(root)), replay=replay)
    if as_json:
        print_json(found)
    else:
        _print_check(found)
    if found["problems"] or any(campaign["problems"] for campaign in found["campaigns"]):
        raise typer.Exit(WRONG)


@app.command()
def copy(
    source: Annotated[
        str, typer.Argument(help="A campaign's name, or a database URL.", metavar="FROM", show_default=False)
    ],
    target: Annotated[
        str,
        typer.Argument(
            help="A database URL; nothing in it is overwritten.", metavar="TO", show_default=False
        ),
    ],
    campaign: Annotated[
        list[str] | None, typer.Option("--campaign", help="Only this one, of a URL's; may be repeated.")
    ] = None,
    switch: Annotated[
        bool, typer.Option("--switch", help="The campaign's folder uses TO from now on.")
    ] = False,
    as_json: AsJson = False,
    root: Root = None,
) -> None:
    """Copy campaigns to another database, SQLite or PostgreSQL, and compare every row."""
    from nas import folder, upkeep
    from nas.errors import Refusal

    place = upkeep.place(source, folder.root(root))
    if place.folder is None and switch:
        raise Refusal("--switch: FROM is a database, expected the name of a campaign")
    if place.folder is not None and campaign:
        raise Refusal("--campaign: FROM is a campaign already, expected a database URL there")
    found = upkeep.copied(place, target, campaign or [], switch=switch)
    if as_json:
        print_json(found)
        return
    for each in found["campaigns"]:
        rows = ", ".join(f"{count} {table}" for table, count in each["rows"].items() if count)
        typer.echo(f"copied {each['name']} to {found['to']}: {rows or 'no trials yet'}; every row is equal")
    if switch:
        typer.echo(f"go on there with  nas resume {source}")


def _print_check(found: dict[str, Any]) -> None:
    typer.echo(f"{found['database']}: schema {found['schema']}")
    for problem in found["problems"]:
        typer.echo(f"  {one_line(problem)}")
    for campaign in found["campaigns"]:
        replayed = ", all proposals asked for again" if campaign["replayed"] is not None else ""
        wrong = len(campaign["problems"]) + campaign["more_problems"]
        verdict = f"{wrong} problems" if wrong else "nothing wrong"
        name = one_line(campaign["name"])
        typer.echo(f"{name}: {campaign['trials']} trials, {campaign['ended']} ended{replayed}: {verdict}")
        for problem in campaign["problems"]:
            typer.echo(f"  {one_line(problem)}")
        if campaign["more_problems"]:
            typer.echo(f"  ... and {campaign['more_problems']} more")
