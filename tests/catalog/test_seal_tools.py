"""Seal-Tools: types of Python, numbers as texts, tools and queries in files of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gentool.catalog.importer import CatalogError, import_tools
from tests.imports import calls, checked, kinds, load, shared


def tool(name: str = "waterBed", **more: Any) -> dict[str, Any]:
    parameters = {
        "bed": {"type": "str", "description": "Which."},
        "litres": {"type": "float"},
        "times": {"type": "int"},
    }
    described = {"api_description": "Waters a bed.", "field": "Home/Garden", "parameters": parameters}
    return {
        "api_name": name,
        **described,
        "required": ["bed"],
        "responses": {"done": {"type": "bool"}},
        **more,
    }


def case(query: str, *called: tuple[Any, Any]) -> dict[str, Any]:
    return {
        "id": "x",
        "query": query,
        "calling": [{"api": a, "parameters": p, "responses": []} for a, p in called],
    }


def test_tool(tmp_path: Path) -> None:
    imported = load(tmp_path, [tool(), tool("stop", parameters={}, required=[])])
    assert imported.format == "seal_tools" and imported.cases_read == 0
    water, stop = imported.tools
    assert water.parameters == {
        "type": "object",
        "properties": {
            "bed": {"type": "string", "description": "Which."},
            "litres": {"type": "number"},
            "times": {"type": "integer"},
        },
        "required": ["bed"],
    }
    assert water.function.output_schema == {"type": "object", "properties": {"done": {"type": "boolean"}}}
    assert (water.domain, stop.parameters) == ("Home", {"type": "object", "properties": {}})


def test_numbers_as_texts_are_repaired_and_noted(tmp_path: Path) -> None:
    cases = [
        case("Water.", ("waterBed", {"bed": 7, "litres": "2.5", "times": "3"})),
        case("And stop.", ("waterBed", {"bed": "roses"}), ("stop", {})),
    ]
    imported = load(tmp_path, cases, [tool(), tool("stop", parameters={}, required=[])])
    assert calls(imported) == [("waterBed", {"bed": "7", "litres": 2.5, "times": 3})]
    assert [name for name, _ in calls(imported, 1)] == ["waterBed", "stop"]
    assert [t.name for t in imported.use_cases[1].tools] == ["waterBed", "stop"]
    assert kinds(imported.repaired_cases) == {
        "text given as a number": 1,
        "number given as a text": 1,
        "integer given as a text": 1,
    }


@pytest.mark.parametrize(
    ("kind", "called"),
    [
        ("depends on another call", ("waterBed", {"bed": "API_call_0"})),
        ("call does not fit its tool", ("waterBed", {"bed": "roses", "times": "2.5"})),
        ("call does not fit its tool", ("waterBed", {"bed": "roses", "times": "1e999"})),
        ("call does not fit its tool", ("waterBed", {"bed": "roses", "litres": "true"})),
        ("no tool", ("mow", {})),
    ],
)
def test_case_is_kept_out_with_its_reason(tmp_path: Path, kind: str, called: Any) -> None:
    imported = load(tmp_path, [tool()], [case("Water.", called), {"query": "x", "calling": 5}])
    assert kinds(imported.rejected_cases) == {kind: 1, "malformed list": 1}


def test_queries_alone_are_no_catalogue(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="expected at least one tool"):
        load(tmp_path, [case("Water.", ("waterBed", {}))])


def test_every_published_tool_is_kept() -> None:
    files = shared(*(f"seal_tools/{n}.jsonl" for n in ("tool", "dev", "test_in_domain", "test_out_domain")))
    imported = checked(import_tools(files))
    assert (imported.format, imported.read, len(imported.tools)) == ("seal_tools", 4076, 4076)
    assert imported.cases_read == 700 + 700 + 654
    # What is kept out cannot be called: results of other calls, and values of another type.
    assert kinds(imported.rejected_cases) == {"depends on another call": 85, "call does not fit its tool": 12}
    assert len({n.where for n in imported.repaired_cases}) == 108
