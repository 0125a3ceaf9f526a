"""A YAML file as plain JSON-like data, with the line of every key: what configs are read by.

Stricter than YAML itself, so that a slip can't pass in silence: keys are unique, whole numbers are
decimal (030 would be 24, and 1:30 would be 90), there are no aliases (a small file can't unfold into a
huge one), no dates and no numbers that JSON can't hold.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

MAX_BYTES: Final = 1_000_000
DECIMAL: Final = re.compile(r"[-+]?(0|[1-9][0-9_]*)")
PLAIN: Final = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")


class YamlError(ValueError):
    """A file that is no YAML mapping; the message begins with the file and the line."""


@dataclass(frozen=True, slots=True)
class YamlFile:
    """The data of a file and the line (from 1) where each path of keys stands."""

    path: Path
    data: dict[str, Any]
    lines: dict[tuple[str | int, ...], int]

    def where(self, keys: tuple[str | int, ...]) -> str:
        """`file:line` of the longest known beginning of a path of keys."""
        while keys and keys not in self.lines:
            keys = keys[:-1]
        return f"{self.path}:{self.lines[keys]}" if keys else str(self.path)


class _Loader(yaml.SafeLoader):
    """SafeLoader that knows 1e-3 as a number and refuses aliases."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call] # untyped in the stubs
            raise yaml.MarkedYAMLError(
                problem="aliases (*name) are not allowed", problem_mark=event.start_mark
            )
        return super().compose_node(parent, index)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def read_yaml(path: Path) -> YamlFile:
    """Read one mapping. Raises YamlError for anything else, FileNotFoundError when it isn't there."""
    with path.open("rb") as stream:
        raw = stream.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise YamlError(f"{path}: larger than {MAX_BYTES:,} bytes, expected a config")
    try:
        return parse_yaml(raw.decode("utf-8"), path)
    except UnicodeDecodeError as error:
        raise YamlError(f"{path}: not UTF-8 text (byte {error.start})") from error


def parse_yaml(text: str, path: Path) -> YamlFile:
    """The same of a text; `path` is what messages call it. Raises YamlError."""
    lines: dict[tuple[str | int, ...], int] = {}
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        data = _plain(loader, node, (), lines) if node is not None else {}
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise YamlError(f"{path}{line}: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise YamlError(f"{path}: {' '.join(str(error).split())}") from error
    except ValueError as error:
        raise YamlError(f"{path}: {error}") from error
    except RecursionError as error:
        raise YamlError(f"{path}: nested too deeply") from error
    if not isinstance(data, dict):
        raise YamlError(f"{path}: expected a mapping of keys to values, found {type(data).__name__}")
    return YamlFile(path, data, lines)


def _plain(
    loader: _Loader, node: yaml.Node, keys: tuple[str | int, ...], lines: dict[tuple[str | int, ...], int]
) -> Any:
    if isinstance(node, yaml.CollectionNode) and node.tag not in PLAIN:
        raise yaml.MarkedYAMLError(problem=f"tag {node.tag!r} is not allowed", problem_mark=node.start_mark)
    if isinstance(node, yaml.MappingNode):
        return _mapping(loader, node, keys, lines)
    if isinstance(node, yaml.SequenceNode):
        return [_element(loader, child, (*keys, index), lines) for index, child in enumerate(node.value)]
    value = _scalar(loader, node)
    if isinstance(value, float) and not math.isfinite(value):
        raise yaml.MarkedYAMLError(problem=f"{value} is no finite number", problem_mark=node.start_mark)
    if value is not None and not isinstance(value, (str, int, float, bool)):
        raise yaml.MarkedYAMLError(
            problem=f"{node.value!r}: write it in quotes", problem_mark=node.start_mark
        )
    return value


def _scalar(loader: _Loader, node: yaml.Node) -> Any:
    try:
        value = loader.construct_object(node)
    except (AttributeError, LookupError) as error:  # PyYAML's own, for a tag that its text doesn't fit
        raise yaml.MarkedYAMLError(
            problem=f"{node.value!r} can't be read as {node.tag.rpartition(':')[2]}",
            problem_mark=node.start_mark,
        ) from error
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if number and (":" in node.value or (isinstance(value, int) and not DECIMAL.fullmatch(node.value))):
        raise yaml.MarkedYAMLError(
            problem=f"{node.value!r} would be read as {value}: write that, or put it in quotes as a text",
            problem_mark=node.start_mark,
        )
    return value


def _element(
    loader: _Loader, node: yaml.Node, keys: tuple[str | int, ...], lines: dict[tuple[str | int, ...], int]
) -> Any:
    lines[keys] = node.start_mark.line + 1
    return _plain(loader, node, keys, lines)


def _mapping(
    loader: _Loader,
    node: yaml.MappingNode,
    keys: tuple[str | int, ...],
    lines: dict[tuple[str | int, ...], int],
) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, child in node.value:
        key: Hashable = _scalar(loader, key_node)
        if not isinstance(key, (str, int)) or isinstance(key, bool):
            raise yaml.MarkedYAMLError(problem=f"{key!r} is no key", problem_mark=key_node.start_mark)
        name = str(key)
        if name.isascii() and name.isdecimal() and name != str(int(name)):  # the same as another, in the end
            raise yaml.MarkedYAMLError(
                problem=f"{name!r} is no key, write {int(name)}", problem_mark=key_node.start_mark
            )
        if name in result:
            raise yaml.MarkedYAMLError(problem=f"{name!r} is given twice", problem_mark=key_node.start_mark)
        lines[(*keys, name)] = key_node.start_mark.line + 1
        result[name] = _plain(loader, child, (*keys, name), lines)
    return result
