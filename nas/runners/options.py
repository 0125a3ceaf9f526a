"""What a config says about the runner; kept apart from the runners so that reading it loads no engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialOptions:
    """One trial after the other in the campaign's own process, on one thread.

    `timeout_seconds` is how long one attempt may take, as far as its evaluator can tell: a step that
    hangs is ended by the Ray runner only.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    cpus_per_worker: ClassVar[int] = 1
    gpus_per_worker: ClassVar[float] = 0.0

    kind: Literal["serial"]
    timeout_seconds: float | None = None

    def __post_init__(self) -> None:
        _check_timeout(self.timeout_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class RayOptions:
    """A pool of Ray actors, on this machine or, where RAY_ADDRESS is set, on a cluster.

    `workers`: null for as many as cores, memory, GPUs and the trials left allow. `timeout_seconds` is
    how long one attempt may take, `start_seconds` how long a worker may take until it can work.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    kind: Literal["ray"] = "ray"
    workers: int | None = None
    cpus_per_worker: int = 1
    gpus_per_worker: float = 0.0
    timeout_seconds: float | None = None
    start_seconds: float = 900.0

    def __post_init__(self) -> None:
        if self.workers is not None and not 1 <= self.workers <= 10_000:
            raise ValueError(f"workers={self.workers}, expected 1 to 10000, or null for one per core")
        if not 1 <= self.cpus_per_worker <= 1024:
            raise ValueError(f"cpus_per_worker={self.cpus_per_worker}, expected 1 to 1024")
        if not 0 <= self.gpus_per_worker <= 64 or (self.gpus_per_worker > 1 and self.gpus_per_worker % 1):
            raise ValueError(
                f"gpus_per_worker={self.gpus_per_worker}, expected a share of one, or a whole number"
            )
        if not self.start_seconds > 0:
            raise ValueError(f"start_seconds={self.start_seconds}, expected above 0")
        _check_timeout(self.timeout_seconds)


def _check_timeout(seconds: float | None) -> None:
    if seconds is not None and not seconds > 0:
        raise ValueError(f"timeout_seconds={seconds}, expected above 0, or null for no limit")


RunnerOptions: TypeAlias = SerialOptions | RayOptions
