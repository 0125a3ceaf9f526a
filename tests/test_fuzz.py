"""Every parser of what comes from outside, on documents that are nearly right: a value or a typed error.

Valid documents are changed where it may hurt (keys dropped, doubled, renamed; values of odd types, huge, not
finite, deep, long, with control characters), or their bytes are. Small counts here, large ones in `full`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nas import config as campaigns
from nas.config_file import ConfigError
from nas.proxy_study import config as studies
from nas.simulation import config as simulations
from nas.validation import Refused
from proxy_trainer.data.coco import read_instances
from proxy_trainer.data.errors import DataError
from search_space.catalog import GENOMES
from search_space.family import FAMILY
from search_space.genome import Genome, InvalidGenome
from search_space.spec import Expected, InvalidSpec, Spec, read_spec, spec_to_text
from search_space.vertex import read_vertex

CONFIGS: Final = Path(__file__).parents[1] / "configs"
GENOME: Final = GENOMES["spinenet-49"]

DEEP: Final[Any] = json.loads("[" * 60 + "]" * 60)
ODD: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, 1, -1, 2, 7, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 10**30, 10**400),
    *(0.5, -0.0, 1e-320, 1e308, -1e308, float("nan"), float("inf"), float("-inf")),
    *(
        "",
        " ",
        "0",
        "true",
        "null",
        "~",
        "~nosuchuser/x",
        "../..",
        "/",
        "x" * 20_000,
        "\0",
        "\n",
        "\x1b[2J",
        "\u202e",
    ),
    *("\ud800", "ß" * 300, "1e999", "{}", "%s%n", "sqlite://", "postgresql://a:b@c:d/e"),
    *([], {}, [[]], [None], {"": None}, {"kind": "proxy"}, {"kind": None}, {"kind": []}, DEEP, [0] * 3000),
)

RICH: Final[dict[str, Any]] = {
    "name": "small",
    "seed": 3,
    "space": {"preset": "spinenet-49", "offsets": [-1, 0, 1, 2], "kinds": ["residual", "bottleneck"]},
    "controller": {"kind": "regularized_evolution", "population": 4, "tournament": 2},
    "limits": {"max_flops": 1e11, "max_parameters": 1e8},
    "warm_start": ["spinenet-49", {"campaign": "other", "best": 2}],
    "evaluator": {
        "kind": "proxy",
        "data": {"kind": "coco", "images": "a", "train": "b", "classes": ["x"], "share": 0.5},
        "splits": {"reward": 0.2, "confirm": 0.1},
        "recipe": {"steps": 100, "evaluate_every": 50, "average": 0.98, "jitter": [0.5, 2.0]},
    },
    "reward": {"kind": "soft", "cost": "flops", "target": 1e8},
    "runner": {"kind": "ray", "workers": 2, "cpus_per_worker": 1, "gpus_per_worker": 0.5},
    "budget": {"trials": 40, "hours": 2.0, "money": 5, "price": {"core_hour": 0.1, "device_hour": 2}},
    "stopping": {"kind": "halving", "rungs": [50], "keep": 0.5, "least": 4},
    "finalists": {"top": 3, "seeds": 2},
    "failures": {"retries": {"lost_worker": 2}, "share": 0.5, "least": 5},
    "keep_weights": 3,
    "database": "sqlite:///x.sqlite",
}

PLAIN: Final[dict[str, Any]] = {
    "name": "small",
    "space": {
        "stem": [{"level": 2}, {"level": 2, "kind": "residual"}, {"level": 3, "candidate": False}],
        "intermediates": {"3": 2, "4": 1},
        "outputs": [3, 4],
    },
    "controller": {"kind": "nsga2"},
    "evaluator": {"kind": "synthetic", "seconds": 0.5, "failures": 0.1, "noise": 0.1, "steps": 3},
    "objectives": ["AP", {"metric": "flops", "better": "less"}],
    "runner": {"kind": "serial", "timeout_seconds": 5},
    "budget": {"trials": 8},
}

COCO: Final[dict[str, Any]] = {
    "info": {"year": 2017},
    "images": [{"id": n, "file_name": f"{n}.png", "height": 9, "width": 9} for n in range(3)],
    "annotations": [
        {"id": n, "image_id": n, "category_id": 1, "bbox": [1, 1, 3, 3.5], "area": 9.0, "iscrowd": 0}
        for n in range(3)
    ],
    "categories": [{"id": n, "name": str(n), "supercategory": "x"} for n in range(3)],
}

SPEC: Final = yaml.safe_load(
    spec_to_text(
        Spec(
            genome=GENOME,
            scaling=FAMILY["spinenet-49"].scaling,
            proxy={"recipe": {"steps": 5}, "classes": ["a"]},
            provenance={"campaign": "x", "trial": 3},
            expected=Expected(params=5, flops=7, input_size=640),
        )
    )
)

VERTEX: Final[dict[str, Any]] = {
    f"{part}_{what}": value
    for part in ("intermediate", "output")
    for what, value in (
        (
            "blocks",
            [{"level_offset": 0, "block_fn": "residual", "input_offsets": [n, n + 1]} for n in range(3)],
        ),
        ("block_levels", [3, 4, 5]),
    )
}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of everything inside of a document."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in inside:
        yield (*path, key)
        yield from places(child, (*path, key))


def _odd() -> st.SearchStrategy[Any]:
    """One of `ODD`, a copy: the next slip may change what this one put in, and `ODD` must stay as it is."""
    return st.sampled_from(ODD).map(copy.deepcopy)


@st.composite
def changed(draw: st.DrawFn, document: Any) -> Any:
    """The document with one to three slips in it."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(places(document)) or [()]))
        if not path:
            return draw(_odd())
        place = document
        for key in path[:-1]:
            place = place[key]
        _change(draw, place, path[-1])
    return document


