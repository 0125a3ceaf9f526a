"""The command `nas`. Each command imports what it runs inside its function, so that --help is instant."""

from __future__ import annotations

import sys
import tempfile
import traceback
from pathlib import Path
from typing import Annotated, NoReturn

import typer

import nas
from nas import cli_data, cli_db, cli_evidence, cli_proxy, cli_rewards, cli_simulate, cli_space
from nas.cli_words import AsJson, Name, Root, print_json, uncollected
from nas.errors import INTERRUPTED
from nas.terminal import console

BAD_INPUT = 2
LAST = 2**31 - 1  # trial numbers beyond it fit no database

app = typer.Typer(
    help="Search for scale-permuted detection backbones.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

app.add_typer(cli_data.app, name="data")
app.add_typer(cli_db.app, name="db")
app.add_typer(cli_proxy.app, name="proxy")
cli_evidence.register(app)
cli_rewards.register(app)
cli_space.register(app)
cli_simulate.register(app)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"nas {nas.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def run(
    config: Annotated[Path, typer.Argument(help="A campaign's config, in YAML.", show_default=False)],
    name: Annotated[str | None, typer.Option(help="Another name than the config's.")] = None,
    go_on: Annotated[
        bool,
        typer.Option("--continue", help="Where a campaign with this name and config exists, go on with it."),
    ] = False,
    root: Root = None,
) -> None:
    """Start a campaign and run it to its end."""
    import dataclasses

    from nas import folder as folders
    from nas.config import load
    from nas.launch import create, follow_data, same

    loaded = load(config)
    if name is not None:
        try:
            loaded = dataclasses.replace(loaded, name=name)
        except ValueError as error:
            raise typer.BadParameter(f"--name: {error}") from error
    where = folders.root(root)
    if go_on and (where / loaded.name).exists():
        if differ := same(where, loaded):
            typer.echo(
                f"campaign {loaded.name!r} goes on with what it began with, not with this file's "
                f"{', '.join(differ)}; `nas finalists {loaded.name}` and `nas control {loaded.name}` "
                "do their part at any time",
                err=True,
            )
        if follow_data(where, loaded.name, loaded):
            typer.echo(f"campaign {loaded.name!r}: its data lie where this file says from now on", err=True)
        _drive(where, loaded.name)
        return
    with console().status("reading the data"):
        create(loaded, where)
    _drive(where, loaded.name)


@app.command()
def resume(name: Name, root: Root = None) -> None:
    """Go on with a campaign that was stopped, killed or cut off."""
    from nas import folder as folders

    _drive(folders.root(root), name)


@app.command()
def status(name: Name, as_json: AsJson = False, root: Root = None) -> None:
    """Where a campaign stands."""
    with uncollected():
        from nas import folder, status_facts
        from nas.report import print_status
        from results_db.store import Store

        place = folder.find(folder.root(root), name)
        with Store.read(place.database) as store:
            found = status_facts.status(store, place)
        if as_json:
            print_json(found)
        else:
            print_status(console(), found)


@app.command()
def top(
    name: Name,
    number: Annotated[int, typer.Option("-n", min=1, max=LAST, help="How many trials.")] = 10,
    rewards: Annotated[
        str | None, typer.Option("--rewards", help="Rank by the rewards of this label (nas rescore).")
    ] = None,
    as_json: AsJson = False,
    root: Root = None,
) -> None:
    """The best trials of a campaign."""
    from nas import facts, folder
    from nas.report import print_top
    from results_db.store import Store

    place = folder.find(folder.root(root), name)
    with Store.read(place.database) as store:
        rows = facts.top(store, name, number, rewards)
    from nas.finalists import finalist_facts, print_finalists, standing

    again = standing(folder.root(root), name)
    finalists = finalist_facts(again) if again else None
    if as_json:
        print_json(facts.with_finalists(rows, finalists))
        return
    print_top(console(), name, rows)
    if finalists:
        print_finalists(console(), name, finalists)


@app.command()
def show(
    name: Name,
    number: Annotated[int, typer.Argument(min=0, max=LAST, help="The trial's number.", show_default=False)],
    as_json: AsJson = False,
    root: Root = None,
) -> None:
    """Everything about one trial."""
    from nas import facts, folder
    from nas.report import print_trial
    from results_db.store import Store

    place = folder.find(folder.root(root), name)
    with Store.read(place.database) as store:
        found = facts.trial(store, name, number)
    if as_json:
        print_json(found)
    else:
        print_trial(console(), name, found)


