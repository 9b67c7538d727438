"""Anthropic tools: ``{"name": ..., "description": ..., "input_schema": {...}}``.

A file holds an array of them, an object with a ``tools`` array (the body of a request), or JSONL of either. Snake
case is also found in dumps of MCP servers; :mod:`gentool.catalog.mcp` says how the two are told apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from gentool.catalog import mcp
from gentool.catalog.entries import Entry, Row, tools_of
from gentool.jsonl import excerpt


def _is_tool(value: Any) -> bool:
    return isinstance(value, dict) and "input_schema" in value and not mcp.is_tool(value)


def score(row: Row) -> int:
    """How many entries of ``row`` have the form of an Anthropic tool."""
    return sum(_is_tool(r.value) for r in tools_of(row))


def _entry(row: Row, source: str) -> Entry:
    tool = row.value
    if row.problem or not isinstance(tool, dict):
        return Entry(row.where, tool, source, problem=row.problem or "not a tool: expected an object")
    kind = tool.get("type")
    if kind not in (None, "custom"):
        # Tools that run at Anthropic, such as web_search_20250305, have no schema of their own.
        return Entry(row.where, tool, source, problem=f"not a custom tool: its type is {excerpt(kind, 40)}")
    return Entry(
        row.where,
        tool,
        source,
        name=tool.get("name"),
        description=tool.get("description"),
        parameters=tool.get("input_schema"),
        repairs=("`strict` dropped",) if "strict" in tool else (),
    )


def entries(rows: Iterable[Row], file: str) -> Iterator[Entry]:
    """One entry for each tool, or would-be tool, in ``rows`` of a file of that name."""
    for row in rows:
        for tool in tools_of(row):
            yield _entry(tool, f"anthropic:{file}")
