"""YAML: stricter than YAML, lines are known, and whatever comes in, only YamlError comes out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nas.yaml_file import YamlError, read_yaml


def _written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "file.yaml"
    path.write_bytes(text.encode("utf-8", errors="surrogateescape"))
    return path


def test_data_and_lines(tmp_path: Path) -> None:
    file = read_yaml(_written(tmp_path, "a: 1\nb:\n  - x: 1e-3\n  - 2: yes\n# end\n"))

    assert file.data == {"a": 1, "b": [{"x": 0.001}, {"2": True}]}
    assert file.where(("b", 1, "2")).endswith("file.yaml:4")
    assert file.where(("b", 0, "missing")).endswith("file.yaml:3")
    assert file.where(("nowhere",)) == str(file.path)


def test_numbers_are_what_they_look_like(tmp_path: Path) -> None:
    numbers = {"a": 0, "b": -7, "c": 1_000, "d": 0.5, "e": "030", "f": 9}
    text = "a: 0\nb: -7\nc: 1_000\nd: 00.5\ne: '030'\nf: +9\n"
    assert read_yaml(_written(tmp_path, text)).data == numbers


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("a: 1\na: 2", 2, "given twice"),
        ("a: &x 1\nb: *x", 2, "aliases"),
        ("a: [1, 2", 1, "expected"),
        ("a: 2001-01-01", 1, "quotes"),
        ("a: .inf", 1, "finite"),
        ("a:\n  ? [1]\n  : 2", 2, "key"),
        ("a: !!python/object:os.system x", 1, "tag"),
        ("a: b: c", 1, "mapping values"),
        ("a: 1\nb: 030", 2, "'030' would be read as 24"),
        ("a: 1:30", 1, "'1:30' would be read as 90"),
        ("a: 1:30.5", 1, "'1:30.5' would be read as 90.5"),
        ("a: [0x1F]", 1, "'0x1F' would be read as 31"),
        ("a: 0b11", 1, "'0b11' would be read as 3"),
        ("a: {010: 1}", 1, "'010' would be read as 8"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, line: int, word: str) -> None:
    with pytest.raises(YamlError, match=rf"file\.yaml:{line}: .*{word}"):
        read_yaml(_written(tmp_path, text))


@pytest.mark.parametrize(
    "text", ["- 1", "word", "a: 1\n---\nb: 2", "a: \udcff", "[" * 3000, "a: " + "1" * 5000]
)
def test_what_is_no_config_at_all(tmp_path: Path, text: str) -> None:
    with pytest.raises(YamlError, match=r"file\.yaml"):
        read_yaml(_written(tmp_path, text))


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(YamlError, match="larger"):
        read_yaml(_written(tmp_path, "#" * 1_000_001))


@given(text=st.text(alphabet=st.sampled_from("ab:-[]{},&*!|>'\"\n 01.?#%@\t"), max_size=60))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_gives_a_mapping_or_a_typed_error(tmp_path: Path, text: str) -> None:
    path = _written(tmp_path, text)
    try:
        read_yaml(path)
    except YamlError as error:
        problem = str(error)
    else:
        return
    assert problem.startswith(str(path))
    assert "\n" not in problem
