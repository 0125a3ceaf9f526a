"""The commands about what counts as good: other rewards, and the front of several objectives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

Root = Annotated[
    Path | None, typer.Option("--root", help="Where campaigns live; default: $NAS_HOME, or ./campaigns.")
]
Name = Annotated[str, typer.Argument(help="The campaign's name.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def rescore(
    name: Name,
    words: Annotated[
        str,
        typer.Option(
            "--reward", help="A metric, a rule ('kind: soft, ...'), or a YAML file.", show_default=False
        ),
    ],
    label: Annotated[str, typer.Option("--as", help="What to call these rewards.", show_default=False)],
    as_json: AsJson = False,
    root: Root = None,
) -> None:
    """Reward a campaign's trials by another rule, from what was measured; what it was told stays."""
    from nas import folder
    from nas.rescore import rescore as rescored
    from nas.rescore import rule
    from results_db.store import Store

    config = rule(words)
    place = folder.find(folder.root(root), name)
    with Store.open(place.database) as store:
        found = rescored(store, name, config, label)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    typer.echo(f"rewarded {found['rewarded']} of {found['finished']} finished trials as {label}")
    typer.echo(f"see the best with  nas top {name} --rewards {label}")


def front(name: Name, as_json: AsJson = False, root: Root = None) -> None:
    """The trials that no other beats in all objectives."""
    from rich.console import Console

    from nas import facts, folder, launch
    from nas.report import print_front
    from results_db.store import Store

    place, config = launch.find(folder.root(root), name)
    with Store.read(place.database) as store:
        rows = facts.front(store, config)
    if as_json:
        typer.echo(json.dumps(rows, indent=2, allow_nan=False))
    else:
        print_front(Console(highlight=False), name, rows)


def register(app: Any) -> None:
    """Add the commands to the command line."""
    app.command()(rescore)
    app.command()(front)
