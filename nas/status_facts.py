"""Where a campaign stands, as JSON-ready facts: what status prints.

Of the stored config only the few words that it says are read here: to load all that a config may name takes
as long again as the rest of the command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from nas.budget import Account, Budget, Limit, Price, Use, spent, uses
from nas.folder import CampaignFolder
from results_db.fence import Holder, lives
from results_db.records import ENDED, AttemptCounts, FenceRecord, TrialRecord, TrialStatus
from results_db.store import LEASE_SECONDS, Store

RECENT: Final = 50
"""Over how many of the latest outcomes the pace is taken."""


@dataclass(frozen=True, slots=True)
class Words:
    """Of a stored config, what status says; `limits` are the hard ones."""

    trials: int
    limits: tuple[Limit, ...]
    seed: int
    space: str
    controller: str
    evaluator: str


def status(store: Store, folder: CampaignFolder) -> dict[str, Any]:
    """Where a campaign stands, whoever runs it. Raises Refused for a stored config that is none."""
    name = folder.name
    found = store.summary(name, RECENT)
    words = _words(found.campaign.config)
    record, counts = found.campaign, found.counts
    failures = {kind.value: count for kind, count in sorted(found.failures.items())}
    driver = who_drives(found.fence)
    pace = _pace(found.recent)
    done = sum(counts[state] for state in ENDED)
    left = words.trials - done
    used, full = _spending(store, name, words.limits, driver) if words.limits else ((), False)
    forecast = _forecast(used, done, left, pace) if left > 0 and not full else None
    trials_last = left / pace * 3600 if pace else None
    return {
        "name": name,
        "state": "finished" if left <= 0 else "running" if driver else "budget spent" if full else "stopped",
        "budget": words.trials,
        "counts": {state.value: counts.get(state, 0) for state in TrialStatus},
        "failures": failures,
        "retried": found.attempts.total - sum(counts.values()),
        "attempts": _attempts(found.attempts, failures),
        "best": brief(found.best) if found.best else None,
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
        "last_outcome": iso(found.recent[-1][1]) if found.recent else None,
        "seed": words.seed,
        "space": words.space,
        "controller": words.controller,
        "evaluator": words.evaluator,
        "config_hash": record.config_hash,
        "code_version": record.code_version,
        "folder": str(folder.path),
    }


def _words(config: Mapping[str, Any]) -> Words:
    try:
        return _read(config)
    except (AttributeError, KeyError, TypeError, ValueError):
        from nas.config import from_json  # which says what is wrong with it, or what it means nowadays

        return _read(from_json(dict(config)).to_json())


def _read(config: Mapping[str, Any]) -> Words:
    budget, runner = dict(config["budget"]), config["runner"]
    price = budget.pop("price", None)
    whole = Budget(**budget, price=Price(**price) if price else None)
    return Words(
        whole.trials,
        # A serial runner says neither: it has one core and no device.
        whole.limits(runner.get("cpus_per_worker", 1), runner.get("gpus_per_worker", 0.0)),
        config["seed"],
        config["space"]["name"],
        config["controller"]["kind"],
        config["evaluator"]["kind"],
    )


def _spending(
    store: Store, name: str, limits: Sequence[Limit], alive: object
) -> tuple[tuple[Use, ...], bool]:
    """How much of each hard limit is used, and whether none has room for another trial."""
    moment = datetime.now(UTC)
    account = Account(limits, intervals(store, name, moment if alive else None))
    finished, took = store.durations(name)
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


def brief(record: TrialRecord) -> dict[str, Any]:
    """A trial in few words."""
    return {
        "number": record.number,
        "reward": record.reward,
        "attempt": record.attempt,
        "genome": record.genome,
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


def iso(moment: datetime | None) -> str | None:
    """As JSON has it."""
    return moment.isoformat() if moment else None
