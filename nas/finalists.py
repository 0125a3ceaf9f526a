"""Finalists: a campaign's best trained again with new seeds, judged by pictures that no reward came from.

The best of many noisy rewards is lucky as well as good: without a second look a search loses part of
what it found (docs/sources.md, 6). Each trial here is a trial of a campaign of its own,
`NAME.finalists`, with all that campaigns promise.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from rich.console import Console
from rich.table import Table

from controller.listed import ListedConfig
from nas import folder as folders
from nas import ranking, status_facts
from nas.budget import spent
from nas.campaign_data import check
from nas.config import CampaignConfig, FailureConfig, FinalistsConfig
from nas.errors import Refusal
from nas.evaluators import EvaluatorConfig
from nas.folder import LONGEST_NAME
from nas.launch import beside, create, find, is_complete
from proxy_trainer.config import ProxyConfig
from proxy_trainer.data.config import Split
from results_db.records import TrialRecord
from results_db.store import Store

SUFFIX: Final = ".finalists"

SETTLED: Final = 0.05
"""Below this p-value the first and the second are told apart."""


@dataclass(frozen=True, slots=True)
class Finalist:
    """A genome by the number of the trial that found it, and its rewards by new seed.

    `trainings` has those that ended in their order, None for one that failed.
    """

    number: int
    genome: str
    found: float
    rewards: tuple[float, ...]
    failures: int
    trainings: tuple[float | None, ...] = ()


def check_searches(name: str) -> None:
    """Finalists have no finalists. Raises Refusal."""
    if name.endswith(SUFFIX):
        raise Refusal(f"campaign {name!r}: expected one that searches, not finalists of one")


def prepare(root: Path, name: str, wanted: FinalistsConfig | None) -> CampaignConfig:
    """The campaign of the finalists, made if it is not there yet. Raises Refusal."""
    check_searches(name)
    place, config = find(root, name)
    finalists = name + SUFFIX
    if (root / finalists).exists():
        _check_same(root, name, wanted)
        return beside(root, finalists, config)
    if len(finalists) > LONGEST_NAME:
        raise Refusal(f"campaign {name!r}: {finalists!r} would be longer than {LONGEST_NAME} characters")
    wanted = wanted or config.finalists or FinalistsConfig()
    with Store.read(place.database) as store:
        check(config, store.campaign(name), place.cache)  # or the confirm split may be in its rewards
        best = [each.trial for each in ranking.best(store, name, wanted.top)]
        moment = datetime.now(UTC)
        alive = status_facts.who_drives(store.fence(name)) is not None
        gone = spent(status_facts.intervals(store, name, moment if alive else None), moment)
    if not best:
        raise Refusal(f"campaign {name!r} has no finished trial yet: no finalists")
    try:
        budget = config.budget.rest(len(best) * wanted.seeds, config.rules.limits, gone)
    except ValueError as error:
        raise Refusal(f"campaign {name!r}: its budget is spent ({error}): no finalists") from error
    made = dataclasses.replace(
        config,
        name=finalists,
        seed=(config.seed + 2**32) % 2**63,  # seeds that no trial of the campaign had
        controller=ListedConfig(genomes=tuple(trial.genome for trial in best)),
        evaluator=_judging(name, config.evaluator),
        budget=budget,
        warm_start=(),  # they are listed now
        stopping=None,
        finalists=None,
        control=False,
        database=place.recorded,
        failures=FailureConfig(retries=config.failures.retries, share=1.0),
    )
    create(made, root)
    return made


def _check_same(root: Path, name: str, wanted: FinalistsConfig | None) -> None:
    """Raise Refusal where others are wanted than the finalists that are there."""
    _, made, listed = _found(root, name)
    if wanted is None:
        return
    with Store.read(folders.find(root, name).database) as store:
        networks = len({fingerprint for _, fingerprint, _ in store.values(name)})
    there = (len(listed.genomes), made.budget.trials // len(listed.genomes))
    expected = (min(wanted.top, networks), wanted.seeds)
    if there != expected:
        raise Refusal(
            f"{made.name!r} exists with {there[0]} networks and {there[1]} seeds each, "
            f"expected {expected[0]} and {expected[1]}; leave --top and --seeds out to go on with it"
        )


def _judging(name: str, evaluator: EvaluatorConfig) -> EvaluatorConfig:
    """The same on the confirm split, where it has one. Raises Refusal."""
    if not isinstance(evaluator, ProxyConfig):
        return evaluator
    try:
        return dataclasses.replace(evaluator, judge=Split.CONFIRM)
    except ValueError as error:
        raise Refusal(f"campaign {name!r}: {error}") from error


def _found(root: Path, name: str) -> tuple[folders.CampaignFolder, CampaignConfig, ListedConfig]:
    """The finalists' campaign. Raises Refusal where it is another one of that name."""
    place, config = find(root, name + SUFFIX)
    if not isinstance(config.controller, ListedConfig):
        raise Refusal(f"campaign {config.name!r} is not one of finalists; give it another name")
    return place, config, config.controller


def standing(root: Path, name: str) -> list[Finalist] | None:
    """The finalists of a campaign as far as they are trained, those with failures last, the best first.

    None where it has none.

    Raises Refusal where they are of another campaign.
    """
    if not (root / (name + SUFFIX)).exists():
        return None
    place, config, listed = _found(root, name)
    texts = listed.genomes
    with Store.read(place.database) as store:
        again = store.trials(config.name)
    with Store.read(folders.find(root, name).database) as store:
        found = store.trials(name)
    known = {trial.genome for trial in found if trial.reward is not None}
    if not known.issuperset(texts):
        raise Refusal(
            f"{config.name!r} has finalists that {name!r} never finished: they are of an earlier campaign"
            " of that name; rename or remove their folder"
        )
    rows = [_finalist(text, found, again[index :: len(texts)]) for index, text in enumerate(texts)]
    return ranked(rows)


