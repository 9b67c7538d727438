"""A fast answer for ordinary schemas: certainly valid, or unknown.

A full check against the meta-schema takes milliseconds, a hundred times as long; with tens of thousands of tools that
is minutes. Whatever is unusual is left to the full check.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from typing import Any

from gentool.catalog.repair import MAPS, SCHEMAS

_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
_TEXTS = frozenset({"title", "description", "format", "contentEncoding", "contentMediaType", "$comment"})
_FLAGS = frozenset({"deprecated", "readOnly", "writeOnly", "uniqueItems"})
_COUNTS = frozenset({"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"})
_NUMBERS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
_CHOICES = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_SAME_VALUE = ("allOf", "anyOf", "oneOf")
_UNUSUAL = frozenset(
    {"dependencies", "dependentRequired", "dependentSchemas", "multipleOf", "patternProperties"}
)
_UNUSUAL |= {"minContains", "maxContains", "contentSchema", "additionalItems"}
_REFERENCE = re.compile(r"#/\$defs/([a-zA-Z0-9_.-]+)")
_LEVELS = 48


@cache
def compiles(pattern: str) -> bool:
    """Whether a pattern, perhaps written for another language, means something here."""
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return False
    return True


def plainly_valid(schema: Any, level: int = 0) -> bool:
    """Whether ``schema`` certainly is a JSON Schema 2020-12 with no references but to ``#/$defs/NAME``."""
    if not isinstance(schema, dict):
        return isinstance(schema, bool)
    if level > _LEVELS:
        return False
    return all(_plain(key, part, level + 1) for key, part in schema.items())


def _plain(key: str, part: Any, level: int) -> bool:
    if key == "type":
        return _is_type(part)
    if key in _TEXTS:
        return isinstance(part, str)
    if key in MAPS and key not in _UNUSUAL:
        return isinstance(part, dict) and all(plainly_valid(p, level) for p in part.values())
    if key in _CHOICES:
        return isinstance(part, list) and bool(part) and all(plainly_valid(p, level) for p in part)
    if key in SCHEMAS and key not in _UNUSUAL:
        return plainly_valid(part, level)
    if key == "required":
        return (
            isinstance(part, list) and all(isinstance(n, str) for n in part) and len(set(part)) == len(part)
        )
    if key in ("enum", "examples"):
        return isinstance(part, list)
    if key in _FLAGS:
        return isinstance(part, bool)
    if key in _COUNTS:
        return type(part) is int and part >= 0
    if key in _NUMBERS:
        return type(part) in (int, float)
    if key == "pattern":
        return isinstance(part, str) and compiles(part)
    if key == "$ref":
        return isinstance(part, str) and _REFERENCE.fullmatch(part) is not None
    return not key.startswith("$") and key not in _UNUSUAL


def _is_type(part: Any) -> bool:
    if isinstance(part, str):
        return part in _TYPES
    if not isinstance(part, list) or not part or not all(isinstance(name, str) for name in part):
        return False
    return _TYPES.issuperset(part) and len(set(part)) == len(part)


def _all_references(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for part in schema:
            yield from _all_references(part)
    elif isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        for part in schema.values():
            if isinstance(part, dict | list):
                yield from _all_references(part)


def _judging(schema: Any) -> Iterator[str]:
    """The definitions that judge the same value as ``schema`` does."""
    if not isinstance(schema, dict):
        return
    if "$ref" in schema:
        yield schema["$ref"]
    for key in _SAME_VALUE:
        for part in schema.get(key, ()):
            yield from _judging(part)
    for key in ("not", "if", "then", "else"):
        if key in schema:
            yield from _judging(schema[key])


def plain_references(schema: dict[str, Any]) -> bool:
    """Whether all references of a plainly valid ``schema`` certainly lead to its ``$defs``, and none in a circle."""
    used = set(_all_references(schema))
    if not used:
        return True
    definitions = {f"#/$defs/{name}": part for name, part in schema.get("$defs", {}).items()}
    if not used <= definitions.keys():
        return False
    try:
        TopologicalSorter({name: set(_judging(part)) for name, part in definitions.items()}).prepare()
    except CycleError:
        return False
    return True
