"""A cluster of several real nodes on this machine: nodes go, nodes come, and the head is lost."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from results_db.records import TrialStatus
from results_db.store import Store

Start = Callable[..., subprocess.Popen[str]]
Sound = Callable[[str, int], None]
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

    (head,) = [
        each for each in psutil.Process().children(recursive=True) if each.name().startswith("gcs_server")
    ]
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


def _failed_on(url: str, node: str) -> int:
    with Store.read(url) as store:
        return sum(each.failure is not None and node in each.worker for each in store.attempts("chaos"))
