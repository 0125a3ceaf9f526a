"""A control arm: random search with a campaign's budget, and what the campaign has over it.

It is a campaign of its own, `NAME.control`, with all that campaigns promise: it may run beside the other, on
this machine or elsewhere, or after it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table

from controller.random_search import RandomSearchConfig
from nas import finalists
from nas.config import CampaignConfig
from nas.errors import Refusal
from nas.folder import LONGEST_NAME
from nas.launch import create, find
from results_db.store import Store

SUFFIX: Final = ".control"
QUANTILES: Final = (0.025, 0.975)


def prepare(root: Path, name: str) -> CampaignConfig:
    """The control of a campaign, made if it is not there yet. Raises Refusal, FolderError."""
    if name.endswith((SUFFIX, finalists.SUFFIX)):
        raise Refusal(f"campaign {name!r}: expected one that searches, not a control or finalists of one")
    place, config = find(root, name)
    if (root / (name + SUFFIX)).exists():
        return find(root, name + SUFFIX)[1]
    if len(name + SUFFIX) > LONGEST_NAME:
        raise Refusal(f"campaign {name!r}: {name + SUFFIX!r} would be longer than {LONGEST_NAME} characters")
    made = dataclasses.replace(
        config,
        name=name + SUFFIX,
        seed=(config.seed + 2**33) % 2**63,  # seeds that no trial of the campaign had
        controller=RandomSearchConfig(no_repeats=config.controller.no_repeats),
        warm_start=(),
        finalists=None,
        control=False,
        keep_weights=0,
        database=place.recorded,
    )
    create(made, root)
    return made


def control_facts(root: Path, name: str) -> dict[str, Any]:
    """The campaign beside its control, as JSON-ready facts. Raises Refusal where there is nothing to compare.

    By trials ended: the campaign's highest reward, and of the highest of as many random trials the mean
    and the middle 95 %, from all that the control has (drawn with replacement). `later`: the rewards of
    the campaign's later half against the control's, with the p-value of a one-sided rank test (Mann and
    Whitney): whether the controller proposes better genomes than chance does. `finalists`: the best mean
    of each, where both have them.
    """
    mine, theirs = (_rewards(root, each) for each in (name, name + SUFFIX))
    if not mine or not theirs:
        raise Refusal(f"campaign {name!r}: it and its control need a finished trial each")
    looks = sorted({max(1, round(len(mine) * share)) for share in (0.25, 0.5, 0.75, 1)})
    return {
        "campaign": name,
        "trials": len(mine),
        "control_trials": len(theirs),
        "rows": [{"trials": look, "best": max(mine[:look]), **_best_of(theirs, look)} for look in looks],
        "later": _later(mine, theirs),
        "finalists": _finalists(root, name),
    }


def print_control(console: Console, facts: dict[str, Any]) -> None:
    """The same for people."""
    table = Table(title=f"{facts['campaign']} against random search", title_justify="left")
    for heading in ("trials", "best reward", "best of as many random ones", "the middle 95 % of those"):
        table.add_column(heading, justify="right")
    for row in facts["rows"]:
        low, high = row["control_range"]
        table.add_row(
            str(row["trials"]),
            f"{row['best']:.4f}",
            f"{row['control_best']:.4f}",
            f"{low:.4f} to {high:.4f}",
        )
    console.print(table)
    later = facts["later"]
    console.print(
        f"median reward of the later half {later['median']:.4f}, of {facts['control_trials']} random trials "
        f"{later['control_median']:.4f} (that the first are better: p = {later['p']:.2g})"
    )
    if facts["finalists"] is not None:
        best = facts["finalists"]
        console.print(
            f"best finalist {best['mean']:.4f}, of the control {best['control_mean']:.4f} "
            f"(that it is better: p = {best['p']:.2g})"
        )
    else:
        console.print(
            f"one campaign shows little: train both ones' finalists, nas finalists {facts['campaign']} and "
            f"nas finalists {facts['campaign']}{SUFFIX}"
        )


def _rewards(root: Path, name: str) -> tuple[float, ...]:
    place, _ = find(root, name)
    with Store.read(place.database) as store:
        return store.rewards(name)


def _best_of(values: Sequence[float], count: int) -> dict[str, Any]:
    """Of the best of so many draws from these values: exact, by the powers of their distribution."""
    ordered = np.sort(values)
    below = (np.arange(1, len(ordered) + 1) / len(ordered)) ** count
    chances = np.diff(below, prepend=0.0)
    bounds = [float(ordered[int(np.searchsorted(below, share))]) for share in QUANTILES]
    return {"control_best": float(chances @ ordered), "control_range": bounds}


def _later(mine: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    from scipy.stats import mannwhitneyu

    half = mine[len(mine) // 2 :]
    return {
        "median": float(np.median(half)),
        "control_median": float(np.median(theirs)),
        "p": float(mannwhitneyu(half, theirs, alternative="greater").pvalue),
    }


def _finalists(root: Path, name: str) -> dict[str, float] | None:
    from scipy.stats import ttest_ind

    mine, theirs = (finalists.standing(root, each) for each in (name, name + SUFFIX))
    if not mine or not theirs or min(len(mine[0].rewards), len(theirs[0].rewards)) < 2:
        return None
    first, second = mine[0].rewards, theirs[0].rewards
    return {
        "mean": float(np.mean(first)),
        "control_mean": float(np.mean(second)),
        "p": float(ttest_ind(first, second, equal_var=False, alternative="greater").pvalue),
    }
