"""The Ray runner: whatever befalls a worker becomes a typed failure, and the campaign goes on."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import ray
from ray.cloudpickle import register_pickle_by_value

from controller.random_search import RandomSearch
from nas.campaign import Campaign, DataFailure
from nas.rules import CampaignRules
from nas.runners.options import RayOptions
from nas.runners.ray import run as runner
from nas.runners.worker import RunnerError
from nas.stopping import HalvingConfig
from proxy_trainer.protocol import Evaluator, TrialFailed
from results_db.records import NewCampaign, TrialStatus
from results_db.store import Store
from search_space.catalog import SPACES
from search_space.genome import Genome
from search_space.trial import Assignment, FailureKind, Measurement, Progress


@pytest.fixture(scope="module", autouse=True)
def _by_value(ray_session: None) -> None:
    """Workers can't import a test file, so what is in it travels with the call."""
    del ray_session
    register_pickle_by_value(sys.modules[__name__])  # type: ignore[no-untyped-call] # Ray's own omission


@dataclass(frozen=True)
class Scripted:
    """Finishes every trial at once, but for those with a fate; a fate befalls the first attempt only."""

    fates: Mapping[int, str]
    places: Path

    def __call__(self) -> Evaluator:
        return self

    def evaluate(self, assignment: Assignment) -> Iterator[Progress | Measurement]:
        with (self.places / f"{assignment.number}").open("a", encoding="utf-8") as file:
            file.write(
                f"{os.getpid()} {sorted(os.sched_getaffinity(0))} {os.environ['OMP_NUM_THREADS']} "
                f"{os.environ.get('CUDA_VISIBLE_DEVICES', '')}\n"
            )
        yield Progress(step=1, metrics={"AP": 0.1})
        self._befall(self.fates.get(assignment.number, "") if assignment.attempt == 1 else "")
        yield Progress(step=2, metrics={"AP": 0.2})
        yield Measurement(step=3, metrics={"AP": assignment.number / 100})

    def _befall(self, fate: str) -> None:
        match fate:
            case "exit":
                os._exit(7)
            case "hang":
                time.sleep(1000)
            case "slow":
                time.sleep(0.5)
            case "raise":
                raise ZeroDivisionError("a slip in an evaluator")
            case "memory":
                raise MemoryError
            case "data" | "diverged":
                raise TrialFailed(FailureKind(fate), f"{fate}, as scripted")


@dataclass(frozen=True)
class Unbuildable:
    """An evaluator that can't be made: `how` says why; with `once`, a file, only the first time."""

    how: str
    once: Path | None = None

    def __call__(self) -> Evaluator:
        if self.once is not None:
            if self.once.exists():
                return Scripted({}, self.once.parent)
            self.once.touch()
        match self.how:
            case "hang":
                time.sleep(1000)
            case "typed":
                raise TrialFailed(FailureKind.DATA, "/data/images: no such directory")
            case "slip":
                raise AttributeError("a slip in a constructor")
        os._exit(9)


@dataclass(frozen=True)
class MadeInTurn:
    """An evaluator whose makings, counted over all workers, come out as `makings` says; the others well."""

    makings: Mapping[int, str]
    scripted: Scripted

    def __call__(self) -> Evaluator:
        for number in range(1000):
            try:
                (self.scripted.places / f"made-{number}").touch(exist_ok=False)
            except FileExistsError:
                continue
            match self.makings.get(number):
                case "typed":
                    raise TrialFailed(FailureKind.DATA, "/data/images: not on this node")
                case "exit":
                    os._exit(9)
                case "slow":
                    began = time.monotonic()
                    while not (self.scripted.places / "made-3").exists() and time.monotonic() < began + 60:
                        time.sleep(0.1)
                    time.sleep(2)  # until that one has come to nothing
            return self.scripted
        raise AssertionError


@dataclass(frozen=True)
class Clinging:
    """Every trial is worse than the one before; the second does not come to its end when it is stopped."""

    def __call__(self) -> Evaluator:
        return self

    def evaluate(self, assignment: Assignment) -> Iterator[Progress | Measurement]:
        try:
            yield Progress(step=1, metrics={"AP": 1 / assignment.number})
            yield Measurement(step=2, metrics={"AP": 1 / assignment.number})
        finally:
            if assignment.number == 2:
                time.sleep(1000)


