"""The data part of a config: strict, inside pydantic as well, and checked where it is made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, ValidationError

from proxy_trainer.data.augment import Augment
from proxy_trainer.data.config import CocoData, RenderedData, Splits


class Config(BaseModel):
    data: Annotated[RenderedData | CocoData, Field(discriminator="kind")]
    splits: Splits = Splits()
    augment: Augment = Augment()


def test_inside_pydantic() -> None:
    config = Config.model_validate(
        {
            "data": {"kind": "coco", "images": "x/images", "train": "x/t.json", "classes": ["cat"]},
            "splits": {"reward": 7392, "confirm": 0.05},
            "augment": {"scale": [0.5, 2]},
        }
    )
    assert config.data == CocoData(images=Path("x/images"), train=Path("x/t.json"), classes=("cat",))
    assert config.splits.counts(110_895 + 7392) == (7392, 5914)
    assert Config.model_validate_json(config.model_dump_json()) == config
    rendered = Config.model_validate({"data": {"kind": "rendered", "seed": 3}})
    assert Config.model_validate_json(rendered.model_dump_json()).data == RenderedData(seed=3)


@pytest.mark.parametrize(
    "content",
    [
        {"data": {"kind": "rendered", "seeds": 3}},
        {"data": {"kind": "coco", "images": "x", "train": "y", "vale": "z"}},
        {"data": {"kind": "rendered"}, "splits": {"rewards": 3}},
        {"data": {"kind": "rendered"}, "augment": {"flips": 1}},
    ],
)
def test_unknown_keys_are_errors(content: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="unexpected"):
        Config.model_validate(content)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"classes": ("disc", "disc")}, "expected distinct ones of disc, square"),
        ({"classes": ("blob",)}, "classes="),
        ({"classes": ()}, "classes="),
        ({"seed": -1}, "seed=-1, expected 0 to"),
        ({"train_images": 0}, "train_images=0, expected 1 to"),
        ({"size": 8}, "size=8, expected 32 to 2048"),
        ({"clutter": 1.5}, "clutter=1.5, expected 0 to 1"),
        ({"objects": (3, 2)}, "objects=(3, 2), expected 1 <= fewest <= most"),
        ({"extent": (0.5, 0.2)}, "extent=(0.5, 0.2), expected"),
        ({"visible": 0.0}, "visible=0.0, expected 0.05 to 1"),
    ],
)
def test_rendered_values_in_range(values: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match="rendered data: ") as caught:
        RenderedData(**values)
    assert line in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [{"share": 0.0}, {"share": 1.1}, {"classes": ()}, {"classes": ("a", "a")}, {"val_images": Path("v")}],
)
def test_coco_values_in_range(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"coco data: .*expected"):
        CocoData(images=Path("i"), train=Path("t"), **values)


@pytest.mark.parametrize(
    "values", [{"reward": 1.0}, {"confirm": -1}, {"reward": 7.5}, {"reward": float("nan")}]
)
def test_split_values_in_range(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"splits: .*expected a share below 1\.0 or a whole number"):
        Splits(**values)


@pytest.mark.parametrize("values", [{"flip": 2}, {"scale": (1.2, 0.8)}, {"scale": (0, 1)}, {"visible": -0.1}])
def test_augment_values_in_range(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"augment: .*expected"):
        Augment(**values)
