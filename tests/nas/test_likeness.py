"""`nas compare`: how near a campaign's best came, beside random genomes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.likeness import ROWS, likeness_facts
from search_space.catalog import SPINENET_49, space_by_name

SPACE = space_by_name("spinenet-49")


def test_the_target_is_at_distance_zero_and_nothing_is_nearer() -> None:
    facts = likeness_facts([(3, SPINENET_49)], SPINENET_49, SPACE, samples=50)
    (best,) = facts["best"]

    assert best["number"] == 3
    assert best["distance"] == 0
    assert best["nearer"] == 0
    assert facts["random"]["distance"] > 0.5
    assert best["wiring"] == facts["target"]["wiring"]


def test_random_genomes_lie_in_the_middle_of_random_genomes() -> None:
    rng = np.random.default_rng(77)
    best = [(number, SPACE.sample(rng)) for number in range(60)]
    rows = likeness_facts(best, SPINENET_49, SPACE, samples=200)["best"]

    assert 0.35 < np.mean([row["nearer"] for row in rows]) < 0.65
    for name in ROWS:
        assert 0.35 < np.mean([row["below"][name] for row in rows]) < 0.65


def test_one_move_away_is_nearer_than_nearly_all() -> None:
    near = SPACE.mutate(SPINENET_49, np.random.default_rng(0))
    (row,) = likeness_facts([(1, near)], SPINENET_49, SPACE, samples=200)["best"]
    assert 0 < row["distance"] < 0.5
    assert row["nearer"] < 0.01


@pytest.mark.parametrize("target", ["spinenet-49", "r0-sp53"])
def test_the_command_line(nas: Any, written: Callable[..., Path], target: str) -> None:
    assert nas("run", written()).code == 0
    shown = nas("compare", "small", "--to", target, "--samples", "20")
    assert shown.code == 0, shown.err
    assert f"small: its best beside {target}" in shown.out
    facts = json.loads(nas("compare", "small", "--to", target, "--samples", "20", "-n", "2", "--json").out)
    assert len(facts["best"]) == 2
    assert facts["samples"] == 20


def test_what_cannot_be_compared_gets_one_line(nas: Any, written: Callable[..., Path]) -> None:
    nas("run", written())
    ended = nas("compare", "small", "--to", "spinenet-48")
    assert ended.code == 2
    assert "spinenet-48" in ended.err
    assert ended.err.count("\n") == 1
