"""Campaigns that begin with given genomes: published ones, texts, the best of an earlier campaign."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nas.config import from_json
from search_space.catalog import R0_SP53, SPINENET_49

Nas = Callable[..., Any]
Written = Callable[..., Path]
Words = dict[str, Any]


def genomes(nas: Nas, name: str, trials: int) -> list[str]:
    """The genomes of a campaign by trial."""
    return [json.loads(nas("show", name, str(n), "--json").out)["genome"] for n in range(1, trials + 1)]


def test_names_are_resolved_before_anything_is_stored(words: Words) -> None:
    config = from_json(words | {"warm_start": ["SpineNet-49", R0_SP53.to_text()]})
    assert config.to_json()["warm_start"] == [SPINENET_49.to_text(), R0_SP53.to_text()]
    assert from_json(json.loads(json.dumps(config.to_json()))) == config
    assert config.hash != from_json(words).hash
    assert config.hash == from_json(words | {"warm_start": [SPINENET_49.to_text(), "r0-sp53"]}).hash


def test_a_campaign_begins_with_them_and_repeats_none(nas: Nas, written: Written) -> None:
    assert nas("run", written({"warm_start": ["spinenet-49", "r0-sp53"]})).code == 0

    found = genomes(nas, "small", 8)

    assert found[:2] == [SPINENET_49.to_text(), R0_SP53.to_text()]
    assert len(set(found)) == 8
    assert json.loads(nas("show", "small", "2", "--json").out)["note"] == {"warm_start": 2}


def test_the_best_of_an_earlier_campaign(nas: Nas, written: Written) -> None:
    nas("run", written({"warm_start": ["spinenet-49"], "budget": {"trials": 20}}))
    ranked = [row["genome"] for row in json.loads(nas("top", "small", "-n", "20", "--json").out)]
    starts = [{"campaign": "small", "best": 3}, ranked[1], {"campaign": "small"}]

    ended = nas("run", written({"name": "second", "warm_start": starts}))

    assert ended.code == 0, ended
    # ranked[1] is in the list anyway, so the best three are the others.
    assert genomes(nas, "second", 5) == [ranked[0], ranked[2], ranked[3], ranked[1], ranked[4]]
    assert nas("run", written({"name": "second", "warm_start": starts}), "--continue").code == 0


@pytest.mark.parametrize(
    ("starts", "told"),
    [
        (["spinenet-94"], ["warm_start[0]", "'spinenet-94' is not in the catalog", "'spinenet-49'"]),
        (["2b* 2b* | 3b:0,1"], ["warm_start[0]"]),
        (["spinenet-49", "spinenet-mobile-49"], ["warm_start[1]", "stem"]),
        (["r0-sp53", "spinenet-49", "r0-sp53"], ["warm_start[2]", "the same network as warm_start[0]"]),
        ([{"campaign": "x", "bset": 2}], ["warm_start[0].bset", "'best'"]),
        ([{"campaign": "x", "best": 0}], ["warm_start[0]", "best=0"]),
        (["spinenet-49", {"campaign": "x", "best": 8}], ["warm_start: 9 genomes", "the 8 trials"]),
        ([{"campaign": "nobody"}], ["no campaign 'nobody'"]),
    ],
)
def test_genomes_that_can_not_be(
    nas: Nas, home: Path, written: Written, starts: list[Any], told: list[str]
) -> None:
    ended = nas("run", written({"warm_start": starts}))
    assert (ended.code, ended.err.count("\n")) == (2, 1), ended
    assert all(word in ended.err for word in told), ended.err
    assert not (home / "small").exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"warm_start": [{"campaign": "small", "best": 7}]}, ["warm_start[0]", "has 6 finished", "best=7"]),
        (
            {"space": "r14-sp39", "warm_start": ["r14-sp39"]},
            ["warm_start[0]", "'r14-sp39' is not in the catalog"],
        ),
        ({"space": "r14-sp39", "warm_start": [{"campaign": "small"}]}, ["warm_start[0]", "stem"]),
        (
            {"warm_start": [{"campaign": "small"}], "limits": {"max_flops": 1e9}},
            ["warm_start[0]", "is more than max_flops=1,000,000,000"],
        ),
    ],
)
def test_an_earlier_campaign_that_does_not_fit(
    nas: Nas, home: Path, written: Written, changes: Words, told: list[str]
) -> None:
    nas("run", written({"budget": {"trials": 6}}))

    ended = nas("run", written({"name": "second", **changes}))

    assert (ended.code, ended.err.count("\n")) == (2, 1), ended
    assert all(word in ended.err for word in told), ended.err
    assert not (home / "second").exists()


def test_a_campaign_goes_on_with_what_was_looked_up_for_it_then(
    nas: Nas, home: Path, written: Written
) -> None:
    nas("run", written({"budget": {"trials": 6}}))
    second = written({"name": "second", "warm_start": ["spinenet-49", {"campaign": "small", "best": 2}]})
    began = nas("run", second)
    shutil.rmtree(home / "small")

    went_on = nas("run", second, "--continue")
    fewer = written({"name": "second", "warm_start": ["spinenet-49", {"campaign": "small", "best": 1}]})
    refused = nas("run", fewer, "--continue")

    assert (began.code, went_on.code, refused.code) == (0, 0, 2), (began, went_on, refused)
    assert "has another config" in refused.err


def test_a_list_of_genomes_needs_no_start(nas: Nas, written: Written) -> None:
    listed = {"kind": "listed", "genomes": [SPINENET_49.to_text()]}
    ended = nas("run", written({"controller": listed, "warm_start": ["r0-sp53"]}))
    assert (ended.code, ended.err.count("\n")) == (2, 1), ended
    assert "warm_start: the listed controller has its own genomes" in ended.err


def test_warm_gated_and_resumed_is_the_same_campaign(nas: Nas, written: Written, tmp_path: Path) -> None:
    from nas.config import load
    from nas.launch import create, driving, find
    from nas.runners import serial
    from proxy_trainer.synthetic import SyntheticConfig, SyntheticEvaluator

    wrapped = {"warm_start": ["spinenet-49"], "limits": {"max_flops": 86e9}, "budget": {"trials": 20}}
    config = load(written(wrapped))
    create(config, tmp_path / "campaigns")

    def stop_after(trials: int) -> None:
        with driving(*find(tmp_path / "campaigns", "small")) as drive:

            def tick() -> None:
                if len(drive.campaign.snapshot().rewards) >= trials:
                    raise KeyboardInterrupt

            with pytest.raises(KeyboardInterrupt):
                serial.run(drive.campaign, SyntheticEvaluator(SyntheticConfig()), tick)

    for trials in (1, 7, 13):
        stop_after(trials)
    assert nas("resume", "small").code == 0
    found = genomes(nas, "small", 20)
    assert nas("run", written(wrapped | {"name": "whole"})).code == 0
    assert genomes(nas, "whole", 20) == found
