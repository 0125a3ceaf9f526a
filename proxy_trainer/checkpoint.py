"""What a training needs to go on in another process: written now and then, read once, never executed."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from proxy_trainer.data.files import DAMAGED

log = logging.getLogger(__name__)

Vectors = Mapping[str, NDArray[np.float32]]

_ROOM: Final = 65_536
"""Bytes that a file may hold beyond the vectors: headers, and the few numbers beside them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointConfig:
    """`every` so many steps a training is written down, so that it can go on where its worker was lost.

    `folder` is where, an absolute path that all workers share; the campaign's own folder if left out.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    every: int
    folder: str | None = None

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"checkpoint: every={self.every}, expected at least 1")
        if self.folder is not None and not Path(self.folder).is_absolute():
            raise ValueError(f"checkpoint: folder={self.folder!r}, expected an absolute path")


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """A training after `step` steps: the detector's vectors, the latest losses, the seconds so far by phase.

    The data's position needs no words: step k learns from what (images, seed, k) give.
    """

    step: int
    vectors: Vectors
    losses: tuple[float, ...]
    seconds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The file of one trial. `identity` names all that its training follows from: no other's is taken."""

    path: Path
    identity: str
    every: int

    def save(self, state: State) -> None:
        """Write it whole or not at all; where it can't be written, training goes on without."""
        arrays: dict[str, NDArray[Any]] = {f"vector:{name}": array for name, array in state.vectors.items()}
        arrays |= {f"seconds:{name}": np.array(value) for name, value in state.seconds.items()}
        arrays |= {"identity": np.array(self.identity), "step": np.array(state.step)}
        arrays["losses"] = np.array(state.losses, np.float64)
        partial = self.path.with_suffix(f".{socket.gethostname()}-{os.getpid()}.partial")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type] # numpy's stub takes the flag allow_pickle for an array
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self.path)
        except OSError as error:
            log.warning("no checkpoint: %s: %s", self.path, error.strerror or error)
        finally:
            with contextlib.suppress(OSError):
                partial.unlink()

    def load(self, like: Vectors, steps: int) -> State | None:
        """What is there for a training of `steps` with such vectors; or None, and why in the log."""
        if not self.path.exists():
            return None
        try:
            state = self._read(like)
        except DAMAGED as error:
            log.warning("checkpoint ignored, the trial starts over: %s: %s", self.path, error)
            return None
        if not 0 < state.step < steps:
            log.warning("checkpoint ignored, the trial starts over: %s: step %d", self.path, state.step)
            return None
        return state

    def _read(self, like: Vectors) -> State:
        expected = sum(array.nbytes for array in like.values()) + _ROOM
        with zipfile.ZipFile(self.path) as parts:
            if sum(part.file_size for part in parts.infolist()) > expected:
                raise ValueError(f"it holds more than the {expected} bytes expected")
            # By checksum: numpy reads no further than a header says, and so may not see that it is wrong.
            if (damaged := parts.testzip()) is not None:
                raise ValueError(f"{damaged} is damaged")
        with np.load(self.path, allow_pickle=False) as file:
            if str(file["identity"]) != self.identity:
                raise ValueError("it is of another training")
            vectors = {name: np.asarray(file[f"vector:{name}"]) for name in like}
            for name, array in vectors.items():
                if (array.shape, array.dtype) != (like[name].shape, like[name].dtype):
                    raise ValueError(f"{name} is {array.dtype} {array.shape}, expected {like[name].shape}")
            named = [name for name in file.files if name.startswith("seconds:")]
            seconds = {name.partition(":")[2]: float(file[name]) for name in named}
            return State(int(file["step"]), vectors, tuple(file["losses"].tolist()), seconds)
