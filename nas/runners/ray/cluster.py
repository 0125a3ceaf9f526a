"""Ray itself: started here or joined elsewhere, how many workers it bears, and whether its head lives."""

from __future__ import annotations

import atexit
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import psutil
import ray
from ray.exceptions import RayActorError

from nas.runners.capacity import local_workers
from nas.runners.options import RayOptions
from nas.runners.worker import RunnerError

OBJECT_STORE_BYTES: Final = 100 * 2**20  # results are small: data reaches the workers through files
LOOK_SECONDS: Final = 2.0
HEAD_SECONDS: Final = 20.0
"""A head that can't be reached for so long is gone. Ray itself would end this process after 60."""

HANG_SECONDS: Final = 40.0
"""A head that can be reached and does not answer for so long hangs. A busy one may take some seconds."""

ANSWER_SECONDS: Final = 10.0

PARTING_SECONDS: Final = 15.0

STARTING_NICENESS: Final = 10
WORKING_NICENESS: Final = 19
"""As low as can be. A worker adds its own (RAY_worker_niceness) to its raylet's; any sum over 19 is 19."""

CLIENT: Final = "ray://"
LEFT: Final = 2
"""The exit code of a run whose Ray can't be ended, as of any run that can't go on."""


@dataclass(slots=True)
class Cluster:
    """What is known of Ray while it runs, renewed by a thread: its calls hang when the head is gone.

    `workers` is how many the pool should have, with what Ray has now. `nodes` are the resources of each
    living node.
    """

    options: RayOptions
    left: int
    grows: bool
    nodes: Sequence[Mapping[str, float]] = ()
    _reached: float = field(default_factory=time.monotonic)
    _answered: float = field(default_factory=time.monotonic)
    _checked: float = field(default_factory=time.monotonic)
    _over: threading.Event = field(default_factory=threading.Event)

    @property
    def workers(self) -> int:
        """As many as the config says; else as many as fit, at most one for each trial left."""
        if self.options.workers is not None:
            return self.options.workers
        return max(1, min(self.left, sum(fitting(node, self.options) for node in self.nodes)))

    @property
    def has_room(self) -> bool:
        """Whether any node is large enough for a worker, busy or not."""
        return any(fitting(node, self.options) for node in self.nodes)

    def check(self) -> None:
        """Raises RunnerError where the head can't be reached, or does not answer, for long."""
        now, before = time.monotonic(), self._checked
        self._checked = now
        if now - before > HEAD_SECONDS / 2:
            # This process was stopped, or busy for long: the head may have answered, had it been asked.
            self._answered = self._reached = now
        gone, silent = now - self._reached, now - self._answered
        if gone > HEAD_SECONDS or silent > HANG_SECONDS:
            raise RunnerError(
                f"the head of the Ray cluster is lost: no answer for {max(gone, silent):.0f} s;"
                " `nas resume` goes on, once there is a cluster"
            )

    @property
    def answers(self) -> bool:
        """Whether the head answered lately."""
        return time.monotonic() - self._answered < ANSWER_SECONDS

    def look(self) -> None:
        """See what is there."""
        found = ray.nodes()  # type: ignore[no-untyped-call] # Ray's own omission
        self.nodes = [node["Resources"] for node in found if node["Alive"]]
        self._answered = time.monotonic()

    def watch(self, head: str) -> None:
        """Go on looking, until `close`; run by a thread."""
        while not self._over.wait(LOOK_SECONDS):
            try:
                _check_reachable(head)
                self._reached = time.monotonic()
                _check_alive(head)
                if self.grows:
                    self.look()
            except Exception:  # noqa: BLE001, S112 whatever it is: no answer
                continue
            self._answered = time.monotonic()

    def close(self) -> None:
        """Look no more."""
        self._over.set()


