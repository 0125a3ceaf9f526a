"""Our networks against TF Model Garden's own, weight for weight: its endpoints are in fixture.npz."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from proxy_trainer.network.declare import declare
from proxy_trainer.network.forward import forward
from proxy_trainer.network.plan import backbone_plan
from proxy_trainer.network.weights import Layout, flatten
from proxy_trainer.runtime import prepare


def _cases() -> Any:
    """The module that make_fixture.py imports too, in an environment without our packages' requirements."""
    found = importlib.util.spec_from_file_location("cases", Path(__file__).parent / "cases.py")
    if found is None or found.loader is None:
        raise ImportError("cases.py")
    module = importlib.util.module_from_spec(found)
    sys.modules["cases"] = module
    found.loader.exec_module(module)
    return module


garden = _cases()
CASES = {case.name: case for case in garden.cases()}
TOLERANCE = 1e-4
ELSEWHERE = 2e-2
"""In training mode on other kernels than the fixture's: a deep network's batch norms make thousands of
times more of a rounding. In inference nothing does."""


@pytest.fixture(scope="module")
def fixture() -> dict[str, Any]:
    prepare()
    with np.load(Path(__file__).parent / "fixture.npz", allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def test_every_trait_is_among_the_cases() -> None:
    found = set().union(*(garden.traits(case.genome) for case in CASES.values()))
    assert found >= {"dangling", "dead", "residual", "bottleneck", "mbconv", "level 1"}
    assert len(CASES) == 23


@pytest.mark.parametrize("name", CASES)
def test_the_endpoints_agree(name: str, fixture: dict[str, Any]) -> None:
    case = CASES[name]
    plan = backbone_plan(case.genome, case.scaling)
    declared = declare(plan, garden.SIZE)
    assert declared.parameters == int(fixture[f"{name}/parameters"])
    layout, values = Layout.of(declared), garden.arrays(declared.weights)
    vectors = tuple(tf.constant(flatten(part, values)) for part in (layout.trained, layout.statistics))
    same = str(fixture["processor"]) == garden.processor()
    for mode in ("inference", "training"):
        tolerance = TOLERANCE if same or mode == "inference" else ELSEWHERE
        outputs, _ = forward(
            plan, layout, (vectors[0], vectors[1]), tf.constant(garden.images()), training=mode == "training"
        )
        for level, step in plan.outputs.items():
            wanted = fixture[f"{name}/{mode}/P{level}"]
            largest = float(fixture[f"{name}/{mode}/P{level}/largest"])
            found = outputs[step][0].numpy()
            assert np.abs(garden.sample(found) - wanted).max() <= tolerance * largest, (mode, level)
            assert abs(np.abs(found).max() - largest) <= tolerance * largest