@dataclass(frozen=True)
class Striking:
    """Trial 1, while trial 2's worker idles: ends that one, unseen by its driver, and later itself."""

    places: Path

    def __call__(self) -> Evaluator:
        return self

    def evaluate(self, assignment: Assignment) -> Iterator[Progress | Measurement]:
        idle = self.places / "idle"
        if assignment.number == 2:
            idle.write_text(str(os.getpid()))
        elif assignment.attempt == 1:
            while not idle.exists():
                time.sleep(0.1)
            time.sleep(1)
            os.kill(int(idle.read_text()), signal.SIGKILL)
            time.sleep(4)
            os._exit(9)
        yield Measurement(step=1, metrics={"AP": 0.5})


Retries = Mapping[FailureKind, int]
Open = Callable[..., Campaign[Genome]]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.create(f"sqlite:///{tmp_path / 'c.sqlite'}") as made:
        made.add(NewCampaign(name="c", seed=1, config={}, config_hash="", code_version=""))
        yield made


@pytest.fixture
def campaign(store: Store) -> Iterator[Callable[[int, Retries], Campaign[Genome]]]:
    """Opens the campaign with a budget and retries."""
    space = SPACES["r0-sp53"]
    with store.take("c") as writer:

        def open_with(
            trials: int, retries: Retries, stopping: HalvingConfig | None = None
        ) -> Campaign[Genome]:
            rules = CampaignRules(
                trials=trials, retries=retries, alone=frozenset(), failure_share=1.0, stopping=stopping
            )
            return Campaign(writer, rules, space, RandomSearch(space))

        yield open_with


TWO = RayOptions(workers=2)


def test_every_trial_is_run_once_on_warm_pinned_workers(store: Store, campaign: Open, tmp_path: Path) -> None:
    ticks: list[float] = []

    runner.run(campaign(10, {}), Scripted({}, tmp_path), TWO, lambda: ticks.append(time.monotonic()))

    trials = store.trials("c")
    assert [trial.reward for trial in trials] == [number / 100 for number in range(1, 11)]
    assert [metric.value for metric in store.metrics("c", 4)] == [0.1, 0.2, 0.04]
    notes = [(tmp_path / str(number)).read_text(encoding="utf-8").splitlines() for number in range(1, 11)]
    assert all(len(lines) == 1 for lines in notes)
    places = {line.split(maxsplit=1)[0]: line for (line,) in notes}
    assert 1 <= len(places) <= 2
    assert all("," not in line and line.split()[2] == "1" for line in places.values()), "one core, one thread"
    assert ticks


def test_troubles_become_typed_failures_and_the_campaign_goes_on(
    store: Store, campaign: Open, tmp_path: Path
) -> None:
    fates = {2: "exit", 4: "raise", 5: "memory", 6: "diverged", 7: "hang"}
    options = RayOptions(workers=2, timeout_seconds=3)

    runner.run(campaign(9, {}), Scripted(fates, tmp_path), options, lambda: None)

    failures = {trial.number: trial.failure for trial in store.trials("c") if trial.failure is not None}
    assert {number: failure.kind.value for number, failure in failures.items()} == {
        2: "lost_worker",
        4: "internal",
        5: "out_of_memory",
        6: "diverged",
        7: "timeout",
    }
    assert "ZeroDivisionError: a slip in an evaluator" in failures[4].message
    assert failures[6].message == "diverged, as scripted"
    assert all("\n" not in failure.message for failure in failures.values())
    assert store.counts("c")[TrialStatus.FINISHED] == 4


def test_a_lost_trial_is_tried_again_on_another_worker(store: Store, campaign: Open, tmp_path: Path) -> None:
    retries = {FailureKind.LOST_WORKER: 1}

    runner.run(campaign(4, retries), Scripted({1: "exit", 3: "exit"}, tmp_path), TWO, lambda: None)

    trials = store.trials("c")
    assert [trial.reward for trial in trials] == [0.01, 0.02, 0.03, 0.04]
    assert [trial.attempt for trial in trials] == [2, 1, 2, 1]
    first, second = (tmp_path / "1").read_text(encoding="utf-8").splitlines()
    assert first.split()[0] != second.split()[0]


