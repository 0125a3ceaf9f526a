"""A training that was cut off goes on to the same bits; whatever else lies in its place is ignored."""

from __future__ import annotations

import dataclasses
import logging
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proxy_trainer.checkpoint import Checkpoint, CheckpointConfig, State
from proxy_trainer.config import ProxyConfig
from proxy_trainer.evaluator import ProxyEvaluator
from search_space.genome import Genome
from search_space.trial import Assignment, Measurement, Progress

Arrays = dict[str, np.ndarray[tuple[int], np.dtype[np.float32]]]
LIKE = {"weights": np.arange(6, dtype=np.float32), "momentum": np.ones(6, np.float32)}
STATE = State(3, LIKE, (0.5, 0.25), {"seconds": 2.0, "seconds_cpu": 1.5})


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return Checkpoint(tmp_path / "kept" / "00001.npz", "trial 1", every=3)


def test_what_was_saved_is_loaded(checkpoint: Checkpoint) -> None:
    assert checkpoint.load(LIKE, 9) is None
    checkpoint.save(STATE)
    found = checkpoint.load(LIKE, 9)
    assert found is not None
    assert (found.step, found.losses, found.seconds) == (3, (0.5, 0.25), STATE.seconds)
    assert all(np.array_equal(found.vectors[name], LIKE[name]) for name in LIKE)
    assert [path.name for path in checkpoint.path.parent.iterdir()] == ["00001.npz"]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(np.float32(4).tobytes())] ^= 0xFF
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def bomb(path: Path) -> None:
    parts: dict[str, Any] = {"vector:weights": np.zeros(10_000_000, np.float32)}
    np.savez_compressed(path, **parts)


def test_no_flipped_bit_gets_through(checkpoint: Checkpoint, caplog: pytest.LogCaptureFixture) -> None:
    """Every bit of an entry in the zip directory, and one of every byte: ignored, or it changes nothing."""
    caplog.set_level(logging.ERROR)
    like = {"weights": np.arange(2, dtype=np.float32)}
    checkpoint.save(State(3, like, (0.5,), {"seconds": 2.0}))
    whole = checkpoint.path.read_bytes()
    directory = whole.index(b"PK\x01\x02")
    places = [(at, at % 8) for at in range(len(whole))]
    places += [(at, bit) for at in range(directory, directory + 46) for bit in range(8)]
    refused = 0
    for at, bit in places:
        data = bytearray(whole)
        data[at] ^= 1 << bit
        checkpoint.path.write_bytes(data)
        found = checkpoint.load(like, 9)
        refused += found is None
        if found is not None:
            assert (found.step, found.losses, found.seconds) == (3, (0.5,), {"seconds": 2.0}), (at, bit)
            assert found.vectors["weights"].tolist() == [0, 1], (at, bit)
    assert refused > len(places) / 2


class Trap:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


def trap(path: Path) -> None:
    np.savez(path, identity=np.array([Trap(path.with_name("sprung"))], dtype=object))


def plain_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(Trap(path.with_name("sprung"))))


@pytest.mark.parametrize("damage", [truncate, flip, empty, bomb, trap, plain_pickle])
def test_a_damaged_or_hostile_file_is_ignored(
    checkpoint: Checkpoint, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    checkpoint.save(STATE)
    damage(checkpoint.path)
    assert checkpoint.load(LIKE, 9) is None
    assert "checkpoint ignored, the trial starts over" in caplog.text
    assert not checkpoint.path.with_name("sprung").exists()


@pytest.mark.parametrize(
    ("other", "like", "steps"),
    [
        ({"identity": "trial 2"}, LIKE, 9),
        ({}, {**LIKE, "momentum": np.ones(7, np.float32)}, 9),
        ({}, {**LIKE, "average": np.ones(6, np.float32)}, 9),
        ({}, LIKE, 3),
    ],
)
def test_that_of_another_training_is_ignored(
    checkpoint: Checkpoint,
    other: dict[str, Any],
    like: dict[str, np.ndarray[tuple[int], np.dtype[np.float32]]],
    steps: int,
) -> None:
    checkpoint.save(STATE)
    assert dataclasses.replace(checkpoint, **other).load(like, steps) is None


def test_a_folder_that_can_not_be_written_costs_no_trial(
    checkpoint: Checkpoint, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint.path.parent.write_text("a file is in the way")
    checkpoint.save(STATE)
    assert "no checkpoint" in caplog.text


@pytest.mark.parametrize(
    ("words", "line"), [({"every": 0}, "every=0"), ({"every": 5, "folder": "x"}, "absolute")]
)
def test_bad_words_are_refused(words: dict[str, object], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        CheckpointConfig(**words)  # type: ignore[arg-type] # as a config may have them


@pytest.mark.parametrize("every", [2, 3])
def test_a_training_that_was_cut_off_ends_with_the_same_bits(
    config: ProxyConfig, cache: Path, small: Genome, tmp_path: Path, every: int
) -> None:
    """Cut off between two checkpoints, so that steps are done again.

    With one every 2 steps there is one at every judging too, which is told again if nobody took it in.
    """
    trial = Assignment(campaign="test", number=1, attempt=1, seed=5, genome=small.to_text())
    longer = config.with_recipe(steps=8, average=0.9, evaluate_every=2)
    changed = dataclasses.replace(longer, checkpoint=CheckpointConfig(every=every))

    def events(where: str) -> Iterator[Progress | Measurement]:
        folder = tmp_path / where
        return ProxyEvaluator(changed, cache=cache, weights=folder, checkpoints=kept).evaluate(trial)

    kept = tmp_path / "checkpoints"
    *_, whole = events("whole")
    (file,) = kept.iterdir()
    file.unlink()  # as the campaign does when a trial has ended

    running = events("cut off")
    assert [next(running).step, next(running).step] == [2, 4]
    running.close()  # type: ignore[attr-defined] # it is a generator
    first, *_, resumed = events("resumed")

    assert first.step == 4, "it went on after step 2 or 3"
    assert isinstance(whole, Measurement)
    assert isinstance(resumed, Measurement)
    timeless = {name for name in whole.metrics if not name.startswith(("seconds", "memory"))}
    assert all(resumed.metrics[name] == whole.metrics[name] for name in timeless)
    assert resumed.metrics.keys() == whole.metrics.keys()
    with np.load(tmp_path / "whole/00001.npz") as a, np.load(tmp_path / "resumed/00001.npz") as b:
        assert a.files == b.files
        assert all(a[name].tobytes() == b[name].tobytes() for name in a.files)
