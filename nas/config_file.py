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
    """The same dataclass with every path in it counted from `base`."""
    changes: dict[str, Any] = {}
    for entry in dataclasses.fields(value):  # type: ignore[arg-type]  # T is always one of our dataclasses
        inside = getattr(value, entry.name)
        if isinstance(inside, Path):
            changes[entry.name] = base / _expanded(inside)
        elif dataclasses.is_dataclass(inside) and not isinstance(inside, type):
            changes[entry.name] = _absolute(inside, base)
    return dataclasses.replace(value, **changes)  # type: ignore[type-var]  # as above


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{path}: {error}; write the path out") from error
