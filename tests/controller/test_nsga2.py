"""NSGA-II against a plain one on pymoo's ranks and crowding, and what it does with failures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from pymoo.operators.survival.rank_and_crowding.metrics import get_crowding_function
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from controller.dominance import hypervolume
from controller.nsga2 import Nsga2, Nsga2Config
from controller.protocol import Outcome, Pending, Proposal
from controller.random_search import RandomSearch
from search_space.trial import FailureKind

Bits = tuple[int, ...]
DIM = 16
VALUES = np.random.default_rng(2002).random((2**DIM, 3))


class Bitstrings:
    """16 bits; a mutation flips one."""

    def sample(self, rng: np.random.Generator) -> Bits:
        return tuple(rng.integers(2, size=DIM).tolist())

    def mutate(self, genome: Bits, rng: np.random.Generator) -> Bits:
        place = int(rng.integers(DIM))
        return tuple(bit ^ (i == place) for i, bit in enumerate(genome))

    def fingerprint(self, genome: Bits) -> str:
        return "".join(map(str, genome))


class Crossable(Bitstrings):
    """The same with one-point crossover."""

    def crossover(self, a: Bits, b: Bits, rng: np.random.Generator) -> Bits:
        cut = int(rng.integers(DIM + 1))
        return a[:cut] + b[cut:]


def values_of(genome: Bits, objectives: int) -> tuple[float, ...]:
    return tuple(VALUES[int("".join(map(str, genome)), 2), :objectives].tolist())


@dataclass
class Solution:
    """A trial of the reference."""

    genome: Bits
    values: tuple[float, ...]
    rank: int = 0
    crowding: float = 0.0


def judged(population: list[Solution]) -> None:
    """Ranks and crowding distances as pymoo's NSGA-II has them; it minimises."""
    costs: NDArray[np.float64] = -np.array([solution.values for solution in population])
    for rank, front in enumerate(NonDominatedSorting().do(costs)):
        for row, room in zip(front, get_crowding_function("cd").do(costs[front]), strict=True):
            population[row].rank, population[row].crowding = rank, float(room)


def reference(space: Bitstrings, trials: int, size: int, objectives: int) -> list[Bits]:
    """Steady-state NSGA-II as Durillo et al. 2009 describe it, one worker, a generator a trial."""

    def tournament() -> Solution:
        a, b = (population[int(i)] for i in rng.integers(len(population), size=2))
        if a.rank != b.rank:
            return a if a.rank < b.rank else b
        return b if b.crowding > a.crowding else a

    population: list[Solution] = []
    history: list[Bits] = []
    while len(history) < trials:
        rng = np.random.default_rng([7, len(history)])
        if len(history) < size:
            child = space.sample(rng)
        else:
            parent = tournament()
            child = parent.genome
            if isinstance(space, Crossable) and rng.random() < 0.9:
                child = space.crossover(child, tournament().genome, rng)
            child = space.mutate(child, rng)
        history.append(child)
        population.append(Solution(child, values_of(child, objectives)))
        judged(population)
        if len(population) > size:
            # min() finds the first, which is the oldest
            population.remove(min(population, key=lambda each: (-each.rank, each.crowding)))
            judged(population)
    return history


@pytest.mark.parametrize("space", [Bitstrings(), Crossable()], ids=["mutation", "crossover"])
@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_it_is_the_published_algorithm(space: Bitstrings, objectives: int) -> None:
    controller = Nsga2(space, Nsga2Config(population=12))
    for number, genome in enumerate(reference(space, 250, 12, objectives)):
        proposal = controller.ask(np.random.default_rng([7, number]), ())
        assert proposal.genome == genome, f"trial {number}"
        controller.tell(Outcome(number, genome, proposal.note, values_of(genome, objectives)))


def test_the_best_survive_by_rank_and_then_by_room() -> None:
    controller = nsga2(3)
    for number, values in enumerate([(0.0, 9.0), (9.0, 0.0), (5.0, 5.0), (5.5, 4.5)]):
        tell(controller, number, values)
    assert parents(controller) == {0, 1, 2}  # room: 1.1 for the third and 0.9 for the last
    tell(controller, 4, (9.0, 9.0))
    assert parents(controller) == {0, 1, 4}  # all but the last are dominated now; the ends are kept


def test_nobody_waits_for_a_generation() -> None:
    controller = nsga2(2)
    for number in range(4):
        tell(controller, number, (float(number),))
    assert parents(controller) == {2, 3}


def test_of_equals_the_oldest_leaves() -> None:
    controller = nsga2(3)
    for number in range(5):
        tell(controller, number, (0.5, 0.5))
    assert parents(controller) == {2, 3, 4}


