"""What is known of a stored campaign, as JSON-ready facts: what status, top and show print."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from controller.dominance import first_front
from nas import ranking
from nas.budget import Account, Use, spent, uses
from nas.config import CampaignConfig
from nas.folder import CampaignFolder
from nas.objectives import values
from results_db.fence import Holder, lives
from results_db.records import (
    ENDED,
    AttemptCounts,
    AttemptRecord,
    FenceRecord,
    MetricRecord,
    TrialRecord,
    TrialStatus,
)
from results_db.store import LEASE_SECONDS, Store
from search_space.genome import Genome

RECENT: Final = 50
"""Over how many of the latest outcomes the pace is taken."""


def status(store: Store, folder: CampaignFolder, config: CampaignConfig) -> dict[str, Any]:
    """Where a campaign stands, whoever runs it."""
    found = store.summary(config.name, RECENT)
    record, counts = found.campaign, found.counts
    failures = {kind.value: count for kind, count in sorted(found.failures.items())}
    driver = who_drives(found.fence)
    pace = _pace(found.recent)
    done = sum(counts[state] for state in ENDED)
    left = config.budget.trials - done
    limits = config.rules.limits
    used, full = _spending(store, config, driver) if limits else ((), False)
    forecast = _forecast(used, done, left, pace) if left > 0 and not full else None
    trials_last = left / pace * 3600 if pace else None
    return {
        "name": config.name,
        "state": "finished" if left <= 0 else "running" if driver else "budget spent" if full else "stopped",
        "budget": config.budget.trials,
        "counts": {state.value: counts.get(state, 0) for state in TrialStatus},
        "failures": failures,
        "retried": found.attempts.total - sum(counts.values()),
        "attempts": _attempts(found.attempts, failures),
        "best": _brief(found.best) if found.best else None,
        "rewards": list(found.rewards),
        "trials_per_hour": pace,
        "seconds_left": (forecast["seconds_left"] if forecast else trials_last)
        if driver and left > 0
        else None,
        "limits": [
            {"limit": use.word, "used": use.used, "most": use.most, "seconds_left": use.seconds_left}
            for use in used
        ],
        "forecast": forecast,
        "driver": driver,
        "created": record.created.isoformat(),
        "last_outcome": _iso(found.recent[-1][1]) if found.recent else None,
        "seed": config.seed,
        "space": config.space.build().name,
        "controller": config.controller.kind,
        "evaluator": config.evaluator.kind,
        "config_hash": record.config_hash,
        "code_version": record.code_version,
        "folder": str(folder.path),
    }


def _spending(store: Store, config: CampaignConfig, alive: object) -> tuple[tuple[Use, ...], bool]:
    """How much of each hard limit is used, and whether none has room for another trial."""
    limits, moment = config.rules.limits, datetime.now(UTC)
    account = Account(limits, intervals(store, config.name, moment if alive else None))
    finished, took = store.durations(config.name)
    account.finished(took, finished)
    return uses(limits, account.spent(moment)), not account.has_room(moment)


def intervals(store: Store, name: str, moment: datetime | None) -> list[tuple[datetime, datetime]]:
    """From when to when attempts took; those under way until this moment, None: their driver is dead.

    Then nobody knows how long they ran after its last sign of life.
    """
    until = moment or store.fence(name).beat or datetime.min.replace(tzinfo=UTC)
    return [(began, max(began, ended or until)) for began, ended in store.intervals(name)]


def _forecast(used: Sequence[Use], done: int, left: int, pace: float | None) -> dict[str, Any] | None:
    """What ends the campaign, in how many seconds of running, after how many trials; None while unknown."""
    lasts = {use.word: use.seconds_left for use in used if use.seconds_left is not None}
    if not pace or not lasts:
        return None
    lasts["trials"] = left / pace * 3600
    first = min(lasts, key=lasts.__getitem__)
    return {"limit": first, "seconds_left": lasts[first], "trials": done + int(lasts[first] * pace / 3600)}


def top(store: Store, name: str, limit: int, label: str | None = None) -> list[dict[str, Any]]:
    """The best finished trials with their final metrics, best first.

    By the rewards that the controller was told, each network once; or every trial by those of a label.
    Raises UnknownLabel.
    """
    if label is None:
        rows = [
            {**_brief(each.trial), "rewards": list(each.rewards), "mean": each.mean, "surely": each.surely}
            for each in ranking.best(store, name, limit)
        ]
    else:
        rows = [{**_brief(trial), "reward": reward} for trial, reward in store.rescored(name, label, limit)]
    return [
        {"rank": rank, **row, "metrics": final_metrics(store.metrics(name, row["number"]))}
        for rank, row in enumerate(rows, start=1)
    ]


def with_finalists(rows: list[dict[str, Any]], found: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Rows of `top`, each with what its genome came to as a finalist; None where it is none."""
    places = enumerate(found["finalists"], start=1) if found else ()
    known = {each["genome"]: {"rank": rank, **each} for rank, each in places}
    shown = ("rank", "mean", "sd", "interval", "rewards", "failures")
    return [
        {**row, "finalist": {word: again[word] for word in shown} if again else None}
        for row in rows
        for again in (known.get(row["genome"]),)
    ]