def fitting(node: Mapping[str, float], options: RayOptions) -> int:
    """How many workers a node of these resources bears; a share of a GPU never spans two."""
    bearable = int(node.get("CPU", 0)) // options.cpus_per_worker
    share = options.gpus_per_worker
    if share:
        gpus = node.get("GPU", 0)
        bearable = min(bearable, int(gpus) * int(1 / share) if share <= 1 else int(gpus // share))
    return bearable


@contextmanager
def engine(options: RayOptions, left: int) -> Iterator[Cluster]:
    """Ray, started here unless it runs already or elsewhere. Raises RunnerError."""
    started = not ray.is_initialized()
    elsewhere = bool(os.environ.get("RAY_ADDRESS"))
    here = options.workers or local_workers(options.cpus_per_worker, left)
    if started:
        _connect(here * options.cpus_per_worker)
    try:
        cluster = Cluster(options, left if elsewhere or not started else here, grows=elsewhere)
        cluster.look()
        if not elsewhere:
            _check_gpus(cluster, options.gpus_per_worker)
        threading.Thread(target=cluster.watch, args=[_head()], daemon=True, name="cluster").start()
        try:
            yield cluster
        finally:
            cluster.close()
    finally:
        if started and not bounded(ray.shutdown):
            atexit.register(_leave)


def bounded(end: Callable[[], object]) -> bool:
    """Do it, or give it up after a while: Ray may wait for a head that is gone. Whether it was done."""
    thread = threading.Thread(target=end, daemon=True, name="parting")
    thread.start()
    thread.join(PARTING_SECONDS)
    return not thread.is_alive()


def _leave() -> None:
    """End this process at once: Ray's own part in that would wait for ever, or crash, where a head hangs."""
    worker: Any = ray._private.worker
    if worker._global_node is not None:
        worker._global_node.kill_all_processes(check_alive=False, allow_graceful=False)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it any more
            stream.flush()
    os._exit(LEFT)


def _check_alive(head: str) -> None:
    """Raises Ray's errors; where its client stands between, nothing is known of the head itself."""
    if not head.startswith(CLIENT):
        worker: Any = ray._private.worker.global_worker  # which doesn't declare its client
        worker.gcs_client.check_alive([], timeout=ANSWER_SECONDS)  # as Ray's own scripts ask


def _check_gpus(cluster: Cluster, wanted: float) -> None:
    gpus = sum(node.get("GPU", 0) for node in cluster.nodes)
    if wanted > gpus:
        raise RunnerError(f"runner: gpus_per_worker={wanted:g}, but this machine has {gpus:g}; set it to 0")


def _head() -> str:
    """Where the head listens; where Ray's client stands between, the address of that one's server."""
    address = os.environ.get("RAY_ADDRESS", "")
    return address if address.startswith(CLIENT) else str(ray.get_runtime_context().gcs_address)


def _connect(cpus: int) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = os.environ.get("RAY_ADDRESS")
    try:
        if address:
            _check_reachable(address)
            ray.init(**quiet)
            return
        # "local": by default Ray would join whatever cluster was last started on this machine.
        os.environ.setdefault("RAY_worker_niceness", str(WORKING_NICENESS))
        ray.init(
            "local", num_cpus=cpus, include_dashboard=False, object_store_memory=OBJECT_STORE_BYTES, **quiet
        )
        give_way()
    except Exception as error:  # Ray raises bare Exceptions too, when a node is slow to start
        where = f"the Ray cluster at RAY_ADDRESS={address} can't be used" if address else "Ray doesn't start"
        hint = "; if it asks for a token, set RAY_AUTH_MODE=token" if address else ""
        raise RunnerError(f"{where}: {in_a_line(error)}{hint}") from error


def give_way() -> None:
    """Have what Ray's nodes under this process start from now on give way to drivers and people's commands.

    Ray itself makes workers nice only once they have started. To start takes each of them seconds of a core:
    a machine with many workers would answer to nobody meanwhile.
    """
    for each in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it is gone by now, or may not be asked
            if each.name() == "raylet":
                each.nice(STARTING_NICENESS)


def _check_reachable(address: str) -> None:
    """Ray itself would try for minutes. Raises OSError."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


def in_a_line(error: BaseException) -> str:
    """An error in one line: Ray's own run over many, of which the one about the exit says why."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if "exit detail" in line.lower()] or lines[:1]
    if lines and "creation task" in lines[0]:  # followed by a traceback, which ends with what was wrong
        told = lines[-1:]
    if isinstance(error, RayActorError) and told:
        return told[0].rsplit("Worker exit detail: ", 1)[-1][:200]
    return (told[0] if told else type(error).__name__)[:200]
