"""Regularized evolution against the published algorithm, and what it does with age and failures."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from controller.protocol import Outcome, Pending, Proposal
from controller.regularized_evolution import RegularizedEvolution, RegularizedEvolutionConfig, scaled
from search_space.trial import FailureKind

Bits = tuple[int, ...]
DIM = 20
TABLE = np.random.default_rng(2019).random(2**DIM).round(1)  # coarse: ties must be broken alike


class Bitstrings:
    """The toy space of the authors' notebook: 20 bits, and a mutation flips one."""

    def sample(self, rng: np.random.Generator) -> Bits:
        return tuple(int(bit) for bit in rng.integers(2, size=DIM))

    def mutate(self, genome: Bits, rng: np.random.Generator) -> Bits:
        place = int(rng.integers(DIM))
        return tuple(bit ^ (i == place) for i, bit in enumerate(genome))

    def fingerprint(self, genome: Bits) -> str:
        return "".join(map(str, genome))


def train_and_eval(arch: Bits) -> float:
    return float(TABLE[int("".join(map(str, arch)), 2)])


@dataclass
class Model:
    """As in the notebook."""

    arch: Bits
    accuracy: float


def reference(cycles: int, population_size: int, sample_size: int, seed: int) -> list[Model]:
    """The notebook of the authors line by line (google-research, regularized_evolution_algorithm).

    In place of Python's global `random`: one generator for each trial, as a campaign has.
    """
    space = Bitstrings()
    population: collections.deque[Model] = collections.deque()
    history: list[Model] = []  # Not used by the algorithm, only used to report results.

    # Initialize the population with random models.
    while len(population) < population_size:
        random = np.random.default_rng([seed, len(history)])
        arch = space.sample(random)
        model = Model(arch, train_and_eval(arch))
        population.append(model)
        history.append(model)

    # Carry out evolution in cycles. Each cycle produces a model and removes another.
    while len(history) < cycles:
        random = np.random.default_rng([seed, len(history)])
        # Sample randomly chosen models from the current population.
        sample: list[Model] = []
        while len(sample) < sample_size:
            # Inefficient, but written this way for clarity.
            candidate = list(population)[random.integers(len(population))]
            sample.append(candidate)

        # The parent is the best model in the sample.
        parent = max(sample, key=lambda i: i.accuracy)

        # Create the child model and store it.
        arch = space.mutate(parent.arch, random)
        child = Model(arch, train_and_eval(arch))
        population.append(child)
        history.append(child)

        # Remove the oldest model.
        population.popleft()

    return history


@pytest.mark.parametrize(("population", "tournament"), [(100, 25), (20, 5), (1, 1)])
def test_it_is_the_published_algorithm(population: int, tournament: int) -> None:
    controller = evolution(population, tournament)
    for number, model in enumerate(reference(600, population, tournament, seed=7)):
        proposal = controller.ask(np.random.default_rng([7, number]), ())
        assert proposal.genome == model.arch, f"trial {number}"
        controller.tell(Outcome(number, proposal.genome, proposal.note, (train_and_eval(proposal.genome),)))


def test_the_oldest_dies_however_good() -> None:
    controller = evolution(5, 5)
    tell(controller, 0, 1.0)
    for number in range(1, 5):
        tell(controller, number, number / 100)
    assert 0 in parents(controller)
    tell(controller, 5, 0.0)
    assert 0 not in parents(controller)


def test_age_is_the_finish_order_not_the_number() -> None:
    controller = evolution(2, 2)
    for number in (9, 3, 4):
        tell(controller, number, 0.5)
    assert parents(controller) == {3, 4}


def test_random_until_enough_were_proposed() -> None:
    controller = evolution(4, 2)
    tell(controller, 0, 0.5)
    assert ask(controller, pending=2).note == {}
    assert ask(controller, pending=3).note == {"parents": [0]}


def test_random_while_nothing_is_known() -> None:
    assert ask(evolution(4, 2), pending=50).note == {}


def test_failures_win_no_tournament() -> None:
    controller = evolution(4, 4)
    tell(controller, 0, -1e9)
    for number in range(1, 4):
        tell(controller, number, FailureKind.LOST_WORKER)
    assert parents(controller) == {0, None}


def test_failures_age_and_push_others_out() -> None:
    controller = evolution(2, 2)
    tell(controller, 0, 0.9)
    for number in (1, 2):
        tell(controller, number, FailureKind.DIVERGED)
    assert parents(controller) == {None}


def test_several_objectives_are_refused() -> None:
    with pytest.raises(ValueError, match="trial 3 has 2 objectives, expected 1"):
        evolution(4, 2).tell(Outcome(3, (0,) * DIM, {}, (0.5, 0.5)))


@pytest.mark.parametrize(("population", "tournament"), [(0, 0), (10, 0), (10, 11)])
def test_impossible_settings_are_refused(population: int, tournament: int) -> None:
    with pytest.raises(ValueError, match=f"tournament={tournament}, population={population}"):
        RegularizedEvolutionConfig(population=population, tournament=tournament)


def test_large_budgets_get_the_papers_sizes() -> None:
    # Real et al. 2019, section 4 (methods): P=100, S=25, 20,000 models.
    assert scaled(20_000) == (100, 25)


def evolution(population: int, tournament: int) -> RegularizedEvolution[Bits]:
    config = RegularizedEvolutionConfig(population=population, tournament=tournament)
    return RegularizedEvolution(Bitstrings(), config)


def genome_of(number: int) -> Bits:
    return tuple(number >> place & 1 for place in range(DIM))


def tell(controller: RegularizedEvolution[Bits], number: int, result: float | FailureKind) -> None:
    values = result if isinstance(result, FailureKind) else (result,)
    controller.tell(Outcome(number, genome_of(number), {}, values))


def ask(controller: RegularizedEvolution[Bits], *, pending: int = 0, seed: int = 0) -> Proposal[Bits]:
    waiting: Sequence[Pending[Bits]] = [Pending(100 + i, genome_of(100 + i), {}) for i in range(pending)]
    return controller.ask(np.random.default_rng(seed), waiting)


def parents(controller: RegularizedEvolution[Bits]) -> set[int | None]:
    """Every parent that 200 tournaments choose; None where they end in a random genome."""
    found: set[int | None] = set()
    for seed in range(200):
        note = ask(controller, seed=seed).note
        match note.get("parents"):
            case [int(parent)]:
                found.add(parent)
            case _:
                found.add(None)
    return found


@pytest.mark.parametrize(
    ("trials", "sizes"),
    [(20, (17, 4)), (100, (17, 4)), (300, (50, 12)), (600, (100, 25)), (14_000, (100, 25))],
)
def test_sizes_are_scaled_to_the_budget(trials: int, sizes: tuple[int, int]) -> None:
    assert scaled(trials) == sizes
    config = RegularizedEvolutionConfig().resolved(trials)
    assert (config.population, config.tournament) == sizes


def test_sizes_that_are_given_stay() -> None:
    assert scaled(14_000, 30, None) == (30, 7)
    assert scaled(100, None, 40) == (40, 40)
    assert RegularizedEvolutionConfig(population=30, tournament=9).resolved(9).population == 30


def test_sizes_must_be_resolved_before_it_is_built() -> None:
    with pytest.raises(ValueError, match="not resolved"):
        RegularizedEvolution(Bitstrings(), RegularizedEvolutionConfig())