def front(store: Store, config: CampaignConfig) -> list[dict[str, Any]]:
    """The finished trials that none beats in all objectives, the best in the first one first.

    `objectives` has each one's metric as it was measured. Without objectives in the config: the trials
    of highest reward.
    """
    finished = [each for each in store.trials(config.name) if each.reward is not None]
    metrics = store.final(config.name, {each.metric for each in config.objectives})
    points = [values(config.objectives, metrics.get(each.number, {})) or (each.reward,) for each in finished]
    rows: list[int] = first_front(np.array(points, float)).tolist() if points else []
    return [
        {
            **_brief(finished[row]),
            "objectives": {
                each.metric: metrics[finished[row].number][each.metric] for each in config.objectives
            },
        }
        for row in rows
    ]


def trial(store: Store, name: str, number: int) -> dict[str, Any]:
    """Everything about one trial. Raises UnknownTrial."""
    record = store.trial(name, number)
    metrics = store.metrics(name, number)
    return {
        **_brief(record),
        "status": record.status.value,
        "seed": record.seed,
        "fingerprint": record.fingerprint,
        "note": dict(record.note),
        "told": record.told,
        "finish_order": record.finish_order,
        "proposed": record.proposed.isoformat(),
        "ended": _iso(record.ended),
        "failure": {"kind": record.failure.kind.value, "message": record.failure.message}
        if record.failure
        else None,
        "nodes": nodes(record.genome),
        "attempts": [_attempt(attempt) for attempt in store.attempts(name, number)],
        "metrics": final_metrics(metrics),
        "progress": _progress(metrics),
    }


def nodes(genome: str) -> list[dict[str, Any]]:
    """The nodes of a genome, by number: stem nodes have no parents."""
    parsed = Genome.from_text(genome)
    first = len(parsed.stem.nodes)
    return [
        {
            "node": node,
            "level": parsed.level(node),
            "kind": parsed.kind(node).value,
            "parents": list(parsed.blocks[node - first].parents) if node >= first else [],
            "output": node >= first and parsed.blocks[node - first].output,
        }
        for node in range(len(parsed))
    ]


def final_metrics(metrics: Iterable[MetricRecord]) -> dict[str, float | None]:
    """The measurement's metrics by name; null where one was no finite number, which JSON can't hold."""
    return {metric.name: _finite(metric.value) for metric in metrics if metric.final}


def _progress(metrics: Sequence[MetricRecord]) -> list[dict[str, Any]]:
    return [
        {"attempt": m.attempt, "step": m.step, "name": m.name, "value": _finite(m.value)}
        for m in metrics
        if not m.final
    ]


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def who_drives(fence: FenceRecord) -> dict[str, Any] | None:
    """Who drives the campaign: a living process of this host, or one out of sight that gave a sign lately."""
    if fence.pid is None:
        return None
    me = Holder.me()
    here = (fence.host, fence.boot) == (me.host, me.boot)
    alive = lives(fence.pid, fence.process_start) if here else None
    if alive is None:
        alive = fence.beat is not None and age(fence.beat.isoformat()) < LEASE_SECONDS
    return {"host": fence.host, "pid": fence.pid} if alive else None


def _brief(record: TrialRecord) -> dict[str, Any]:
    return {
        "number": record.number,
        "reward": record.reward,
        "attempt": record.attempt,
        "genome": record.genome,
    }


def _attempt(record: AttemptRecord) -> dict[str, Any]:
    return {
        "attempt": record.attempt,
        "worker": record.worker,
        "started": record.started.isoformat(),
        "seconds": record.seconds,
        "failure": {"kind": record.failure.kind.value, "message": record.failure.message}
        if record.failure
        else None,
        "provenance": dict(record.provenance),
    }


def _attempts(found: AttemptCounts, given_up: Mapping[str, int]) -> dict[str, Any]:
    """Attempts by how they ended; of each kind of failure, how many were tried again or given up."""
    return {
        "total": found.total,
        "cut_off": found.cut_off,
        "failed": {
            kind.value: {
                "attempts": count,
                "tried_again": count - given_up.get(kind, 0),
                "given_up": given_up.get(kind, 0),
            }
            for kind, count in sorted(found.failed.items())
        },
    }


def _pace(recent: Sequence[tuple[datetime, datetime]]) -> float | None:
    """Outcomes an hour over the latest ones, while any of them ran: a campaign that pauses is not slow."""
    hours = spent(recent, datetime.now(UTC)).hours
    return len(recent) / hours if hours > 0 else None


def age(moment: str) -> float:
    """Seconds since a moment that `status` gave."""
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
