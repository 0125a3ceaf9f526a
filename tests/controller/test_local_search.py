"""Local search: it climbs by single moves, and begins anew where no move leads up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from controller.local_search import LocalSearch, LocalSearchConfig
from controller.no_repeats import NoRepeats
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


def tell_move(controller: LocalSearch[Any], number: int, value: float, parent: int, climb: int = 0) -> None:
    genome = SPACE.sample(np.random.default_rng(number))
    controller.tell(Outcome(number, genome, {"climb": climb, "parents": [parent]}, (value,)))


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
        tell_move(controller, number, 0.0, parent=0)
    failed: Outcome[Any] = Outcome(3, top, {"climb": 0, "parents": [0]}, FailureKind.DIVERGED)
    controller.tell(failed)  # a move that led nowhere too

    assert ask(controller).note == {"climb": 1}
    tell(controller, 4, top, 9.0, climb=0)  # it comes too late
    assert ask(controller).note == {"climb": 1}
    tell(controller, 5, (1,) * 8, 0.5, climb=1)
    assert ask(controller).note == {"climb": 1, "parents": [5]}


def test_what_was_under_way_before_the_top_is_no_move_from_it() -> None:
    """So that with more workers than patience a climb goes on."""
    controller = search(start=1, patience=3)
    tell(controller, 0, (0,) * 8, 1.0)
    tell_move(controller, 4, 2.0, parent=0)
    for number in (1, 2, 3, 5, 6, 7, 8):
        tell_move(controller, number, 0.0, parent=0)
    assert ask(controller).note == {"climb": 0, "parents": [4]}
    for number in (9, 10, 11):
        assert ask(controller).note == {"climb": 0, "parents": [4]}
        tell_move(controller, number, 0.0, parent=4)
    assert ask(controller).note == {"climb": 1}


def test_what_is_measured_again_neither_leads_nor_ends_a_climb() -> None:
    controller = search(start=1, patience=3)
    tell(controller, 0, (0,) * 8, 1.0)
    for number, value in enumerate((9.0, 0.0, 0.0, 0.0, 0.0), start=1):
        controller.tell(Outcome(number, (1,) * 8, {"again": 0}, (value,)))
        assert ask(controller).note == {"climb": 0, "parents": [0]}


def test_what_a_wrapper_proposed_instead_is_a_failed_move_where_it_came_after_one() -> None:
    controller = search(start=1, patience=3)
    tell(controller, 0, (0,) * 8, 1.0)
    elsewhere = (3,) * 8
    for number in (1, 2, 3, 4, 6):  # instead of moves from whatever was the top before
        controller.tell(Outcome(number, elsewhere, {"redrawn": 100}, (0.0,)))
        assert ask(controller).note == {"climb": 0, "parents": [0]}
    tell_move(controller, 5, 0.0, parent=0)
    for number in (4, 7, 8):
        assert ask(controller).note == {"climb": 0, "parents": [0]}
        controller.tell(Outcome(number, elsewhere, {"redrawn": 100}, (0.0,)))
    assert ask(controller).note == {"climb": 1}


def test_climbs_end_where_no_neighbour_is_new() -> None:
    """Four neighbours and more patience than that: the rest of it is spent on what no_repeats finds."""
    small = ChoiceSpace((2,) * 4)
    controller: Any = NoRepeats(LocalSearch(small, LocalSearchConfig(start=1, patience=6)), small)
    climbs = []
    for number in range(12):
        proposal = controller.ask(np.random.default_rng(number), ())
        climbs.append(proposal.note.get("climb"))
        controller.tell(Outcome(number, proposal.genome, proposal.note, (-float(number),)))
    assert climbs == [0, 0, 0, 0, 0, None, None, 1, 1, 1, 1, 1]


def test_a_climb_ends_where_all_moves_were_known_before() -> None:
    """The incumbent's one neighbour was told first, so that no move from it is ever told."""
    small = ChoiceSpace((2, 40))
    line = LocalSearch(small, LocalSearchConfig(start=2, patience=3))
    for number, value in ((0, 0.1), (1, 0.2)):
        line.tell(Outcome(number, (0, number), {"climb": 0}, (value,)))
    for number in range(2, 14):  # what no_repeats found elsewhere
        assert ask(line).note == {"climb": 0, "parents": [1]}
        line.tell(Outcome(number, (1, number), {"redrawn": 100}, (0.0,)))
    assert ask(line).note == {"climb": 1}


def test_what_a_campaign_began_with_does_not_end_a_climb() -> None:
    controller = search(start=1, patience=2)
    for number in range(12):
        controller.tell(Outcome(number, (number % 6,) * 8, {"warm_start": number + 1}, (-float(number),)))
    assert ask(controller).note == {"climb": 0, "parents": [0]}


def test_a_stopped_trial_is_no_top() -> None:
    controller = search(start=1)
    controller.tell(Outcome(0, (5,) * 8, {"climb": 0}, (9.0,), fidelity=100))
    assert "parents" not in ask(controller).note


def test_several_objectives_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 1"):
        search().tell(Outcome(0, (5,) * 8, {}, (1.0, 2.0)))
