from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from search_space.catalog import SPINENET_49
from search_space.cost import Head
from search_space.genome import Genome
from search_space.scaling import Scaling
from search_space.spec import (
    _UPGRADES,
    Expected,
    InvalidSpec,
    Spec,
    read_spec,
    spec_from_text,
    spec_schema,
    spec_to_text,
    write_spec,
)

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.sampled_from(
        ["yes", "null", "2026-11-22", "1:30", "1e3", "0o7", "*x", "&x", "!!python/none", "- a", "{"]
    ),
)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
MAPPINGS = st.dictionaries(KEYS, VALUES, max_size=4)
SCALINGS = st.builds(
    Scaling,
    width=st.floats(0.2, 8),
    alpha=st.floats(0.2, 8),
    endpoint_width=st.integers(1, 4096),
    repeats=st.integers(1, 16),
)
HEADS = st.builds(
    Head,
    convs=st.integers(0, 64),
    width=st.integers(1, 4096),
    classes=st.integers(1, 10_000),
    anchors=st.integers(1, 100),
)
COUNTS = st.integers(0, 2**60)
EXPECTED = st.builds(Expected, params=COUNTS, flops=COUNTS, input_size=st.integers(1, 4096))

PLAIN = Spec(genome=SPINENET_49, provenance={"campaign": "quick", "trial": 3})
TEXT = spec_to_text(PLAIN)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32),
    scaling=SCALINGS,
    head=st.none() | HEADS,
    proxy=st.none() | MAPPINGS,
    provenance=MAPPINGS,
    expected=st.none() | EXPECTED,
)
def test_a_spec_reads_back_as_written(
    any_genome: Callable[[np.random.Generator], Genome],
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    scaling: Scaling,
    head: Head | None,
    proxy: dict[str, None] | None,
    provenance: dict[str, None],
    expected: Expected | None,
) -> None:
    spec = Spec(
        genome=any_genome(np.random.default_rng(seed)),
        scaling=scaling,
        head=head,
        proxy=proxy,
        provenance=provenance,
        expected=expected,
    )
    path = tmp_path_factory.getbasetemp() / "round_trip.yaml"
    write_spec(spec, path)
    assert read_spec(path) == spec
    assert spec_to_text(read_spec(path)) == path.read_text(encoding="utf-8")


def test_one_line_a_node() -> None:
    lines = TEXT.splitlines()
    assert lines[:2] == ["format: spinenas-spec", "version: 1"]
    assert "  - {node: 0, level: 2, kind: bottleneck, candidate: true}" in lines
    assert "  - {node: 3, level: 4, kind: residual, parents: [0, 1]}" in lines
    assert "  - {node: 14, level: 5, kind: bottleneck, parents: [7, 12], output: true}" in lines
    assert sum("node: " in line for line in lines) == 17


def replaced(old: str, new: str) -> str:
    assert old in TEXT
    return TEXT.replace(old, new, 1)


BAD = {
    "": "expected a mapping with 'format: spinenas-spec'",
    "- 1": "expected a mapping with 'format: spinenas-spec'",
    "{": "line 1, column 2",
    "\x00": "unacceptable character",
    "[" * 5000: "nested deeper than 32",
    "a: &x [1]\nb: *x": "line 2, column 4: alias *x, expected none",
    "a: 1\na: 2": "line 2, column 1: key 'a' for the second time",
    "? [1]\n: 2": "line 1, column 3: expected a plain key",
    "a: 1\n--- 2": "expected a single document",
    "!!python/object/apply:os.getcwd []": "could not determine a constructor",
    "a: 2026-13-01": "month must be in 1..12",
    "# " + "x" * 300_000: "more than 262144 bytes",
    replaced("spinenas-spec", "other"): "expected a mapping with 'format: spinenas-spec'",
    replaced("version: 1", "version: 2"): "version 2, but this program reads up to 1: update it",
    replaced("version: 1", "version: 0"): "version=0, expected 1 to 1",
    replaced("version: 1", "version: true"): "version=True, expected a whole number",
    replaced("version: 1\n", ""): "version=None, expected a whole number",
    replaced("provenance:", "provinence:"): "provinence: Extra inputs are not permitted",
    replaced("provenance:", '"a\\nb":'): r"'a\nb': Extra inputs are not permitted",
    replaced("output: true}", "output: maybe}"): "genome.blocks.10.output: Input should be a valid boolean",
    replaced("level: 4", "level: 4.0"): "genome.blocks.1.level: Input should be a valid integer, found 4.0",
    replaced("level: 4", "level: 9"): "genome: node 3: level=9, expected 1 to 7",
    replaced("node: 3", "node: 4"): "genome: blocks.1: node=4, expected 3",
    replaced("node: 1", "node: 0"): "genome: stem.1: node=0, expected 1",
    replaced("[0, 1]", "[0, 2]"): "genome: node 2: parents=(0, 2)",
    replaced("[0, 1]", "[0, 1, 1]"): "genome.blocks.0.parents: List should have at most 2 items",
    replaced("kind: residual", "kind: resnet"): "genome.blocks.1.kind: Input should be 'bottleneck', 're",
    replaced("width: 1.0", "width: .nan"): "scaling.width: Input should be a finite number",
    replaced("width: 1.0", "width: 99.0"): "scaling: width=99.0",
    replaced("  width: 1.0\n", ""): "scaling.width: Field required",
    replaced("trial: 3", "trial: .inf"): "provenance.trial",
    replaced("trial: 3", "trial: 2026-11-22"): "provenance.trial",
}


