"""Not a test: a driver that dies before each statement of nas/campaign.py in turn, in forked children.

python crash_points.py FOLDER SHARE SHARES [every]

A tiny campaign meets everything that a campaign can meet: two workers on two nodes, progress, rungs,
every way to fail, a late result. It is run once to count the lines that are executed; then once for each
distinct line (`every`: for each executed line), to the point where that line would be executed, where the
process ends as by kill -9. Another driver goes on to the end, and the campaign is audited. Several
processes share the points. Prints the statements that were never reached, and what was wrong, as JSON.
"""

from __future__ import annotations

import ast
import json
import logging
import os
import random
import shutil
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from controller.config import build
from controller.protocol import NothingLeft, Outcome, Pending, Proposal
from controller.regularized_evolution import RegularizedEvolutionConfig
from nas import audit, campaign
from nas.budget import Limit
from nas.campaign import Campaign, DataFailure, Done, FatalFailure, TooManyFailures
from nas.rules import CampaignRules
from nas.stopping import HalvingConfig
from proxy_trainer.protocol import TrialFailed
from results_db.records import NewCampaign
from results_db.store import Store
from search_space.catalog import space_by_name
from search_space.genome import Genome
from search_space.trial import Assignment, FailureKind, Measurement, Progress

FILE = campaign.__file__
TRIALS = 9
RULES = CampaignRules(
    trials=TRIALS,
    retries={FailureKind.LOST_WORKER: 1},
    stop=frozenset({FailureKind.INTERNAL}),
    stopping=HalvingConfig(rungs=(1,), least=3),
    failure_share=0.2,
    min_failures=1,
)
NOTHING = Limit("hours", 1e-9, per_hour=1.0, per_trial_hour=0.0)
STOPS = (DataFailure, FatalFailure, TooManyFailures)
CREW = ("ray-0@a", "ray-1@a", "ray-2@b")
SPACE = space_by_name("r0-sp53")


def make(path: Path) -> None:
    """A database with the campaign, nothing tried yet."""
    with Store.create(f"sqlite:///{path}") as store:
        store.add(NewCampaign(name="c", seed=11, config={}, config_hash="", code_version=""))


class Patient:
    """Evolution, whose proposals hang on all that it was told; with two trials pending it waits.

    Or it says that nothing is left, which comes to the same while those two are in flight.
    """

    def __init__(self) -> None:
        self._evolution = build(RegularizedEvolutionConfig(population=3, tournament=2), SPACE)
        self._told = 0

    def ask(self, rng: np.random.Generator, pending: Sequence[Pending[Genome]]) -> Proposal[Genome] | None:
        if len(pending) > 1 and self._told % 2:
            raise NothingLeft("of two in flight one must end")
        return None if len(pending) > 1 else self._evolution.ask(rng, pending)

    def tell(self, outcome: Outcome[Genome]) -> None:
        self._told += 1
        self._evolution.tell(outcome)


def opened(path: Path) -> Store:
    """The store, without waiting for the disk: it is not the power that fails here."""
    store = Store.open(f"sqlite:///{path}")
    with closing(store._database.engine.raw_connection()) as connection:
        connection.cursor().execute("PRAGMA synchronous = OFF")
    return store


def result_of(given: Assignment) -> Measurement | TrialFailed:
    """What befalls the trials; whatever stops the campaign does so at the first attempt only."""
    fates = {2: "lost_worker", 4: "diverged", 5: "out_of_memory"}
    once = {6: "data", 7: "internal"}
    fate = fates.get(given.number) or (once.get(given.number) if given.attempt == 1 else None)
    if fate is not None:
        return TrialFailed(FailureKind(fate), f"it was {fate}")
    return Measurement(step=2, metrics={"AP": (given.seed % 97) / 97, "loss": 1.0})


def drive(path: Path) -> None:
    """Three workers of which the first that has a trial gets its result next, until nothing is left.

    What runs when the campaign stops is given back. First of all comes a driver with nothing to spend.
    """
    done = False
    with opened(path) as store:
        with store.take("c") as writer:
            Campaign(writer, replace(RULES, limits=(NOTHING,)), SPACE, Patient()).propose(CREW[0], CREW)
        while not done:
            with store.take("c") as writer:
                driven = Campaign(writer, RULES, SPACE, Patient())
                try:
                    done = _drive(driven)
                except STOPS:
                    driven.give_back()


