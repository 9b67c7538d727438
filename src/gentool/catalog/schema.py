"""JSON-Schema checks of tools, calls and pairs (draft 2020-12, which MCP and OpenAI use)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError, UnknownType, best_match
from referencing import Registry
from referencing.exceptions import Unresolvable

from gentool.catalog.entries import unfit
from gentool.catalog.plain_schema import plainly_valid
from gentool.catalog.references import reference_problems
from gentool.records import Tool, ToolCall, ToolPair

_FORMATS = FormatChecker(formats=["date", "email", "ipv4", "ipv6"])

MAX_CHARACTERS = 200_000
"""Largest tool, as JSON: some 50,000 tokens, several times the largest one known."""


def oversize(tool: Tool) -> str:
    """Why a tool is too large for any prompt; empty if it is not."""
    size = len(json.dumps(tool.openai(), ensure_ascii=False))
    if size <= MAX_CHARACTERS:
        return ""
    return f"expected at most {MAX_CHARACTERS:,} characters as JSON; found {size:,}, more than a prompt holds"


def tool_problems(tool: Tool) -> list[str]:
    """What is wrong with a tool's schema, its references aside; empty if a call of it can be checked."""
    schema = tool.parameters
    try:
        if not plainly_valid(schema):
            Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        at = ".".join(str(p) for p in error.absolute_path) or "(schema)"
        return [f"parameters.{at}: not a valid JSON Schema: {error.message[:200]}"]
    except RecursionError:
        return ["parameters: nested too deeply to be checked"]
    problems = []
    properties = schema.get("properties", {})
    for name, value in properties.items():
        if not isinstance(value, dict | bool):
            problems.append(f"parameters.properties.{name}: expected a schema; found {value!r}")
    missing = [n for n in schema.get("required", []) if n not in properties]
    if missing:
        problems.append(f"parameters.required: names {missing} are not among the properties")
    return problems


def unusable(tool: Tool) -> list[str]:
    """All that is wrong with a tool: its size, its schema, and references that leave the schema or go in a circle."""
    try:
        large = oversize(tool)
        if large:
            return [f"(all): {large}"]
        problem = unfit(tool.parameters)
        if problem:
            return [f"parameters: {problem}"]
        return tool_problems(tool) or [f"parameters: {text}" for text in reference_problems(tool.parameters)]
    except RecursionError:
        return ["parameters: nested too deeply to be checked"]


def call_problems(tool: Tool, call: ToolCall) -> list[str]:
    """Why ``call`` is not a valid call of ``tool``; empty if it is.

    An argument that the schema does not name is a problem even where ``additionalProperties``
    is not forbidden: nobody asked for it.
    """
    if call.name != tool.name:
        return [f"calls {call.name!r}, expected {tool.name!r}"]
    problems = []
    properties = tool.parameters.get("properties", {})
    if not isinstance(tool.parameters.get("additionalProperties"), dict):
        extra = [n for n in call.arguments if n not in properties]
        if extra:
            problems.append(f"arguments {extra} are not parameters of {tool.name!r}")
    # An empty registry: a schema's references never reach for the network or for files.
    validator = Draft202012Validator(tool.parameters, format_checker=_FORMATS, registry=Registry())
    try:
        for error in sorted(validator.iter_errors(call.arguments), key=lambda e: list(map(str, e.path))):
            cause = best_match([error]) or error
            at = ".".join(str(p) for p in cause.absolute_path) or "(arguments)"
            problems.append(f"{at}: {cause.message[:200]}")
    except (Unresolvable, RecursionError) as failure:
        problems.append(f"parameters: a reference cannot be resolved: {str(failure)[:200]}")
    except (ValueError, TypeError, AttributeError, OverflowError, re.error, UnknownType) as failure:
        # What jsonschema raises for schemas that are valid and cannot be applied, such as references to no schema.
        problems.append(f"parameters: the schema cannot be applied: {str(failure)[:200]}")
    return problems


def _alternative_calls(call: ToolCall, alternatives: dict[str, list[Any]]) -> Iterator[tuple[str, ToolCall]]:
    for argument, values in alternatives.items():
        for value in values:
            arguments = {k: v for k, v in call.arguments.items() if k != argument}
            if value is not None:
                arguments[argument] = value
            yield f"alternatives.{call.name}.{argument}", ToolCall.of(call.name, arguments)


def pair_problems(pair: ToolPair) -> list[str]:
    """What is wrong with a pair's schemas, calls and alternatives, each beginning with its field."""
    problems = [f"tools.{i}.function.{text}" for i, tool in enumerate(pair.tools) for text in unusable(tool)]
    if problems:
        return problems
    for i, query in enumerate(pair.queries):
        for j, call in enumerate(query.tool_calls):
            tool = pair.tool(call.name)
            problems += [f"queries.{i}.tool_calls.{j}: {text}" for text in call_problems(tool, call)]
            for field, alternative in _alternative_calls(call, query.alternatives.get(call.name, {})):
                problems += [f"queries.{i}.{field}: {text}" for text in call_problems(tool, alternative)]
    return problems
