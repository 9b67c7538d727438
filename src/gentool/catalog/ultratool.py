"""UltraTool: ``{"question": ..., "plan": [...], "tools": [{"name", "description", "arguments", "results"}]}``.

``arguments`` is a JSON Schema without ``required``: nothing is known to be needed, and nothing is added. Calls are
steps of the plan, ``{"step": ..., "tool": "name(key='value')"}``, or the ``reference`` of the usage test, which has
``{"tool": name, "param": {...}}`` beside a ``toolset``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from gentool.catalog.entries import Case, Entry, Row, listed
from gentool.catalog.literals import python_call

_SOURCE = "ultratool"


def _is_tool(value: Any) -> bool:
    arguments = value.get("arguments") if isinstance(value, dict) else None
    return (
        isinstance(arguments, dict) and {"name", "description"} <= value.keys() and "properties" in arguments
    )


def _tools(row: Row) -> list[Row]:
    if not row.problem and isinstance(row.value, dict):
        for key in ("tools", "toolset"):
            if key in row.value:
                return list(listed(row.where, row.value[key], key))
    return [row]


def score(row: Row) -> int:
    """Two for each tool, since other formats with a name and a description have no schema in ``arguments``."""
    return sum(2 for r in _tools(row) if _is_tool(r.value))


def _entry(row: Row, whole: Any, source: str) -> Entry:
    tool = row.value
    if row.problem or not isinstance(tool, dict):
        return Entry(row.where, tool, source, problem=row.problem or "not a tool: expected an object")
    domain = whole.get("domain") if isinstance(whole, dict) and whole is not tool else None
    return Entry(
        row.where,
        tool,
        source,
        name=tool.get("name"),
        description=tool.get("description"),
        parameters=tool.get("arguments"),
        output_schema=tool.get("results") or None,
        domain=domain if isinstance(domain, str) and domain.isprintable() else None,
    )


def entries(rows: Iterable[Row], file: str) -> Iterator[Entry]:
    """One entry for each tool of each question, or bare tool, in ``rows``."""
    for row in rows:
        for tool in _tools(row):
            yield _entry(tool, row.value, f"{_SOURCE}:{file}")


def _calls(value: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Raises ``ValueError`` for a step whose call cannot be read."""
    steps = value.get("reference", value.get("plan"))
    for step in steps if isinstance(steps, list) else []:
        tool = step.get("tool") if isinstance(step, dict) else None
        if not isinstance(tool, str):
            continue
        if "param" in step:
            yield tool, step["param"]
        elif "(" in tool:  # other texts say that the step needs no tool
            yield python_call(tool)


def cases(rows: Sequence[Row]) -> Iterator[Case]:
    """One case for each question that comes with a plan or reference of calls."""
    for row in rows:
        if row.problem or not isinstance(row.value, dict) or "question" not in row.value:
            continue
        tools = tuple(t.where for t in _tools(row) if not t.problem)
        calls: list[tuple[Any, Any]] = []
        try:
            calls = list(_calls(row.value))
            problem = "" if calls else "no call: the plan calls no tool"
        except ValueError as error:
            problem = f"call cannot be read: {error}"
        yield Case(row.where, row.value, _SOURCE, row.value["question"], tools, tuple(calls), problem)
