"""OpenAI tools: ``{"type": "function", "function": {...}}`` (Chat Completions) or the same flat (Responses).

A file holds an array of them, an object with a ``tools`` array (or its JSON text), or JSONL of either.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from gentool.catalog.entries import Entry, Row, tools_of
from gentool.jsonl import excerpt, write_text
from gentool.records import Tool


def _is_tool(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    named = value.get("type") == "function" and "name" in value
    return isinstance(value.get("function"), dict) or named or {"name", "parameters"} <= value.keys()


def score(row: Row) -> int:
    """How many entries of ``row`` have the form of an OpenAI tool."""
    return sum(_is_tool(r.value) for r in tools_of(row))


def entry(row: Row, source: str) -> Entry:
    """The parts of one tool, or why it is none."""
    tool = row.value
    if row.problem:
        return Entry(row.where, tool, source, problem=row.problem)
    if not isinstance(tool, dict):
        return Entry(row.where, tool, source, problem="not a tool: expected an object")
    kind = tool.get("type", "function")
    if kind != "function":
        problem = f"not a function: its type is {excerpt(kind, 40)}"
        return Entry(row.where, tool, source, problem=problem)
    function = tool.get("function", tool)
    if not isinstance(function, dict):
        return Entry(row.where, tool, source, problem="not a tool: expected `function` to be an object")
    repairs = []
    if "type" not in tool:
        repairs.append("`type` missing: set to function")
    if "strict" in tool or "strict" in function:
        repairs.append("`strict` dropped")
    return Entry(
        row.where,
        tool,
        source,
        name=function.get("name"),
        description=function.get("description"),
        parameters=function.get("parameters"),
        repairs=tuple(repairs),
    )


def entries(rows: Iterable[Row], file: str) -> Iterator[Entry]:
    """One entry for each tool, or would-be tool, in ``rows`` of a file of that name."""
    for row in rows:
        for tool in tools_of(row):
            yield entry(tool, f"openai:{file}")


def write_openai(tools: Iterable[Tool], path: Path) -> None:
    """Write tools as a JSON array in Chat-Completions form; the file appears whole or not at all."""
    text = json.dumps([t.openai() for t in tools], ensure_ascii=False, indent=2)
    write_text(path, text + "\n")
