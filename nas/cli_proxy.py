"""The commands `nas proxy`: which proxy to search with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nas.cli_words import AsJson, Root, print_json
from nas.terminal import console

app = typer.Typer(help="Which proxy to search with.", rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Keeps `study` a command of its own while it is the only one."""


@app.command()
def study(
    config: Annotated[Path, typer.Argument(help="A study's config, in YAML.", show_default=False)],
    arm: Annotated[
        list[str] | None, typer.Option("--arm", help="Train only this arm; may be given several times.")
    ] = None,
    report: Annotated[bool, typer.Option("--report", help="Train nothing: report what is there.")] = False,
    as_json: AsJson = False,
    root: Root = None,
) -> None:
    """Train genomes with a reference recipe and with candidates, and say which candidate ranks best."""

    from nas import folder
    from nas.proxy_study.config import load
    from nas.proxy_study.report import print_study, study_facts
    from nas.proxy_study.run import run_study, tables

    if as_json and not report:
        raise typer.BadParameter("--json goes with --report: training prints its progress")
    if arm and report:
        raise typer.BadParameter("--arm says what to train: --report shows all arms that are complete")
    loaded = load(config)
    where = folder.root(root)
    if not report:
        run_study(loaded, where, go_on=f"nas proxy study {config}", arms=arm or ())
        if arm:
            typer.echo(f"see what is there with  nas proxy study {config} --report")
            return
    trained = tables(loaded, where)
    facts = study_facts(loaded.texts(), trained)
    facts["untrained"] = [name for name in loaded.arms if name not in trained]
    if as_json:
        print_json(facts)
    else:
        print_study(console(), loaded.name, facts)
