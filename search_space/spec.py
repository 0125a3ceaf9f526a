"""Spec files: a genome with its scaling as YAML, so that the network can be rebuilt anywhere.

A spec is data: it is read with the safe loader, its size and depth are limited, aliases and unknown
or repeated keys are refused. It has a format name and a version; a newer version is refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from search_space.cost import Head
from search_space.genome import BlockGene, BlockKind, Genome, InvalidGenome, Stem, StemNode
from search_space.safe_yaml import UnsafeYaml, load_yaml
from search_space.scaling import Scaling

FORMAT: Final = "spinenas-spec"
VERSION: Final = 1
MAX_BYTES: Final = 256 * 1024

_UPGRADES: Final[dict[int, Callable[[dict[str, Any]], dict[str, Any]]]] = {}
"""How a document of each older version is written in the next one; there is only one version so far."""


class InvalidSpec(ValueError):
    """A text or file that is no spec: the file, the place in it, and the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the full-size backbone comes out to: trained parameters, and multiply-adds at an input size."""

    params: int
    flops: int
    input_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A genome, the scaling of its full-size network, its heads, and what else the writer knew.

    `head` is None in specs of earlier releases. `proxy` (scaling, head, classes, recipe) and `provenance`
    are the writer's own: strings, finite numbers, booleans, None, lists and mappings with string keys.
    """

    genome: Genome
    scaling: Scaling = field(default_factory=Scaling)
    head: Head | None = None
    proxy: Mapping[str, JsonValue] | None = None
    provenance: Mapping[str, JsonValue] = field(default_factory=dict)
    expected: Expected | None = None


class _Strict(BaseModel):
    # Built when a spec is first read: whoever imports this for its types does not wait for it.
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)


class _StemNodeText(_Strict):
    node: int
    level: int
    kind: Annotated[BlockKind, Field(strict=False)] = BlockKind.BOTTLENECK
    candidate: bool = True


class _BlockText(_Strict):
    node: int
    level: int
    kind: Annotated[BlockKind, Field(strict=False)]
    parents: Annotated[list[int], Field(min_length=2, max_length=2)]
    output: bool = False


class _GenomeText(_Strict):
    stem: list[_StemNodeText]
    blocks: list[_BlockText]


class _ScalingText(_Strict):
    width: float
    alpha: float
    endpoint_width: int
    repeats: int


class _HeadText(_Strict):
    convs: Annotated[int, Field(ge=0, le=64)]
    width: Annotated[int, Field(ge=1, le=4096)]
    classes: Annotated[int, Field(ge=1, le=100_000)]
    anchors: Annotated[int, Field(ge=1, le=1000)]


class _ExpectedText(_Strict):
    params: Annotated[int, Field(ge=0)]
    flops: Annotated[int, Field(ge=0)]
    input_size: Annotated[int, Field(ge=1, le=65_536)]


class _SpecText(_Strict):
    format: Literal["spinenas-spec"]
    version: int
    genome: _GenomeText
    scaling: _ScalingText
    head: _HeadText | None = None
    proxy: dict[str, JsonValue] | None = None
    provenance: dict[str, JsonValue] = Field(default_factory=dict)
    expected: _ExpectedText | None = None


def write_spec(spec: Spec, path: Path) -> None:
    """Write a spec file in one piece: the old file or the new one stands. Raises InvalidSpec, OSError."""
    text = spec_to_text(spec)
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def read_spec(path: Path) -> Spec:
    """The inverse of `write_spec`. Raises InvalidSpec, OSError."""
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidSpec(f"{path}: byte {error.start} is not UTF-8 text") from None
    return spec_from_text(text, str(path))


def spec_to_text(spec: Spec) -> str:
    """A spec as YAML, one line a node. Raises InvalidSpec for contents that could not be read back."""
    first = len(spec.genome.stem.nodes)
    document: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "genome": {
            "stem": [_stem_line(node, gene) for node, gene in enumerate(spec.genome.stem.nodes)],
            "blocks": [_block_line(node, gene) for node, gene in enumerate(spec.genome.blocks, first)],
        },
        "scaling": asdict(spec.scaling),
    }
    if spec.head is not None:
        document["head"] = asdict(spec.head)
    if spec.expected is not None:
        document["expected"] = asdict(spec.expected)
    if spec.proxy is not None:
        document["proxy"] = dict(spec.proxy)
    if spec.provenance:
        document["provenance"] = dict(spec.provenance)
    try:
        text = yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=10_000)
    except yaml.YAMLError as error:
        raise InvalidSpec(f"spec to write: {error}") from None
    if spec_from_text(text, "spec to write") != spec:
        raise InvalidSpec("spec to write: proxy or provenance would read back differently")
    return text


