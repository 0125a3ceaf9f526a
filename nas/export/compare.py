"""Is what was exported the network that was searched? Rebuilt from the files alone, and compared."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nas.designs import full_size
from nas.export.contents import Facts
from nas.export.report import ExportMismatch, ExportReport
from nas.validation import validate
from proxy_trainer.config import ProxyConfig
from proxy_trainer.detector import Blueprint
from proxy_trainer.network.declare import declare
from proxy_trainer.network.plan import backbone_plan
from proxy_trainer.rebuild import fresh_arrays, load_arrays, run_keras, run_plan, save_keras
from proxy_trainer.recipe import Recipe
from search_space.genome import Genome
from search_space.spec import Spec, read_spec

TOLERANCE: Final = 1e-4
"""Largest difference between two builds of one network, relative to the largest output."""

SPEC: Final = "spec.yaml"
BACKBONE: Final = "backbone.keras"
WEIGHTS: Final = "proxy_weights.npz"
SEED: Final = 0
"""Of the full-size backbone's weights, and of the pictures that both builds are shown."""


def compare(out: Path, genome: Genome, facts: Facts, proxy: ProxyConfig | None) -> ExportReport:
    """Rebuild from the files alone and hold it against the searched genome."""
    number = facts.number
    spec = read_spec(out / SPEC)
    built = full_size(genome)
    searched = backbone_plan(genome, built.scaling)
    images = _random_images(built.input_size)
    parameters, rebuilt = run_keras(out / BACKBONE, images)
    declared = declare(searched, built.input_size)
    flops = sum(declared.multiply_adds.values())
    if spec.genome != genome or spec.expected is None or spec.expected.flops != flops:
        raise ExportMismatch(f"trial {number}: the spec read back is not the genome that was searched")
    if not parameters == declared.parameters == spec.expected.params:
        raise ExportMismatch(
            f"trial {number}: {parameters} parameters rebuilt, {spec.expected.params} in the spec, "
            f"{declared.parameters} searched"
        )
    expected = run_plan(searched, fresh_arrays(searched, built.input_size, SEED), images)
    return ExportReport(
        trial=number,
        files=(),
        input_size=built.input_size,
        parameters=parameters,
        flops=flops,
        backbone_difference=difference(expected, rebuilt, f"trial {number}: full-size backbone"),
        proxy_difference=_compare_proxy(out, spec, genome, facts, proxy),
    )


def _compare_proxy(
    out: Path, spec: Spec, genome: Genome, facts: Facts, proxy: ProxyConfig | None
) -> float | None:
    """The detector of the spec, with the exported weights, against the searched genome's.

    Its backbone is compared as a Keras model too.
    """
    if proxy is None or spec.proxy is None or not (out / WEIGHTS).exists():
        return None
    what = f"trial {facts.number}: proxy"
    recipe = validate(Recipe, spec.proxy["recipe"])
    images = _random_images(recipe.resolution)
    searched = Blueprint.of(genome, proxy.recipe, len(facts.classes))
    rebuilt = Blueprint.of(spec.genome, recipe, len(classes_of(spec, what)))
    try:
        arrays = load_arrays(out / WEIGHTS)
        expected = run_plan(searched.plan, arrays, images)
        found = run_plan(rebuilt.plan, arrays, images)
    except ValueError as error:
        raise ExportMismatch(f"{what}: the weights that were kept are not its own: {error}") from error
    parameters = sum(arrays[weight.path].size for weight in rebuilt.layout.trained)
    if not parameters == searched.declaration.parameters == facts.metrics.get("parameters", parameters):
        raise ExportMismatch(
            f"{what}: {parameters} parameters rebuilt, {searched.declaration.parameters} searched, "
            f"{facts.metrics['parameters']:.0f} measured"
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "proxy.keras"
        save_keras(backbone_plan(spec.genome, recipe.scaling), arrays, recipe.resolution, path)
        _, endpoints = run_keras(path, images)
    return max(difference(expected, found, what), difference(expected, found | endpoints, what))


def classes_of(spec: Spec, what: str) -> list[str]:
    """The names of the classes that a spec's proxy tells apart; raises ExportMismatch without them."""
    names = spec.proxy.get("classes") if spec.proxy is not None else None
    if not isinstance(names, list) or not names:
        raise ExportMismatch(f"{what}: the spec does not say which classes it tells apart")
    return [str(name) for name in names]


def difference(
    expected: Mapping[str, NDArray[np.float32]], found: Mapping[str, NDArray[np.float32]], what: str
) -> float:
    """The largest difference between outputs, relative to each one's largest number.

    Raises ExportMismatch above TOLERANCE, and for other outputs than expected.
    """
    if expected.keys() != found.keys():
        raise ExportMismatch(f"{what}: outputs {sorted(found)} rebuilt, {sorted(expected)} searched")
    worst = 0.0
    for name, wanted in expected.items():
        scale = max(float(np.abs(wanted).max()), 1e-6)
        worst = max(worst, float(np.abs(wanted - found[name]).max()) / scale)
    # Written so that NaN fails too.
    if not worst <= TOLERANCE:
        raise ExportMismatch(f"{what}: outputs differ by {worst:.1e}, expected at most {TOLERANCE:.0e}")
    return worst


def _random_images(size: int) -> NDArray[np.float32]:
    return np.random.default_rng(SEED).normal(size=(1, size, size, 3)).astype(np.float32)
