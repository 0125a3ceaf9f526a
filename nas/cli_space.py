"""The commands about architectures alone: what a space is, what networks cost, pictures, files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli_words import AsJson, Root, print_json
from nas.terminal import console

if TYPE_CHECKING:
    from nas.designs import Design

Words = Annotated[
    str,
    typer.Argument(
        help="A published name, a genome's text, a spec file, Vertex NAS's .json, or CAMPAIGN:NUMBER.",
        show_default=False,
    ),
]
Scale = Annotated[str | None, typer.Option("--scale", help="Build it as this member of the family: 96.")]


def space(
    name: Annotated[str, typer.Argument(help="A published space.", show_default=False)],
    samples: Annotated[int, typer.Option(min=1, max=1_000_000, help="Random genomes to look at.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Which random genomes.")] = 0,
    as_json: AsJson = False,
) -> None:
    """What a space searches, how large it is, and what its random genomes are like."""

    from nas.space_facts import print_space, space_facts
    from search_space.catalog import space_by_name

    facts = space_facts(space_by_name(name), samples, seed)
    if as_json:
        print_json(facts)
    else:
        print_space(console(), facts)


def cost(words: Words, scale: Scale = None, as_json: AsJson = False, root: Root = None) -> None:
    """Parameters and multiply-adds of a network, by arithmetic."""
    from nas.cost_facts import baseline_facts, cost_facts, print_cost
    from nas.designs import BASELINE, DEFAULT

    if words.lower() == BASELINE and scale is None:
        facts = baseline_facts(DEFAULT.input_size)
    else:
        facts = cost_facts(found(words, scale, root))
    if as_json:
        print_json(facts)
    else:
        print_cost(facts)


def draw(
    words: Words,
    out: Annotated[Path, typer.Option("--out", help="An .svg, .pdf or .png file.", show_default=False)],
    other: Annotated[
        str | None, typer.Argument(help="A second one: what differs is marked.", show_default=False)
    ] = None,
    scale: Scale = None,
    root: Root = None,
) -> None:
    """Draw an architecture: its blocks in order, by level, with their parents."""
    from nas.drawing import FORMATS, draw_designs

    if out.suffix.lower() not in FORMATS:
        raise typer.BadParameter(f"--out {out}: expected a name that ends in {', '.join(FORMATS)}")
    designs = [found(each, scale, root) for each in (words, other) if each is not None]
    draw_designs(designs, out)
    typer.echo(f"wrote {out}")


def spec(
    words: Words,
    out: Annotated[Path, typer.Option("--out", help="Where to write the spec file.", show_default=False)],
    scale: Scale = None,
    root: Root = None,
) -> None:
    """Write an architecture as a spec file: of a published one, a text, or what Vertex NAS wrote.

    What another spec file says of a proxy and of where it came from is kept.
    """
    import dataclasses

    from search_space.cost import network_cost
    from search_space.spec import Expected, Spec, write_spec

    design = found(words, scale, root)
    backbone = network_cost(design.genome, design.scaling, design.input_size).backbone
    expected = Expected(params=backbone.params, flops=backbone.flops, input_size=design.input_size)
    known = design.spec or Spec(genome=design.genome)
    write_spec(dataclasses.replace(known, scaling=design.scaling, head=design.head, expected=expected), out)
    typer.echo(f"wrote {out}")


def model_garden(
    words: Words,
    out: Annotated[Path, typer.Option("--out", help="A directory to write to.", show_default=False)],
    scale: Scale = None,
    root: Root = None,
) -> None:
    """Write an architecture for TF Model Garden: its blocks, registered, and experiments to train it."""
    from nas.export.model_garden import model_garden_files

    files = model_garden_files(found(words, scale, root))
    out.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (out / name).write_text(text, encoding="utf-8")
        typer.echo(f"wrote {out / name}")


def found(words: str, scale: str | None, root: Path | None) -> Design:
    """The design that the words of a command name."""
    from nas import folder
    from nas.designs import design

    def trial_genome(campaign: str, number: int) -> str:
        from results_db.store import Store

        with Store.read(folder.find(folder.root(root), campaign).database) as store:
            return store.trial(campaign, number).genome

    return design(words, trial_genome, scale)


def register(app: Any) -> None:
    """Add the commands to the command line."""
    app.command()(space)
    app.command()(cost)
    app.command()(draw)
    app.command()(spec)
    app.command()(model_garden)
