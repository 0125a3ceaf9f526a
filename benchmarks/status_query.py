"""How long `nas status` takes with a large campaign in SQLite and in PostgreSQL.

    python -m benchmarks.status_query [--trials 14000] [--progress 20]

Fills a database of each kind with a campaign of so many trials, each with so many progress metrics and a
measurement, and a hard limit of hours; then takes the best, the median and the worst of ten of: all that
`nas status` asks of the open database, and the whole command as a process of its own, by the clock and in
seconds of a core (`cpu`: what is left of it on a busy machine). PostgreSQL is the server that the tests run.
Writes benchmarks/results/status_query.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from sqlalchemy import func, insert, select, text, update

from benchmarks.record import write
from nas.budget import Budget
from nas.cli_words import uncollected
from nas.config import CampaignConfig
from nas.launch import create
from nas.runners.options import SerialOptions
from nas.space_config import SpaceConfig
from nas.status_facts import status
from proxy_trainer.synthetic import SyntheticConfig
from results_db.records import TrialStatus
from results_db.store import Store
from results_db.tables import AttemptRow, CampaignRow, MetricRow, TrialRow, now

ROUNDS = 10
FINAL = 10
SERVER = Path(__file__).parents[1] / "tests" / "postgres_server.py"
STATUS = "from nas.cli import main; main()"


@contextmanager
def postgres() -> Iterator[str]:
    """A server of our own, while this lasts."""
    with subprocess.Popen(
        [sys.executable, SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None  # noqa: S101, it is a pipe
        yield json.loads(server.stdout.readline())["url"]


def fill(store: Store, trials: int, progress: int) -> None:
    """What a campaign would have stored, but all at once; see guard 0003 for why token 0."""
    rng = np.random.default_rng(0)
    moment = now()
    space = SpaceConfig(preset="spinenet-49").resolved().build()
    genomes = [space.to_text(space.sample(rng)) for _ in range(200)]
    key = {"campaign_id": 1}
    numbers = range(1, trials + 1)
    with store._database.transaction() as session:
        session.execute(
            insert(TrialRow),
            [
                {**key, "number": n, "status": TrialStatus.FINISHED, "genome": genomes[n % 200], "seed": n,
                 "fingerprint": f"{n % 5000:016x}", "note": {"parents": [n // 2]}, "told": max(0, n - 100),
                 "attempt": 1, "proposed": moment, "started": moment, "ended": moment, "finish_order": n,
                 "reward": float(rng.random())}
                for n in numbers
            ],
        )  # fmt: skip
        provenance = {"host": "worker", "device": "cpu", "code": "0.1.0", "python": "3.11", "data": "f" * 16}
        session.execute(
            insert(AttemptRow),
            [
                {**key, "number": n, "attempt": 1, "worker": f"ray-{n % 100}", "started": moment,
                 "ended": moment, "seconds": 9.5, "provenance": provenance}
                for n in numbers
            ],
        )  # fmt: skip
        for n in numbers:
            steps = [{"step": step, "name": "AP", "final": False} for step in range(progress)]
            last = [{"step": progress, "name": f"metric{m}", "final": True} for m in range(FINAL)]
            rows = [{**key, "number": n, "attempt": 1, "value": 0.5, **each} for each in steps + last]
            session.execute(insert(MetricRow), rows)
        session.execute(update(CampaignRow).values(token=1))


def timed(call: Callable[[], object]) -> dict[str, float]:
    """Seconds: the best, the median and the worst of some rounds."""
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return {"best": min(seconds), "median": median(seconds), "worst": max(seconds)}


def measured(url: str | None, root: Path, trials: int, progress: int) -> dict[str, Any]:
    """The figures of one kind of database."""
    config = CampaignConfig(
        name="large",
        space=SpaceConfig(preset="spinenet-49").resolved(),
        evaluator=SyntheticConfig(),
        runner=SerialOptions(kind="serial"),
        budget=Budget(trials=trials + 1, hours=1e6),
        database=url,
    )
    folder = create(config, root)
    command = [sys.executable, "-c", STATUS, "status", "large", "--root", str(root)]
    caching = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    with Store.open(folder.database) as store:
        fill(store, trials, progress)
        filled = time.perf_counter() - start
        if url is not None:
            with store._database.engine.connect() as connection:  # what a server does by itself in time
                alone = connection.execution_options(isolation_level="AUTOCOMMIT")
                alone.execute(text("VACUUM ANALYZE"))
                alone.execute(text("CHECKPOINT"))
    with Store.read(folder.database) as store:
        with store._database.transaction() as session:
            metrics = session.scalar(select(func.count()).select_from(MetricRow))
        with uncollected():  # as the command itself
            query = timed(lambda: status(store, folder))
    subprocess.run(command, check=True, capture_output=True, env=caching)  # compiles what is imported
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    whole = timed(lambda: subprocess.run(command, check=True, capture_output=True, env=caching))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / ROUNDS
    return {"metrics": metrics, "filled": filled, "query": query, "command": whole | {"cpu": cpu}}


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=14_000)
    parser.add_argument("--progress", type=int, default=20)
    options = parser.parse_args()
    report: dict[str, Any] = {"trials": options.trials, "progress": options.progress}
    with tempfile.TemporaryDirectory() as root, postgres() as url:
        for kind, address in (("sqlite", None), ("postgresql", url)):
            found = measured(address, Path(root) / kind, options.trials, options.progress)
            print(kind, {name: found[name] for name in ("query", "command", "filled")})
            report[kind] = found
    write("status_query", {**report, "load": os.getloadavg()[0]})


if __name__ == "__main__":
    main()
