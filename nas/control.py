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
from nas.campaign_data import check
from nas.config import CampaignConfig
from nas.errors import Refusal
from nas.folder import LONGEST_NAME, CampaignFolder
from nas.launch import beside, create, find
from results_db.store import Store

SUFFIX: Final = ".control"
QUANTILES: Final = (0.025, 0.975)


def prepare(root: Path, name: str) -> CampaignConfig:
    """The control of a campaign, made if it is not there yet. Raises Refusal, FolderError."""
    place, config = find(root, name)
    made = _planned(place, config)
    if (root / made.name).exists():
        _stored(root, made)
        return beside(root, made.name, config)
    with Store.read(place.database) as store:
        check(config, store.campaign(name), place.cache)  # on other pictures nothing could be compared
    create(made, root)
    return made


def _planned(place: CampaignFolder, config: CampaignConfig) -> CampaignConfig:
    name = config.name
    if name.endswith((SUFFIX, finalists.SUFFIX)):
        raise Refusal(f"campaign {name!r}: expected one that searches, not a control or finalists of one")
    if len(name + SUFFIX) > LONGEST_NAME:
        raise Refusal(f"campaign {name!r}: {name + SUFFIX!r} would be longer than {LONGEST_NAME} characters")
    return dataclasses.replace(
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


def _stored(root: Path, made: CampaignConfig) -> None:
    """Check that the control that is there is this one. Raises Refusal, FolderError."""
    if find(root, made.name)[1].hash != made.hash:
        name = made.name.removesuffix(SUFFIX)
        raise Refusal(f"campaign {made.name!r} is not the control of {name!r} as it is now; remove it")


def control_facts(root: Path, name: str) -> dict[str, Any]:
    """The campaign beside its control, as JSON-ready facts.

    Raises FolderError, and Refusal where there is nothing to compare or the control is another campaign's.

    By finished trials, up to as many as both have: the campaign's highest reward, and of the highest of as
    many of the control's trials the mean and the middle 95 % (see `_best_of`). `later`: the rewards of the
    campaign's later half against the control's, with the p-value of a one-sided rank test (Mann and
    Whitney): whether the controller proposes better genomes than chance does. `finalists`: the best mean
    of each, where both have them, with that of Welch's test.

    Trials that measured a genome again are left out everywhere: they are no proposals, and a best reward
    that had several chances is luckier than a random one. Trials that failed or were stopped early have
    no reward.
    """
    _stored(root, _planned(*find(root, name)))
    mine, theirs = (_rewards(root, each) for each in (name, name + SUFFIX))
    if not mine or not theirs:
        raise Refusal(f"campaign {name!r}: it and its control need a finished trial each")
    both = min(len(mine), len(theirs))
    looks = sorted({max(1, round(both * share)) for share in (0.25, 0.5, 0.75, 1)})
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
    headings = ("finished trials", "best reward", "best of as many random ones", "the middle 95 % of draws")
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in facts["rows"]:
        low, high = row["control_range"] or (None, None)
        table.add_row(
            str(row["trials"]),
            f"{row['best']:.4f}",
            f"{row['control_best']:.4f}",
            "-" if low is None else f"{low:.4f} to {high:.4f}",
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
    """Of the finished trials that measured nothing again, in finish order."""
    place, _ = find(root, name)
    with Store.read(place.database) as store:
        trials = sorted(store.trials(name), key=lambda trial: trial.finish_order or 0)
    return tuple(trial.reward for trial in trials if trial.reward is not None and "again" not in trial.note)


def _best_of(values: Sequence[float], count: int) -> dict[str, Any]:
    """Of the best of so many of these values, drawn without replacement: exact, by counting the draws.

    The range holds 95 % of the draws from this one control. It knows nothing of how lucky the control was
    as a whole, so it narrows as `count` nears the number of values; of all there is one draw and no range.
    """
    ordered = np.sort(values)
    if count == len(ordered):
        return {"control_best": float(ordered[-1]), "control_range": None}
    # The lowest i values hold a whole draw with chance C(i, count) / C(n, count), here from i = n downwards.
    ranks = np.arange(len(ordered), 1, -1)
    below = np.concatenate([[1.0], np.cumprod(np.maximum(ranks - count, 0) / ranks)])[::-1]
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
    mine, theirs = (finalists.standing(root, each) for each in (name, name + SUFFIX))
    if not mine or not theirs:
        return None
    first, second = mine[0].rewards, theirs[0].rewards
    p = finalists.welch(first, second, "greater")
    if p is None:
        return None
    return {"mean": float(np.mean(first)), "control_mean": float(np.mean(second)), "p": p}
