"""Data from outside into typed values, or one line that says where, what was expected and what was found."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

T = TypeVar("T")
Keys = tuple[str | int, ...]

_UNKNOWN: Final = frozenset({"extra_forbidden", "unexpected_keyword_argument"})
_SHOWN: Final = 60
_NAMES: Final = {
    "bool": "true or false",
    "dataclass": "a mapping of keys to values",
    "dict": "a mapping of keys to values",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "model_attributes": "a mapping of keys to values",
    "string": "a text",
    "tuple": "a list",
}


class Refused(ValueError):
    """Data that doesn't fit its type: the keys that lead to the culprit, and what is wrong there."""

    def __init__(self, keys: Keys, problem: str) -> None:
        super().__init__(keys, problem)
        self.keys = keys
        self.problem = problem

    def __str__(self) -> str:
        return f"{dotted(self.keys)}: {self.problem}" if self.keys else self.problem


def dotted(keys: Keys) -> str:
    """A path of keys as people write it: `splits.train`, `offsets[2]`."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{_word(key)}" for key in keys)
    return text.removeprefix(".")


def _word(key: str) -> str:
    """A key as it stands, unless that would be more than a line."""
    return key if key.isprintable() and len(key) <= _SHOWN else _shown(key)


def validate(kind: type[T], data: Any) -> T:
    """Data (of JSON's types) as a value of `kind`: no text for a number, no unknown key. Raises Refused."""
    whole: Any = kind  # mypy finds a type[T] not hashable
    try:
        value: T = adapter(whole).validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        raise _refused(kind, data, error.errors(include_url=False)) from error
    return value


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    """Built once for each type: it takes a few milliseconds."""
    return TypeAdapter(kind)


def _refused(kind: Any, data: Any, errors: list[ErrorDetails]) -> Refused:
    first = min(errors, key=_rank)
    keys = _keys(first, data)
    problem = _problem(kind, data, keys, first)
    # The members of a union each complain about the same place: that is one slip.
    others = len({_keys(error, data) for error in errors} - {keys})
    return Refused(keys, f"{problem} (and {others} more)" if others else problem)


def _rank(error: ErrorDetails) -> int:
    """Which of several errors says most: the lower the more."""
    if error["type"] in _UNKNOWN:
        return 0  # a misspelt key is often a missing one too
    return 1 if error["type"] == "value_error" else 2  # of a union's members the one whose type fits


def _keys(error: ErrorDetails, data: Any) -> Keys:
    """Where an error is, as pydantic gives it, without the names of union members, which are in no file."""
    location = error["loc"]
    keys: list[str | int] = []
    for position, part in enumerate(location):
        inside: Any = data
        if isinstance(data, Mapping) and str(part) in data:
            part = str(part)
            inside = data[part]
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            inside = data[part]
        elif position < len(location) - 1 or error["type"] != "missing":
            continue
        keys.append(part)
        data = inside
    return tuple(keys)


def _problem(kind: Any, data: Any, keys: Keys, error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    match error["type"]:
        case name if name in _UNKNOWN:
            return f"unknown key; {_hint(str(keys[-1]), _siblings(adapter(kind).json_schema(), data, keys))}"
        case "missing":
            return "is missing"
        case "union_tag_not_found":
            return f"has no {str(context['discriminator']).strip(chr(39))!r}"
        case "union_tag_invalid":
            valid = [tag.strip(" '") for tag in str(context["expected_tags"]).split(",")]
            return f"unknown kind {context['tag']!r}; {_hint(str(context['tag']), valid)}"
        case "literal_error" | "enum":
            valid = [word.strip(" '") for word in str(context["expected"]).replace(" or ", ",").split(",")]
            return f"found {_shown(error['input'])}; {_hint(str(error['input']), valid)}"
        case "value_error":
            return str(context["error"])
        case name:
            # Types are named like int_type, int_parsing, string_type; the rest has a message.
            expected = _NAMES.get(name.removesuffix("_type").removesuffix("_from_float"))
            wanted = f"expected {expected}" if expected else error["msg"][0].lower() + error["msg"][1:]
            return f"{wanted}, found {_shown(error['input'])}"


def _shown(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value, default=str)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _hint(word: str, valid: Iterable[str]) -> str:
    valid = sorted(valid)
    near = difflib.get_close_matches(word, valid, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(valid)}"


def _siblings(schema: dict[str, Any], data: Any, keys: Keys) -> list[str]:
    """The keys that are known beside the last of `keys`, read from the JSON schema of the type."""
    node = _followed(schema, schema, data)
    for key in keys[:-1]:
        data = data[key]
        if isinstance(key, int):
            below = node.get("items") or (node.get("prefixItems") or [{}])[0]
        else:
            below = node.get("properties", {}).get(key) or node.get("additionalProperties") or {}
        node = _followed(schema, below, data)
    return list(node.get("properties", {}))


def _followed(schema: dict[str, Any], node: dict[str, Any], data: Any) -> dict[str, Any]:
    """A node with its references, optional and tagged unions followed to the member that `data` means."""
    while True:
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
        elif "discriminator" in node:
            tag = data.get(node["discriminator"]["propertyName"]) if isinstance(data, Mapping) else None
            node = {"$ref": node["discriminator"]["mapping"].get(tag, "")} if tag else {}
            if node and not node["$ref"]:
                return {}
        elif "anyOf" in node:
            members = [member for member in node["anyOf"] if member.get("type") != "null"]
            node = next((member for member in members if "$ref" in member), members[0])
        else:
            return node
