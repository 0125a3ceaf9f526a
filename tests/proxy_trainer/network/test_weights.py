"""Flat vectors of weights: where they start, and there and back again."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest

from proxy_trainer.network.declare import Weight, declare
from proxy_trainer.network.ops import FAN_IN, Normal
from proxy_trainer.network.plan import backbone_plan, detector_plan
from proxy_trainer.network.weights import ROW, Layout, decay_mask, flatten, initial, room, size, unflatten
from search_space.genome import Genome
from search_space.scaling import Scaling

SCALING = Scaling(width=0.25, alpha=0.25, endpoint_width=8)


@pytest.fixture(scope="module")
def layout(other: Genome) -> Layout:
    plan = detector_plan(backbone_plan(other, SCALING), convs=1, width=8, classes=3, anchors=9)
    return Layout.of(declare(plan, 128))


def test_there_and_back(layout: Layout) -> None:
    rng = np.random.default_rng(0)
    for weights in (layout.trained, layout.statistics):
        arrays = {w.path: rng.normal(size=w.shape).astype(np.float32) for w in weights}
        flat = flatten(weights, arrays)
        again = unflatten(weights, flat)
        assert again.keys() == arrays.keys()
        for path, array in arrays.items():
            np.testing.assert_array_equal(again[path], array)
        # By path, whatever the order of the arrays.
        np.testing.assert_array_equal(flatten(weights, dict(sorted(arrays.items(), reverse=True))), flat)


def test_trained_arrays_fill_whole_rows(layout: Layout) -> None:
    assert any(size(weight) % ROW for weight in layout.trained), "nothing to fill up: no test"
    flat = initial(layout.trained, 0)
    assert len(flat) == sum(-(-size(weight) // ROW) * ROW for weight in layout.trained)
    ones = flatten(layout.trained, {w.path: np.ones(w.shape, np.float32) for w in layout.trained})
    at = 0
    for weight in layout.trained:
        np.testing.assert_array_equal(ones[at : at + size(weight)], 1)
        at += room(weight)
    assert ones.sum() == sum(size(weight) for weight in layout.trained)
    assert len(initial(layout.statistics, 0)) == sum(size(weight) for weight in layout.statistics)


def test_nothing_is_a_vector_too() -> None:
    assert unflatten((), initial((), 0)) == {}
    assert flatten((), {}).shape == (0,)


def test_arrays_that_do_not_fit_are_refused(layout: Layout) -> None:
    arrays = unflatten(layout.trained, initial(layout.trained, 0))
    path = layout.trained[3].path
    with pytest.raises(ValueError, match=f"weights: {path}: expected shape .*, found nothing"):
        flatten(layout.trained, {key: array for key, array in arrays.items() if key != path})
    with pytest.raises(ValueError, match=rf"weights: {path}: expected shape .*, found shape \(7,\)"):
        flatten(layout.trained, arrays | {path: np.zeros(7, np.float32)})


def test_trained_and_statistics_share_out_all_weights(layout: Layout, other: Genome) -> None:
    plan = detector_plan(backbone_plan(other, SCALING), convs=1, width=8, classes=3, anchors=9)
    weights = declare(plan, 128).weights
    assert set(layout.trained) | set(layout.statistics) == set(weights)
    assert len(layout.trained) + len(layout.statistics) == len(weights)
    assert {weight.name.rpartition("/")[2] for weight in layout.statistics} == {"mean", "variance"}


def test_the_start_depends_on_seed_and_path_only(layout: Layout, small: Genome) -> None:
    kernels = tuple(weight for weight in layout.trained if weight.is_kernel)
    here = unflatten(kernels, initial(kernels, 5))
    np.testing.assert_array_equal(initial(kernels, 5), initial(kernels, 5))
    backwards = unflatten(kernels[::-1], initial(kernels[::-1], 5))
    for path, array in here.items():
        np.testing.assert_array_equal(backwards[path], array)
    another = unflatten(kernels, initial(kernels, 6))
    assert not any(np.array_equal(another[path], array) for path, array in here.items())
    # Another genome's weights of the same path and shape.
    there = {weight.path: weight for weight in declare(backbone_plan(small, SCALING), 128).weights}
    shared = tuple(weight for weight in kernels if there.get(weight.path) == weight)
    assert len(shared) > 3
    for path, array in unflatten(shared, initial(shared, 5)).items():
        np.testing.assert_array_equal(here[path], array)


def test_equal_shapes_start_differently() -> None:
    a, b = (Weight("node02", f"block{index}/feature/conv/kernel", (3, 3, 4, 4), FAN_IN) for index in (0, 1))
    assert not np.array_equal(initial((a,), 0), initial((b,), 0))
    assert not np.array_equal(initial((a,), 0), initial((Weight("node03", a.name, a.shape, FAN_IN),), 0))


@pytest.mark.parametrize("shape", [(3, 3, 64, 128), (1, 1, 256, 300), (7, 7, 3, 640)])
def test_variance_scaling_is_that_of_keras(shape: tuple[int, ...]) -> None:
    ours = initial((Weight("a", "b/kernel", shape, FAN_IN),), 1)
    theirs = np.asarray(keras.initializers.VarianceScaling(1.0, "fan_in", "truncated_normal", seed=1)(shape))
    # Both have 74,000 samples and more: standard errors are below 0.3 %.
    assert ours.std() == pytest.approx(theirs.std(), rel=0.015)
    assert ours.std() == pytest.approx(math.prod(shape[:-1]) ** -0.5, rel=0.01)
    assert np.abs(ours).max() == pytest.approx(np.abs(theirs).max(), rel=0.01)
    assert abs(ours.mean()) < 0.02 * ours.std()


def test_heads_start_as_in_the_released_code(layout: Layout) -> None:
    # As released (docs/sources.md, 2): towers 0.01, predictors 1e-5, class bias -log(99).
    starts = {weight.path: weight.start for weight in layout.trained if weight.step == "head"}
    assert starts["head/class/conv0/kernel"] == starts["head/box/conv0/kernel"] == Normal(0.01)
    assert starts["head/class/predict/kernel"] == starts["head/box/predict/kernel"] == Normal(1e-5)
    assert starts["head/class/predict/bias"] == -math.log(99)
    assert starts["head/box/predict/bias"] == starts["head/class/conv0/bias"] == 0.0


def test_normal_and_constant_starts() -> None:
    normal = initial((Weight("a", "b/kernel", (3, 3, 64, 64), Normal(0.01)),), 0)
    assert normal.std() == pytest.approx(0.01, rel=0.02)
    # Not truncated: one in 16,000 lies beyond four.
    assert np.abs(normal).max() > 0.035
    np.testing.assert_array_equal(
        initial((Weight("a", "b/bias", (4,), 0.5),), 0)[:4], np.full(4, 0.5, np.float32)
    )


def test_batch_norms_start_neutral(layout: Layout) -> None:
    arrays = unflatten(layout.trained, initial(layout.trained, 0))
    arrays |= unflatten(layout.statistics, initial(layout.statistics, 0))
    for part, value in (("scale", 1), ("offset", 0), ("mean", 0), ("variance", 1)):
        found = [array for path, array in arrays.items() if path.endswith(f"/{part}")]
        assert found
        assert all((array == value).all() for array in found)


def test_blocks_may_start_as_identities(layout: Layout) -> None:
    plain = unflatten(layout.trained, initial(layout.trained, 0))
    scaled = unflatten(layout.trained, initial(layout.trained, 0, branch_scale=0.5))
    changed = {path for path in plain if not np.array_equal(plain[path], scaled[path])}
    # The last batch norm of every block, and none on edges, shortcuts, endpoints and heads.
    assert changed == {path for path in plain if path.endswith("/block0/expand/norm/scale")}
    assert len(changed) == 10
    assert all((scaled[path] == 0.5).all() for path in changed)


def test_the_decay_mask_covers_kernels(layout: Layout) -> None:
    for path, array in unflatten(layout.trained, decay_mask(layout.trained)).items():
        assert (array == path.endswith("/kernel")).all()
