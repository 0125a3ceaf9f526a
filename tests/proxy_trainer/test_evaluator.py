"""The evaluator of real trials: typed failures, kept weights, provenance, nothing left behind."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import json
import os
import socket
import weakref
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proxy_trainer.coco_metrics import coco_metrics
from proxy_trainer.config import ProxyConfig
from proxy_trainer.data.config import CocoData
from proxy_trainer.data.errors import DataError
from proxy_trainer.data.image_set import ImageSet, data_hash
from proxy_trainer.detector import Blueprint, Detector
from proxy_trainer.evaluation import Judged, detect
from proxy_trainer.evaluator import ProxyEvaluator
from proxy_trainer.network.weights import flatten
from proxy_trainer.protocol import TrialFailed
from proxy_trainer.provenance import code_version
from proxy_trainer.training import REPORT_EVERY
from search_space.genome import Genome
from search_space.trial import Assignment, FailureKind, Measurement, Progress

ONE_BLOCK = "2r* 2r* | 6r:0,1^"


def assignment(genome: str = ONE_BLOCK, number: int = 0) -> Assignment:
    return Assignment(campaign="test", number=number, attempt=1, seed=5, genome=genome)


@pytest.fixture(scope="module")
def measurement(evaluator: ProxyEvaluator, small: Genome) -> Measurement:
    """Of trial 31."""
    *_, last = evaluator.evaluate(assignment(small.to_text(), 31))
    assert isinstance(last, Measurement)
    return last


def test_kept_weights_have_the_declared_names_and_shapes(
    measurement: Measurement, weights: Path, config: ProxyConfig, small: Genome
) -> None:
    assert sorted(path.name for path in weights.glob("00031*")) == ["00031.npz"]
    declaration = Blueprint.of(small, config.recipe, 3).declaration
    with np.load(weights / "00031.npz", allow_pickle=False) as file:
        assert {name: file[name].shape for name in file.files} == {
            weight.path: weight.shape for weight in declaration.weights
        }
        assert {file[name].dtype for name in file.files} == {np.dtype(np.float32)}
        total = sum(file[weight.path].size for weight in declaration.weights if weight.trained)
    assert total == measurement.metrics["parameters"]
    assert sum(declaration.multiply_adds.values()) == measurement.metrics["flops"]


def test_kept_weights_reproduce_what_was_judged(
    measurement: Measurement, weights: Path, config: ProxyConfig, small: Genome, reward_set: ImageSet
) -> None:
    blueprint = Blueprint.of(small, config.recipe, 3)
    with np.load(weights / "00031.npz", allow_pickle=False) as file:
        stored = {name: file[name] for name in file.files}
    layout = blueprint.layout
    judged = Judged(flatten(layout.trained, stored), flatten(layout.statistics, stored))
    # Another start: only the stored weights count.
    detector = Detector(blueprint, config.recipe, 3, seed=99)
    found = detect(detector, judged, reward_set, config.recipe.evaluation_batch)
    metrics = coco_metrics(reward_set.ground_truth(), found)
    assert metrics.items() <= measurement.metrics.items()
    assert metrics["AR_100"] > 0


def test_without_a_folder_no_weights_are_kept(config: ProxyConfig, cache: Path, tmp_path: Path) -> None:
    before = set(cache.parent.rglob("*.npz"))
    *_, last = ProxyEvaluator(config, cache=cache).evaluate(assignment(number=77))
    assert isinstance(last, Measurement)
    assert set(cache.parent.rglob("*.npz")) == before
    assert not list(tmp_path.iterdir())


def test_provenance(
    measurement: Measurement, config: ProxyConfig, train_set: ImageSet, reward_set: ImageSet
) -> None:
    found = dict(measurement.provenance)
    assert found.pop("device").startswith(("cpu (1 of ", "NVIDIA"))
    assert found.pop("recipe") == config.recipe.hash
    assert found.pop("data") == data_hash(train_set, reward_set)
    assert json.loads(found.pop("classes")) == [each.name for each in train_set.categories]
    assert found.pop("code") == code_version()
    assert (found.pop("host"), found.pop("pid")) == (socket.gethostname(), str(os.getpid()))
    assert found == {
        name: version(name) for name in ("tensorflow", "keras", "numpy", "pillow", "pycocotools", "hotcoco")
    }
    assert measurement.step == config.recipe.steps


@pytest.mark.parametrize(
    ("genome", "message"),
    [
        ("", "0 '|'"),
        ("2b* 2b* | 3b:0,1", "no block is an output"),
        ("2b* 2b* | 3x:0,1^", "block '3x:0,1^'"),
        ("2b* 2b* | 3b:0,5^", r"node 2: parents="),
    ],
)
def test_no_genome_is_invalid(evaluator: ProxyEvaluator, genome: str, message: str) -> None:
    with pytest.raises(TrialFailed) as failure:
        list(evaluator.evaluate(assignment(genome)))
    assert failure.value.kind is FailureKind.INVALID
    assert message in failure.value.message


def test_missing_data_are_told_when_the_evaluator_is_made(
    config: ProxyConfig, cache: Path, tmp_path: Path
) -> None:
    data = CocoData(images=tmp_path, train=tmp_path / "instances.json")
    with pytest.raises(DataError, match=r"instances\.json"):
        ProxyEvaluator(dataclasses.replace(config, data=data), cache=cache)


def test_other_data_than_the_campaign_began_with_are_refused(
    evaluator: ProxyEvaluator, train_set: ImageSet, reward_set: ImageSet
) -> None:
    evaluator.require(data_hash(train_set, reward_set))
    with pytest.raises(DataError, match=r"its data are not those of the campaign \(\w{8}, expected 0123"):
        evaluator.require("0123456789abcdef")


class Unreadable:
    """Pixels that come to grief when they are read."""

    shape = (8, 128, 128, 3)

    def __init__(self, read: Callable[[], Any]) -> None:
        self.read = read

    def __getitem__(self, key: Any) -> Any:
        return self.read()


def data_gone() -> None:
    raise DataError("pixels.u8: truncated, expected 393216 bytes")


@pytest.mark.parametrize(
    ("read", "kind", "message"),
    [
        (data_gone, FailureKind.DATA, "pixels.u8: truncated, expected 393216 bytes"),
        # More than 47 bits can address. numpy says how much, Python's own error nothing.
        (lambda: np.ones(2**50), FailureKind.OUT_OF_MEMORY, "Unable to allocate 8.00 PiB"),
        (lambda: bytes(2**50), FailureKind.OUT_OF_MEMORY, "MemoryError"),
    ],
)
def test_trouble_while_pixels_are_read(
    config: ProxyConfig, cache: Path, read: Callable[[], Any], kind: FailureKind, message: str
) -> None:
    evaluator = ProxyEvaluator(config, cache=cache)
    pixels: Any = Unreadable(read)
    evaluator._train_set = dataclasses.replace(evaluator._train_set, pixels=pixels)
    with pytest.raises(TrialFailed) as failure:
        list(evaluator.evaluate(assignment()))
    assert failure.value.kind is kind
    assert failure.value.message.startswith(message)


@pytest.mark.timeout(600)  # for the process that it waits for
def test_tensors_that_do_not_fit_are_out_of_memory(cold: Path) -> None:
    kind, message = json.loads((cold / "failure.json").read_text())
    assert kind == FailureKind.OUT_OF_MEMORY
    assert message.startswith("OOM when allocating tensor with shape[12000,128,128,3]")


def test_weights_too_large_for_any_machine_are_out_of_memory(config: ProxyConfig, cache: Path) -> None:
    with pytest.raises(TrialFailed, match="Unable to allocate") as failure:
        list(ProxyEvaluator(config.with_recipe(head_width=2**44), cache=cache).evaluate(assignment()))
    assert failure.value.kind is FailureKind.OUT_OF_MEMORY


def test_a_trial_can_be_stopped_early(config: ProxyConfig, cache: Path, tmp_path: Path) -> None:
    evaluator = ProxyEvaluator(config.with_recipe(steps=1000), cache=cache, weights=tmp_path)
    events = evaluator.evaluate(assignment())
    assert next(events).step == REPORT_EVERY
    events.close()  # type: ignore[attr-defined] # an iterator by the protocol, a generator in truth
    assert list(events) == []
    assert not list(tmp_path.iterdir())


def test_deadlines_reach_the_training(config: ProxyConfig, cache: Path, tmp_path: Path) -> None:
    with pytest.raises(TrialFailed) as failure:
        list(ProxyEvaluator(config, cache=cache, weights=tmp_path, deadline=0.0).evaluate(assignment()))
    assert failure.value.kind is FailureKind.TIMEOUT
    assert not list(tmp_path.iterdir())


def test_weights_on_a_full_disk_give_the_trial_back(config: ProxyConfig, cache: Path, tmp_path: Path) -> None:
    (tmp_path / f"00000.{socket.gethostname()}-{os.getpid()}.partial").symlink_to("/dev/full")
    with pytest.raises(
        TrialFailed, match=r"^data: cannot save weights: .*00000\.npz: No space left"
    ) as failure:
        list(ProxyEvaluator(config, cache=cache, weights=tmp_path).evaluate(assignment()))
    assert failure.value.kind is FailureKind.DATA
    assert not list(tmp_path.iterdir())


@pytest.mark.timeout(600)
def test_memory_stays_after_the_first_trials(cold: Path) -> None:
    held = json.loads((cold / "memory.json").read_text())
    # A trial that stays behind holds some 5 MiB, network and graphs; see PROVEN below.
    assert held[-1] - held[0] < 10


def test_it_measures_what_its_config_says(
    measurement: Measurement, config: ProxyConfig, cache: Path, small: Genome
) -> None:
    assert set(measurement.metrics) <= set(config.metrics)  # no large objects, no AP of theirs
    timed = dataclasses.replace(config, latency_runs=4)
    *_, last = ProxyEvaluator(timed, cache=cache).evaluate(assignment(small.to_text(), 31))
    assert isinstance(last, Measurement)
    assert set(timed.metrics) - set(config.metrics) == {"latency_ms"}
    assert set(last.metrics) - set(measurement.metrics) == {"latency_ms"}
    assert 0 < last.metrics["latency_ms"] < 1000 * last.metrics["seconds"]
    assert last.metrics["AP"] == measurement.metrics["AP"]
    with pytest.raises(ValueError, match="latency_runs=-1"):
        dataclasses.replace(config, latency_runs=-1)


class Held:
    """In a circle, as compiled functions and their detector are."""

    def __init__(self) -> None:
        self.itself = self


def test_what_a_failed_trial_held_is_gone_before_the_next(
    evaluator: ProxyEvaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While its failure is told, the traceback holds all that the training had."""
    held: list[weakref.ref[Held]] = []
    there: list[bool] = []

    def train(*_: object) -> Iterator[Progress]:
        there.extend(each() is not None for each in held)
        detector = Held()
        held.append(weakref.ref(detector))
        yield Progress(step=1, metrics={"loss": 1.0})
        raise MemoryError

    monkeypatch.setattr("proxy_trainer.evaluator.train", train)
    gc.disable()
    try:
        for number in range(2):
            with contextlib.suppress(TrialFailed):
                list(evaluator.evaluate(assignment(number=number)))
    finally:
        gc.enable()
    assert there == [False]
