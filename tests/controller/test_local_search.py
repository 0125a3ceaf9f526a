"""Local search: it climbs by single moves, and begins anew where no move leads up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from controller.local_search import LocalSearch, LocalSearchConfig
from controller.protocol import Outcome, Pending
from nas.simulation.tables import ChoiceSpace
from search_space.trial import FailureKind

SPACE = ChoiceSpace((6,) * 8)


def search(start: int = 10, patience: int = 50) -> LocalSearch[Any]:
    return LocalSearch(SPACE, LocalSearchConfig(start=start, patience=patience))


def ask(controller: LocalSearch[Any], seed: int = 0, pending: tuple[Pending[Any], ...] = ()) -> Any:
    return controller.ask(np.random.default_rng(seed), pending)


def tell(controller: LocalSearch[Any], number: int, genome: Any, value: float, climb: int = 0) -> None:
    controller.tell(Outcome(number, genome, {"climb": climb}, (value,)))


def moves(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    return sum(x != y for x, y in zip(a, b, strict=True))


def test_neighbours_of_the_best_after_a_random_start() -> None:
    controller = search(start=3)
    genomes = [ask(controller, seed).genome for seed in range(3)]
    for number, (genome, value) in enumerate(zip(genomes, (0.1, 0.9, 0.5), strict=True)):
        assert "parents" not in ask(controller).note
        tell(controller, number, genome, value)
    for seed in range(20):
        proposal = ask(controller, seed)
        assert proposal.note["parents"] == [1]
        assert moves(proposal.genome, genomes[1]) == 1


def test_it_climbs_to_the_top_of_a_smooth_hill() -> None:
    controller = search(start=1, patience=1000)
    best = -1.0
    for number in range(400):
        genome = ask(controller, number).genome
        best = max(best, sum(genome))
        tell(controller, number, genome, float(sum(genome)))
    assert best == 5 * 8


def test_pending_starts_count() -> None:
    controller = search(start=3)
    tell(controller, 0, SPACE.sample(np.random.default_rng(0)), 1.0)
    waiting = tuple(Pending(k, SPACE.sample(np.random.default_rng(k)), {"climb": 0}) for k in (1, 2))

    assert "parents" not in ask(controller, pending=waiting[:1]).note
    assert "parents" in ask(controller, pending=waiting).note


def test_it_begins_anew_after_patience_runs_out_and_forgets_what_was_in_flight() -> None:
    controller = search(start=1, patience=3)
    top = (5,) * 8
    tell(controller, 0, top, 1.0)
    for number in (1, 2):
        tell(controller, number, SPACE.sample(np.random.default_rng(number)), 0.0)
    controller.tell(Outcome(3, top, {"climb": 0}, FailureKind.DIVERGED))  # a move that led nowhere too

    assert ask(controller).note == {"climb": 1}
    tell(controller, 4, top, 9.0, climb=0)  # it comes too late
    assert ask(controller).note == {"climb": 1}
    tell(controller, 5, (1,) * 8, 0.5, climb=1)
    assert ask(controller).note == {"climb": 1, "parents": [5]}


def test_a_stopped_trial_is_no_top() -> None:
    controller = search(start=1)
    controller.tell(Outcome(0, (5,) * 8, {"climb": 0}, (9.0,), fidelity=100))
    assert "parents" not in ask(controller).note


def test_several_objectives_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 1"):
        search().tell(Outcome(0, (5,) * 8, {}, (1.0, 2.0)))
