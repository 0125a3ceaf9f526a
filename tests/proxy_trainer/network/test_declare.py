"""The network on shapes: published sizes, and what happens to sizes that do not fit."""

from __future__ import annotations

import pytest

from proxy_trainer.network.declare import Declaration, Shape, ShapeOps, declare
from proxy_trainer.network.ops import FAN_IN, Normal
from proxy_trainer.network.plan import Plan, backbone_plan, detector_plan
from search_space.catalog import R0_SP53, SPINENET_49
from search_space.genome import Genome
from search_space.scaling import Scaling

R23_SP30 = Genome.from_text(
    "2b 2b 3b 3b 4b 4b* 5b* | "
    "4b:5,6 4b:5,6 4b:7,8 3b:8,9 2b:9,10 4b:5,9^ 3b:9,10^ 5b:9,10^ 7b:11,13^ 6b:9,14^"
)
"""Read off figure 4(b) of Du et al., CVPR 2020: its stem goes down to level 5."""


def billions(declaration: Declaration) -> float:
    return sum(declaration.multiply_adds.values()) / 1e9


def detector(backbone: Plan, width: int = 256, convs: int = 4) -> Plan:
    """As in the paper: 91 classes, 9 anchors."""
    return detector_plan(backbone, convs=convs, width=width, classes=91, anchors=9)


@pytest.mark.parametrize(
    ("genome", "scaling", "parameters"),
    [
        (SPINENET_49, Scaling(), 21_831_488),
        (R0_SP53, Scaling(), 19_344_320),
        (SPINENET_49, Scaling(width=0.65, endpoint_width=128), 9_089_215),
    ],
)
def test_backbone_parameters(genome: Genome, scaling: Scaling, parameters: int) -> None:
    # To the last one: computed from the specs before our code was written (docs/sources.md, 4).
    assert declare(backbone_plan(genome, scaling), 640).parameters == parameters


def test_spinenet_49_detector_parameters() -> None:
    # Likewise.
    assert declare(detector(backbone_plan(SPINENET_49, Scaling())), 640).parameters == 28_543_383


# Millions of parameters and billions of multiply-adds of whole detectors, as published
# (docs/sources.md, 4); they agree to what was printed there.
@pytest.mark.parametrize(
    ("genome", "scaling", "head", "size", "millions", "multiply_adds"),
    [
        (SPINENET_49, Scaling(), (256, 4), 640, 28.5, 85.4),
        (SPINENET_49, Scaling(), (256, 4), 896, 28.5, 167.4),
        (SPINENET_49, Scaling(repeats=2), (256, 4), 1024, 43.0, 265.4),
        (SPINENET_49, Scaling(repeats=3, alpha=1.0), (256, 4), 1280, 67.0, 524.0),
        (
            SPINENET_49,
            Scaling(repeats=4, alpha=1.0, width=1.3, endpoint_width=512),
            (512, 7),
            1280,
            163.6,
            1885,
        ),
        (SPINENET_49, Scaling(width=0.65), (128, 4), 640, 11.9, 33.8),
        (R0_SP53, Scaling(), (256, 4), 640, 26.056, 95.2),
        (R23_SP30, Scaling(), (256, 4), 640, None, 95.5),
    ],
    ids=["49", "49@896", "96", "143", "190", "49S", "R0-SP53", "R23-SP30"],
)
def test_published_detectors(
    genome: Genome,
    scaling: Scaling,
    head: tuple[int, int],
    size: int,
    millions: float | None,
    multiply_adds: float,
) -> None:
    declaration = declare(detector(backbone_plan(genome, scaling), *head), size)
    if millions is not None:
        assert declaration.parameters / 1e6 == pytest.approx(millions, abs=0.06)
    assert billions(declaration) == pytest.approx(multiply_adds, rel=0.005)


