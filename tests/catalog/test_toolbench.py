"""ToolBench: endpoints of RapidAPI, in documents of a tool and in queries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.imports import kinds, load

REQUIRED = [
    {"name": "bed", "type": "STRING", "description": "Which bed.", "default": "roses"},
    {"name": "day", "type": "DATE (YYYY-MM-DD)", "description": "", "default": ""},
]
OPTIONAL = [{"name": "litres", "type": "NUMBER", "description": "How much.", "default": "2"}]


def api(name: str = "/water/:bed", **more: Any) -> dict[str, Any]:
    lists = {"required_parameters": REQUIRED, "optional_parameters": OPTIONAL}
    return {
        "name": name,
        "url": "http://127.0.0.1/",
        "description": "Waters a bed.",
        "method": "GET",
        **lists,
        **more,
    }


def test_each_endpoint_of_a_document_is_a_tool(tmp_path: Path) -> None:
    document = {
        "tool_name": "My Garden",
        "tool_description": "Garden.",
        "api_list": [api(), api("Mow", required_parameters=[])],
    }
    imported = load(tmp_path, document)
    assert (imported.format, imported.read, imported.cases_read) == ("toolbench", 2, 0)
    water, mow = imported.tools
    assert (water.name, mow.name) == ("_water__bed", "Mow")
    assert imported.names == {"_water__bed": "/water/:bed"} and water.source == "toolbench:My Garden"
    assert water.parameters == {
        "type": "object",
        "properties": {
            "bed": {"type": "string", "description": "Which bed.", "examples": ["roses"]},
            "day": {"type": "string", "description": ""},
            "litres": {"type": "number", "description": "How much.", "default": 2},
        },
        "required": ["bed", "day"],
    }
    assert kinds(imported.repaired) == {"name not valid": 1, "type name": 1}


def test_endpoints_of_queries_are_counted_each_time(tmp_path: Path) -> None:
    lists = {"required_parameters": [], "optional_parameters": OPTIONAL}
    endpoint = {
        "category_name": "Home",
        "tool_name": "My Garden",
        "api_name": "Mow",
        "api_description": "Mows.",
        **lists,
    }
    query = {"query": "Mow.", "query_id": 1, "api_list": [endpoint], "relevant APIs": [["My Garden", "Mow"]]}
    other = {**endpoint, "tool_name": "Park", "api_description": "Mows a park."}
    imported = load(tmp_path, [query, {**query, "query_id": 2}, {**query, "api_list": [other]}])
    assert imported.format == "toolbench"
    assert (imported.read, len(imported.duplicates)) == (3, 1)
    assert [(t.name, t.domain) for t in imported.tools] == [("Mow", "Home"), ("Mow_park", "Home")]


def test_what_is_no_endpoint_is_rejected(tmp_path: Path) -> None:
    bad = [5, {"name": "x"}, api(required_parameters=[{"type": "STRING"}]), api(optional_parameters={})]
    imported = load(
        tmp_path, {"tool_name": "T", "api_list": [api(), *bad]}, {"api_list": "x"}, format="toolbench"
    )
    assert kinds(imported.rejected) == {"not an endpoint": 2, "parameters": 2, "malformed list": 1}