def ranked(rows: Sequence[Finalist]) -> list[Finalist]:
    """Those with failures last, as `winner` has them; else by the mean, the best first."""
    return sorted(rows, key=lambda row: (row.failures, -_mean(row.rewards)))


def winner(root: Path, name: str) -> int | None:
    """The trial whose network has the highest mean of a campaign's finalists, of those with most trainings.

    None until all are trained, and where they were chosen before the campaign's last trial ended, or are of
    another campaign.
    """
    try:
        rows = standing(root, name)
    except Refusal:
        return None
    if not rows or not any(row.rewards for row in rows):
        return None
    place, config, _ = _found(root, name)
    with Store.read(place.database) as store:
        made, complete = store.campaign(config.name).created, is_complete(store, config)
    with Store.read(folders.find(root, name).database) as store:
        last = max(trial.ended for trial in store.trials(name) if trial.ended is not None)
    most = max(len(row.rewards) for row in rows)
    best = next(row for row in rows if len(row.rewards) == most)
    return best.number if complete and made >= last else None


def passed_over(root: Path, name: str) -> str:
    """Why a campaign's finalists have no winner; empty where there are no finalists."""
    try:
        rows = standing(root, name)
    except Refusal as error:
        return str(error)
    if rows is None:
        return ""
    place, config, _ = _found(root, name)
    with Store.read(place.database) as store:
        if not is_complete(store, config):
            return "they are not all trained yet"
    if not any(row.rewards for row in rows):
        return "all their trainings failed"
    return f"they were chosen before the last trial of {name!r} ended"


def _finalist(text: str, found: Sequence[TrialRecord], again: Sequence[TrialRecord]) -> Finalist:
    first = max((t for t in found if t.genome == text and t.reward is not None), key=_reward)
    trainings = tuple(trial.reward for trial in again if trial.finish_order is not None)
    rewards = tuple(reward for reward in trainings if reward is not None)
    failures = sum(t.failure is not None for t in again)
    return Finalist(first.number, text, _reward(first), rewards, failures, trainings)


def _reward(trial: TrialRecord) -> float:
    return trial.reward if trial.reward is not None else -math.inf


def finalist_facts(rows: Sequence[Finalist]) -> dict[str, Any]:
    """JSON-ready: means with 95 % intervals (Student's), and whether the first is told apart from all others.

    `p`: the largest of Welch's tests that the first and another differ, two-sided since the same rewards say
    which is the first; None while any of them has under two, failures aside.
    """
    facts = [
        {
            "number": row.number,
            "genome": row.genome,
            "found": row.found,
            "rewards": list(row.rewards),
            "failures": row.failures,
            **_interval(row.rewards),
        }
        for row in rows
    ]
    found = [_apart(rows[0], row) for row in rows[1:] if len(row.rewards) > 1 or not row.failures]
    p = max((each for each in found if each is not None), default=None) if None not in found else None
    return {"finalists": facts, "p": p, "settled": None if p is None else p < SETTLED}


def _apart(first: Finalist, other: Finalist) -> float | None:
    """How likely rewards are to differ so much by chance; certain where the other's are the higher ones."""
    p = welch(first.rewards, other.rewards, "two-sided")
    return 1.0 if p is not None and _mean(other.rewards) > _mean(first.rewards) else p


def print_finalists(console: Console, name: str, facts: dict[str, Any]) -> None:
    """The same for people."""
    table = Table(title=f"finalists of {name}: trained again, confirm split", title_justify="left")
    for heading in ("", "trial", "its reward", "mean", "95 % interval", "trainings"):
        table.add_column(heading, justify="right")
    for rank, row in enumerate(facts["finalists"], start=1):
        low, high = row["interval"] or (None, None)
        table.add_row(
            str(rank),
            str(row["number"]),
            f"{row['found']:.4f}",
            "-" if row["mean"] is None else f"{row['mean']:.4f}",
            "-" if low is None else f"{low:.4f} to {high:.4f}",
            f"{len(row['rewards'])}" + (f" ({row['failures']} failed)" if row["failures"] else ""),
        )
    console.print(table)
    if facts["p"] is not None:
        words = "is settled" if facts["settled"] else "is not settled: more seeds would tell"
        console.print(f"that the first is better than every other {words} (p = {facts['p']:.2g}, two-sided)")


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else -math.inf


def _interval(values: Sequence[float]) -> dict[str, Any]:
    from scipy.stats import t

    if not values:
        return {"mean": None, "sd": None, "interval": None}
    mean = float(np.mean(values))
    if len(values) < 2:
        return {"mean": mean, "sd": None, "interval": None}
    sd = float(np.std(values, ddof=1))
    half = float(t.ppf(0.975, len(values) - 1)) * sd / math.sqrt(len(values))
    return {"mean": mean, "sd": sd, "interval": [mean - half, mean + half]}


def welch(
    first: Sequence[float], second: Sequence[float], alternative: Literal["greater", "two-sided"]
) -> float | None:
    """The p-value of Welch's test, the certain one where neither varies; None where either has under two."""
    from scipy.stats import ttest_ind

    if min(len(first), len(second)) < 2:
        return None
    if np.ptp(first) == np.ptp(second) == 0:
        differ = first[0] > second[0] if alternative == "greater" else first[0] != second[0]
        return 0.0 if differ else 1.0
    return float(ttest_ind(first, second, equal_var=False, alternative=alternative).pvalue)
