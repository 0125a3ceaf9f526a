"""ONNX files of every kind of network, run by ONNX Runtime, against TensorFlow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from proxy_trainer.detector import Blueprint
from proxy_trainer.network.baseline import resnet_fpn_plan
from proxy_trainer.network.plan import Plan
from proxy_trainer.onnx_file import run_onnx, save_onnx
from proxy_trainer.rebuild import Arrays, fresh_arrays
from proxy_trainer.recipe import Recipe
from proxy_trainer.saved_model import run_detector
from search_space.catalog import MOBILE_49, SPINENET_49, space_by_name
from search_space.genome import Genome

RECIPE = Recipe(width=0.25, alpha=0.5, endpoint_width=24, head_convs=1, head_width=16)
CLASSES = 3
BACKBONES: dict[str, Genome | Plan] = {
    "SpineNet-49": SPINENET_49,
    "a random one": space_by_name("spinenet-49").sample(np.random.default_rng(5)),
    "deeper stem": space_by_name("r35-sp18").sample(np.random.default_rng(5)),
    "mobile": MOBILE_49,
    "ResNet-50-FPN": resnet_fpn_plan(RECIPE.scaling),
}


def lively(plan: Plan) -> Arrays:
    """Weights whose outputs depend on every one of them."""
    rng = np.random.default_rng(1)
    found = dict(fresh_arrays(plan, RECIPE.resolution, 0))
    for path, array in found.items():
        if path.endswith(("/scale", "/variance")):
            found[path] = rng.uniform(0.8, 1.2, array.shape).astype(np.float32)
        elif path.endswith(("/offset", "/mean", "/bias")) or path.startswith("head/"):
            found[path] = rng.normal(0, 0.1, array.shape).astype(np.float32)
    return found


@pytest.mark.parametrize("name", BACKBONES)
def test_onnx_runtime_computes_the_same(name: str, tmp_path: Path) -> None:
    blueprint = Blueprint.of(BACKBONES[name], RECIPE, CLASSES)
    arrays = lively(blueprint.plan)
    save_onnx(blueprint, RECIPE.resolution, CLASSES, arrays, tmp_path / "detector.onnx")
    shape = (2, RECIPE.resolution, RECIPE.resolution, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    wanted, _ = run_detector(blueprint, RECIPE, CLASSES, arrays, images)
    boxes, probabilities = wanted["boxes"], wanted["probabilities"]
    found = run_onnx(tmp_path / "detector.onnx", images)
    assert probabilities.std() > 0.01
    np.testing.assert_allclose(found["probabilities"], probabilities, atol=1e-4)
    np.testing.assert_allclose(found["boxes"], boxes, atol=1e-2)  # pixels
    # One picture alone: the batch is free.
    alone = run_onnx(tmp_path / "detector.onnx", images[1:])
    np.testing.assert_allclose(alone["probabilities"], probabilities[1:], atol=1e-4)
