"""On which grounds is one tool weaker than another? What can be told from the two definitions alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from gentool.records import Tool
from gentool.synthesis.text import name_words, words

_LIMIT = re.compile(
    r"\b(only|no|not|never|cannot|can't|doesn't|does not|without|except|excluding|at most|up to|limited|maximum|"
    r"single|first|basic|rough|approximate|short|summary|overview|one[ -]line)\b",
    re.IGNORECASE,
)
_SHORTER = 0.9
"""A description of at most that share of the other's words says less."""


@dataclass(frozen=True)
class _Profile:
    """What a tool offers: its parameters by path, what of them is required, their choices, its texts and result."""

    parameters: dict[str, dict[str, Any]]
    required: frozenset[str]
    words: int
    parameter_words: int
    limits: int
    result: frozenset[str] = field(default=frozenset())

    @property
    def optional(self) -> int:
        return len(self.parameters) - len(self.required)


def _leaves(schema: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Parameters with their paths, and whether they are required; objects by their own properties."""
    if not isinstance(schema, dict):
        return
    properties = schema.get("properties")
    required = schema.get("required")
    for name, value in properties.items() if isinstance(properties, dict) else ():
        at = f"{path}{name}"
        must = isinstance(required, list) and name in required
        inner = value if isinstance(value, dict) else {}
        if inner.get("type") == "array" and isinstance(inner.get("items"), dict):
            inner = {**inner["items"], "description": inner.get("description", "")}
        deeper = list(_leaves(inner, f"{at}.", depth + 1)) if depth < 8 else []
        yield from deeper or [(at, inner, must)]


def _profile(tool: Tool) -> _Profile:
    leaves = list(_leaves(tool.parameters))
    said = [str(schema.get("description") or "") for _, schema, _ in leaves]
    return _Profile(
        parameters={path: schema for path, schema, _ in leaves},
        required=frozenset(path for path, _, must in leaves if must),
        words=len(words(tool.description)),
        parameter_words=sum(len(words(text)) for text in said),
        limits=len(_LIMIT.findall(tool.description)),
        result=frozenset(path for path, _, _ in _leaves(tool.function.output_schema)),
    )


def parameters_of(tool: Tool) -> dict[str, dict[str, Any]]:
    """The schemas of a tool's parameters by their paths, such as ``party.adults``; objects by their properties."""
    return {path: schema for path, schema, _ in _leaves(tool.parameters)}


def _choices(schema: dict[str, Any]) -> set[str] | None:
    values = schema.get("enum")
    return {repr(v) for v in values} if isinstance(values, list) else None


def _narrower(weak: dict[str, Any], strong: dict[str, Any]) -> bool:
    """Does a parameter of both tools take less in the first?"""
    few, many = _choices(weak), _choices(strong)
    if few is not None and (many is None or few < many):
        return True
    pairs = [("maximum", 1), ("maxItems", 1), ("maxLength", 1), ("minimum", -1), ("minItems", -1)]
    for key, sign in pairs:
        a, b = weak.get(key), strong.get(key)
        if isinstance(a, int | float) and (b is None or (isinstance(b, int | float) and sign * a < sign * b)):
            return True
    return False


def weaker_grounds(weak: Tool, strong: Tool) -> list[str]:
    """In what the first tool is weaker: ``parameters``, ``required``, ``choices``, ``description``, ``limits``,
    ``result``, ``name``. Names of parameters are compared as they are: a renamed one counts as another."""
    a, b = _profile(weak), _profile(strong)
    shared = a.parameters.keys() & b.parameters.keys()
    grounds = {
        "parameters": len(a.parameters) < len(b.parameters),
        "required": len(a.required) > len(b.required) and len(a.parameters) <= len(b.parameters),
        "choices": any(_narrower(a.parameters[p], b.parameters[p]) for p in shared),
        "description": a.words <= _SHORTER * b.words or a.parameter_words <= _SHORTER * b.parameter_words - 1,
        "limits": a.limits > b.limits,
        "result": bool(b.result) and len(a.result) < len(b.result),
        "name": len(name_words(weak.name)) < len(name_words(strong.name)),
    }
    return [ground for ground, holds in grounds.items() if holds]


def richer_grounds(weak: Tool, strong: Tool) -> list[str]:
    """In what the first tool, meant to be the weaker, clearly offers more than the second.

    More required parameters are not more to offer: they are more work for the caller.
    """
    a, b = _profile(weak), _profile(strong)
    shared = a.parameters.keys() & b.parameters.keys()
    grounds = {
        "parameters": a.optional > b.optional and len(a.parameters) > len(b.parameters),
        "choices": any(_narrower(b.parameters[p], a.parameters[p]) for p in shared),
        "result": bool(b.result) and len(a.result) > len(b.result),
    }
    return [ground for ground, holds in grounds.items() if holds]
