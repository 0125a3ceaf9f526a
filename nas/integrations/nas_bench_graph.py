"""The tables of nas-bench-graph (Qin et al., NeurIPS 2022): four nodes, their links and operations.

The package reads tables that it brings along, by pickle; nothing else is read.
"""

from __future__ import annotations

import itertools

from nas_bench_graph import Arch, light_read
from nas_bench_graph.architecture import gnn_list, link_list

from nas.simulation.tables import ChoiceSpace, Digits, Table

NODES = 4


def table(dataset: str) -> Table:
    """A data set's table: one choice of nine link patterns, then one of nine operations a node.

    Validation accuracy, of one training each; what the authors did not train, such as nothing but
    skips, counts as the worst. The set `proteins`, with fewer operations, is left out.
    """
    rows = light_read(dataset)
    worst = min(float(row["valid_perf"]) for row in rows.values())
    space = ChoiceSpace((len(link_list), *(len(gnn_list),) * NODES))
    values: dict[Digits, tuple[float, ...]] = {}
    for links, *kinds in itertools.product(*map(range, space.options)):
        made = Arch(list(link_list[links]), [gnn_list[kind] for kind in kinds])
        row = rows.get(made.valid_hash())
        values[links, *kinds] = (worst if row is None else float(row["valid_perf"]),)
    return Table(space, values, dict.fromkeys(values, 1.0))
