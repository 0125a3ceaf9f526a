"""What the commands have in common: options with one meaning, and how JSON and tables are printed."""

from __future__ import annotations

import gc
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

Root = Annotated[
    Path | None, typer.Option("--root", help="Where campaigns live; default: $NAS_HOME, or ./campaigns.")
]
Name = Annotated[str, typer.Argument(help="The campaign's name.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@contextmanager
def uncollected() -> Iterator[None]:
    """For a command of half a second, half of which again would go into looking for garbage among imports.

    What is there at its end is never looked through: else the interpreter does so before it exits.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def print_json(facts: Any) -> None:
    """Facts for programs; null stands for numbers that are not finite, which JSON does not know."""
    typer.echo(json.dumps(_finite(facts), indent=2, allow_nan=False))


def _finite(facts: Any) -> Any:
    match facts:
        case dict():
            return {key: _finite(value) for key, value in facts.items()}
        case list() | tuple():
            return [_finite(value) for value in facts]
        case float() if not math.isfinite(facts):
            return None
        case _:
            return facts
