"""What Vertex AI NAS writes, read: both forms of it, and what is wrong with broken ones."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_space.catalog import MOBILE_49, SPINENET_49, space_by_name
from search_space.genome import Genome
from search_space.spec import InvalidSpec
from search_space.vertex import genome_from_vertex


def as_call(genome: Genome) -> dict[str, Any]:
    """As the search space's call is written: base levels apart from offsets."""
    document: dict[str, Any] = {"_type": "nas_architecture.build_tunable_block_specs"}
    for name in ("intermediate", "output"):
        blocks = [block for block in genome.blocks if block.output == (name == "output")]
        # Any split of a level into base and offset means the same.
        offsets = [1 if name == "intermediate" and block.level > 2 else 0 for block in blocks]
        document[f"{name}_blocks"] = [
            {
                "level_base": None,
                "level_offset": offset,
                "block_fn": block.kind.value,
                "input_offsets": list(block.parents),
            }
            for block, offset in zip(blocks, offsets, strict=True)
        ]
        document[f"{name}_block_levels"] = [
            block.level - offset for block, offset in zip(blocks, offsets, strict=True)
        ]
    return document


def as_list(genome: Genome) -> list[dict[str, Any]]:
    return [
        {
            "_type": "nas_architecture.TunableBlockSpec",
            "level_base": block.level,
            "level_offset": 0,
            "block_fn": block.kind.value,
            "input_offsets": list(block.parents),
            "is_output": block.output,
        }
        for block in genome.blocks
    ]


@pytest.mark.parametrize("name", ["vertex-spinenet", "vertex-spinenet-v2", "vertex-spinenet-mbconv"])
def test_there_and_back(name: str) -> None:
    space = space_by_name(name)
    for seed in range(20):
        genome = space.sample(np.random.default_rng(seed))
        for document in (as_call(genome), as_list(genome)):
            assert genome_from_vertex(json.dumps(document)) == genome


def test_published_ones() -> None:
    for genome in (SPINENET_49, MOBILE_49):
        assert genome_from_vertex(json.dumps(as_list(genome))) == genome


def changed(key: str, value: Any) -> str:
    document = as_call(SPINENET_49)
    document[key] = value
    return json.dumps(document)


BAD = {
    "{": "not JSON",
    "3": "Input should be a valid dictionary",
    "[]": "no block is an output",
    '[{"input_offsets": [0, 1]}]': "block 0: level_base and is_output are missing",
    changed("output_block_levels", [3]): "output_block_levels: 1 levels for 5 blocks",
    changed("output_block_levels", [3, 4, 5, 6, 6]): "a second output on level 6",
    changed("intermediate_block_levels", ["x"] * 10): "intermediate_block_levels.0",
    changed("intermediate_blocks", [{"input_offsets": [0, 5]}] * 10): "parents=(0, 5)",
}


@pytest.mark.parametrize("text", BAD, ids=lambda text: BAD[text][:30])
def test_broken_ones_are_one_line(text: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        genome_from_vertex(text, "trial.json")
    assert str(caught.value).startswith("trial.json: ")
    assert BAD[text] in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=8))
def test_anything_else_is_refused(document: Any) -> None:
    with pytest.raises(InvalidSpec):
        genome_from_vertex(json.dumps(document))
