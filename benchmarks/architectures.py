"""How fast architectures are costed and told apart, without a framework.

    python -m benchmarks.architectures [--genomes 100000]

Prints a table and writes benchmarks/results/architectures.json: medians over five repetitions.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median

import numpy as np

from benchmarks.record import write
from search_space.catalog import SPACES
from search_space.cost import Head, network_costs
from search_space.fingerprint import fingerprint
from search_space.genome import Genome
from search_space.scaling import Scaling

REPETITIONS = 5
FINGERPRINTS = 5000


def seconds(action: Callable[[], object]) -> tuple[float, float, float]:
    """Median, least and most of the repetitions."""
    taken = []
    for _ in range(REPETITIONS):
        began = time.perf_counter()
        action()
        taken.append(time.perf_counter() - began)
    return median(taken), min(taken), max(taken)


@dataclass(frozen=True, slots=True)
class Row:
    """One space; each measurement is its median, then its least and most."""

    space: str
    genomes: int
    cost_seconds: tuple[float, float, float]
    fingerprints_a_second: tuple[float, float, float]


def measure(name: str, genomes: list[Genome]) -> Row:
    """One space."""
    costed = seconds(lambda: network_costs(genomes, Scaling(), 640, Head()))
    some = genomes[:FINGERPRINTS]
    middle, least, most = seconds(lambda: [fingerprint(genome) for genome in some])
    return Row(name, len(genomes), costed, (len(some) / middle, len(some) / most, len(some) / least))


def main() -> None:
    """All spaces."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--genomes", type=int, default=100_000)
    options = parser.parse_args()
    rows = []
    for name, space in SPACES.items():
        rng = np.random.default_rng(0)
        row = measure(name, [space.sample(rng) for _ in range(options.genomes)])
        rows.append(asdict(row))
        print(
            f"{name:<24} costs of {row.genomes:,}: {row.cost_seconds[0]:.2f} s   "
            f"{row.fingerprints_a_second[0]:,.0f} fingerprints a second"
        )
    write("architectures", {"rows": rows})


if __name__ == "__main__":
    main()
