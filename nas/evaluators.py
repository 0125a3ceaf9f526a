"""Which evaluator, chosen by type: the one place that builds them, called inside each worker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, assert_never

from proxy_trainer.config import ProxyConfig
from proxy_trainer.protocol import Evaluator
from proxy_trainer.synthetic import SyntheticConfig

EvaluatorConfig: TypeAlias = ProxyConfig | SyntheticConfig
"""Told apart by `kind`."""


@dataclass(frozen=True, slots=True)
class MakeEvaluator:
    """Called without arguments, in whatever process: a value, so that it can be sent there. Raises DataError.

    `data` is the hash of the campaign's data, "" for any; `threads` and `deadline` (seconds for one
    attempt) are the runner's words. Trainers are imported
    when it is called: what only sends it loads no TensorFlow.
    """

    config: EvaluatorConfig
    cache: Path
    weights: Path | None
    checkpoints: Path | None = None
    data: str = ""
    threads: int = 1
    deadline: float | None = None

    def __call__(self) -> Evaluator:
        match self.config:
            case ProxyConfig():
                from proxy_trainer.evaluator import ProxyEvaluator

                proxy = ProxyEvaluator(
                    self.config,
                    cache=self.cache,
                    weights=self.weights,
                    checkpoints=self.checkpoints,
                    deadline=self.deadline,
                    threads=self.threads,
                )
                if self.data:
                    proxy.require(self.data)
                return proxy
            case SyntheticConfig():
                from proxy_trainer.synthetic import SyntheticEvaluator

                return SyntheticEvaluator(self.config)
            case _:
                assert_never(self.config)
