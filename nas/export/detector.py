"""The trained proxy as files that serve: a SavedModel and an ONNX file, run from disk and compared."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from nas.export.compare import SEED, WEIGHTS, classes_of, difference
from nas.validation import validate
from proxy_trainer.detector import Blueprint
from proxy_trainer.onnx_file import run_onnx, save_onnx
from proxy_trainer.rebuild import load_arrays
from proxy_trainer.recipe import Recipe
from proxy_trainer.saved_model import run_detector, run_saved, save_detector
from search_space.genome import Genome
from search_space.spec import Spec

SAVED_MODEL: Final = "detector"
ONNX: Final = "detector.onnx"
PICTURES: Final = 2


def export_detector(out: Path, spec: Spec, genome: Genome, recipe: Recipe) -> float:
    """Write both from the spec and the weights in `out`, and hold them against the searched genome.

    Returns the largest relative difference of outputs on random pictures; raises ExportMismatch.
    """
    arrays = load_arrays(out / WEIGHTS)
    count = len(classes_of(spec, "detector"))
    written = validate(Recipe, (spec.proxy or {})["recipe"])
    blueprint = Blueprint.of(spec.genome, written, count)
    save_detector(blueprint, written, count, arrays, out / SAVED_MODEL)
    save_onnx(blueprint, written.resolution, count, arrays, out / ONNX)

    size = recipe.resolution
    images = np.random.default_rng(SEED).integers(0, 256, (PICTURES, size, size, 3), dtype=np.uint8)
    decoded, kept = run_detector(Blueprint.of(genome, recipe, count), recipe, count, arrays, images)
    return max(
        difference(decoded, run_onnx(out / ONNX, images), f"{ONNX}: detector"),
        difference(kept, run_saved(out / SAVED_MODEL, images), f"{SAVED_MODEL}: detector"),
    )
