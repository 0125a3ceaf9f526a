"""What is written for TF Model Garden; two_steps.py checks in its environment that it trains there."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from search_space.catalog import MOBILE_49, SPINENET_49
from search_space.family import FAMILY
from search_space.genome import Genome
from search_space.spec import Spec, write_spec

Nas = Callable[..., Any]


def assigned(text: str) -> list[Any]:
    """The values that a program assigns, in order, without running it."""
    tree = ast.parse(text)
    return [ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign)]


@pytest.mark.parametrize(
    ("name", "genome"), [("spinenet-96", SPINENET_49), ("spinenet-mobile-49", MOBILE_49)]
)
def test_the_blocks_are_the_genomes(nas: Nas, tmp_path: Path, name: str, genome: Genome) -> None:
    assert nas("model-garden", name, "--out", tmp_path / "out").code == 0
    specs, scaling = assigned((tmp_path / "out" / "backbone.py").read_text())
    assert specs == [(b.level, b.kind.value, b.parents, b.output) for b in genome.blocks]
    assert scaling["block_repeats"] == (2 if name == "spinenet-96" else 1)
    assert ("resample_alpha" in scaling) != genome.mobile
    retinanet = yaml.safe_load((tmp_path / "out" / "retinanet.yaml").read_text())["task"]["model"]
    kind = "spinenet_mobile" if genome.mobile else "spinenet"
    assert retinanet["backbone"]["type"] == kind
    assert retinanet["backbone"][kind]["model_id"] == "spinenas"
    assert retinanet["input_size"] == ([1024, 1024, 3] if name == "spinenet-96" else [384, 384, 3])
    assert (tmp_path / "out" / "mask_rcnn.yaml").exists() != genome.mobile
    ast.parse((tmp_path / "out" / "train.py").read_text())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("r23-sp30", "this one has 2b 2b 3b 3b 4b 4b* 5b*"),
        ("2b* 2b* | 3b:0,1^ 4b:0,1^", "outputs on levels [3, 4], expected [3, 4, 5, 6, 7]"),
    ],
)
def test_what_it_can_not_express_is_refused(nas: Nas, tmp_path: Path, words: str, expected: str) -> None:
    ended = nas("model-garden", words, "--out", tmp_path / "out")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert expected in ended.err
    assert not (tmp_path / "out").exists()


def test_repeated_mobile_blocks_are_refused(nas: Nas, tmp_path: Path) -> None:
    scaling = dataclasses.replace(FAMILY["spinenet-mobile-49"].scaling, repeats=2)
    write_spec(Spec(genome=MOBILE_49, scaling=scaling), tmp_path / "spec.yaml")
    ended = nas("model-garden", tmp_path / "spec.yaml", "--out", tmp_path / "out")
    assert ended.code == 2
    assert "no repeated mobile blocks" in ended.err


def test_a_name_can_not_become_code(nas: Nas, tmp_path: Path) -> None:
    spec = tmp_path / 'x"""; import os; """.yaml'
    assert nas("spec", "spinenet-49", "--out", spec).code == 0
    assert nas("model-garden", spec, "--out", tmp_path / "out").code == 0
    program = (tmp_path / "out" / "backbone.py").read_text()
    assert [type(node).__name__ for node in ast.parse(program).body] == [
        "Expr",
        "ImportFrom",
        "Assign",
        "Assign",
    ]
