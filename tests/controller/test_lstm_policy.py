"""The policy over masked decisions: its probabilities by enumeration, its gradients by differences."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
import pytest
from numpy.typing import NDArray

from controller.lstm_policy import Evaluated, LstmPolicy
from search_space.catalog import space_by_name

LABELS: Final = 3
OPTIONS: Final = (3, 3, 3, 4, 1, 2)
"""A permutation of three labels, then three choices, one of which leaves none."""

SEQUENCES: Final = [
    (*order, a, 0, b) for order in itertools.permutations(range(LABELS)) for a in range(4) for b in range(2)
]


def mask(prefix: Sequence[int]) -> NDArray[np.bool_]:
    is_open = np.ones(OPTIONS[len(prefix)], dtype=np.bool_)
    if len(prefix) < LABELS:
        is_open[list(prefix)] = False
    return is_open


def masks(sequence: Sequence[int]) -> NDArray[np.bool_]:
    return np.concatenate([mask(sequence[:place]) for place in range(len(OPTIONS))])


POLICY: Final = LstmPolicy(OPTIONS, units=4)
TRAINED: Final = np.random.default_rng(1).normal(0, 0.7, POLICY.initial(0).size)
"""Parameters with which nothing is uniform."""


def evaluate(parameters: NDArray[np.float64], sequences: Sequence[Sequence[int]]) -> Evaluated:
    return POLICY.evaluate(parameters, np.array(sequences), np.array([masks(s) for s in sequences]))


class TestProbabilities:
    @pytest.mark.parametrize("parameters", [POLICY.initial(0), TRAINED])
    def test_all_sequences_together_have_probability_one(self, parameters: NDArray[np.float64]) -> None:
        assert np.exp(evaluate(parameters, SEQUENCES).log_probabilities).sum() == pytest.approx(1, rel=1e-12)

    def test_of_labelled_permutations_together_too(self) -> None:
        policy = LstmPolicy((5,) * 5, units=3)
        parameters = np.random.default_rng(2).normal(size=policy.initial(0).size)
        orders = np.array(list(itertools.permutations(range(5))))
        is_open = np.ones((len(orders), 5, 5), dtype=np.bool_)
        for order, rows in zip(orders, is_open, strict=True):
            for place in range(5):
                rows[place, order[:place]] = False
        found = np.exp(policy.evaluate(parameters, orders, is_open.reshape(-1, 25)).log_probabilities)
        assert found.sum() == pytest.approx(1, rel=1e-12)
        assert found.max() > 3 * found.min()

    def test_untrained_all_are_equally_likely(self) -> None:
        found = evaluate(POLICY.initial(3), SEQUENCES)
        np.testing.assert_allclose(found.log_probabilities, -math.log(len(SEQUENCES)), rtol=1e-12)
        np.testing.assert_allclose(found.entropies, math.log(len(SEQUENCES)), rtol=1e-12)

    def test_the_choices_before_matter(self) -> None:
        """The last choice's distribution differs with the first: it is a sequence model."""
        two = evaluate(TRAINED, [(0, 1, 2, 0, 0, 0), (2, 1, 0, 0, 0, 0)]).log_softmax[:, -1]
        assert abs(two[0] - two[1]) > 1e-3

    def test_the_entropies_add_up_to_that_of_the_sequence(self) -> None:
        found = evaluate(TRAINED, SEQUENCES)
        probabilities = np.exp(found.log_probabilities)
        whole = -(probabilities * found.log_probabilities).sum()
        assert (probabilities * found.entropies).sum() == pytest.approx(whole, rel=1e-12)


class TestDraws:
    @pytest.mark.parametrize("parameters", [POLICY.initial(0), TRAINED])
    def test_draws_come_as_often_as_they_are_likely(self, parameters: NDArray[np.float64]) -> None:
        rng, count = np.random.default_rng(5), 6000
        drawn = Counter(tuple(POLICY.draw(parameters, mask, rng)[0]) for _ in range(count))
        assert set(drawn) <= set(SEQUENCES)
        expected = count * np.exp(evaluate(parameters, SEQUENCES).log_probabilities)
        observed = np.array([drawn[sequence] for sequence in SEQUENCES])
        common = expected >= 5
        expected = np.append(expected[common], expected[~common].sum() + 1e-9)
        observed = np.append(observed[common], observed[~common].sum())
        chi_square, freedom = ((observed - expected) ** 2 / expected).sum(), len(expected) - 1
        assert chi_square < freedom + 4 * math.sqrt(2 * freedom)

    def test_a_draw_knows_its_probability(self) -> None:
        for seed in range(20):
            choices, log_probability = POLICY.draw(TRAINED, mask, np.random.default_rng(seed))
            found = evaluate(TRAINED, [choices]).log_probabilities[0]
            assert log_probability == pytest.approx(found, rel=1e-12)

    def test_untrained_on_a_real_space(self) -> None:
        """Minus the sum of the logarithms of how many options were open."""
        decisions = space_by_name("spinenet-49").decisions()
        policy = LstmPolicy([site.options for site in decisions.sites], units=100)
        choices, log_probability = policy.draw(policy.initial(0), decisions.mask, np.random.default_rng(0))
        left = [int(decisions.mask(choices[:place]).sum()) for place in range(len(choices))]
        assert left[:10] == list(range(10, 0, -1))
        assert log_probability == pytest.approx(-np.log(left).sum(), rel=1e-12)


class TestParameters:
    def test_weights_begin_as_published_and_heads_at_zero(self) -> None:
        policy = LstmPolicy(OPTIONS, units=100)
        weights = policy.views(policy.initial(0))
        for array in (weights.embedding, weights.recurrent):
            assert np.abs(array).max() < 0.1
            assert array.std() == pytest.approx(0.2 / math.sqrt(12), rel=0.05)
        assert not weights.heads.any()
        assert not weights.biases.any()

    def test_a_seed_decides_them(self) -> None:
        np.testing.assert_array_equal(POLICY.initial(7), POLICY.initial(7))
        assert (POLICY.initial(7) != POLICY.initial(8)).any()

    def test_the_views_cover_the_vector_once(self) -> None:
        flat = np.zeros_like(TRAINED)
        weights = POLICY.views(flat)
        for array in (weights.embedding, weights.recurrent, weights.heads, weights.biases):
            array += 1
        assert (flat == 1).all()


@pytest.mark.parametrize(("of_log_probability", "of_entropy"), [(1.0, 0.0), (0.0, 1.0), (1.0, 0.3)])
@pytest.mark.parametrize("parameters", [POLICY.initial(0), TRAINED])
def test_gradients_are_those_of_differences(
    parameters: NDArray[np.float64], of_log_probability: float, of_entropy: float
) -> None:
    rng, sequences = np.random.default_rng(9), SEQUENCES[::9]
    by_log_probability = of_log_probability * rng.normal(size=len(sequences))
    by_entropy = of_entropy * rng.normal(size=len(sequences))

    def result(at: NDArray[np.float64]) -> float:
        found = evaluate(at, sequences)
        return float(by_log_probability @ found.log_probabilities + by_entropy @ found.entropies)

    gradient = POLICY.gradient(evaluate(parameters, sequences), by_log_probability, by_entropy)
    steps = 1e-5 * np.eye(parameters.size)
    differences = [(result(parameters + step) - result(parameters - step)) / 2e-5 for step in steps]
    np.testing.assert_allclose(gradient, differences, atol=1e-8)