# The same by arithmetic of the dossier's author, to all digits given there ("calc").
@pytest.mark.parametrize(
    ("scaling", "head", "size", "millions", "multiply_adds"),
    [
        (Scaling(), (256, 4), 640, 28.543, 85.28),
        (Scaling(), (256, 4), 896, 28.543, 167.15),
        (Scaling(repeats=2), (256, 4), 1024, 42.975, 265.02),
        (Scaling(repeats=3, alpha=1.0), (256, 4), 1280, 66.960, 523.34),
        (Scaling(repeats=4, alpha=1.0, width=1.3, endpoint_width=512), (512, 7), 1280, 163.637, 1881.7),
        (Scaling(width=0.65, endpoint_width=128), (128, 4), 640, 11.266, 30.8),
        (Scaling(width=0.65, endpoint_width=256), (128, 4), 640, 11.945, 33.75),
        (Scaling(width=0.25, alpha=0.25, endpoint_width=64), (64, 4), 512, 1.96, 5.84),
    ],
    ids=["49", "49@896", "96", "143", "190", "49S", "49S of the checkpoint", "the paper's proxy"],
)
def test_calculated_detectors(
    scaling: Scaling, head: tuple[int, int], size: int, millions: float, multiply_adds: float
) -> None:
    declaration = declare(detector(backbone_plan(SPINENET_49, scaling), *head), size)
    assert declaration.parameters / 1e6 == pytest.approx(millions, rel=2e-4 if millions > 5 else 5e-3)
    assert billions(declaration) == pytest.approx(multiply_adds, rel=2e-3)


def test_the_size_of_a_backbone_at_640() -> None:
    assert billions(declare(backbone_plan(SPINENET_49, Scaling()), 640)) == pytest.approx(28.26, abs=0.005)


def test_endpoints_halve_level_by_level() -> None:
    plan = backbone_plan(SPINENET_49, Scaling(endpoint_width=48))
    declaration = declare(plan, 256)
    assert list(plan.outputs) == [3, 4, 5, 6, 7]
    assert [declaration.shapes[name] for name in plan.outputs.values()] == [
        (Shape(side, side, 48),) for side in (32, 16, 8, 4, 2)
    ]


def test_a_size_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match=r"node\d\d: cannot add .* is the input divisible\?"):
        declare(backbone_plan(SPINENET_49, Scaling()), 224)


def test_only_kernels_decay() -> None:
    weights = declare(detector(backbone_plan(SPINENET_49, Scaling())), 128).weights
    assert {weight.name.rpartition("/")[2] for weight in weights if weight.is_kernel} == {"kernel"}
    assert {weight.name.rpartition("/")[2] for weight in weights if not weight.is_kernel} == {
        "bias",
        "scale",
        "offset",
        "mean",
        "variance",
    }
    assert {weight.name.rpartition("/")[2] for weight in weights if not weight.trained} == {
        "mean",
        "variance",
    }


def test_paths_are_unique() -> None:
    paths = [weight.path for weight in declare(detector(backbone_plan(SPINENET_49, Scaling())), 128).weights]
    assert len(set(paths)) == len(paths)


def test_a_shared_conv_is_one_weight_and_must_stay_the_same() -> None:
    ops = ShapeOps("step")
    for _ in range(2):
        ops.predict("p", Shape(4, 4, 8), 16, FAN_IN)
    assert len(ops.weights) == 2
    assert ops.multiply_adds == 2 * 16 * 9 * 8 * 16
    with pytest.raises(ValueError, match="step/p/kernel"):
        ops.predict("p", Shape(4, 4, 9), 16, FAN_IN)
    with pytest.raises(ValueError, match="step/p/kernel"):
        ops.predict("p", Shape(4, 4, 8), 16, Normal(0.01))


def test_odd_sides_round_up() -> None:
    ops = ShapeOps("step")
    assert ops.conv("c", Shape(5, 7, 2), 4, 3, 2) == Shape(3, 4, 4)
    assert ops.multiply_adds == 3 * 4 * 9 * 2 * 4
    assert ops.max_pool(Shape(5, 7, 2)) == Shape(3, 4, 2)
    assert ops.upsample(Shape(5, 7, 2), 4) == Shape(20, 28, 2)