def spec_from_text(text: str, source: str = "spec") -> Spec:
    """The inverse of `spec_to_text`; `source` names the text in errors. Raises InvalidSpec."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise InvalidSpec(f"{source}: more than {MAX_BYTES} bytes, expected a spec of a few kilobytes")
    try:
        document = load_yaml(text)
    except UnsafeYaml as error:
        raise InvalidSpec(f"{source}: {error}") from None
    _check_version(document, source)
    try:
        for version in range(document["version"], VERSION):
            document = _UPGRADES[version](document) | {"version": version + 1}
        return _to_spec(_SpecText.model_validate(document))
    except ValidationError as error:
        raise InvalidSpec(f"{source}: {first_problem(error)}") from None
    except InvalidGenome as error:
        raise InvalidSpec(f"{source}: genome: {error}") from None
    except ValueError as error:
        raise InvalidSpec(f"{source}: {error}") from None


def spec_schema() -> dict[str, Any]:
    """The JSON schema of a spec file, for editors and other programs."""
    schema = _SpecText.model_json_schema()
    schema["properties"]["version"] = {"const": VERSION}
    schema["title"] = f"SpineNAS spec, version {VERSION}"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _check_version(document: Any, source: str) -> None:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InvalidSpec(f"{source}: expected a mapping with 'format: {FORMAT}', found another document")
    version = document.get("version")
    if type(version) is not int:  # True is an int, and equal to 1
        raise InvalidSpec(f"{source}: version={version!r}, expected a whole number")
    if version < 1:
        raise InvalidSpec(f"{source}: version={version}, expected 1 to {VERSION}")
    if version > VERSION:
        raise InvalidSpec(f"{source}: version {version}, but this program reads up to {VERSION}: update it")


def _to_spec(text: _SpecText) -> Spec:
    first = len(text.genome.stem)
    lines: list[_StemNodeText | _BlockText] = [*text.genome.stem, *text.genome.blocks]
    for place, line in enumerate(lines):
        if line.node != place:
            where = f"stem.{place}" if place < first else f"blocks.{place - first}"
            raise InvalidGenome(f"{where}: node={line.node}, expected {place}: nodes are numbered through")
    stem = Stem(tuple(StemNode(line.level, line.kind, line.candidate) for line in text.genome.stem))
    blocks = tuple(
        BlockGene(line.level, line.kind, (line.parents[0], line.parents[1]), line.output)
        for line in text.genome.blocks
    )
    return Spec(
        genome=Genome(stem, blocks),
        scaling=Scaling(**text.scaling.model_dump()),
        head=Head(**text.head.model_dump()) if text.head else None,
        proxy=text.proxy,
        provenance=text.provenance,
        expected=Expected(**text.expected.model_dump()) if text.expected else None,
    )


def first_problem(error: ValidationError) -> str:
    """Where the first mistake is, what was expected there, and what was found."""
    problem = error.errors(include_url=False)[0]
    parts = [str(part) for part in problem["loc"]]
    place = ".".join(part if part.isprintable() and len(part) <= 60 else _short(part) for part in parts)
    return f"{place}: {problem['msg']}, found {_short(problem['input'])}"


def _short(found: object) -> str:
    text = repr(found)
    return text if len(text) <= 60 else f"{text[:57]}..."


class _Line(dict[str, Any]):
    """A mapping written on one line."""


def _stem_line(node: int, gene: StemNode) -> _Line:
    return _Line(node=node, level=gene.level, kind=gene.kind.value, candidate=gene.candidate)


def _block_line(node: int, gene: BlockGene) -> _Line:
    line = _Line(node=node, level=gene.level, kind=gene.kind.value, parents=list(gene.parents))
    if gene.output:
        line["output"] = True
    return line


class _Dumper(yaml.SafeDumper):
    """The safe dumper with one-line nodes and no aliases."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 (PyYAML passes it)
        return True


def _represent_line(dumper: yaml.SafeDumper, line: _Line) -> yaml.Node:
    return dumper.represent_mapping("tag:yaml.org,2002:map", line, flow_style=True)


_Dumper.add_representer(_Line, _represent_line)