def test_the_death_of_an_idle_worker_is_no_failure_of_the_next_trial(
    store: Store, campaign: Open, tmp_path: Path
) -> None:
    runner.run(campaign(2, {FailureKind.LOST_WORKER: 1}), Striking(tmp_path), TWO, lambda: None)

    assert [attempt.failure is None for attempt in store.attempts("c", 1)] == [False, True]
    assert store.counts("c")[TrialStatus.FINISHED] == 2


def test_data_that_can_not_be_read_stops_the_run(store: Store, campaign: Open, tmp_path: Path) -> None:
    with pytest.raises(DataFailure, match="as scripted"):
        runner.run(campaign(4, {}), Scripted({2: "data"}, tmp_path), TWO, lambda: None)

    assert store.trial("c", 2).status is TrialStatus.PROPOSED


@pytest.mark.parametrize(
    ("how", "line"),
    [
        ("typed", "no such directory"),
        ("slip", "a slip in a constructor"),
        ("exit", "3 workers in a row came to nothing"),
    ],
)
def test_workers_that_can_not_start_stop_the_run(campaign: Open, how: str, line: str) -> None:
    with pytest.raises(RunnerError, match=line) as stopped:
        runner.run(campaign(4, {}), Unbuildable(how), RayOptions(workers=1), lambda: None)

    assert "\n" not in str(stopped.value)


def test_a_worker_that_hangs_while_it_starts_is_replaced(
    store: Store, campaign: Open, tmp_path: Path
) -> None:
    options = RayOptions(workers=1, start_seconds=12)  # a process needs some on a busy machine

    runner.run(campaign(2, {}), Unbuildable("hang", tmp_path / "hung"), options, lambda: None)

    assert [trial.attempt for trial in store.trials("c")] == [1, 1]


def test_a_worker_that_can_not_work_where_others_do_is_hired_again(
    store: Store, campaign: Open, tmp_path: Path
) -> None:
    made = MadeInTurn({1: "typed"}, Scripted({1: "exit"}, tmp_path))

    runner.run(campaign(3, {FailureKind.LOST_WORKER: 1}), made, RayOptions(workers=1), lambda: None)

    assert [trial.reward for trial in store.trials("c")] == [0.01, 0.02, 0.03]
    assert (tmp_path / "made-2").exists(), "nobody was hired again after the one that could not work"


def test_starts_in_vain_end_nothing_while_another_worker_may_yet_be_ready(
    store: Store, campaign: Open, tmp_path: Path
) -> None:
    made = MadeInTurn({0: "slow", 1: "exit", 2: "exit", 3: "exit"}, Scripted({}, tmp_path))

    runner.run(campaign(2, {}), made, TWO, lambda: None)

    assert store.counts("c")[TrialStatus.FINISHED] == 2
    assert (tmp_path / "made-3").exists(), "there were not three starts in vain"


def test_a_worker_that_can_not_work_stops_nothing_while_another_may_yet_be_ready(
    store: Store, campaign: Open, tmp_path: Path
) -> None:
    """On a cluster the node without the data is the first to answer: to fail takes less time than to load."""
    made = MadeInTurn({0: "slow", 1: "typed", 2: "typed", 3: "typed"}, Scripted({}, tmp_path))

    runner.run(campaign(2, {}), made, TWO, lambda: None)

    assert store.counts("c")[TrialStatus.FINISHED] == 2
    assert (tmp_path / "made-3").exists(), "not as often as it takes to give up"


def test_a_worker_that_hangs_before_it_says_where_it_is_is_replaced(campaign: Open, tmp_path: Path) -> None:
    stuck = tmp_path / "log.txt"
    os.mkfifo(stuck)  # nobody reads it, so that opening it takes for ever
    options = RayOptions(workers=1, start_seconds=2)

    with pytest.raises(RunnerError, match=r"3 workers in a row .* not ready after 2 s"):
        runner.run(campaign(1, {}), Scripted({}, tmp_path), options, lambda: None, stuck)


