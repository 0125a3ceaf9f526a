"""The terminal, and small pieces of text for it: sparklines, durations, genomes cut to a width."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from nas.redaction import one_line

if TYPE_CHECKING:  # rich takes a moment to import, and not every command draws
    from rich.console import Console

BARS: Final = "▁▂▃▄▅▆▇█"


def console(**where: Any) -> Console:
    """Where tables are drawn; it paints no numbers by itself, and what a file holds is no markup."""
    from rich.console import Console

    return Console(highlight=False, markup=False, **where)


def sparkline(values: Sequence[float], width: int) -> str:
    """Values in their order, low to high; means of neighbours where there are more than `width`."""
    if not values or width < 1:
        return ""
    count = min(width, len(values))
    edges = [index * len(values) // count for index in range(count + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, span = min(means), max(means) - min(means)
    return "".join(BARS[round((mean - low) / span * (len(BARS) - 1)) if span > 0 else 0] for mean in means)


def duration(seconds: float) -> str:
    """`0.4 s`, `45 s`, `12 min`, `3 h 20 min`, `2 d 4 h`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def shortened(genome: str, width: int) -> str:
    """A genome's text in one line, its middle left out between two words where it is too long."""
    genome = one_line(genome)
    if len(genome) <= width:
        return genome
    words = genome.split()
    for kept in range(len(words) - 1, 1, -1):
        head = (kept + 1) // 2
        text = f"{' '.join(words[:head])} … {' '.join(words[len(words) - (kept - head) :])}"
        if len(text) <= width:
            return text
    return genome[: max(width - 1, 0)] + "…"


def reward(value: float | None) -> str:
    """A reward as tables show it."""
    return "-" if value is None else f"{value:.4f}"
