"""A cluster of several real nodes on this machine: nodes go, nodes come, and the head is lost."""

from __future__ import annotations

import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from nas.rules import CampaignRules
from results_db.records import TrialStatus
from results_db.store import Store
from search_space.trial import FailureKind

Start = Callable[..., subprocess.Popen[str]]
Sound = Callable[[str, int], None]
RETRIES = CampaignRules(trials=1).retries[FailureKind.LOST_WORKER]
SMALL = {"object_store_memory": 80 * 2**20, "include_dashboard": False}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head without CPUs of its own and two nodes of one CPU each; this process does not join it."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    made: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **SMALL})
    yield made
    made.shutdown()


def nodes_of(url: str) -> dict[str, int]:
    """On how many attempts each node worked."""
    found: dict[str, int] = {}
    with Store.read(url) as store:
        for attempt in store.attempts("chaos"):
            node = attempt.worker.partition("@")[2]
            found[node] = found.get(node, 0) + 1
    return found


def wait_until(holds: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Fails when the process ends before."""
    for _ in range(900):
        if holds():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    pytest.fail("it never came to pass")


@pytest.mark.timeout(400)
def test_nodes_come_and_go_and_the_head_is_lost(
    cluster: Any, start: Start, sound: Sound, tmp_path: Path
) -> None:
    url, trials, joined = f"sqlite:///{tmp_path / 'c.sqlite'}", 200, {"RAY_ADDRESS": cluster.address}
    doomed = cluster.add_node(num_cpus=1, **SMALL)
    process = start(url, joined, trials=trials, runner="ray", workers=2, seconds=0.4, failures=0)
    assert process.stdout is not None
    process.stdout.readline()

    # One node, and two workers are wanted: the second waits for a place, and nobody counts it as a failure.
    wait_until(lambda: sum(nodes_of(url).values()) > 3, process)
    assert len(nodes_of(url)) == 1

    cluster.add_node(num_cpus=1, **SMALL)
    wait_until(lambda: len(nodes_of(url)) == 2, process)

    cluster.remove_node(doomed, allow_graceful=False)
    (lost,) = [node for node in nodes_of(url) if node.startswith(doomed.node_id[:8])]
    wait_until(lambda: _failed_on(url, lost) > 0, process)
    with Store.read(url) as store:
        (again,) = [
            each for each in store.attempts("chaos") if each.failure is not None and lost in each.worker
        ]
        wait_until(lambda: store.trial("chaos", again.number).status is TrialStatus.FINISHED, process)
        elsewhere = store.attempts("chaos", again.number)[-1].worker
    assert lost not in elsewhere

    cluster.head_node.kill_gcs_server(check_alive=False)
    began = time.monotonic()
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert errors.splitlines()[-1].startswith("nas: the head of the Ray cluster is lost"), errors
    assert time.monotonic() - began < 90

    with Store.read(url) as store:
        assert store.fence("chaos").pid is None, "released, so that anybody can go on"
        assert store.counts("chaos")[TrialStatus.FAILED] == 0
    _, errors = start(url, trials=trials, runner="ray", workers=2, seconds=0.02, failures=0).communicate()
    assert errors == ""
    sound(url, trials)


@pytest.mark.full
@pytest.mark.timeout(400)
def test_a_head_that_hangs_is_noticed(cluster: Any, start: Start, sound: Sound, tmp_path: Path) -> None:
    """Its port is open, its answers don't come; the driver ends all the same, though Ray's own end hangs."""
    url, trials, joined = f"sqlite:///{tmp_path / 'c.sqlite'}", 200, {"RAY_ADDRESS": cluster.address}
    cluster.add_node(num_cpus=1, **SMALL)
    process = start(url, joined, trials=trials, runner="ray", workers=1, seconds=0.4, failures=0)
    assert process.stdout is not None
    process.stdout.readline()
    wait_until(lambda: sum(nodes_of(url).values()) > 3, process)

    head = psutil.Process(cluster.head_node.all_processes["gcs_server"][0].process.pid)
    head.suspend()
    try:
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 2
        assert errors.splitlines()[-1].startswith("nas: the head of the Ray cluster is lost"), errors
    finally:
        head.resume()
    with Store.read(url) as store:
        assert store.fence("chaos").pid is None, "released, so that anybody can go on"
    _, errors = start(url, trials=trials, runner="ray", workers=2, seconds=0.02, failures=0).communicate()
    assert errors == ""
    sound(url, trials)


@pytest.mark.full
@pytest.mark.timeout(1200)
def test_nodes_struck_at_random_moments(cluster: Any, start: Start, sound: Sound, tmp_path: Path) -> None:
    """Nodes die without a word, others join, and some stand still for seconds as overloaded ones do."""
    url, trials, joined = f"sqlite:///{tmp_path / 'c.sqlite'}", 400, {"RAY_ADDRESS": cluster.address}
    rng, strikes = random.Random(6), {"dies": 0, "stands still": 0}
    nodes = [cluster.add_node(num_cpus=1, **SMALL) for _ in range(3)]
    process = start(url, joined, trials=trials, runner="ray", workers=3, seconds=0.3, failures=0.05)
    assert process.stdout is not None
    process.stdout.readline()

    while process.poll() is None and sum(strikes.values()) < 20:
        time.sleep(rng.uniform(0.2, 3))
        struck = nodes.pop(rng.randrange(len(nodes)))
        if rng.random() < 0.6:
            strikes["dies"] += 1
            cluster.remove_node(struck, allow_graceful=False)
            struck = cluster.add_node(num_cpus=1, **SMALL)
        else:
            strikes["stands still"] += 1
            stand_still(struck, rng.uniform(1, 4))
        nodes.append(struck)

    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    assert min(strikes.values()) > 2, "the campaign was over before it was struck"
    with Store.read(url) as store:
        latest = {trial.number: trial.attempt for trial in store.trials("chaos")}
        failed = [each for each in store.attempts("chaos") if each.failure is not None]
    lost = [each for each in failed if each.failure and each.failure.kind is FailureKind.LOST_WORKER]
    assert len(lost) > 2
    times = Counter(each.number for each in lost)
    assert all(latest[each.number] > each.attempt or times[each.number] > RETRIES for each in lost)
    sound(url, trials)


def stand_still(node: Any, seconds: float) -> None:
    """Stop a node's raylet and all its workers for a while."""
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    stopped = [raylet, *raylet.children(recursive=True)]
    for each in stopped:
        with suppress(psutil.NoSuchProcess):
            each.suspend()
    time.sleep(seconds)
    for each in stopped:
        with suppress(psutil.NoSuchProcess):
            each.resume()


def _failed_on(url: str, node: str) -> int:
    with Store.read(url) as store:
        return sum(each.failure is not None and node in each.worker for each in store.attempts("chaos"))
