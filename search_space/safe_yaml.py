"""YAML from strangers: plain data only, no aliases, no repeated keys, no depths."""

from __future__ import annotations

from typing import Any, Final, Protocol

import yaml

MAX_DEPTH: Final = 32


class UnsafeYaml(ValueError):
    """A text that is no YAML document of plain data; the message says where and why."""


def load_yaml(text: str) -> Any:
    """The one document in a text, by the safe loader. Raises UnsafeYaml."""
    try:
        _check_events(text)
        _check_keys(yaml.compose(text, Loader=yaml.SafeLoader))
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        reason = ": ".join(part for part in (error.context, error.problem) if part)
        raise UnsafeYaml(f"{_where(error.problem_mark)}: {reason}") from None
    except yaml.YAMLError as error:
        raise UnsafeYaml(" ".join(str(error).split())) from None
    except UnsafeYaml:
        raise
    except (ValueError, TypeError) as error:  # an impossible date, an unhashable key, a huge number
        raise UnsafeYaml(f"YAML: {error}") from None


def _check_events(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise UnsafeYaml(f"{_where(event.start_mark)}: alias *{event.anchor}, expected none")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise UnsafeYaml(f"{_where(event.start_mark)}: nested deeper than {MAX_DEPTH}")


def _check_keys(node: yaml.Node | None) -> None:
    if isinstance(node, yaml.SequenceNode):
        for child in node.value:
            _check_keys(child)
    elif isinstance(node, yaml.MappingNode):
        seen: set[Any] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                raise UnsafeYaml(f"{_where(key.start_mark)}: expected a plain key")
            if key.value in seen:
                raise UnsafeYaml(f"{_where(key.start_mark)}: key {key.value!r} for the second time")
            seen.add(key.value)
            _check_keys(value)


class _Mark(Protocol):
    line: int
    column: int


def _where(mark: _Mark | None) -> str:
    return "YAML" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}"
