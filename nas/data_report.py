"""Facts of a data set under a recipe: what is in it, and which levels have something to learn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from nas import terminal
from nas.redaction import one_line
from proxy_trainer.data.check import SplitFacts, data_report
from proxy_trainer.data.config import CocoData, Split, Splits
from proxy_trainer.data.image_set import open_split
from proxy_trainer.positives import count_positives
from proxy_trainer.recipe import Recipe

LEVELS: Final = (3, 4, 5, 6, 7)


def data_facts(
    data: CocoData, splits: Splits, recipe: Recipe, cache: Path, levels: Sequence[int] = LEVELS
) -> dict[str, Any]:
    """Everything as JSON-ready facts; `levels` are those of the detectors. Raises DataError, CacheError."""
    report = data_report(data, splits, recipe.resolution, cache)
    train = open_split(data, splits, Split.TRAIN, recipe.resolution, cache)
    positives = count_positives(train, recipe, tuple(levels))
    return {
        "resolution": recipe.resolution,
        "anchor_size": recipe.anchor_size,
        "anchor_growth": recipe.anchor_growth,
        "splits": [_split(facts) for facts in report.splits],
        "twins": list(report.twins),
        "bad_pictures": [{"file": bad.file_name, "reason": bad.reason} for bad in report.bad],
        "boxes": positives.boxes,
        "boxes_matched_by_overlap": positives.by_iou,
        "levels": [
            {"level": level, "positives": positives.anchors[level], "boxes": positives.owners[level]}
            for level in levels
        ],
        "starved_levels": list(positives.starved),
    }


def print_data(facts: dict[str, Any]) -> None:
    """The same for people."""
    console = terminal.console()
    console.print(_splits(facts["splits"]))
    classes = facts["splits"][0]["classes"]
    counts = "  ".join(f"{one_line(name)} {count:,}" for name, count in classes.items())
    console.print(Text.assemble(("\nboxes in train", "dim"), f"  {counts}"))
    for bad in facts["bad_pictures"]:
        console.print(
            Text.assemble(("left out", "red"), f" {one_line(bad['file'])}: {one_line(bad['reason'])}")
        )
    if facts["twins"]:
        console.print(
            Text.assemble(
                (f"{len(facts['twins'])} pictures are in two splits under two names", "red"),
                f", {one_line(facts['twins'][0])} for one: take them out, or what is measured flatters",
            )
        )
    share = facts["boxes_matched_by_overlap"] / max(1, facts["boxes"])
    each = sum(row["positives"] for row in facts["levels"]) / max(1, facts["boxes"])
    console.print(
        f"\n[dim]at {facts['resolution']} px, anchor_size {facts['anchor_size']:g}, "
        f"anchor_growth {facts['anchor_growth']:g}:[/] "
        f"{share:.0%} of the boxes overlap an anchor enough, the others keep their nearest; "
        f"{each:.0f} anchors learn from a box",
        markup=True,
    )
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for heading in ("level", "positives", "boxes that it owns"):
        table.add_column(heading, justify="right")
    for row in facts["levels"]:
        style = "red" if row["level"] in facts["starved_levels"] else ""
        table.add_row(f"P{row['level']}", f"{row['positives']:,}", f"{row['boxes']:,}", style=style)
    console.print(table)
    if facts["starved_levels"]:
        names = ", ".join(f"P{level}" for level in facts["starved_levels"])
        console.print(
            f"[red]{names} get next to nothing to learn[/]; a higher resolution gives coarse levels more, "
            "a smaller anchor_size fine ones, but anchors far smaller than their level's stride teach slowly",
            markup=True,
        )


def _split(facts: SplitFacts) -> dict[str, Any]:
    return {
        "split": facts.split.value,
        "images": facts.images,
        "empty_images": facts.empty_images,
        "boxes": facts.boxes,
        "crowds": facts.crowds,
        "small": facts.small,
        "medium": facts.medium,
        "large": facts.large,
        "classes": dict(facts.classes),
        "content_hash": facts.content_hash,
    }


def _splits(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    columns = ("images", "empty_images", "boxes", "crowds", "small", "medium", "large")
    table.add_column("split")
    for heading in columns:
        table.add_column(heading.replace("_", " "), justify="right")
    for row in rows:
        table.add_row(row["split"], *(f"{row[column]:,}" for column in columns))
    return table
