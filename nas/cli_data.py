"""The commands `nas data`: render the embedded set, and check what a data set holds and teaches."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from nas.cli_words import AsJson, print_json

if TYPE_CHECKING:  # only the annotations of helpers need them
    from proxy_trainer.config import ProxyConfig
    from proxy_trainer.data.config import CocoData, Splits

SHEET_RESOLUTION: Final = 256

app = typer.Typer(help="Data sets: render the embedded one, check any.", rich_markup_mode=None)

Config = Annotated[
    Path | None,
    typer.Option(
        "--recipe", help="A campaign's config: its recipe, data and splits instead of the defaults."
    ),
]


@app.command()
def render(
    out: Annotated[
        Path, typer.Argument(help="A directory that doesn't exist or is empty.", show_default=False)
    ],
    config: Config = None,
    sheet: Annotated[Path | None, typer.Option(help="Also write a contact sheet to this PNG.")] = None,
) -> None:
    """Write the embedded set as a COCO directory."""
    from proxy_trainer.data.config import RenderedData
    from proxy_trainer.data.directory import coco_directory
    from proxy_trainer.data.render import render_to

    data = _proxy(config).data
    if not isinstance(data, RenderedData):
        raise typer.BadParameter(f"{config}: its data is {data.kind}, expected rendered")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise typer.BadParameter(f"{out}: is not empty, expected a new directory")
    render_to(data, out)
    typer.echo(f"{out}: {data.train_images} training and {data.val_images} validation pictures")
    if sheet is not None:
        from proxy_trainer.data.config import Splits

        with tempfile.TemporaryDirectory(prefix="nas-data-") as cache:
            _write_sheet(coco_directory(out), Splits(), SHEET_RESOLUTION, Path(cache), sheet)


@app.command()
def check(
    directory: Annotated[Path, typer.Argument(help="A COCO directory.", show_default=False)],
    config: Config = None,
    sheet: Annotated[Path | None, typer.Option(help="Also write a contact sheet to this PNG.")] = None,
    as_json: AsJson = False,
    root: Annotated[
        Path | None, typer.Option("--root", help="Where campaigns live, and the cache of decoded pictures.")
    ] = None,
) -> None:
    """What a COCO directory holds, and how many positives each level gets from a recipe."""
    from nas import folder
    from nas.data_report import data_facts, print_data
    from proxy_trainer.data.directory import coco_directory

    proxy = _proxy(config)
    data = _subset(coco_directory(directory), proxy)
    cache = folder.root(root) / folder.CACHE  # a campaign on this data finds it decoded there
    found = data_facts(data, proxy.splits, proxy.recipe, cache, _levels(config))
    if sheet is not None:
        _write_sheet(data, proxy.splits, proxy.recipe.resolution, cache, sheet)
    if as_json:
        print_json(found)
    else:
        print_data(found)


def _subset(data: CocoData, proxy: ProxyConfig) -> CocoData:
    """The part of a directory that a config on COCO data would train on."""
    import dataclasses

    from proxy_trainer.data.config import CocoData

    words = proxy.data
    if not isinstance(words, CocoData):
        return data
    return dataclasses.replace(data, classes=words.classes, share=words.share, empty_boxes=words.empty_boxes)


def _proxy(path: Path | None) -> ProxyConfig:
    from nas.config import load
    from proxy_trainer.config import ProxyConfig

    if path is None:
        return ProxyConfig()
    evaluator = load(path).evaluator
    if not isinstance(evaluator, ProxyConfig):
        raise typer.BadParameter(f"{path}: its evaluator is {evaluator.kind}, expected proxy")
    return evaluator


def _levels(path: Path | None) -> Sequence[int]:
    from nas.config import load
    from nas.data_report import LEVELS

    return LEVELS if path is None else load(path).space.build().outputs


def _write_sheet(data: CocoData, splits: Splits, resolution: int, cache: Path, sheet: Path) -> None:
    from proxy_trainer.data.config import Split
    from proxy_trainer.data.image_set import open_split
    from proxy_trainer.data.sheet import contact_sheet

    contact_sheet(open_split(data, splits, Split.TRAIN, resolution, cache)).save(sheet, format="PNG")
    typer.echo(f"{sheet}: contact sheet", err=True)  # beside what --json prints
