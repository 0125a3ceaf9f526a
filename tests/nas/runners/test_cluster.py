"""What a cluster bears, as nodes come and go, and when its head counts as lost; no Ray is started."""

from __future__ import annotations

import time

import pytest

from nas.runners.options import RayOptions
from nas.runners.ray.cluster import HANG_SECONDS, HEAD_SECONDS, Cluster, _check_alive, fitting
from nas.runners.worker import RunnerError

HEAD, SMALL, LARGE = {"memory": 1e9}, {"CPU": 4.0}, {"CPU": 16.0, "GPU": 2.0}


@pytest.mark.parametrize(
    ("node", "cpus", "gpus", "workers"),
    [
        (HEAD, 1, 0, 0),
        (SMALL, 1, 0, 4),
        (SMALL, 3, 0, 1),
        (SMALL, 1, 0.5, 0),
        (LARGE, 1, 0.5, 4),
        (LARGE, 1, 0.4, 4),  # a share never spans two
        (LARGE, 1, 2, 1),
        (LARGE, 8, 0.1, 2),
    ],
)
def test_how_many_workers_fit_on_a_node(node: dict[str, float], cpus: int, gpus: float, workers: int) -> None:
    assert fitting(node, RayOptions(cpus_per_worker=cpus, gpus_per_worker=gpus)) == workers


def test_the_pool_follows_the_nodes_unless_the_config_says_how_many() -> None:
    cluster = Cluster(RayOptions(), left=100, grows=True)
    assert (cluster.workers, cluster.has_room) == (1, False), "somebody has to wait for a place"
    cluster.nodes = [HEAD, SMALL, LARGE]
    assert (cluster.workers, cluster.has_room) == (20, True)
    cluster.nodes = [HEAD, SMALL]
    assert cluster.workers == 4
    assert Cluster(RayOptions(), left=3, grows=True, nodes=[LARGE]).workers == 3
    assert Cluster(RayOptions(workers=64), left=3, grows=True, nodes=[SMALL]).workers == 64


@pytest.mark.parametrize(("what", "seconds"), [("_reached", HEAD_SECONDS), ("_answered", HANG_SECONDS)])
def test_a_head_that_is_silent_for_long_is_lost(what: str, seconds: float) -> None:
    """Sooner where it can't even be reached than where it hangs."""
    heard = Cluster(RayOptions(), left=1, grows=True)
    setattr(heard, what, time.monotonic() - seconds + 5)
    heard.check()
    lost = Cluster(RayOptions(), left=1, grows=True)
    setattr(lost, what, time.monotonic() - seconds - 1)
    with pytest.raises(RunnerError, match=r"head of the Ray cluster is lost.*nas resume"):
        lost.check()


def test_where_a_client_stands_between_the_head_itself_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray's client has no connection to it, which would count as no answer."""
    monkeypatch.setattr(
        "ray._private.worker.global_worker", object()
    )  # as in a process that has joined nothing
    _check_alive("ray://127.0.0.1:10001")
    with pytest.raises(AttributeError):
        _check_alive("127.0.0.1:6379")


def test_who_was_stopped_asks_again_before_a_head_counts_as_lost() -> None:
    long_ago = time.monotonic() - HANG_SECONDS - 1
    cluster = Cluster(RayOptions(), left=1, grows=True, _reached=long_ago, _answered=long_ago)
    cluster._checked = long_ago
    before = cluster.answers
    cluster.check()
    assert (before, cluster.answers) == (False, True)
    cluster._answered = long_ago
    with pytest.raises(RunnerError, match="head of the Ray cluster is lost"):
        cluster.check()
