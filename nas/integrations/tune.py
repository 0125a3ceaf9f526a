"""For experiments that live in Ray Tune: our controllers as its searcher, our evaluators as its trainable.

Campaigns don't run this way (docs/ray_tune.md): no database, no retries, no typed failures.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic

import numpy as np
from ray.tune import Trainable
from ray.tune.search import Searcher

from controller.protocol import Controller, G, Json, NothingLeft, Outcome, Pending
from nas.campaign import CampaignSpace, trial_seed
from proxy_trainer.protocol import Evaluator
from search_space.trial import Assignment, FailureKind, Measurement, Progress

MEASURED: Final = "measured"
"""In a result of Tune's: whether it is the measurement that a trial ends with. Tune says `done` of those
stopped by a scheduler, too."""


@dataclass(slots=True)
class _Suggested:
    number: int
    genome: str
    note: dict[str, Json]
    value: float | None = None
    fidelity: int | None = None


class ControllerSearcher(Searcher, Generic[G]):
    """Asks a controller, which must be fresh, what to try; Tune maximises `metric`.

    A trial's config holds `genome` (canonical text), `number` and `seed`. Saved as JSON: what was
    suggested, and what came of it in the order it came, from which `restore` rebuilds the controller.
    """

    def __init__(
        self, controller: Controller[G], space: CampaignSpace[G], *, seed: int = 0, metric: str = "AP"
    ) -> None:
        super().__init__(metric=metric, mode="max")
        self._controller = controller
        self._space = space
        self._seed = seed
        self._number = 0
        self._running: dict[str, _Suggested] = {}
        self._ended: list[_Suggested] = []

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """The config of the next trial; None while the controller waits for outcomes.

        Where nothing is left to try, Tune is told that the search is over, once what runs has ended.
        """
        pending = [self._pending(trial) for trial in self._running.values()]
        try:
            proposal = self._controller.ask(np.random.default_rng([self._seed, self._number + 1]), pending)
        except NothingLeft:
            if pending:
                return None
            return Searcher.FINISHED  # type: ignore[return-value]  # Tune's word for it, and no dict
        if proposal is None:
            return None
        self._number += 1
        trial = _Suggested(self._number, self._space.to_text(proposal.genome), dict(proposal.note))
        self._running[trial_id] = trial
        return {
            "genome": trial.genome,
            "number": trial.number,
            "seed": trial_seed(self._seed, trial.number),
        }

    def on_trial_complete(
        self,
        trial_id: str,
        result: dict[str, Any] | None = None,
        error: bool = False,  # noqa: FBT001, FBT002 Tune's signature
    ) -> None:
        """Tell the controller; a trial that ended without a finite metric failed.

        One whose last result says that it is not `measured` was stopped early, by a scheduler say.
        """
        trial = self._running.pop(trial_id, None)
        if trial is None:
            return
        value = float((result or {}).get(self.metric, math.nan))
        trial.value = value if math.isfinite(value) and not error else None
        if result and not result.get(MEASURED, True):
            trial.fidelity = int(result.get("step", 0))
        self._ended.append(trial)
        self._tell(trial)

    def save(self, checkpoint_path: str) -> None:
        """Write what was suggested and what came of it."""
        state = {
            "number": self._number,
            "running": {trial_id: _as_list(trial) for trial_id, trial in self._running.items()},
            "ended": [_as_list(trial) for trial in self._ended],
        }
        Path(checkpoint_path).write_text(json.dumps(state), encoding="utf-8")

    def restore(self, checkpoint_path: str) -> None:
        """Rebuild the controller, which must be fresh, from what was written."""
        state = json.loads(Path(checkpoint_path).read_text(encoding="utf-8"))
        self._number = state["number"]
        self._running = {trial_id: _Suggested(*fields) for trial_id, fields in state["running"].items()}
        self._ended = [_Suggested(*fields) for fields in state["ended"]]
        for trial in self._ended:
            self._tell(trial)

    def _pending(self, trial: _Suggested) -> Pending[G]:
        return Pending(trial.number, self._space.from_text(trial.genome), trial.note)

    def _tell(self, trial: _Suggested) -> None:
        result = FailureKind.INTERNAL if trial.value is None else (trial.value,)
        genome = self._space.from_text(trial.genome)
        fidelity = None if trial.value is None else trial.fidelity
        self._controller.tell(Outcome(trial.number, genome, trial.note, result, fidelity))


def _as_list(trial: _Suggested) -> list[Any]:
    return [trial.number, trial.genome, trial.note, trial.value, trial.fidelity]


class EvaluatorTrainable(Trainable):
    """Evaluates the genome of a trial's config; every progress and the measurement is one Tune result.

    Give it the maker of its evaluator with `tune.with_parameters(EvaluatorTrainable, make_evaluator=...)`,
    keep actors warm with `TuneConfig(reuse_actors=True)`, and take no checkpoints:
    `RunConfig(checkpoint_config=CheckpointConfig(checkpoint_at_end=False))`. Results hold `metric`
    from the first one on, as Tune demands, NaN until it is measured.
    """

    def setup(
        self,
        config: dict[str, Any],
        make_evaluator: Callable[[], Evaluator] | None = None,
        metric: str = "AP",
    ) -> None:
        """Build the evaluator; done once in an actor. Raises ValueError without `make_evaluator`."""
        if make_evaluator is None:
            raise ValueError("EvaluatorTrainable: give make_evaluator by tune.with_parameters")
        self._evaluator = make_evaluator()
        self._metric = metric
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another trial in the same actor."""
        self._items: Iterator[Progress | Measurement] = self._evaluator.evaluate(
            Assignment(
                campaign="tune",
                number=new_config["number"],
                attempt=1,
                seed=new_config["seed"],
                genome=new_config["genome"],
            )
        )
        return True

    def step(self) -> dict[str, Any]:
        """The next result; the measurement is the last one."""
        item = next(self._items)
        done = isinstance(item, Measurement)
        return {self._metric: math.nan, **item.metrics, "step": item.step, MEASURED: done, "done": done}

    def cleanup(self) -> None:
        """Stop a trial that Tune ended early."""
        close = getattr(self._items, "close", None)
        if close is not None:
            close()
