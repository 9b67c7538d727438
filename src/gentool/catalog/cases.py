"""Turns a recorded query with its calls into a use case, or says why it is none."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from gentool.catalog.entries import Case, unfit
from gentool.catalog.names import original_name
from gentool.catalog.schema import call_problems
from gentool.jsonl import excerpt, strict_json
from gentool.records import Tool, ToolCall, UseCase

_FROM_ANOTHER = re.compile(r"API_call_\d+\b.*|<[^<>]+>|\$?\{[^{}]+\}", re.DOTALL)
"""How benchmarks write a value that another call returns, or that somebody is to fill in."""


class Unfit(Exception):
    """Why a case is no use case. Never leaves the import."""


def use_case(case: Case, at: Mapping[str, Tool], names: Mapping[str, str]) -> tuple[UseCase, list[str]]:
    """The use case that ``case`` makes, and what was repaired in its calls.

    ``at`` has the tool of each entry by its ``where``; ``names``: new name -> name in the file. Raises
    :class:`Unfit` where the calls do not fit the tools; tools that were rejected are missed only if they are called.
    """
    problem = case.problem or unfit(case.raw)
    if problem:
        raise Unfit(problem)
    if not isinstance(case.query, str) or not case.query.strip():
        raise Unfit(f"no query: expected a text; found {excerpt(case.query, 60)}")
    tools = {tool.id: tool for where in case.tools if (tool := at.get(where))}
    if not tools:
        raise Unfit("no tool: none of its tools was kept")
    repairs: list[str] = []
    calls = tuple(_call(name, arguments, tools, names, repairs) for name, arguments in case.calls)
    source = f"{case.source}:{case.where}"
    made = UseCase(query=case.query.strip(), tools=tuple(tools.values()), tool_calls=calls, source=source)
    return made, list(dict.fromkeys(repairs))


def _call(
    name: Any, arguments: Any, tools: Mapping[str, Tool], names: Mapping[str, str], repairs: list[str]
) -> ToolCall:
    candidates = [t for t in tools.values() if original_name(t.name, names) == name]
    if not candidates:
        raise Unfit(f"unknown tool: calls {excerpt(name, 60)}, which is not among its tools")
    if not isinstance(arguments, dict):
        raise Unfit(f"arguments: expected an object; found {excerpt(arguments, 60)}")
    hole = _hole(arguments)
    if hole:
        raise Unfit(f"depends on another call: {excerpt(hole, 60)} stands for its result")
    problems: list[str] = []
    for tool in candidates:
        made: list[str] = []
        call = ToolCall.of(tool.name, fitted(arguments, tool.parameters, made))
        problems = call_problems(tool, call)
        if not problems:
            repairs += made
            return call
    raise Unfit(f"call does not fit its tool: {tool.name}: {'; '.join(problems)}")


def _hole(value: Any) -> str:
    """The first text of ``value`` that stands for a value not known yet; empty if there is none."""
    if isinstance(value, str):
        return value if _FROM_ANOTHER.fullmatch(value.strip()) else ""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next(filter(None, map(_hole, parts)), "")


def fitted(arguments: dict[str, Any], schema: Mapping[str, Any], repairs: list[str]) -> dict[str, Any]:
    """``arguments`` with plain faults of type repaired: a number given as a text, or a text as a number.

    An optional argument that is null or an empty text, which its schema does not allow, was meant to be left out.
    """
    made = {}
    properties = schema.get("properties")
    required = schema.get("required", [])
    for name, value in arguments.items():
        part = properties.get(name) if isinstance(properties, dict) else None
        if not isinstance(part, dict):
            made[name] = value
        elif name not in required and value in (None, "") and not _allows(part, value):
            repairs.append(f"empty argument: `{name}` left out")
        else:
            made[name] = _fitted(value, part, repairs, name)
    return made


def _types(schema: Mapping[str, Any]) -> list[Any]:
    found = schema.get("type", [])
    return found if isinstance(found, list) else [found]


def _allows(schema: Mapping[str, Any], empty: Any) -> bool:
    types = _types(schema)
    kind = "null" if empty is None else "string"
    return (not types or kind in types) and ("enum" not in schema or empty in schema["enum"])


def _fitted(value: Any, schema: Any, repairs: list[str], name: str) -> Any:
    if not isinstance(schema, dict):
        return value
    types = _types(schema)
    if isinstance(value, dict):
        return fitted(value, schema, repairs)
    if isinstance(value, list):
        return [_fitted(part, schema.get("items"), repairs, name) for part in value]
    if isinstance(value, str) and types and "string" not in types:
        made = _value(value, types)
        if made is not None:
            repairs.append(
                f"{types[0]} given as a text: `{name}` {excerpt(value, 40)} became {excerpt(made, 40)}"
            )
            return made
    if isinstance(value, int | float) and not isinstance(value, bool) and types == ["string"]:
        repairs.append(f"text given as a number: `{name}` {excerpt(value, 40)} became a text")
        return json.dumps(value)
    return value


def _value(text: str, types: list[Any]) -> Any:
    """The number or boolean that ``text`` is, if ``types`` has it; else nothing."""
    try:
        value = strict_json(text.strip().lower())
    except (ValueError, RecursionError):
        return None
    if isinstance(value, bool):
        return value if "boolean" in types else None
    if isinstance(value, int) and ("integer" in types or "number" in types):
        return value
    return value if isinstance(value, float) and "number" in types else None
