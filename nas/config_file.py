"""A config file into a value: YAML, types, and paths that count from the file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from nas.validation import Refused
from nas.yaml_file import YamlError, read_yaml

T = TypeVar("T")


class ConfigError(ValueError):
    """A config that can't be used; the line says in which file, at which key, and what to write."""


def read_config(path: Path, parse: Callable[[dict[str, Any]], T]) -> T:
    """Read a config file; relative paths in it count from its own directory.

    `parse` makes the value, a dataclass, of YAML's data and raises Refused. Raises ConfigError.
    """
    try:
        file = read_yaml(path)
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file") from error
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except YamlError as error:
        raise ConfigError(str(error)) from error
    try:
        return _absolute(parse(file.data), path.absolute().parent)
    except Refused as error:
        raise ConfigError(f"{file.where(error.keys)}: {error}") from error


def _absolute(value: T, base: Path) -> T:
    """The same with every path in it counted from `base`, however deep in dataclasses, dicts, tuples."""
    made: Any = value
    if isinstance(value, Path):
        made = base / _expanded(value)
    elif isinstance(value, dict):
        made = {key: _absolute(inside, base) for key, inside in value.items()}
    elif isinstance(value, tuple):
        made = tuple(_absolute(inside, base) for inside in value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [entry.name for entry in dataclasses.fields(value) if entry.init]
        made = dataclasses.replace(value, **{name: _absolute(getattr(value, name), base) for name in names})
    found: T = made
    return found


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{path}: {error}; write the path out") from error
