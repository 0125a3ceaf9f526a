"""ResNet-50-FPN: Keras's own ResNet-50 as the oracle of its stages, published numbers of the whole."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from proxy_trainer.network.baseline import resnet_fpn_plan
from proxy_trainer.network.declare import declare
from proxy_trainer.network.plan import Plan
from proxy_trainer.rebuild import fresh_arrays, run_keras, run_plan, save_keras
from search_space.scaling import Scaling


@pytest.fixture(scope="module")
def narrow() -> Plan:
    return resnet_fpn_plan(Scaling(width=0.125, endpoint_width=8))


def test_the_stages_have_resnet_50s_parameters() -> None:
    """Keras's convs have biases: one a filter, as many as its batch norms have offsets."""
    model = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(64, 64, 3))
    theirs = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    biases = sum(
        int(np.prod(layer.bias.shape)) for layer in model.layers if isinstance(layer, keras.layers.Conv2D)
    )
    declared = declare(resnet_fpn_plan(Scaling()), 128)
    stages = [weight for weight in declared.weights if weight.step == "stem" or "stage" in weight.step]
    assert sum(int(np.prod(weight.shape)) for weight in stages if weight.trained) == theirs - biases


def test_it_has_five_levels_of_one_width(narrow: Plan) -> None:
    shapes = declare(narrow, 256).shapes
    assert {level: shapes[name][0].height for level, name in narrow.outputs.items()} == {
        level: 256 // 2**level for level in range(3, 8)
    }
    assert {shapes[name][0].channels for name in narrow.outputs.values()} == {8}


def test_it_is_the_same_as_a_keras_file(narrow: Plan, tmp_path: Path) -> None:
    arrays = fresh_arrays(narrow, 128, seed=1)
    save_keras(narrow, arrays, 128, tmp_path / "fpn.keras")
    pictures = np.random.default_rng(0).standard_normal((1, 128, 128, 3)).astype(np.float32)
    _, found = run_keras(tmp_path / "fpn.keras", pictures)
    for name, wanted in run_plan(narrow, arrays, pictures).items():
        np.testing.assert_allclose(found[name], wanted, rtol=1e-5, atol=1e-5)
