"""Our networks against TF Model Garden's own, weight for weight: its endpoints are in fixture.npz."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from proxy_trainer.network.declare import declare
from proxy_trainer.network.forward import forward
from proxy_trainer.network.plan import backbone_plan
from proxy_trainer.network.weights import Layout, flatten

sys.path.insert(0, str(Path(__file__).parent))
from cases import SIZE, Case, arrays, cases, images, sample, traits

CASES = {case.name: case for case in cases()}
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def fixture() -> dict[str, np.ndarray]:  # type: ignore[type-arg] # of all kinds
    with np.load(Path(__file__).parent / "fixture.npz", allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def test_every_trait_is_among_the_cases() -> None:
    found = set().union(*(traits(case.genome) for case in CASES.values()))
    assert found >= {"dangling", "dead", "residual", "bottleneck", "mbconv", "level 1"}
    assert len(CASES) == 23


@pytest.mark.parametrize("name", CASES)
def test_the_endpoints_agree(name: str, fixture: dict[str, np.ndarray]) -> None:  # type: ignore[type-arg] # as above
    case: Case = CASES[name]
    plan = backbone_plan(case.genome, case.scaling)
    declared = declare(plan, SIZE)
    assert declared.parameters == int(fixture[f"{name}/parameters"])
    layout, values = Layout.of(declared), arrays(declared.weights)
    vectors = tuple(tf.constant(flatten(part, values)) for part in (layout.trained, layout.statistics))
    for mode in ("inference", "training"):
        outputs, _ = forward(
            plan, layout, (vectors[0], vectors[1]), tf.constant(images()), training=mode == "training"
        )
        for level, step in plan.outputs.items():
            wanted = fixture[f"{name}/{mode}/P{level}"]
            largest = float(fixture[f"{name}/{mode}/P{level}/largest"])
            found = outputs[step][0].numpy()
            assert np.abs(sample(found) - wanted).max() <= TOLERANCE * largest, (mode, level)
            assert abs(np.abs(found).max() - largest) <= TOLERANCE * largest
