"""Reads what Vertex AI NAS writes: PyGlove's JSON of a tunable SpineNet (docs/sources.md, 5).

Two forms are known: the search space's call with its four lists of choices, and the list of block
specs that it evaluates to. Names of types (`_type`) are ignored and nothing is executed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from search_space.catalog import MOBILE_STEM, R0_STEM
from search_space.genome import BlockGene, BlockKind, Genome, InvalidGenome, Stem
from search_space.spec import MAX_BYTES, InvalidSpec, first_problem

_Level = Annotated[int, Field(ge=0, le=100)]


class _Choice(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, defer_build=True)

    level_base: _Level | None = None
    level_offset: Annotated[int, Field(ge=-100, le=100)] = 0
    block_fn: Literal["bottleneck", "residual", "mbconv"] = "bottleneck"
    input_offsets: Annotated[list[int], Field(min_length=2, max_length=2)]
    is_output: bool | None = None


class _Call(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, defer_build=True)

    intermediate_blocks: list[_Choice]
    intermediate_block_levels: list[_Level]
    output_blocks: list[_Choice]
    output_block_levels: list[_Level]


_BLOCKS: Final = TypeAdapter(list[_Choice], config=ConfigDict(defer_build=True))


def read_vertex(path: Path) -> Genome:
    """The genome of a file that Vertex NAS wrote. Raises InvalidSpec, OSError."""
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    try:
        return genome_from_vertex(data.decode("utf-8"), path.name)
    except UnicodeDecodeError as error:
        raise InvalidSpec(f"{path.name}: byte {error.start} is not UTF-8 text") from None


def genome_from_vertex(text: str, source: str = "json") -> Genome:
    """The genome of a Vertex NAS trial; `source` names the text in errors. Raises InvalidSpec."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise InvalidSpec(f"{source}: more than {MAX_BYTES} bytes, expected a few kilobytes")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidSpec(f"{source}: not JSON: {error}") from None
    try:
        blocks = _blocks(document)
        return Genome(_stem(blocks), tuple(blocks))
    except ValidationError as error:
        raise InvalidSpec(f"{source}: {first_problem(error)}") from None
    except (InvalidGenome, ValueError) as error:
        raise InvalidSpec(f"{source}: {error}") from None


def _blocks(document: Any) -> list[BlockGene]:
    if isinstance(document, list):
        blocks = _BLOCKS.validate_python(document)
        for place, block in enumerate(blocks):
            if block.level_base is None or block.is_output is None:
                raise ValueError(f"block {place}: level_base and is_output are missing")
        return [_gene(block, block.level_base or 0, output=bool(block.is_output)) for block in blocks]
    call = _Call.model_validate(document)
    genes = []
    for name, choices, levels in (
        ("intermediate", call.intermediate_blocks, call.intermediate_block_levels),
        ("output", call.output_blocks, call.output_block_levels),
    ):
        if len(choices) != len(levels):
            raise ValueError(f"{name}_block_levels: {len(levels)} levels for {len(choices)} blocks")
        genes += [
            _gene(choice, level, output=name == "output")
            for choice, level in zip(choices, levels, strict=True)
        ]
    return genes


def _gene(choice: _Choice, base: int, *, output: bool) -> BlockGene:
    a, b = choice.input_offsets
    return BlockGene(base + choice.level_offset, BlockKind(choice.block_fn), (a, b), output)


def _stem(blocks: list[BlockGene]) -> Stem:
    mobile = any(block.kind is BlockKind.MBCONV for block in blocks)
    return MOBILE_STEM if mobile else R0_STEM