@app.command()
def compare(
    name: Name,
    to: Annotated[str, typer.Option("--to", help="A published name, a genome's text or a spec file.")],
    number: Annotated[int, typer.Option("-n", min=1, max=1000, help="How many of the best trials.")] = 3,
    samples: Annotated[int, typer.Option(min=10, max=1_000_000, help="Random genomes beside them.")] = 2000,
    as_json: AsJson = False,
    root: Root = None,
) -> None:
    """How near a campaign's best came to a known network, beside random genomes."""
    from nas import folder as folders
    from nas import launch, ranking
    from nas.errors import Refusal
    from nas.likeness import likeness_facts, print_likeness
    from results_db.store import Store
    from search_space.genome import Genome

    where = folders.root(root)
    place, config = launch.find(where, name)
    with Store.read(place.database) as store:
        best = [
            (each.trial.number, Genome.from_text(each.trial.genome))
            for each in ranking.best(store, name, number)
        ]
    if not best:
        raise Refusal(f"campaign {name!r} has no finished trial yet: nothing to compare")
    target = cli_space.found(to, None, root)
    found = likeness_facts(best, target.genome, config.space.build(), samples)
    if as_json:
        print_json(found)
    else:
        print_likeness(console(), name, target.name, found)


@app.command()
def export(
    name: Name,
    out: Annotated[Path, typer.Option("--out", help="Where to write it.", show_default=False)],
    number: Annotated[
        int | None, typer.Option("--trial", min=0, max=LAST, help="Another trial than the best.")
    ] = None,
    root: Root = None,
) -> None:
    """Write the winner as a spec file and a full-size Keras backbone, checked by rebuilding both."""
    from nas import engine_noise, finalists, folder, ranking
    from nas.errors import Refusal
    from results_db.store import Store

    place = folder.find(folder.root(root), name)
    with Store.read(place.database) as store:
        if number is None and (chosen := finalists.winner(folder.root(root), name)) is not None:
            typer.echo(f"trial {chosen}: the best of the finalists, by the mean of their trainings", err=True)
            number = chosen
        elif number is None and (why := finalists.passed_over(folder.root(root), name)):
            typer.echo(f"not the best of the finalists: {why}", err=True)
        found = (
            [store.trial(name, number)]
            if number is not None
            else [each.trial for each in ranking.best(store, name, 1)]
        )
        if not found:
            raise Refusal(f"campaign {name!r} has no finished trial yet: nothing to export")
        if found[0].reward is None:
            state = found[0].status.value
            raise Refusal(f"campaign {name!r}: trial {found[0].number} is {state}, expected a finished one")
        with engine_noise.moved_to(place.log):
            from nas.export.run import export_trial

            report = export_trial(place, store, store.campaign(name), found[0], out)
    typer.echo(report)


def _drive(root: Path, name: str) -> None:
    from nas import launch
    from nas.drive import drive, drive_control, drive_finalists

    drive(root, name, go_on=f"nas resume {name}")
    config = launch.find(root, name)[1]
    if config.finalists is not None:
        drive_finalists(root, name, None)
    if config.control:
        drive_control(root, name)


def main() -> None:
    """The console script: a typed error is one line and exit code 2, never a traceback."""
    try:
        code = app(standalone_mode=False)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001 whatever it is, the user gets one line
        _explain(error)
    sys.exit(code if isinstance(code, int) else 0)


def _explain(error: Exception) -> NoReturn:
    from nas.errors import expected
    from nas.redaction import one_line, without_passwords

    message = getattr(error, "format_message", error.__str__)()
    usage = hasattr(error, "format_message")  # of Typer's own errors
    if usage or isinstance(error, (*expected(), OSError)):
        if isinstance(error, OSError) and error.strerror:
            message = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        line = without_passwords(one_line(str(message))) or type(error).__name__
        typer.echo(f"nas: {line}", err=True)
        sys.exit(BAD_INPUT)
    with tempfile.NamedTemporaryFile(
        "w", prefix="nas-error-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        file.write(without_passwords("".join(traceback.format_exception(error))))
    typer.echo(f"nas: unexpected {type(error).__name__}; the details are in {file.name}", err=True)
    sys.exit(1)