def _change(draw: st.DrawFn, place: Any, key: Any) -> None:
    odd = _odd() | st.integers() | st.floats() | st.text(max_size=8)
    match draw(st.sampled_from(["value", "value", "drop", "rename", "double", "wrap", "grow"])):
        case "drop":
            del place[key]
        case "rename" if isinstance(place, dict):
            place[draw(st.sampled_from([f"{key}s", str(key).upper(), "", "\0", "x" * 5000]))] = place.pop(key)
        case "double" if isinstance(place, list):
            place.append(copy.deepcopy(place[key]))
        case "wrap":
            place[key] = draw(st.sampled_from([[place[key]], {"kind": place[key]}]))
        case "grow" if isinstance(place[key], dict):
            place[key][draw(st.text(max_size=4))] = draw(odd)
        case _:
            place[key] = draw(odd)


@st.composite
def torn(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes with some of them gone, doubled or exchanged."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 40)))
        nasty = st.sampled_from(
            [b"&a [*a]", b"<<: ", b"!!python/name:os", b"\xff", b"\0", b"- " * 50, b"[" * 2000, b"?"]
        )
        data = data[:start] + draw(st.binary(max_size=6) | nasty | st.just(data[start:end] * 2)) + data[end:]
    return data


@dataclass(frozen=True)
class Parser:
    """What reads, what it may raise, and what it can read."""

    read: Callable[[Path], object]
    raises: type[Exception]
    documents: tuple[Any, ...]
    write: Callable[[Any], str]


def _yaml(document: Any) -> str:
    return yaml.safe_dump(document, allow_unicode=True)


def _shipped(*names: str) -> tuple[Any, ...]:
    return tuple(yaml.safe_load((CONFIGS / name).read_text(encoding="utf-8")) for name in names)


PARSERS: Final = {
    "config": Parser(campaigns.load, ConfigError, (RICH, PLAIN), _yaml),
    "simulation": Parser(simulations.load, ConfigError, _shipped("simulations/scale.yaml"), _yaml),
    "study": Parser(studies.load, ConfigError, _shipped("proxy_study.yaml"), _yaml),
    "spec": Parser(read_spec, InvalidSpec, (SPEC,), _yaml),
    "annotations": Parser(read_instances, DataError, (COCO,), json.dumps),
    "vertex": Parser(read_vertex, InvalidSpec, (VERTEX,), json.dumps),
}
COUNTS: Final = [40, pytest.param(4000, marks=[pytest.mark.full, pytest.mark.timeout(3000)])]


def assert_one_line(error: Exception) -> None:
    line = str(error)
    assert line.strip()
    assert "\n" not in line, line


def check(parser: Parser, path: Path) -> None:
    """It is read, or refused in one line by the one type of error."""
    try:
        parser.read(path)
    except parser.raises as error:
        assert_one_line(error)


def _file(folder: Path, data: bytes) -> Path:
    path = folder / "document"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", PARSERS)
def test_the_documents_are_right_before_they_are_changed(name: str, tmp_path: Path) -> None:
    parser = PARSERS[name]
    for document in parser.documents:
        parser.read(_file(tmp_path, parser.write(document).encode()))


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", PARSERS)
def test_a_document_with_slips(name: str, count: int, tmp_path: Path) -> None:
    parser = PARSERS[name]

    @settings(max_examples=count, suppress_health_check=list(HealthCheck), database=None)
    @given(st.sampled_from(parser.documents).flatmap(changed))
    def run(document: Any) -> None:
        check(parser, _file(tmp_path, parser.write(document).encode("utf-8", "surrogatepass")))

    run()


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", PARSERS)
def test_a_file_that_is_torn(name: str, count: int, tmp_path: Path) -> None:
    parser = PARSERS[name]
    whole = st.sampled_from([parser.write(document).encode() for document in parser.documents])

    @settings(max_examples=count, suppress_health_check=list(HealthCheck), database=None)
    @given(whole.flatmap(torn) | st.binary(max_size=200))
    def run(data: bytes) -> None:
        check(parser, _file(tmp_path, data))

    run()


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("document", [RICH, PLAIN], ids=["rich", "plain"])
def test_a_stored_config_with_slips(document: Any, count: int) -> None:
    """As a database may hold it: what YAML can't, among it."""

    @settings(max_examples=count, suppress_health_check=list(HealthCheck), database=None)
    @given(changed(document))
    def run(data: Any) -> None:
        if not isinstance(data, dict):
            return
        try:
            campaigns.from_json(data)
        except Refused as error:
            assert_one_line(error)

    run()


@pytest.mark.parametrize("count", COUNTS)
def test_a_genome_with_slips(count: int) -> None:
    words = GENOME.to_text().split()
    odd = st.sampled_from(
        ["|", "", "9b:0,1", "3b:99,99", "3b:٣,1", "3b:-1,0", "3b", ":", "^", "3m:0,1^", "\0", "2b*" * 99]
    )

    @settings(max_examples=count * 5, suppress_health_check=list(HealthCheck), database=None)
    @given(
        st.lists(st.tuples(st.integers(0, len(words) - 1), odd | st.text(max_size=6)), max_size=4),
        st.booleans(),
    )
    def run(slips: list[tuple[int, str]], shuffled: bool) -> None:
        changed_words = list(words)
        for place, word in slips:
            changed_words[place] = word
        text = " ".join(reversed(changed_words) if shuffled else changed_words)
        try:
            genome = Genome.from_text(text)
        except InvalidGenome as error:
            assert_one_line(error)
        else:
            assert Genome.from_text(genome.to_text()) == genome

    run()
