"""What stopping early would see: how what a candidate's trials had at a step ranks what they end with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from nas.proxy_study.ranks import Floats, interval, mean, tau

ENOUGH: Final = 0.6
"""The tau between rung and end from which on stopping early is recommended."""


def rung_facts(rungs: Mapping[int, Floats], end: Floats, truth: Floats) -> list[dict[str, Any]]:
    """By step, of values [genomes, seeds] there and at the end: the mean over seeds of each one's tau."""

    def facts(step: int) -> dict[str, Any]:
        there = rungs[step]
        bounds = interval(lambda rows: _tau(there[rows], end[rows]), len(end))
        return {
            "step": step,
            "tau_to_end": _tau(there, end),
            "interval": list(bounds),
            "tau": mean([tau(column, truth) for column in there.T]),
        }

    return [facts(step) for step in sorted(rungs)]


def print_rungs(console: Console, candidates: list[dict[str, Any]]) -> None:
    """The same for people, of the candidates that were judged on the way."""
    looks = [(row["name"], rung) for row in candidates for rung in row["rungs"]]
    if not looks:
        return
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("\nlooked at early", overflow="fold")
    for heading in (
        "\nstep",
        "tau to\nits end",
        "tau to the\nreference",
        f"stop early there\n(from {ENOUGH} on)",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, rung in looks:
        low, high = rung["interval"]
        table.add_row(
            name,
            str(rung["step"]),
            f"{rung['tau_to_end']:.2f} [{low:.2f}, {high:.2f}]",
            f"{rung['tau']:.2f}",
            "yes" if rung["tau_to_end"] >= ENOUGH else "no",
        )
    console.print()
    console.print(table)


def _tau(a: Floats, b: Floats) -> float:
    return mean([tau(x, y) for x, y in zip(a.T, b.T, strict=True)])
