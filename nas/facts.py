"""What is known of a stored campaign, as JSON-ready facts: what top and show print."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from controller.dominance import first_front
from nas import ranking
from nas.config import CampaignConfig
from nas.objectives import values
from nas.status_facts import brief, iso
from results_db.records import AttemptRecord, MetricRecord
from results_db.store import Store
from search_space.genome import Genome


def top(store: Store, name: str, limit: int, label: str | None = None) -> list[dict[str, Any]]:
    """The best finished trials with their final metrics, best first.

    By the rewards that the controller was told, each network once; or every trial by those of a label.
    Raises UnknownLabel.
    """
    if label is None:
        rows = [
            {**brief(each.trial), "rewards": list(each.rewards), "mean": each.mean, "surely": each.surely}
            for each in ranking.best(store, name, limit)
        ]
    else:
        rows = [{**brief(trial), "reward": reward} for trial, reward in store.rescored(name, label, limit)]
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
            **brief(finished[row]),
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
        **brief(record),
        "status": record.status.value,
        "seed": record.seed,
        "fingerprint": record.fingerprint,
        "note": dict(record.note),
        "told": record.told,
        "finish_order": record.finish_order,
        "proposed": record.proposed.isoformat(),
        "ended": iso(record.ended),
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


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


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
