"""`nas space` and `nas cost`: published numbers come out, and words that mean nothing get one line."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search_space.catalog import SPACES, SPINENET_49
from search_space.cost import Head
from search_space.spec import Spec, read_spec, write_spec

Nas = Callable[..., Any]
Written = Callable[..., Path]


@pytest.mark.parametrize("name", SPACES)
def test_every_space_is_described(nas: Nas, name: str) -> None:
    ended = nas("space", name, "--samples", "50")
    assert ended.code == 0
    assert name in ended.out
    assert ("inferred" in ended.out) == bool(SPACES[name].inferred)


def test_a_spaces_facts(nas: Nas) -> None:
    facts = json.loads(nas("space", "spinenet-49", "--samples", "400", "--json").out)
    sizes = facts["log10_size"]
    assert round(sizes["labelled"], 1) == 37.2
    assert round(sizes["labelled_without_window"], 1) == 40.1
    sample = facts["sample"]
    assert 0 < sample["with_dead_blocks"] < 1
    assert 0 < sample["with_level_1_blocks"] < 1
    assert sample["flops"] == sorted(sample["flops"])
    r0 = json.loads(nas("space", "r0-sp53", "--samples", "50", "--json").out)
    assert r0["sample"]["with_level_1_blocks"] == 0


def test_the_cost_of_whatever_names_an_architecture(nas: Nas, written: Written, tmp_path: Path) -> None:
    write_spec(Spec(genome=SPINENET_49), tmp_path / "spec.yaml")
    for words in ("spinenet-49", "SpineNet-49", SPINENET_49.to_text(), tmp_path / "spec.yaml"):
        facts = json.loads(nas("cost", words, "--json").out)
        assert facts["backbone"]["params"] == 21831488
        assert facts["detector"]["params"] == 28543383
        assert f"{facts['detector']['flops'] / 1e9:.2f}" == "85.28"
    assert nas("run", written()).code == 0
    trial = json.loads(nas("cost", "small:1", "--json").out)
    assert trial["genome"] == json.loads(nas("show", "small", "1", "--json").out)["genome"]


def test_what_was_not_published_as_such_is_said(nas: Nas, tmp_path: Path) -> None:
    caveats = {
        words: json.loads(nas("cost", words, "--json").out)["caveat"]
        for words in ("spinenet-49", "r23-sp30", "spinenet-49xs", "resnet-50-fpn")
    }
    assert caveats["spinenet-49"] == caveats["resnet-50-fpn"] == ""
    assert caveats["r23-sp30"] == "genome read off a figure"
    assert caveats["spinenet-49xs"] == "inferred: scaling, head, input_size"
    scaled = nas("cost", "r23-sp30", "--scale", "49xs").out
    assert "genome read off a figure; inferred: scaling" in scaled
    assert nas("spec", "r23-sp30", "--scale", "49xs", "--out", tmp_path / "x.yaml").code == 0
    assert "genome read off a figure; inferred: scaling" in nas("cost", tmp_path / "x.yaml").out
    assert nas("draw", "r23-sp30", "--out", tmp_path / "x.svg").code == 0
    assert "read off a figure" in (tmp_path / "x.svg").read_text()


def test_training_memory_grows_with_the_network(nas: Nas) -> None:
    names = ("spinenet-49s", "spinenet-49", "spinenet-96", "spinenet-143", "spinenet-190")
    costs = [json.loads(nas("cost", name, "--json").out) for name in names]
    for part in ("backbone", "heads", "detector"):
        memory = [cost[part]["training_memory"] for cost in costs]
        assert memory == sorted(memory)
        assert 2**27 < memory[0] < memory[-1] < 2**35
    for cost in costs:
        parts = cost["backbone"]["training_memory"] + cost["heads"]["training_memory"]
        assert abs(parts - cost["detector"]["training_memory"]) <= 2  # each is cut to whole bytes


def test_what_vertex_nas_wrote_becomes_a_spec(nas: Nas, tmp_path: Path) -> None:
    blocks = [
        {
            "level_base": block.level,
            "block_fn": block.kind.value,
            "input_offsets": list(block.parents),
            "is_output": block.output,
        }
        for block in SPINENET_49.blocks
    ]
    (tmp_path / "trial.json").write_text(json.dumps(blocks))
    ended = nas("spec", tmp_path / "trial.json", "--scale", "96", "--out", tmp_path / "spec.yaml")
    assert ended.code == 0
    spec = read_spec(tmp_path / "spec.yaml")
    assert (spec.genome, spec.scaling.repeats) == (SPINENET_49, 2)
    assert json.loads(nas("cost", tmp_path / "spec.yaml", "--json").out)["input_size"] == 1024


def test_a_spec_has_the_heads_of_its_network(nas: Nas, tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    for name in ("spinenet-190", "spinenet-mobile-49"):
        wanted = json.loads(nas("cost", name, "--json").out)
        assert nas("spec", name, "--out", file).code == 0
        whole = read_spec(file)
        # A spec of an earlier release has no heads: then they are those of the family.
        for spec in (whole, dataclasses.replace(whole, head=None)):
            write_spec(spec, file)
            found = json.loads(nas("cost", file, "--json").out)
            assert {**found, "name": name} == wanted
        # Nor does one that was written by hand, with a scaling of its own, have to say for which images.
        scaling = dataclasses.replace(whole.scaling, width=0.8)
        write_spec(dataclasses.replace(whole, scaling=scaling, head=None, expected=None), file)
        found = json.loads(nas("cost", file, "--json").out)
        like = "spinenet-mobile-49" if whole.genome.mobile else "spinenet-49"
        known = json.loads(nas("cost", like, "--json").out)
        assert (found["input_size"], found["head"]) == (known["input_size"], known["head"])
        own = dataclasses.replace(whole, head=Head(convs=1, width=8))
        write_spec(own, file)
        assert json.loads(nas("cost", file, "--json").out)["head"]["width"] == 8


def test_a_spec_that_was_changed_by_hand_is_refused(nas: Nas, tmp_path: Path) -> None:
    file, out = tmp_path / "spec.yaml", tmp_path / "fixed.yaml"
    assert nas("spec", "spinenet-49", "--out", file).code == 0
    text = file.read_text()
    file.write_text(text.replace("node: 4, level: 3", "node: 4, level: 2", 1))
    assert file.read_text() != text
    for command in (("cost", file), ("spec", file, "--out", out)):
        ended = nas(*command)
        assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
        for word in ("spec.yaml", "params=21831488", "delete `expected`"):
            assert word in ended.err
    assert not out.exists()


def test_a_spec_of_a_spec_keeps_what_it_says(nas: Nas, tmp_path: Path) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    said = Spec(genome=SPINENET_49, proxy={"classes": ["a"]}, provenance={"campaign": "x", "trial": 3})
    write_spec(said, first)
    for more, repeats in (((), 1), (("--scale", "96"), 2)):
        assert nas("spec", first, *more, "--out", second).code == 0
        found = read_spec(second)
        assert (found.proxy, found.provenance) == (said.proxy, said.provenance)
        assert found.scaling.repeats == repeats


def test_the_cost_at_another_scale(nas: Nas) -> None:
    for scale in ("96", "spinenet-96"):
        facts = json.loads(nas("cost", "spinenet-49", "--scale", scale, "--json").out)
        assert f"{facts['detector']['params'] / 1e6:.3f}" == "42.975"
        assert facts["input_size"] == 1024
    assert "21,831,488 parameters" in nas("cost", "spinenet-49").out


def test_the_cost_of_the_baseline(nas: Nas) -> None:
    """Computed from the specs (docs/sources.md, 4): 34.09 M and 96.88 B."""
    facts = json.loads(nas("cost", "resnet-50-fpn", "--json").out)
    assert f"{facts['detector']['params'] / 1e6:.2f}" == "34.09"
    assert f"{facts['detector']['flops'] / 1e9:.2f}" == "96.88"


def test_dead_nodes_are_named(nas: Nas) -> None:
    assert "dead nodes, which are not built: 2" in nas("cost", "2b* 2b* | 7r:0,1 3b:0,1^").out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["cost", "spinnet-49"], ["'spinnet-49'", "did you mean 'spinenet-49'"]),
        (["cost", "spinenet-49", "--scale", "97"], ["scale '97'", "96, mobile-49"]),
        (["cost", "spinenet-mobile-49", "--scale", "96"], ["scale '96'", "a mobile genome", "mobile-49s"]),
        (["cost", "spinenet-49", "--scale", "mobile-49"], ["no mobile genome", "96"]),
        (["cost", "2b* 2b* | 3b:0,9^"], ["node 2", "parents=(0, 9)"]),
        (["draw", "resnet-50-fpn", "--out", "x.svg"], ["no genome describes it"]),
        (["cost", "nothing:3"], ["no campaign 'nothing'"]),
        (["cost", "2b* 2m* | 3m:0,1^"], ["node 1", "mbconv everywhere or nowhere"]),
        (["space", "spinenet49"], ["'spinenet49'", "'spinenet-49'"]),
    ],
)
def test_words_that_mean_nothing(nas: Nas, arguments: list[str], expected: list[str]) -> None:
    ended = nas(*arguments)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    for word in expected:
        assert word in ended.err