def test_random_until_enough_were_proposed() -> None:
    controller = nsga2(4)
    tell(controller, 0, (0.5, 0.5))
    assert ask(controller, pending=2).note == {}
    assert ask(controller, pending=3).note["parents"] == [0]


def test_random_while_nothing_is_known() -> None:
    assert ask(nsga2(4), pending=50).note == {}


def test_failures_count_as_proposals_and_never_as_parents() -> None:
    controller = nsga2(4)
    for number in range(4):
        tell(controller, number, FailureKind.LOST_WORKER)
    assert ask(controller).note == {}
    tell(controller, 4, (-1e9, -1e9))
    assert parents(controller) == {4}


def test_a_child_of_two_names_both() -> None:
    controller: Nsga2[Bits] = Nsga2(Crossable(), Nsga2Config(population=2, crossover=1.0))
    for number, values in enumerate([(1.0, 0.0), (0.0, 1.0)]):
        controller.tell(Outcome(number, (number,) * DIM, {}, values))
    found = [controller.ask(np.random.default_rng(seed), ()) for seed in range(50)]
    assert {str(proposal.note["parents"]) for proposal in found} == {"[0, 0]", "[0, 1]", "[1, 0]", "[1, 1]"}
    mixed = [proposal.genome for proposal in found if proposal.note["parents"] == [0, 1]]
    assert any(0 < sum(genome) - 1 < DIM - 2 for genome in mixed)


def test_another_number_of_objectives_is_refused() -> None:
    controller = nsga2(4)
    tell(controller, 2, (0.5, 0.5))
    with pytest.raises(ValueError, match="trial 3 has 1 objectives, expected 2 as before"):
        tell(controller, 3, (0.5,))


@pytest.mark.parametrize(
    ("words", "complaint"), [({"population": 1}, "population=1"), ({"crossover": 1.1}, "crossover=1.1")]
)
def test_impossible_settings_are_refused(words: dict[str, float], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Nsga2Config(**words)  # type: ignore[arg-type]  # one of them is whole


def test_it_finds_a_front_that_random_search_does_not() -> None:
    """Leading ones against trailing zeros (Laumanns et al. 2004): the front has 17 of 65,536 genomes."""
    volumes = {name: volume(name) for name in ("nsga2", "random")}
    assert volumes["nsga2"] > 0.9
    assert volumes["random"] < 0.75


def volume(name: str) -> float:
    """Hypervolume after 1,000 trials, 20 in flight, as a share of the whole front's; the mean of three."""
    full = hypervolume(np.array([(k, DIM - k) for k in range(DIM + 1)], float), np.full(2, -1.0))
    shares = []
    for seed in range(3):
        controller = Nsga2(Crossable(), Nsga2Config()) if name == "nsga2" else RandomSearch(Crossable())
        points, pending = [], list[Pending[Bits]]()
        for number in range(1000):
            proposal = controller.ask(np.random.default_rng([seed, number]), pending)
            pending.append(Pending(number, proposal.genome, proposal.note))
            if len(pending) == 20:
                ended = pending.pop(number % 20)
                text = "".join(map(str, ended.genome))
                values = (float(len(text) - len(text.lstrip("1"))), float(len(text) - len(text.rstrip("0"))))
                points.append(values)
                controller.tell(Outcome(ended.number, ended.genome, ended.note, values))
        shares.append(hypervolume(np.array(points), np.full(2, -1.0)) / full)
    return float(np.mean(shares))


def nsga2(population: int) -> Nsga2[Bits]:
    return Nsga2(Bitstrings(), Nsga2Config(population=population))


def genome_of(number: int) -> Bits:
    return tuple(number >> place & 1 for place in range(DIM))


def tell(controller: Nsga2[Bits], number: int, result: tuple[float, ...] | FailureKind) -> None:
    controller.tell(Outcome(number, genome_of(number), {}, result))


def ask(controller: Nsga2[Bits], *, pending: int = 0, seed: int = 0) -> Proposal[Bits]:
    waiting: Sequence[Pending[Bits]] = [Pending(100 + i, genome_of(100 + i), {}) for i in range(pending)]
    return controller.ask(np.random.default_rng(seed), waiting)


def parents(controller: Nsga2[Bits]) -> set[int]:
    """Every parent that 300 tournaments choose: the worst wins when it meets itself only."""
    found = [ask(controller, seed=seed).note["parents"] for seed in range(300)]
    return {parent for pair in found if isinstance(pair, list) for parent in pair if isinstance(parent, int)}
