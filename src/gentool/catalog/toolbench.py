"""ToolBench: the endpoints of RapidAPI.

A tool is ``{"tool_name": ..., "api_list": [{"name", "description", "required_parameters", "optional_parameters"}]}``; a
query has an ``api_list`` too, with ``tool_name``, ``api_name`` and ``api_description`` in each. Each endpoint is a tool
here. Queries name the relevant endpoints but have no calls, so they make no use cases.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from gentool.catalog.entries import Entry, Row, listed
from gentool.catalog.types import property_schema
from gentool.jsonl import excerpt

_SOURCE = "toolbench"
_TYPES = {"string": "string", "number": "number", "boolean": "boolean", "object": "object", "array": "array"}


def _is_api(value: Any) -> bool:
    return isinstance(value, dict) and {"required_parameters", "optional_parameters"} <= value.keys()


def _apis(row: Row) -> Iterator[Row]:
    if row.problem or not isinstance(row.value, dict) or "api_list" not in row.value:
        yield row
    else:
        yield from listed(row.where, row.value["api_list"], "api_list")


def score(row: Row) -> int:
    """Two for each endpoint, since no other format has both lists of parameters."""
    return sum(2 for r in _apis(row) if _is_api(r.value))


def _text(value: Any, whole: Any, key: str) -> str | None:
    """The text under ``key`` of an endpoint, or of the tool that it lies in."""
    found = value.get(key, whole.get(key) if isinstance(whole, dict) else None)
    return found if isinstance(found, str) and found.strip() and found.isprintable() else None


def _parameters(api: dict[str, Any], repairs: list[str]) -> dict[str, Any]:
    """Raises ``ValueError`` for lists of parameters that are none."""
    properties: dict[str, Any] = {}
    required = []
    for key in ("required_parameters", "optional_parameters"):
        for parameter in api[key] if isinstance(api[key], list) else [None]:
            if not isinstance(parameter, dict) or not isinstance(parameter.get("name"), str):
                raise ValueError(
                    f"parameters: expected each of `{key}` to have a name; found {excerpt(parameter, 60)}"
                )
            name, written = parameter["name"], str(parameter.get("type", "")).lower()
            if written not in _TYPES:
                # Dates, times, choices, geographic points: all go into an address as texts.
                repairs.append(f"type name: {excerpt(parameter.get('type'), 40)} became string")
            described = {k: v for k, v in parameter.items() if k in ("description", "default")}
            properties[name], _ = property_schema({**described, "type": _TYPES.get(written, "string")}, [])
            default = properties[name].pop("default", "")
            if key == "required_parameters":
                required.append(name)
                # The default of a parameter that must be given is an example of RapidAPI's test form.
                if default != "":
                    properties[name]["examples"] = [default]
            elif default != "":
                properties[name]["default"] = default
    return {"type": "object", "properties": properties, "required": required}


def _entry(row: Row, whole: Any, source: str) -> Entry:
    api = row.value
    if row.problem or not _is_api(api):
        problem = row.problem or "not an endpoint: expected `required_parameters` and `optional_parameters`"
        return Entry(row.where, api, source, problem=problem)
    repairs: list[str] = []
    try:
        parameters = _parameters(api, repairs)
    except ValueError as problem:
        return Entry(row.where, api, source, problem=str(problem))
    return Entry(
        row.where,
        api,
        source,
        name=api.get("api_name", api.get("name")),
        description=api.get("api_description", api.get("description")),
        parameters=parameters,
        server=_text(api, whole, "tool_name"),
        domain=_text(api, whole, "category_name"),
        repairs=tuple(dict.fromkeys(repairs)),
    )


def entries(rows: Iterable[Row], file: str) -> Iterator[Entry]:
    """One entry for each endpoint of each tool or query in ``rows``; their source is the tool."""
    for row in rows:
        for api in _apis(row):
            name = _text(api.value, row.value, "tool_name") if isinstance(api.value, dict) else None
            yield _entry(api, row.value, f"{_SOURCE}:{name or file}")
