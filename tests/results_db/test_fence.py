"""The fence: of all who want to drive a campaign, one does, and a dead one is told from a living one."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from results_db import database
from results_db import fence as fence_module
from results_db.errors import CampaignBusy, DatabaseUnreachable, LeaseLost
from results_db.fence import Holder, lives, process_start
from results_db.store import Store

FULL = [pytest.mark.full, pytest.mark.timeout(900)]

TAKE = """
import sys, time
from results_db.store import Store
from results_db.errors import CampaignBusy
store = Store.open(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
try:
    store.take("alpha")
except CampaignBusy as error:
    print("busy", error, flush=True)
else:
    print("won", flush=True)
sys.stdin.readline()
"""

RACE = """
import os, sys
from results_db.store import Store
from results_db.errors import CampaignBusy

def child(go, stay, answers):
    store = Store.open(sys.argv[1])
    os.read(go, 1)  # until the parent closes its end
    try:
        store.take("alpha")
    except CampaignBusy:
        os.write(answers, b"b")
    else:
        os.write(answers, b"w")
    os.read(stay, 1)  # the winner lives until all have tried
    os._exit(0)

for _ in range(int(sys.argv[2])):
    (go, start), (stay, end), (answers, answer) = os.pipe(), os.pipe(), os.pipe()
    pids = []
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            os.close(start)
            os.close(end)
            child(go, stay, answer)
        pids.append(pid)
    os.close(start)
    got = b"".join(os.read(answers, 1) for _ in pids)
    print("".join(sorted(got.decode())), flush=True)
    os.close(end)
    for pid in pids:
        os.waitpid(pid, 0)
    for descriptor in (go, stay, answers, answer):
        os.close(descriptor)
"""


DRIVE = """
import os, signal, sys, time
from results_db import database
from contextlib import suppress
database.BUSY_SECONDS = 1.0
from results_db.errors import DatabaseUnreachable, LeaseLost
from results_db.fence import Holder
from results_db.records import NewTrial
from results_db.store import Store
from search_space.trial import Progress

store = Store.open(sys.argv[1])
writer = store.take("alpha", me=Holder(host="elsewhere", boot="b", pid=os.getpid(), process_start="1"))
writer.reserve(NewTrial(number=1, genome="g", fingerprint="f", note={}, seed=0, told=0), "")
print("driving", flush=True)
step = 0
try:
    while True:
        step += 1
        if step == int(sys.argv[2]):
            with suppress(DatabaseUnreachable), writer._transaction():
                os.kill(os.getpid(), signal.SIGSTOP)
        writer.observe(1, 1, Progress(step=step, metrics={"AP": 0.5}))
        time.sleep(0.01)  # or it would always be stopped in a transaction
except LeaseLost as error:
    print("lost", flush=True)
"""


@contextlib.contextmanager
def driving(url: str, stops_at: int = 0) -> Iterator[subprocess.Popen[str]]:
    """A driver of another host, as it says, which writes and writes; it may stop itself in a transaction."""
    command = [sys.executable, "-c", DRIVE, url, str(stops_at)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert answer(process) == "driving"
            yield process
        finally:
            process.kill()  # or what failed above would wait for one that is stopped


def written(store: Store) -> tuple[object, ...]:
    """Everything that a driver writes."""
    return store.trials("alpha"), store.attempts("alpha"), store.metrics("alpha"), store.fence("alpha")


@pytest.mark.parametrize("rounds", [2, pytest.param(25, marks=FULL)])
def test_a_driver_that_was_stopped_and_overtaken_writes_nothing(
    engine: Any, fresh: str, rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A server soon ends a transaction whose process is stopped, if not at once where the machine is busy.
    monkeypatch.setattr(database, "BUSY_SECONDS", 1.0 if engine.name == "sqlite" else 10.0)
    rng, overtaken = random.Random(rounds), 0
    while overtaken < rounds:
        url = engine.copy(fresh)
        with Store.open(url) as store, driving(url) as process:
            time.sleep(rng.uniform(0, 0.2))
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
            try:
                store.take("alpha", lease_seconds=0.3)
            except DatabaseUnreachable:  # stopped in the midst of a write: on SQLite nobody can write then
                assert engine.name == "sqlite"
                continue
            before = written(store)
            process.send_signal(signal.SIGCONT)
            assert process.communicate()[0].endswith("lost\n")
            assert written(store) == before
            overtaken += 1


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_a_driver_that_was_stopped_in_a_transaction_is_overtaken(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 10.0)
    with Store.open(address) as store, driving(address, stops_at=5) as process:
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        store.take("alpha", lease_seconds=0.1)  # waits until the server has ended the other's transaction
        before = written(store)
        process.send_signal(signal.SIGCONT)
        assert process.communicate()[0].endswith("lost\n")
        assert written(store) == before


def spawn(url: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", TAKE, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def elsewhere(pid: int = 1) -> Holder:
    return Holder(host="elsewhere", boot="another", pid=pid, process_start="1")


def test_a_living_driver_is_respected_and_a_dead_one_replaced_at_once(store: Store, address: str) -> None:
    process = spawn(address)
    go(process)
    assert answer(process) == "won"
    with pytest.raises(CampaignBusy, match=f"is being run by pid {process.pid} on .*; stop that one first"):
        store.take("alpha")
    process.send_signal(signal.SIGSTOP)  # asleep is alive
    with pytest.raises(CampaignBusy):
        store.take("alpha")
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, but not buried: its pid still shows
    token = store.fence("alpha").token
    with store.take("alpha"):
        assert store.fence("alpha").token == token + 1
        assert store.fence("alpha").pid == os.getpid()
    process.communicate()


def test_a_pid_that_was_given_to_another_process_is_no_driver(store: Store) -> None:
    me = Holder.me()
    store.take("alpha", me=Holder(host=me.host, boot=me.boot, pid=os.getppid(), process_start="0"))
    store.take("alpha")
    assert store.fence("alpha").pid == os.getpid()


def test_a_process_may_take_from_itself(store: Store) -> None:
    first = store.take("alpha")
    second = store.take("alpha")
    assert store.fence("alpha").token == 2
    with pytest.raises(LeaseLost):
        first._transaction().__enter__()
    second.release()


def test_after_a_release_anybody_may_take_at_once(store: Store) -> None:
    with store.take("alpha", me=elsewhere()):
        pass
    store.take("alpha", lease_seconds=3600.0)
    assert store.fence("alpha").token == 2


def test_a_driver_elsewhere_is_overtaken_when_its_beat_stands_still(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    store.take("alpha", me=elsewhere())
    start = time.monotonic()
    store.take("alpha", lease_seconds=0.2)
    assert time.monotonic() - start >= 0.2  # it did wait; how long is the machine's business
    assert store.fence("alpha").host == Holder.me().host
    assert "watching for 0 s whether pid 1 on elsewhere lives" in caplog.text


def test_the_same_name_after_another_boot_is_elsewhere(store: Store) -> None:
    me = Holder.me()
    store.take("alpha", me=Holder(host=me.host, boot="earlier", pid=me.pid, process_start="0"))
    start = time.monotonic()
    store.take("alpha", lease_seconds=0.2)
    assert time.monotonic() - start >= 0.2


def test_a_driver_elsewhere_whose_beat_moves_is_respected(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = store.take("alpha", me=elsewhere(42))
    monkeypatch.setattr("results_db.writer.BEAT_SECONDS", 0.0)
    stop = threading.Event()

    def live() -> None:
        while not stop.wait(0.05):
            driver.beat()

    thread = threading.Thread(target=live)
    thread.start()
    try:
        with pytest.raises(CampaignBusy, match="is being run by pid 42 on elsewhere"):
            store.take("alpha", lease_seconds=30.0)
    finally:
        stop.set()
        thread.join()
    assert store.fence("alpha").token == 1


def test_a_beat_between_look_and_take_counts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    # the driver wakes up in the last moment: after the watcher's last look, before its takeover
    driver = store.take("alpha", me=elsewhere(42))
    monkeypatch.setattr("results_db.writer.BEAT_SECONDS", 0.0)
    swap = fence_module._swap

    def late(*args: object) -> bool:
        driver.beat()
        return swap(*args)  # type: ignore[arg-type]  # handed through as they came

    monkeypatch.setattr(fence_module, "_swap", late)
    with pytest.raises(CampaignBusy):
        store.take("alpha", lease_seconds=0.1)
    driver.beat()


def test_the_token_decides_even_while_the_clock_stands_still(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    instant = datetime.now(UTC)
    monkeypatch.setattr(fence_module, "now", lambda: instant)
    store.take("alpha")
    seen = store.fence("alpha")
    assert fence_module._swap(store._database, 1, seen, elsewhere())
    assert store.fence("alpha").beat == seen.beat
    assert not fence_module._swap(store._database, 1, seen, elsewhere())


@pytest.mark.parametrize("rounds", [5, pytest.param(100, marks=FULL)])
def test_of_several_takers_one_wins(store: Store, address: str, rounds: int) -> None:
    store.close()
    command = [sys.executable, "-c", RACE, address, str(rounds)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.split() == ["bbw"] * rounds
    with Store.open(address) as reopened:
        assert reopened.fence("alpha").token == rounds


def test_a_process_that_the_host_hides_is_not_called_dead(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "stat").touch()
    child = os.fork()
    if child == 0:  # as another user, on a host that shows none but one's own processes
        found: object = "nothing"
        with contextlib.suppress(BaseException):
            if os.geteuid() == 0:
                os.setuid(65534)
            fence_module.PROC = tmp_path
            found = lives(1, "12")
        os._exit(0 if found is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert lives(1, process_start(1)) is True
    assert lives(1, "another") is False
    assert lives(2**40, "12") is False


def test_a_hidden_driver_is_watched_like_one_elsewhere(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    me = Holder.me()
    store.take("alpha", me=Holder(host=me.host, boot=me.boot, pid=1, process_start="12"))
    monkeypatch.setattr(fence_module, "lives", lambda *_: None)
    start = time.monotonic()
    store.take("alpha", lease_seconds=0.2)
    assert time.monotonic() - start >= 0.2


def test_process_start_tells_processes_apart() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        start = process_start(process.pid)
        assert start is not None
        assert start == process_start(process.pid)
        assert start != process_start(1)
        process.kill()
    assert process_start(process.pid) is None


def test_an_odd_process_name_does_not_confuse() -> None:
    rename = "open('/proc/self/comm', 'w').write('a) Z 1 (b')"
    code = f"import sys; {rename}; print('renamed', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        start = process_start(process.pid)
        assert start is not None
        assert start.isdigit()
        assert int(start) > 1000
        process.kill()
