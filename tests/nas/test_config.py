"""Configs: what is read is what was meant, round trips are exact, and nothing unknown slips in."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from nas.config import CampaignConfig, from_json, load
from nas.config_file import ConfigError
from nas.validation import Refused, adapter
from proxy_trainer.config import ProxyConfig
from proxy_trainer.data.config import CocoData
from search_space.catalog import SPACES
from search_space.genome import BlockKind
from search_space.trial import FailureKind

Written = Callable[..., Path]
Words = dict[str, Any]


def test_the_small_config_means_what_it_says(written: Written) -> None:
    config = load(written())

    assert (config.name, config.seed, config.rules.trials) == ("small", 3, 8)
    assert config.space.build() == SPACES["spinenet-49"]
    assert config.controller.kind == "regularized_evolution"


@pytest.mark.parametrize(
    "evaluator",
    [
        {"kind": "synthetic", "seconds": 1},
        {"kind": "proxy", "recipe": {"steps": 50, "jitter": [1, 1]}, "data": {"kind": "rendered", "seed": 4}},
        {"kind": "proxy", "data": {"kind": "coco", "images": "/a", "train": "/b", "classes": ["cat"]}},
    ],
)
def test_the_stored_config_reads_back_as_the_same(words: Words, evaluator: Words) -> None:
    config = from_json(words | {"evaluator": evaluator})

    again = from_json(json.loads(json.dumps(config.to_json())))

    assert again == config
    assert again.hash == config.hash


def test_rungs_of_a_schedule_of_any_length(words: Words) -> None:
    changes = {
        "evaluator": {"kind": "synthetic", "steps": 10**30},
        "stopping": {"kind": "halving", "rungs": [10**30 + 1]},
    }
    with pytest.raises(Refused, match=r"metrics are told at steps 1, 2, 3, \.\.\.;"):
        from_json(words | changes)


@pytest.mark.parametrize(
    "kind", ["bayesian", "guided_evolution", "local_search", "random_search", "regularized_evolution"]
)
def test_contenders_and_none_of_them_read_back_as_the_same(words: Words, kind: str) -> None:
    configs = [
        from_json(words | {"controller": {"kind": kind, "contenders": contenders}})
        for contenders in (None, {}, {"first": 5, "top": 3})
    ]
    for config in configs:
        again = from_json(json.loads(json.dumps(config.to_json())))
        assert again == config
        assert again.hash == config.hash
    assert len({config.hash for config in configs}) == 3
    default = from_json(words | {"controller": {"kind": kind}})
    assert default.hash in {config.hash for config in configs[:2]}


def test_the_hash_follows_what_is_searched_and_nothing_else(words: Words) -> None:
    config = from_json(words)

    assert (
        from_json(words | {"name": "other", "runner": {"kind": "ray"}, "database": "x://y"}).hash
        == config.hash
    )
    assert from_json(words | {"seed": 4}).hash != config.hash
    assert from_json(words | {"space": "r0-sp53"}).hash != config.hash


OLD: Words = {
    "name": "small",
    "seed": 3,
    "space": {
        "preset": None,
        "name": "spinenet-49",
        "stem": [{"level": 2, "kind": "bottleneck", "candidate": True}] * 2,
        "intermediates": {"2": 1, "3": 3, "4": 5, "5": 1},
        "outputs": [3, 4, 5, 6, 7],
        "offsets": [-1, 0, 1, 2],
        "kinds": ["bottleneck", "residual"],
        "window": 5,
        "inferred": ["intermediates"],
    },
    "controller": {"kind": "regularized_evolution", "population": 4, "tournament": 2, "no_repeats": True},
    "evaluator": {"kind": "synthetic", "seconds": 0.0, "failures": 0.0, "noise": 0.005, "steps": 2},
    "reward": {"metric": "AP"},
    "runner": {"kind": "serial", "timeout_seconds": None},
    "budget": {"trials": 8},
    "stopping": None,
    "failures": {"retries": {"lost_worker": 2}, "share": 0.5, "least": 5},
    "keep_weights": 3,
}
"""The small config as a campaign of November 2026 stored it."""


def test_a_config_that_was_stored_keeps_reading_and_keeps_its_hash(words: Words) -> None:
    assert from_json(OLD).hash == from_json(words).hash == "7ee6ff2261f867f9"
    assert from_json(OLD).to_json() == OLD | {"finalists": None}


@pytest.mark.parametrize(
    "reward",
    [
        {"metric": "AP50"},
        {"kind": "plain", "metric": "AP50"},
        {"kind": "soft", "cost": "flops", "target": 3e7},
        {"kind": "hard", "metric": "AP75", "cost": "parameters", "target": 20_000_000},
        {"kind": "absolute", "cost": "flops", "target": 3e7, "beta": -0.3},
    ],
)
def test_rewards_read_back_as_the_same(words: Words, reward: Words) -> None:
    config = from_json(words | {"reward": reward})

    assert from_json(json.loads(json.dumps(config.to_json()))) == config
    assert config.rules.reward == config.reward
    assert config.hash != from_json(words).hash
    assert config.reward.kind == reward.get("kind", "plain")


def test_a_plain_reward_is_the_same_with_its_kind_and_without(words: Words) -> None:
    named = from_json(words | {"reward": {"kind": "plain", "metric": "AP50"}})

    assert named.hash == from_json(words | {"reward": {"metric": "AP50"}}).hash
    assert named.to_json()["reward"] == {"metric": "AP50"}


def test_the_databases_address_is_not_stored(words: Words) -> None:
    config = from_json(words | {"database": "postgresql://me:secret@host/db"})

    assert "secret" not in json.dumps(config.to_json())


def test_relative_paths_count_from_the_config(written: Written) -> None:
    data = {"kind": "coco", "images": "../pictures", "train": "boxes.json", "val": "/abs/val.json"}
    path = written({"evaluator": {"kind": "proxy", "data": data}})

    evaluator = load(path).evaluator

    assert isinstance(evaluator, ProxyConfig)
    assert isinstance(evaluator.data, CocoData)
    assert evaluator.data.images == path.parent / "../pictures"
    assert evaluator.data.train == path.parent / "boxes.json"
    assert evaluator.data.val == Path("/abs/val.json")


def test_a_width_that_leaves_mobile_networks_no_channel(words: Words) -> None:
    thin = {"evaluator": {"kind": "proxy", "recipe": {"width": 0.12, "alpha": 1.0}}}
    from_json(words | thin | {"space": "spinenet-49"})
    with pytest.raises(ValueError, match=r"width=0\.12 leaves the stem of mobile networks no channel"):
        from_json(words | thin | {"space": "spinenet-mobile-49"})


def test_a_preset_with_changes(words: Words) -> None:
    space = {"preset": "spinenet-49", "offsets": [0], "kinds": ["bottleneck"], "window": "all"}

    built = from_json(words | {"space": space}).space.build()

    preset = SPACES["spinenet-49"]
    changed = dataclasses.replace(
        preset, name="spinenet-49 changed", offsets=(0,), kinds=(BlockKind.BOTTLENECK,), window=None
    )
    assert built == changed


def test_a_space_spelled_out(words: Words) -> None:
    space = {
        "stem": [{"level": 2}, {"level": 2, "kind": "residual"}, {"level": 3, "candidate": False}],
        "intermediates": {3: 2, 4: 1},
        "outputs": [3, 4],
    }

    built = from_json(words | {"space": json.loads(json.dumps(space))}).space.build()

    assert built.intermediates == (3, 3, 4)
    assert [node.candidate for node in built.stem.nodes] == [True, True, False]
    assert built.stem.nodes[1].kind is BlockKind.RESIDUAL


def test_the_stored_space_does_not_change_with_the_catalog(words: Words) -> None:
    space = from_json(words).to_json()["space"]

    assert space["preset"] is None
    assert space["intermediates"] == {"2": 1, "3": 3, "4": 5, "5": 1}
    assert space["window"] == 5


def test_retries_by_kind(words: Words) -> None:
    config = from_json(words | {"failures": {"retries": {"internal": 3}}})

    assert config.rules.retries == {FailureKind.INTERNAL: 3}


def _mappings(data: Any, keys: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(data, Mapping):
        yield keys
        for key, value in data.items():
            yield from _mappings(value, (*keys, key))


FULL: dict[str, Any] = {
    "name": "full",
    "space": {"preset": "r0-sp53"},
    "controller": {"kind": "random_search"},
    "evaluator": {
        "kind": "proxy",
        "data": {"kind": "coco", "images": "a", "train": "b"},
        "splits": {"reward": 5},
        "recipe": {"steps": 40},
    },
    "reward": {"metric": "AP50"},
    "runner": {"kind": "ray"},
    "budget": {"trials": 1},
    "failures": {"retries": {}},
}


@pytest.mark.parametrize("keys", list(_mappings(FULL)), ids=".".join)
def test_an_unknown_key_is_refused_everywhere(keys: tuple[str, ...]) -> None:
    data = json.loads(json.dumps(FULL))
    from_json(data)
    place = data
    for key in keys:
        place = place[key]
    place["surely_unknown"] = 1

    with pytest.raises(Refused) as refused:
        from_json(data)

    assert refused.value.keys == (*keys, "surely_unknown")


def test_every_dataclass_of_the_config_refuses_unknown_keys() -> None:
    schema = adapter(CampaignConfig).json_schema()

    loose = [
        name for name, part in schema["$defs"].items() if part.get("additionalProperties", True) is not False
    ]

    assert loose == ["FailureKind"] or all("enum" in schema["$defs"][name] for name in loose)


def test_a_missing_file_is_said_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: no such file"):
        load(tmp_path / "none.yaml")


def test_what_failures_lead_to_reads_back_and_is_left_out_where_it_is_the_default(words: Words) -> None:
    failures = {"retries": {"timeout": 1}, "alone": [], "stop": ["internal"]}
    config = from_json(words | {"failures": failures})

    assert from_json(json.loads(json.dumps(config.to_json()))) == config
    assert config.rules.alone == set()
    assert config.rules.stop == {"internal"}
    assert from_json(words).to_json()["failures"].keys() == {"retries", "share", "least"}
    assert from_json(words).rules.alone == {"out_of_memory"}


def test_checkpoints_change_no_search(words: Words) -> None:
    plain = from_json(words | {"evaluator": {"kind": "proxy"}})
    config = from_json(words | {"evaluator": {"kind": "proxy", "checkpoint": {"every": 100}}})

    assert from_json(json.loads(json.dumps(config.to_json()))) == config
    assert config.hash == plain.hash
    assert "checkpoint" not in plain.to_json()["evaluator"]
