"""Seal-Tools: one tool a line (``api_name``, ``parameters`` with types of Python, ``required``, ``responses``).

Queries lie in files of their own, ``{"query": ..., "calling": [{"api": ..., "parameters": {...}}]}``, and are read
when these are imported together with the tools. A query has no list of tools: those that it calls are its tools.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from gentool.catalog.entries import Case, Entry, Row
from gentool.catalog.types import is_bare, object_schema

_SOURCE = "seal_tools"


def _is_case(value: Any) -> bool:
    return isinstance(value, dict) and {"query", "calling"} <= value.keys()


def score(row: Row) -> int:
    """Two for a tool, since other formats with its keys have none of ``api_name``; one for a query."""
    if isinstance(row.value, dict) and {"api_name", "parameters"} <= row.value.keys():
        return 2
    return int(_is_case(row.value))


def _domain(field: Any) -> str | None:
    """The first part of "Field/Subfield"."""
    text = field.partition("/")[0].strip() if isinstance(field, str) else ""
    return text if text.isprintable() and text else None


def _entry(row: Row, source: str) -> Entry:
    tool = row.value
    if row.problem or not isinstance(tool, dict):
        return Entry(row.where, tool, source, problem=row.problem or "not a tool: expected an object")
    repairs: list[str] = []
    parameters, output = tool.get("parameters"), tool.get("responses")
    if is_bare(parameters):
        parameters = {**object_schema(parameters, repairs), "required": tool.get("required", [])}
    if is_bare(output):
        output = {k: v for k, v in object_schema(output, []).items() if k != "required"}
    return Entry(
        row.where,
        tool,
        source,
        name=tool.get("api_name"),
        description=tool.get("api_description"),
        parameters=parameters,
        output_schema=output or None,
        domain=_domain(tool.get("field")),
        repairs=tuple(dict.fromkeys(repairs)),
    )


def entries(rows: Iterable[Row], file: str) -> Iterator[Entry]:
    """One entry for each tool, or would-be tool, in ``rows``. Queries have none."""
    for row in rows:
        if not _is_case(row.value):
            yield _entry(row, f"{_SOURCE}:{file}")


def cases(rows: Sequence[Row]) -> Iterator[Case]:
    """One case for each query."""
    at: dict[str, str] = {}
    for row in rows:
        if isinstance(row.value, dict) and isinstance(row.value.get("api_name"), str):
            at.setdefault(row.value["api_name"], row.where)
    for row in rows:
        if not _is_case(row.value):
            continue
        called = row.value["calling"]
        if not isinstance(called, list) or not all(isinstance(c, dict) for c in called):
            problem = "malformed list: expected `calling` to be an array of calls"
            yield Case(row.where, row.value, _SOURCE, row.value["query"], problem=problem)
            continue
        calls = tuple((c.get("api"), c.get("parameters")) for c in called)
        tools = tuple(at[name] for name, _ in calls if isinstance(name, str) and name in at)
        yield Case(row.where, row.value, _SOURCE, row.value["query"], tools, calls)