def test_workers_that_die_before_they_say_where_they_are_stop_the_run(campaign: Open, tmp_path: Path) -> None:
    nowhere = tmp_path / "no such folder" / "log.txt"

    with pytest.raises(RunnerError, match=r"3 workers in a row came to nothing .*No such file or directory"):
        runner.run(campaign(4, {}), Scripted({}, tmp_path), RayOptions(workers=1), lambda: None, nowhere)


def test_nobody_is_hired_for_a_campaign_that_is_over(store: Store, campaign: Open, tmp_path: Path) -> None:
    made = MadeInTurn({}, Scripted({1: "exit"}, tmp_path))

    runner.run(campaign(1, {}), made, RayOptions(workers=1), lambda: None)

    assert store.counts("c")[TrialStatus.FAILED] == 1
    assert not (tmp_path / "made-1").exists()


def test_a_trial_that_clings_to_its_worker_does_no_harm_to_the_next(store: Store, campaign: Open) -> None:
    halving = HalvingConfig(rungs=(1,), keep=0.5, least=2)
    options = RayOptions(workers=1, start_seconds=12, timeout_seconds=3)

    runner.run(campaign(4, {}, halving), Clinging(), options, lambda: None)

    assert store.counts("c")[TrialStatus.FINISHED] == 1
    assert store.counts("c")[TrialStatus.STOPPED] == 3


def test_no_trial_is_late_because_its_driver_was_away(store: Store, campaign: Open, tmp_path: Path) -> None:
    away = iter([0.0] * 3 + [4.0])

    def tick() -> None:
        if store.counts("c")[TrialStatus.RUNNING]:
            time.sleep(next(away, 0.0))

    options = RayOptions(workers=2, timeout_seconds=2)
    runner.run(campaign(6, {}), Scripted(dict.fromkeys(range(1, 7), "slow"), tmp_path), options, tick)

    assert next(away, None) is None, "the driver was never away"
    assert [trial.failure for trial in store.trials("c")] == [None] * 6


@pytest.mark.full
def test_workers_that_all_hang_while_they_start_stop_the_run(campaign: Open) -> None:
    with pytest.raises(RunnerError, match=r"3 workers in a row .* not ready after 0.5 s"):
        runner.run(
            campaign(4, {}), Unbuildable("hang"), RayOptions(workers=1, start_seconds=0.5), lambda: None
        )


@pytest.mark.parametrize(("share", "seen"), [(0.5, {"0"}), (2, {"0,1"})])
def test_a_share_of_a_device_and_several(
    store: Store, campaign: Open, tmp_path: Path, share: float, seen: set[str]
) -> None:
    """The session has two made-up GPUs: halves of one fit two workers, and both only one."""
    runner.run(campaign(4, {}), Scripted({}, tmp_path), RayOptions(gpus_per_worker=share), lambda: None)

    found = {(tmp_path / f"{number}").read_text(encoding="utf-8").split()[-1] for number in range(1, 5)}
    assert found == seen
    workers = {attempt.worker.partition("@")[0] for attempt in store.attempts("c")}
    assert workers <= {"ray-0", "ray-1"} if share < 1 else workers == {"ray-0"}


def test_an_interrupt_passes_through_and_ends_the_workers(
    store: Store, campaign: Open, tmp_path: Path
) -> None:
    def interrupt() -> None:
        if store.counts("c")[TrialStatus.FINISHED] >= 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runner.run(campaign(50, {}), Scripted({}, tmp_path), TWO, interrupt)

    pids = {int(file.read_text(encoding="utf-8").split()[0]) for file in tmp_path.glob("[0-9]*")}
    for _ in range(100):
        if not any(_is_worker(pid) for pid in pids):
            return
        time.sleep(0.1)
    pytest.fail("workers outlive the run")


def _is_worker(pid: int) -> bool:
    try:
        return "ray::Actor" in Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")
    except OSError:
        return False


def test_more_gpus_than_there_are(campaign: Open, tmp_path: Path) -> None:
    if ray.cluster_resources().get("GPU", 0) >= 8:  # type: ignore[no-untyped-call] # Ray's own omission
        pytest.skip("this machine has as many")
    with pytest.raises(RunnerError, match="gpus_per_worker=8"):
        runner.run(campaign(1, {}), Scripted({}, tmp_path), RayOptions(gpus_per_worker=8), lambda: None)
