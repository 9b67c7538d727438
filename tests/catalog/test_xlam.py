"""xLAM and APIGen: parameters without a schema, types of Python, columns as JSON text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gentool.catalog.types import is_bare, type_schema
from tests.imports import calls, kinds, load

PARAMETERS = {
    "bed": {"type": "str", "description": "Which bed."},
    "litres": {"type": "float, optional", "description": "How much.", "default": "2.5"},
    "days": {"type": "List[int], optional", "description": "On which days."},
    "note": {"type": "int", "default": ""},
}


def row(query: str = "Water the roses.", answers: Any = None, **more: Any) -> dict[str, Any]:
    tools = [{"name": "garden.water", "description": "Waters a bed.", "parameters": PARAMETERS}]
    answers = [{"name": "garden.water", "arguments": {"bed": "roses"}}] if answers is None else answers
    return {"id": 0, "query": query, "tools": json.dumps(tools), "answers": json.dumps(answers), **more}


def test_parameters_become_a_schema(tmp_path: Path) -> None:
    imported = load(tmp_path, [row()])
    assert imported.format == "xlam" and imported.names == {"garden_water": "garden.water"}
    (tool,) = imported.tools
    assert tool.parameters == {
        "type": "object",
        "properties": {
            "bed": {"type": "string", "description": "Which bed."},
            "litres": {"type": "number", "description": "How much.", "default": 2.5},
            "days": {"type": "array", "items": {"type": "integer"}, "description": "On which days."},
            "note": {"type": "integer"},
        },
        "required": ["bed"],
    }
    assert kinds(imported.repaired) == {"name not valid": 1, "type name": 4, "default dropped": 1}


def test_calls_become_use_cases_under_the_new_names(tmp_path: Path) -> None:
    imported = load(
        tmp_path,
        [
            row(),
            row("Soak the roses.", [{"name": "garden.water", "arguments": {"bed": "roses", "litres": "9"}}]),
        ],
    )
    assert (imported.read, len(imported.tools), len(imported.duplicates)) == (2, 1, 1)
    assert [case.query for case in imported.use_cases] == ["Water the roses.", "Soak the roses."]
    assert imported.use_cases[0].tool_calls[0].name == "garden_water"
    assert imported.use_cases[0].tools == (imported.tools[0],) == imported.use_cases[1].tools
    assert calls(imported, 1) == [("garden.water", {"bed": "roses", "litres": 9})]
    assert kinds(imported.repaired_cases) == {"number given as a text": 1}
    assert imported.use_cases[1].source == "xlam:a.jsonl:2"


@pytest.mark.parametrize(
    ("kind", "case"),
    [
        ("call does not fit its tool", row(answers=[{"name": "garden.water", "arguments": {}}])),
        (
            "call does not fit its tool",
            row(answers=[{"name": "garden.water", "arguments": {"bed": "x", "to": 1}}]),
        ),
        ("unknown tool", row(answers=[{"name": "garden.mow", "arguments": {}}])),
        ("arguments", row(answers=[{"name": "garden.water", "arguments": "bed"}])),
        ("malformed list", row(answers={"name": "garden.water"})),
        ("malformed list", row() | {"answers": "[{"}),
        ("malformed list", row(answers=["garden.water"])),
        ("no query", row(" ")),
        ("no tool", row() | {"tools": "[]"}),
        ("exact duplicate", row()),
    ],
)
def test_case_is_kept_out_with_its_reason(tmp_path: Path, kind: str, case: dict[str, Any]) -> None:
    imported = load(tmp_path, [row(), case])
    assert kinds(imported.rejected_cases) == {kind: 1}
    assert imported.rejected_cases[0].where == "a.jsonl:2" and len(imported.use_cases) == 1


def test_other_columns_and_bare_tools(tmp_path: Path) -> None:
    listed = row() | {"tools": json.loads(row()["tools"]), "answers": []}
    assert load(tmp_path, [listed]).use_cases[0].tool_calls == ()
    bare = load(tmp_path, json.loads(row()["tools"]))
    assert (bare.format, len(bare.tools), bare.cases_read) == ("xlam", 1, 0)
    required = [{"name": "a", "description": "A.", "parameters": {"x": {"type": "int", "required": False}}}]
    assert load(tmp_path, required).tools[0].parameters["required"] == []


def test_a_broken_column_is_rejected(tmp_path: Path) -> None:
    imported = load(tmp_path, [row(), row("Mow.") | {"tools": "[{"}])
    assert kinds(imported.rejected) == {"malformed list": 1}


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ("str", {"type": "string"}),
        ("Integer", {"type": "integer"}),
        ("Dict[str, Any]", {"type": "object"}),
        ("List[List[float]]", {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}),
        ("List[Any]", {"type": "array"}),
        ("Tuple[float, float]", {"type": "array"}),
        ("Optional[bool]", {"type": ["boolean", "null"]}),
        ("Union[int, float]", {"type": ["integer", "number"]}),
        ("Union[int, int]", {"type": "integer"}),
        ("Optional[Union[int, str]]", {"anyOf": [{"type": ["integer", "string"]}, {"type": "null"}]}),
        (
            "Union[int, List[int]]",
            {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]},
        ),
        ("int | str", {"type": ["integer", "string"]}),
        ("str or int", {"type": ["string", "integer"]}),
        ("any", {}),
        ("np.ndarray", None),
        ("Callable[[float], float]", None),
        ("]]][[", None),
    ],
)
def test_types_of_python(text: str, schema: dict[str, Any] | None) -> None:
    assert type_schema(text) == schema


def test_what_is_bare() -> None:
    assert is_bare(PARAMETERS) and is_bare({"properties": {"type": "str"}})
    assert not any(map(is_bare, ({}, {"type": "object"}, {"properties": {"a": {}}}, {"a": 5}, [], None)))
