"""`nas draw`: what is in the picture, as text of an SVG, and what two pictures mark as different."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from nas.drawing import FORMATS, differences
from search_space.catalog import R0_SP53, SPINENET_49
from search_space.genome import Genome

Nas = Callable[..., Any]

DEAD = "2b* 2b* | 7r:0,1 3b:0,1^"


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_is_written(nas: Nas, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"x{suffix}"
    assert nas("draw", "spinenet-49", "--out", out).code == 0
    assert out.stat().st_size > 10_000
    if suffix == ".png":
        with Image.open(out) as picture:
            assert picture.width > 1000


def _text(nas: Nas, out: Path, *words: str) -> str:
    ended = nas("draw", *words, "--out", out)
    assert (ended.code, ended.err) == (0, "")
    return out.read_text(encoding="utf-8")


def test_nodes_factors_outputs_and_cost_are_in_it(nas: Nas, tmp_path: Path) -> None:
    text = _text(nas, tmp_path / "x.svg", "spinenet-49")
    for node in range(17):
        assert f">{node}<" in text
    # One edge goes down by 8 (docs/sources.md, 3), eight by 4, and three up by 4 or 2.
    assert text.count(">\N{DOWNWARDS ARROW}8<") == 1
    for level in range(3, 8):
        assert f">P{level}<" in text
    assert "21.83 M parameters, 28.26 B multiply-adds" in text
    assert "28.54 M, 85.28 B" in text


def test_dead_blocks_are_grey(nas: Nas, tmp_path: Path) -> None:
    grey = "#b8bcc2"
    assert grey in _text(nas, tmp_path / "dead.svg", DEAD)
    assert grey not in _text(nas, tmp_path / "alive.svg", "spinenet-49")


def test_what_differs_is_red(nas: Nas, tmp_path: Path) -> None:
    red = "#d62728"
    assert red in _text(nas, tmp_path / "two.svg", "spinenet-49", "r0-sp53")
    assert red not in _text(nas, tmp_path / "same.svg", "spinenet-49", "spinenet-49")
    assert red not in _text(nas, tmp_path / "one.svg", "spinenet-49")


def test_differences_by_node_and_by_edge() -> None:
    one = Genome.from_text("2b* 2b* | 3b:0,1 4b:0,2 3b:1,2^")
    two = Genome.from_text("2b* 2b* | 3r:0,1 4b:1,2 3b:1,2^")
    found = differences(one, two)
    assert found.nodes == {2}
    assert found.edges == {(0, 3)}
    assert differences(two, one).edges == {(1, 3)}
    assert not differences(SPINENET_49, SPINENET_49).nodes
    assert differences(SPINENET_49, R0_SP53).nodes >= {3, 6}


def test_another_kind_of_file_is_refused(nas: Nas, tmp_path: Path) -> None:
    ended = nas("draw", "spinenet-49", "--out", tmp_path / "x.jpg")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert ".svg, .pdf, .png" in ended.err
    assert not (tmp_path / "x.jpg").exists()
