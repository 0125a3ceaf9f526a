"""The commands about what counts as good: other rewards, and the front of several objectives."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nas.cli_words import AsJson, Name, Root, print_json
from nas.terminal import console


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
    from nas.errors import Refusal
    from nas.rescore import rescore as rescored
    from nas.rescore import rule
    from results_db.store import Store

    config = rule(words)
    place = folder.find(folder.root(root), name)
    with Store.open(url := place.database) as store:
        found = rescored(store, name, config, label)
    if place.database != url:
        raise Refusal(f"campaign {name!r} was moved to another database meanwhile; rescore it once more")
    if as_json:
        print_json(found)
        return
    typer.echo(f"rewarded {found['rewarded']} of {found['finished']} finished trials as {label}")
    typer.echo(f"see the best with  nas top {name} --rewards {label}")


def front(name: Name, as_json: AsJson = False, root: Root = None) -> None:
    """The trials that no other beats in all objectives."""

    from nas import facts, folder, launch
    from nas.report import print_front
    from results_db.store import Store

    place, config = launch.find(folder.root(root), name)
    with Store.read(place.database) as store:
        rows = facts.front(store, config)
    if as_json:
        print_json(rows)
    else:
        print_front(console(), name, rows)


def register(app: Any) -> None:
    """Add the commands to the command line."""
    app.command()(rescore)
    app.command()(front)
