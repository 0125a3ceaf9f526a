"""The virtual clock: what ends when, what a controller sees meanwhile, and that equal seeds are equal."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from controller.config import build
from controller.no_repeats import NoRepeats
from controller.protocol import NothingLeft, Outcome, Pending, Proposal
from controller.random_search import RandomSearch
from controller.regularized_evolution import RegularizedEvolutionConfig
from nas.simulation.clock import Weather, simulate
from nas.simulation.tables import ChoiceSpace
from nas.simulation.task import Measured
from search_space.trial import FailureKind

SPACE = ChoiceSpace((6,) * 8)
CALM = Weather()


@dataclass(frozen=True)
class Sums:
    """A genome is worth the sum of its digits, and takes as many seconds as its first one."""

    space: ChoiceSpace = SPACE

    def measure(self, genome: tuple[int, ...], rng: np.random.Generator) -> Measured:
        return Measured(sum(genome) + float(rng.normal()), 1.0 + genome[0])

    def truth(self, genome: tuple[int, ...]) -> float:
        return float(sum(genome))


@dataclass
class Watched:
    """Random search that writes down what it saw."""

    pending: list[int] = field(default_factory=list)
    told: list[Outcome[Any]] = field(default_factory=list)

    def ask(self, rng: np.random.Generator, pending: Sequence[Pending[Any]]) -> Proposal[Any]:
        self.pending.append(len(pending))
        return RandomSearch(SPACE).ask(rng, pending)

    def tell(self, outcome: Outcome[Any]) -> None:
        self.told.append(outcome)


@pytest.mark.parametrize("workers", [1, 5])
def test_trials_end_in_the_order_of_their_times(workers: int) -> None:
    controller = Watched()
    ended = list(simulate(controller, Sums(), trials=40, workers=workers, seed=1, weather=CALM))

    assert sorted(each.number for each in ended) == list(range(40))
    assert [each.number for each in ended] == [outcome.number for outcome in controller.told]
    assert [each.at for each in ended] == sorted(each.at for each in ended)
    assert max(controller.pending) == workers - 1
    assert controller.pending[-1] == workers - 1  # every free worker gets work while there is some
    busy = sum(1.0 + outcome.genome[0] for outcome in controller.told)
    assert busy / workers <= ended[-1].at <= busy / workers + 6
    assert ([each.number for each in ended] == list(range(40))) == (workers == 1)


def test_values_are_told_as_measured_and_truths_kept_apart() -> None:
    controller = Watched()
    ended = list(simulate(controller, Sums(), trials=20, workers=3, seed=2, weather=CALM))
    for each, outcome in zip(ended, controller.told, strict=True):
        assert outcome.result == (each.value,)
        assert each.truth == sum(outcome.genome) != each.value


def test_failures_and_stragglers_come_as_often_as_said() -> None:
    weather = Weather(failures=0.2, stragglers=0.1, slowness=10)
    controller = Watched()
    ended = list(simulate(controller, Sums(), trials=2000, workers=1, seed=3, weather=weather))

    failed = [outcome for outcome in controller.told if outcome.result is FailureKind.DIVERGED]
    assert len(failed) == sum(each.value is None for each in ended)
    assert 340 < len(failed) < 460
    took = np.diff([0.0, *(each.at for each in ended)])
    slow = [
        seconds == pytest.approx(10 * (1.0 + outcome.genome[0]))
        for seconds, outcome in zip(took, controller.told, strict=True)
    ]
    assert 150 < sum(slow) < 250


def test_equal_seeds_give_equal_campaigns() -> None:
    def run(seed: int) -> list[Any]:
        controller = build(RegularizedEvolutionConfig(population=10, tournament=3), SPACE)
        return list(simulate(controller, Sums(), trials=60, workers=4, seed=seed, weather=CALM))

    assert run(1) == run(1) != run(2)


def test_a_controller_that_waits_for_nothing_is_found_out() -> None:
    class Waiting(Watched):
        def ask(self, *_: Any) -> Any:
            return None

    with pytest.raises(RuntimeError, match="nothing is in flight"):
        next(iter(simulate(Waiting(), Sums(), trials=2, workers=2, seed=0, weather=CALM)))


def test_what_runs_ends_before_nothing_is_left() -> None:
    two = ChoiceSpace((2,))
    controller = NoRepeats(RandomSearch(two), two)
    seen = simulate(controller, Sums(two), trials=3, workers=3, seed=0, weather=CALM)

    assert sorted(each.genome for each in itertools.islice(seen, 2)) == ["0", "1"]
    with pytest.raises(NothingLeft):
        next(seen)
