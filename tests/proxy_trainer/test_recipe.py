"""What a recipe refuses, and that its hash sees everything."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from proxy_trainer.recipe import Recipe
from search_space.scaling import Scaling


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        ({"resolution": 192}, "resolution=192, expected a multiple of 128"),
        ({"resolution": 0}, "resolution=0, expected a multiple of 128"),
        ({"steps": 0}, "steps=0, expected at least 1"),
        ({"batch": 0}, "batch=0, expected at least 1"),
        ({"head_convs": 0}, "head_convs=0, expected at least 1"),
        ({"head_width": 0}, "head_width=0, expected at least 1"),
        ({"evaluation_batch": 0}, "evaluation_batch=0, expected at least 1"),
        ({"detections": 0}, "detections=0, expected at least 1"),
        ({"learning_rate": 0}, "learning_rate=0, expected above 0"),
        ({"anchor_size": -1}, "anchor_size=-1, expected above 0"),
        ({"anchor_growth": 0}, "anchor_growth=0, expected above 0"),
        ({"clip_ratio": 0}, "clip_ratio=0, expected above 0"),
        ({"steps": 300, "warmup_steps": 300}, "warmup_steps=300, expected 0 to 299"),
        ({"steps": 300, "warmup_steps": -1}, "warmup_steps=-1, expected 0 to 299"),
        ({"jitter": (0.0, 1.0)}, "jitter=(0.0, 1.0), expected 0.05 <= low <= high <= 20"),
        ({"jitter": (1.2, 0.8)}, "jitter=(1.2, 0.8), expected 0.05 <= low <= high <= 20"),
        ({"jitter": (1.0, 20.5)}, "jitter=(1.0, 20.5), expected 0.05 <= low <= high <= 20"),
        ({"momentum": 1.0}, "momentum=1.0, expected 0 to below 1"),
        ({"momentum": -0.1}, "momentum=-0.1, expected 0 to below 1"),
        ({"score_threshold": 1.0}, "score_threshold=1.0, expected 0 to below 1"),
        ({"match_iou": 0.0}, "match_iou=0.0, expected above 0 and below 1"),
        ({"nms_iou": 1.0}, "nms_iou=1.0, expected above 0 and below 1"),
        ({"weight_decay": -1e-5}, "weight_decay=-1e-05, expected at least 0"),
        ({"branch_scale": -1.0}, "branch_scale=-1.0, expected at least 0"),
        ({"focal_alpha": 0.0}, "focal_alpha=0.0, expected above 0"),
        ({"focal_gamma": 0.0}, "focal_gamma=0.0, expected above 0"),
        ({"huber_delta": 0.0}, "huber_delta=0.0, expected above 0"),
        ({"box_weight": -1.0}, "box_weight=-1.0, expected above 0"),
        ({"average": 1.0}, "average=1.0, expected 0 to below 1"),
        ({"average": -0.1}, "average=-0.1, expected 0 to below 1"),
        ({"evaluate_every": 0}, "evaluate_every=0, expected at least 1 or nothing"),
        ({"statistics_batches": -1}, "statistics_batches=-1, expected at least 0"),
        ({"width": 0.0}, "scaling: width=0.0"),
        ({"alpha": 0.01}, "expected a product of at least 1/32"),
        ({"endpoint_width": 0}, "scaling: endpoint_width=0"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_values_get_one_line(bad: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=r"^(recipe|scaling): ") as refusal:
        Recipe(**bad)
    assert expected in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "field", [f.name for f in dataclasses.fields(Recipe) if isinstance(f.default, float | tuple)]
)
def test_every_fraction_is_a_finite_number(field: str, wrong: float) -> None:
    value = (0.8, wrong) if field == "jitter" else wrong
    with pytest.raises(ValueError, match=r"^recipe: ") as refusal:
        Recipe(**{field: value})  # type: ignore[arg-type] # mypy sees one type for all fields
    assert str(refusal.value) == f"recipe: {field}={value}, expected a finite number"


def test_the_last_allowed_values() -> None:
    Recipe(resolution=128, steps=1, batch=1, warmup_steps=0, statistics_batches=0, evaluate_every=1)
    Recipe(jitter=(1.0, 1.0), average=0.0, head_convs=1, head_width=1, evaluation_batch=1, detections=1)


def test_the_scaling_is_the_recipes() -> None:
    recipe = Recipe(width=0.5, alpha=0.3, endpoint_width=32)
    assert recipe.scaling == Scaling(width=0.5, alpha=0.3, endpoint_width=32)


def changed(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case None:
            return 50
        case int():
            return 2 * value
        case float():
            return 1.05 * value or 0.5
        case "float32":
            return "bfloat16"
        case tuple():
            return value[0], value[1] + 0.1
        case "float32":
            return "bfloat16"
        case _:
            raise TypeError(f"no idea how to change {value!r}")


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Recipe)])
def test_every_field_is_in_the_hash(field: str) -> None:
    recipe = Recipe()
    another = dataclasses.replace(recipe, **{field: changed(getattr(recipe, field))})
    assert another != recipe
    assert another.hash != recipe.hash


def test_equal_recipes_have_equal_hashes() -> None:
    text = TypeAdapter(Recipe).dump_json(Recipe(jitter=(0.5, 2.0)))
    read = TypeAdapter(Recipe).validate_json(text)
    assert read == Recipe(jitter=(0.5, 2.0))
    assert read.hash == Recipe(jitter=(0.5, 2.0)).hash
    # As YAML may have it: whole numbers where fractions are meant.
    whole = TypeAdapter(Recipe).validate_python({"box_weight": 50, "jitter": [1, 1]})
    assert whole.hash == Recipe(jitter=(1.0, 1.0)).hash


def test_a_recipe_from_before_there_was_a_precision_keeps_its_hash() -> None:
    assert "precision" not in Recipe().to_json()
    assert Recipe(precision="bfloat16").to_json()["precision"] == "bfloat16"
    assert Recipe().hash == Recipe(precision="float32").hash


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ValidationError, match="learning_rat"):
        TypeAdapter(Recipe).validate_python({"learning_rat": 0.1})
