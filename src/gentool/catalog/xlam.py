"""xLAM and APIGen: ``{"query": ..., "tools": ..., "answers": ...}``, the last two arrays or their JSON text.

Parameters have no JSON Schema around them: name -> ``{"type": "List[int], optional", "description", "default"}``. A
parameter is required unless its type says optional, or it has a default.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from gentool.catalog.entries import Case, Entry, Row, listed, tools_of
from gentool.catalog.types import is_bare, object_schema

_SOURCE = "xlam"


def _is_container(value: Any) -> bool:
    return isinstance(value, dict) and {"query", "tools", "answers"} <= value.keys()


def _is_tool(value: Any) -> bool:
    return isinstance(value, dict) and "name" in value and is_bare(value.get("parameters"))


def score(row: Row) -> int:
    """Two for each entry with bare parameters, which other formats cannot read; else one for each in a container."""
    container = _is_container(row.value)
    tools = [r.value for r in tools_of(row)]
    return container + sum(
        2 if _is_tool(t) else int(container and isinstance(t, dict) and "name" in t) for t in tools
    )


def _entry(row: Row, source: str) -> Entry:
    tool = row.value
    if row.problem or not isinstance(tool, dict):
        return Entry(row.where, tool, source, problem=row.problem or "not a tool: expected an object")
    parameters = tool.get("parameters")
    repairs: list[str] = []
    if is_bare(parameters):
        parameters = object_schema(parameters, repairs)
    return Entry(
        row.where,
        tool,
        source,
        name=tool.get("name"),
        description=tool.get("description"),
        parameters=parameters,
        repairs=tuple(dict.fromkeys(repairs)),
    )


def entries(rows: Iterable[Row], file: str) -> Iterator[Entry]:
    """One entry for each tool of each query, or bare tool, in ``rows``."""
    for row in rows:
        for tool in tools_of(row):
            yield _entry(tool, f"{_SOURCE}:{file}")


def cases(rows: Sequence[Row]) -> Iterator[Case]:
    """One case for each query."""
    for row in rows:
        if not _is_container(row.value):
            continue
        tools = tuple(r.where for r in tools_of(row) if not r.problem)
        calls: list[tuple[Any, Any]] = []
        problem = ""
        for answer in listed(row.where, row.value["answers"], "answers"):
            if answer.problem or not isinstance(answer.value, dict):
                problem = answer.problem or "malformed list: expected each of `answers` to be an object"
                break
            calls.append((answer.value.get("name"), answer.value.get("arguments")))
        yield Case(row.where, row.value, _SOURCE, row.value["query"], tools, tuple(calls), problem)
