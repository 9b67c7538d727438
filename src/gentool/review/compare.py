"""Two tools side by side: what one has and the other has not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from typing import Any

from gentool.records import Tool

Segment = tuple[str, bool]
"""A piece of text, and whether the other tool lacks it."""

_MOST_WORDS = 800
"""Longer descriptions are shown without a comparison, which takes quadratic time."""
_ALIKE = 0.3
"""Texts that have less in common are other texts: marking all of both would say nothing."""
_SMALL = 3
"""Letters of a small word."""
_MOST_PARAMETERS = 400
_DEPTH = 8
_SHOWN = ("type", "enum", "const", "default", "description", "properties", "items", "required", "title")
"""Keywords that have a place of their own, or say nothing; all others are limits."""
_JOINS = ("anyOf", "oneOf", "allOf")


@dataclass(frozen=True)
class Parameter:
    """A parameter of a tool, at any depth."""

    type: str
    required: bool
    description: str
    choices: tuple[str, ...] = ()
    """Values of its enum, as JSON."""
    default: str | None = None
    limits: str = ""
    """Further keywords of its schema: format, minimum, pattern..."""


def _type(schema: Any, depth: int = 0) -> str:
    """A schema's type in words."""
    if not isinstance(schema, dict) or depth > _DEPTH:
        return "any"
    if "type" in schema:
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        shown = [
            f"array of {_type(schema['items'], depth + 1)}"
            if kind == "array" and "items" in schema
            else str(kind)
            for kind in kinds
        ]
        return " | ".join(shown)
    for key in _JOINS:
        if isinstance(schema.get(key), list):
            return " | ".join(dict.fromkeys(_type(part, depth + 1) for part in schema[key]))
    return str(schema["$ref"]) if "$ref" in schema else "any"


def _choices(schema: Any) -> tuple[str, ...]:
    """The values that a schema, or the items of its array, are restricted to."""
    for place in (schema, schema.get("items")):
        if isinstance(place, dict):
            values = place.get("enum", [place["const"]] if "const" in place else None)
            if isinstance(values, list):
                return tuple(json.dumps(value, ensure_ascii=False) for value in values)
    return ()


def _parameter(schema: Any, required: bool) -> Parameter:
    if not isinstance(schema, dict):
        return Parameter("any", required, "")
    limits = [
        f"{key} {json.dumps(value, ensure_ascii=False)[:200]}"
        for key, value in schema.items()
        if key not in _SHOWN and key not in _JOINS and key != "$ref"
    ]
    default = json.dumps(schema["default"], ensure_ascii=False) if "default" in schema else None
    description = schema.get("description", "")
    return Parameter(_type(schema), required, str(description), _choices(schema), default, ", ".join(limits))


def _walk(schema: Any, before: str, depth: int) -> Iterator[tuple[str, Parameter]]:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict) or depth > _DEPTH:
        return
    required = schema.get("required")
    names = required if isinstance(required, list) else []
    for name, value in properties.items():
        path = f"{before}{name}"
        yield path, _parameter(value, name in names)
        if isinstance(value, dict):
            yield from _walk(value, f"{path}.", depth + 1)
            yield from _walk(value.get("items"), f"{path}[].", depth + 1)


def parameters(tool: Tool) -> dict[str, Parameter]:
    """Path -> parameter, nested ones as ``filter.from`` and ``rows[].name``, in the order of the schema."""
    found: dict[str, Parameter] = {}
    for path, parameter in _walk(tool.parameters, "", 0):
        found[path] = parameter
        if len(found) == _MOST_PARAMETERS:
            break
    return found


def differing_words(text: str, other: str) -> list[Segment]:
    """``text`` in segments; marked are words that ``other`` does not have at that place.

    Nothing is marked in texts that have little in common, or are very long.
    """
    ours, theirs = re.findall(r"\s*\S+\s*$|\s*\S+", text), other.split()
    if not ours or len(ours) > _MOST_WORDS or len(theirs) > _MOST_WORDS:
        return [(text, False)]
    matcher = SequenceMatcher(
        None, [word.strip().lower() for word in ours], [w.lower() for w in theirs], False
    )
    if matcher.ratio() < _ALIKE:
        return [(text, False)]
    lacking = [True] * len(ours)
    for begin, _, size in matcher.get_matching_blocks():
        # A lone small word in common, such as "and", is chance.
        if size > 1 or (size and len(ours[begin].strip()) > _SMALL):
            lacking[begin : begin + size] = [False] * size
    runs = groupby(zip(ours, lacking, strict=True), key=lambda pair: pair[1])
    return [("".join(word for word, _ in run), lacks) for lacks, run in runs]


def _cell(own: Parameter | None, other: Parameter | None) -> dict[str, Any] | None:
    """What a tool has in a row; ``new`` names what the other has not or has otherwise."""
    if own is None:
        return None
    theirs = other.choices if other else ()
    new = [
        name
        for name in ("type", "required", "default", "limits")
        if other is not None and getattr(own, name) != getattr(other, name)
    ]
    return {
        "type": own.type,
        "required": own.required,
        "description": differing_words(own.description, other.description)
        if other
        else [(own.description, False)],
        "choices": [(text, other is not None and text not in theirs) for text in own.choices],
        "default": own.default,
        "limits": own.limits,
        "new": new,
    }


def compare(first: Tool, second: Tool) -> dict[str, Any]:
    """Both descriptions in segments, and a row for each parameter of either: ``same``, ``changed`` or ``only``."""
    ours, theirs = parameters(first), parameters(second)
    rows = []
    for path in [*ours, *(p for p in theirs if p not in ours)]:
        left, right = ours.get(path), theirs.get(path)
        state = "only" if left is None or right is None else "same" if left == right else "changed"
        rows.append({"path": path, "state": state, "cells": [_cell(left, right), _cell(right, left)]})
    return {
        "descriptions": [
            differing_words(first.description, second.description),
            differing_words(second.description, first.description),
        ],
        "rows": rows,
    }


def schema_text(tool: Tool) -> str:
    """The parameters' schema as indented JSON."""
    return json.dumps(tool.parameters, ensure_ascii=False, indent=2)
