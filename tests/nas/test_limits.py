"""Hard limits: counted as `nas cost` counts, and kept by every trial of a campaign."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.cost_gate import NothingAffordable
from controller.protocol import Outcome, Pending
from nas.config import from_json
from nas.controllers import controller_of
from nas.limits import Limits
from search_space.catalog import SPINENET_49, genome_by_name
from search_space.genome import Genome

Nas = Callable[..., Any]
Written = Callable[..., Path]
Words = dict[str, Any]


@pytest.mark.parametrize("name", ["spinenet-49", "r0-sp53", "spinenet-mobile-49"])
@pytest.mark.parametrize(
    ("word", "fact"),
    [("max_flops", "flops"), ("max_parameters", "params"), ("max_memory", "training_memory")],
)
def test_a_limit_is_what_nas_cost_says(nas: Nas, name: str, word: str, fact: str) -> None:
    genome = genome_by_name(name)
    cost = json.loads(nas("cost", name, "--json").out)["detector"][fact]
    assert Limits(**{word: float(cost)}).keeps(genome)
    assert not Limits(**{word: cost - 1.0}).keeps(genome)
    assert Limits(**{word: cost - 1.0}).excess(genome) == f"{cost:,} is more than {word}={cost - 1:,}"


def test_all_limits_have_to_be_kept() -> None:
    wide = {"max_flops": 1e12, "max_parameters": 1e9, "max_memory": 1e12}
    assert Limits(**wide).keeps(SPINENET_49)
    for word in wide:
        assert not Limits(**(wide | {word: 1.0})).keeps(SPINENET_49)


@pytest.mark.parametrize("controller", ["random_search", "regularized_evolution", "nsga2"])
def test_no_trial_costs_more(nas: Nas, written: Written, words: Words, controller: str) -> None:
    limits = {"max_flops": 83e9, "max_parameters": 28e6}  # about a third of the space, and most of it
    kind = {"kind": controller} | ({"tournament": 2} if controller == "regularized_evolution" else {})
    population = {} if controller == "random_search" else {"population": 4}
    changes = {"limits": limits, "controller": kind | population, "budget": {"trials": 20}}

    assert nas("run", written(changes)).code == 0
    top = json.loads(nas("top", "small", "-n", "20", "--json").out)
    genomes = [Genome.from_text(row["genome"]) for row in top]
    notes = [json.loads(nas("show", "small", str(n), "--json").out)["note"] for n in range(1, 21)]

    assert len(genomes) == 20
    assert all(Limits(**limits).keeps(genome) for genome in genomes)
    assert any("too_costly" in note for note in notes)
    without = from_json(words | {"controller": kind | population})
    assert from_json(words | changes).hash != without.hash


@pytest.mark.parametrize("kind", ["random_search", "nsga2"])
def test_when_all_that_is_affordable_was_tried_nothing_is_tried_again(words: Words, kind: str) -> None:
    tiny = {"stem": [{"level": 2}, {"level": 2}], "intermediates": {"3": 1}, "outputs": [3, 4]}
    config = from_json(words | {"space": tiny, "controller": {"kind": kind}, "limits": {"max_flops": 67e9}})
    space, limits = config.space.build(), config.limits
    assert limits is not None
    drawn = [space.sample(np.random.default_rng(seed)) for seed in range(500)]
    networks = {space.fingerprint(genome): genome for genome in drawn}
    cheap = [genome for genome in networks.values() if limits.keeps(genome)]
    assert 1 < len(cheap) < len(networks)
    controller = controller_of(config, space)
    for number, genome in enumerate(cheap[:-1]):
        controller.tell(Outcome(number, genome, {}, (0.5,)))

    last = controller.ask(np.random.default_rng(0), ())

    assert last is not None
    assert space.fingerprint(last.genome) == space.fingerprint(cheap[-1])
    with pytest.raises(NothingAffordable):
        controller.ask(np.random.default_rng(0), [Pending(99, cheap[-1], {})])


def test_limits_that_no_genome_keeps(nas: Nas, written: Written) -> None:
    ended = nas("run", written({"limits": {"max_parameters": 1e6}}))

    assert (ended.code, ended.err.count("\n")) == (2, 1), ended
    assert "cost gate: 5500 proposals in a row cost more than the limits allow" in ended.err


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({}, ["limits", "one at least of max_flops"]),
        ({"max_flops": 0}, ["limits", "max_flops=0.0", "more than 0"]),
        ({"max_flop": 1}, ["limits.max_flop", "unknown key", "'max_flops'"]),
        ({"max_flops": "85B"}, ["limits.max_flops", "a number", '"85B"']),
    ],
)
def test_limits_that_can_not_be(
    nas: Nas, home: Path, written: Written, limits: Words, told: list[str]
) -> None:
    ended = nas("run", written({"limits": limits}))
    assert (ended.code, ended.err.count("\n")) == (2, 1), ended
    assert all(word in ended.err for word in told), ended.err
    assert not home.exists()


def test_a_listed_genome_that_costs_too_much(nas: Nas, home: Path, written: Written) -> None:
    listed = {"kind": "listed", "genomes": [SPINENET_49.to_text()]}
    ended = nas("run", written({"controller": listed, "limits": {"max_flops": 80e9}}))
    assert (ended.code, ended.err.count("\n")) == (2, 1), ended
    assert "controller: genomes[0]: 8" in ended.err
    assert "is more than max_flops=80,000,000,000" in ended.err
    assert not home.exists()
