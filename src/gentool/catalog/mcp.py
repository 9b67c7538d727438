"""MCP tools: a ``tools/list`` result, the JSON-RPC response around one, or servers with their tools.

A server is ``{"server": ..., "label": ..., "tools": [...]}``; a file holds one of these, an array, or JSONL of
them. ``title``, ``annotations``, ``icons`` and ``_meta`` are meant for clients and are left out.

Dumps in snake case look like Anthropic's tools. ``input_schema`` counts as MCP in the container of a server, or
beside a key that only MCP has; else it is Anthropic's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import Any

from gentool.catalog.entries import Entry, Row, tools_of, unfit
from gentool.jsonl import excerpt


def _result(row: Row) -> Row:
    """``row``, without the JSON-RPC response around it."""
    if not isinstance(row.value, dict) or "jsonrpc" not in row.value:
        return row
    if isinstance(row.value.get("result"), dict):
        return Row(row.where, row.value["result"])
    found = excerpt(row.value.get("error", row.value.get("result")), 120)
    return Row(row.where, row.value, f"no result: the server answered {found}")


_OWN_KEYS = frozenset({"outputSchema", "output_schema", "annotations", "icons", "_meta"})


def is_tool(value: Any, container: bool = False) -> bool:
    """Whether ``value`` has the form of an MCP tool; ``container``: it lies in one that only MCP has."""
    if not isinstance(value, dict):
        return False
    return "inputSchema" in value or (
        "input_schema" in value and (container or not _OWN_KEYS.isdisjoint(value))
    )


def score(row: Row) -> int:
    """How many entries of ``row`` have the form of an MCP tool; one more for the container of a server."""
    value = row.value
    container = isinstance(value, dict) and ("jsonrpc" in value or {"server", "tools"} <= value.keys())
    return container + sum(is_tool(r.value, container) for r in tools_of(_result(row)))


def _text(container: Any, key: str) -> tuple[str | None, tuple[str, ...]]:
    """The text under ``key``, and a note where something else lies there."""
    value = container.get(key) if isinstance(container, dict) else None
    if value is None or (isinstance(value, str) and value.strip() and not unfit(value)):
        return value, ()
    return None, (f"`{key}` ignored: expected a text; found {excerpt(value, 40)}",)


def _entry(row: Row, server: str | None, domain: str | None, source: str, repairs: tuple[str, ...]) -> Entry:
    tool = row.value
    if row.problem or not isinstance(tool, dict):
        return Entry(row.where, tool, source, problem=row.problem or "not a tool: expected an object")
    return Entry(
        row.where,
        tool,
        source,
        name=tool.get("name"),
        description=tool.get("description"),
        parameters=tool.get("inputSchema", tool.get("input_schema")),
        output_schema=tool.get("outputSchema", tool.get("output_schema")),
        server=server,
        domain=domain,
        repairs=repairs,
    )


def entries(rows: Iterable[Row], file: str) -> Iterator[Entry]:
    """One entry for each tool, or would-be tool, in ``rows`` of a file of that name.

    Tools of a server without a name have the file as their source.
    """
    unnamed = PurePath(file).name.split(".")[0] or file
    for row in rows:
        result = _result(row)
        # Only a container says whose its tools are: in a bare tool these keys mean nothing.
        container = result.value if isinstance(result.value, dict) and "tools" in result.value else None
        server, about_server = _text(container, "server")
        domain, about_label = _text(container, "label")
        for tool in tools_of(result):
            yield _entry(tool, server, domain, f"mcp:{server or unnamed}", about_server + about_label)
