"""Other rewards over a campaign that was run: computed from its stored measurements, kept under a label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nas.config_file import ConfigError, read_config
from nas.errors import Refusal
from nas.folder import NAME
from nas.reward import NoReward, NotFinite, reward
from nas.reward_config import REWARD, RewardConfig, with_kind
from nas.validation import Refused, adapter, validate
from nas.yaml_file import YamlError, parse_yaml
from results_db.store import Store


def rule(words: str) -> RewardConfig:
    """The rule that words mean: a file (of the rule, or a config with one), a metric, or the rule itself.

    `AP50`; `kind: soft, cost: flops, target: 1e8`. Raises ConfigError.
    """
    path = Path(words)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return read_config(path, _of_file)
    if ":" not in words:
        return _of_words({"metric": words})
    text = words if words.lstrip().startswith("{") else f"{{{words}}}"
    try:
        return _of_words(parse_yaml(text, Path("reward")).data)
    except (YamlError, Refused) as error:
        raise ConfigError(f"--reward: {error}") from error


def rescore(store: Store, name: str, config: RewardConfig, label: str) -> dict[str, Any]:
    """Reward every finished trial anew, store that as `label`, and say what came of it.

    Trials that the rule gives no reward are left out. Raises Refusal where that is all of them, and for a
    label that can't be one; LabelTaken, UnknownCampaign.
    """
    if not NAME.fullmatch(label):
        raise Refusal(f"--as {label[:80]!r}: expected letters, digits, '.', '_', '-' (at most 64)")
    finished = [trial.number for trial in store.trials(name) if trial.reward is not None]
    if not finished:
        raise Refusal(f"campaign {name!r} has no finished trial yet: nothing to reward")
    metrics = store.final(name, config.needs)
    rewards: dict[int, float] = {}
    for number in finished:
        try:
            rewards[number] = reward(config, metrics.get(number, {}))
        except (NoReward, NotFinite):
            continue
    if not rewards:
        raise Refusal(
            f"campaign {name!r}: no trial has this reward; {_why(store, name, finished[0], config)}"
        )
    words = adapter(REWARD).dump_python(config, mode="json")
    store.rescore(name, label, words, rewards)
    return {
        "campaign": name,
        "label": label,
        "reward": words,
        "rewarded": len(rewards),
        "finished": len(finished),
        "without": sorted(set(finished) - set(rewards)),
    }


def _of_file(data: dict[str, Any]) -> RewardConfig:
    if "reward" not in data:
        return _of_words(data)
    try:
        return _of_words(data["reward"])
    except Refused as error:
        raise Refused(("reward", *error.keys), error.problem) from error


def _of_words(words: Any) -> RewardConfig:
    found: RewardConfig = validate(REWARD, with_kind(words))
    return found


def _why(store: Store, name: str, number: int, config: RewardConfig) -> str:
    """What is wrong with one trial, with all that it measured at hand."""
    every = {metric.name: metric.value for metric in store.metrics(name, number) if metric.final}
    try:
        reward(config, every)
    except (NoReward, NotFinite) as error:
        return f"of trial {number}: {error}"
    raise AssertionError(f"trial {number} has no reward from {config.needs}, and one from all its metrics")