def _drive(driven: Campaign[Any]) -> bool:
    busy: dict[str, Assignment] = {}
    while True:
        driven.beat()
        for worker in CREW:
            given = driven.propose(worker, CREW) if worker not in busy else None
            if isinstance(given, Assignment):
                busy[worker] = given
            elif isinstance(given, Done):
                return driven.finished
        assert driven.seconds_left > 0
        assert not driven.finished
        worker = next(iter(busy))
        given = busy.pop(worker)
        # A stopped one is worse than all before it.
        value = -1.0 if given.number == 8 else float(given.number)
        if driven.observe(given.number, given.attempt, Progress(step=1, metrics={"AP": value})):
            driven.record(given.number, given.attempt, result_of(given))
        driven.observe(given.number, given.attempt, Progress(step=2, metrics={"AP": 1.0}))  # too late
        driven.record(given.number, given.attempt, Measurement(step=2, metrics={"AP": 1.0}))
        driven.snapshot()


def traced(path: Path, seen: Callable[[int], None]) -> None:
    """Drive, calling `seen` with the number of every line of campaign.py before it is executed."""

    def local(frame: FrameType, event: str, _: object) -> Any:
        if event == "line":
            seen(frame.f_lineno)
        return local

    def calls(frame: FrameType, _: str, __: object) -> Any:
        return local if frame.f_code.co_filename == FILE else None

    sys.settrace(calls)
    try:
        drive(path)
    finally:
        sys.settrace(None)


def forked(action: Callable[[], None]) -> int:
    """The exit code of a child that does it."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
        except BaseException as error:  # noqa: BLE001 whatever it is, it may not get back into the parent
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def die_at(path: Path, point: int) -> None:
    """Drive up to the `point`-th line, counted from 0."""
    left = point

    def seen(_: int) -> None:
        nonlocal left
        if left == 0:
            os._exit(9)
        left -= 1

    traced(path, seen)


def struck(fresh: Path, path: Path, point: int) -> Iterator[str]:
    """What is wrong with a campaign whose first driver died there."""
    shutil.copy(fresh, path)
    if forked(lambda: die_at(path, point)) != 9:
        yield "the driver did not die there"
    drive(path)
    with Store.read(f"sqlite:///{path}") as store:
        yield from audit.violations(store, "c", RULES, SPACE, Patient())
    path.unlink()


def statements() -> set[int]:
    """The first lines of all statements in the functions of campaign.py; a docstring is none."""
    found = set()
    for function in ast.walk(ast.parse(Path(FILE).read_text(encoding="utf-8"))):
        if isinstance(function, ast.FunctionDef):
            inner = [
                each for each in ast.walk(function) if isinstance(each, ast.stmt) and each is not function
            ]
            found |= {each.lineno for each in inner if not _is_text(each) and not isinstance(each, ast.Raise)}
    return found


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def main(folder: Path, share: int, shares: int, *, every: bool) -> None:
    """Enumerate, strike, report."""
    fresh, path = folder / "fresh.sqlite", folder / "struck.sqlite"
    make(fresh)
    shutil.copy(fresh, path)
    lines: list[int] = []
    traced(path, lines.append)
    with Store.read(f"sqlite:///{path}") as store:
        wrong = {"none": audit.violations(store, "c", RULES, SPACE, Patient())}
    path.unlink()
    points = defaultdict(list)
    for point, line in enumerate(lines):
        points[line].append(point)
    rng = random.Random(0)
    chosen = list(range(len(lines))) if every else [rng.choice(each) for each in points.values()]
    chosen = chosen[share::shares]
    for point in chosen:
        if found := list(struck(fresh, path, point)):
            wrong[f"line {lines[point]}, point {point}"] = found
    report = {
        "struck": len(chosen),
        "executed": len(lines),
        "never": sorted(statements() - points.keys()),
        "wrong": {where: found for where, found in wrong.items() if found},
    }
    print(json.dumps(report))


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # late results are part of the plan
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), every="every" in sys.argv[4:])