@pytest.mark.parametrize("text", BAD, ids=lambda text: BAD[text][:40])
def test_a_bad_spec_is_one_line_with_place_and_reason(text: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        spec_from_text(text, "mine.yaml")
    message = str(caught.value)
    assert message.startswith("mine.yaml: ")
    assert BAD[text] in message
    assert "\n" not in message
    assert len(message) < 300


@given(text=st.text(max_size=60) | st.text("{}[]:-&*!? \n'\"a1", max_size=60))
def test_any_text_is_a_spec_or_a_typed_error(text: str) -> None:
    with pytest.raises(InvalidSpec):
        spec_from_text(text)


@given(position=st.integers(0, len(TEXT) - 1), junk=st.text("{}[]:-&*!?,9 \n'a", max_size=4))
def test_a_damaged_spec_is_a_spec_or_a_typed_error(position: int, junk: str) -> None:
    try:
        spec = spec_from_text(TEXT[:position] + junk + TEXT[position + 1 :])
    except InvalidSpec:
        return
    assert spec_from_text(spec_to_text(spec)) == spec


def test_files_are_named_in_errors(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidSpec, match=r"spec\.yaml: byte 0 is not UTF-8"):
        read_spec(path)
    path.write_bytes(b"#" * 2**20)
    with pytest.raises(InvalidSpec, match=r"spec\.yaml: more than 262144 bytes"):
        read_spec(path)
    with pytest.raises(FileNotFoundError):
        read_spec(tmp_path / "none.yaml")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_could_not_be_read_back_is_not_written(tmp_path: Path, value: float) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("before", encoding="utf-8")
    with pytest.raises(InvalidSpec, match="spec to write"):
        write_spec(Spec(genome=SPINENET_49, provenance={"value": value}), path)
    assert path.read_text(encoding="utf-8") == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_spec_written_by_version_1_still_reads() -> None:
    """Written by hand; must read for ever."""
    text = """
format: spinenas-spec
version: 1
genome:
  stem:
  - {node: 0, level: 2}
  - {node: 1, level: 2, kind: residual, candidate: true}
  blocks:
  - {node: 2, level: 3, kind: bottleneck, parents: [1, 0], output: true}
scaling: {width: 1, alpha: 0.5, endpoint_width: 64, repeats: 1}
expected: {params: 1, flops: 2, input_size: 128}
"""
    spec = spec_from_text(text)
    assert spec.genome.to_text() == "2b* 2r* | 3b:0,1^"
    assert spec.scaling == Scaling(endpoint_width=64)
    assert spec.proxy is None
    assert spec.provenance == {}
    assert spec.expected == Expected(params=1, flops=2, input_size=128)
    assert yaml.safe_load(spec_to_text(spec))["scaling"]["width"] == 1.0


def test_a_spec_is_replaced_in_one_piece(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("before", encoding="utf-8")
    before = path.stat().st_ino
    write_spec(PLAIN, path)
    assert path.stat().st_ino != before
    assert read_spec(path) == PLAIN
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(OSError, match="Is a directory"):
        write_spec(PLAIN, tmp_path.parent)
    assert not list(tmp_path.parent.parent.glob("*.part"))


def test_the_schema_in_the_docs_is_this_ones() -> None:
    """To renew it: python -m json.tool --indent 2 of what json.dumps(spec_schema()) gives."""
    stored = Path(__file__).parents[2] / "docs" / "spec.schema.json"
    assert json.loads(stored.read_text(encoding="utf-8")) == spec_schema()


def test_the_schema_knows_good_specs_from_bad_ones() -> None:
    schema = jsonschema.Draft202012Validator(spec_schema())
    good = yaml.safe_load(spec_to_text(Spec(genome=SPINENET_49)))
    schema.validate(good)
    for key, value in (("version", 2), ("genome", {}), ("colour", "red")):
        assert list(schema.iter_errors(good | {key: value}))


def test_an_older_version_is_upgraded(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a later version would: what was called `scaling` is called so no longer."""

    def upgrade(document: dict[str, Any]) -> dict[str, Any]:
        return {"scaling" if key == "sizes" else key: value for key, value in document.items()}

    text = spec_to_text(Spec(genome=SPINENET_49)).replace("scaling:", "sizes:")
    monkeypatch.setattr("search_space.spec.VERSION", 2)
    monkeypatch.setitem(_UPGRADES, 1, upgrade)
    assert spec_from_text(text).genome == SPINENET_49
