"""The comparison of two tools, and where values stand in a query."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gentool.records import Function, Tool
from gentool.review.compare import compare, differing_words
from gentool.review.quotes import quotes, segments


def tool(name: str, description: str = "", **properties: Any) -> Tool:
    schema = {"type": "object", "properties": properties, "required": ["city"]}
    return Tool(function=Function(name=name, description=description, parameters=schema))


def rows(first: Tool, second: Tool) -> dict[str, dict[str, Any]]:
    return {row["path"]: row for row in compare(first, second)["rows"]}


def test_parameters_that_one_tool_lacks_and_enum_values() -> None:
    unit = {"type": "string", "enum": ["C", "F", "K"], "default": "C", "description": "Unit of the result"}
    city = {"type": "string", "minLength": 2}
    source = tool("a", city=city, unit=unit, days={"type": "integer"})
    made = tool(
        "b", city=city, unit={**unit, "enum": ["C"], "default": "F"}, place={"type": ["string", "null"]}
    )
    found = rows(source, made)
    assert {path: row["state"] for path, row in found.items()} == {
        "city": "same",
        "unit": "changed",
        "days": "only",
        "place": "only",
    }
    left, right = found["unit"]["cells"]
    assert left["choices"] == [('"C"', False), ('"F"', True), ('"K"', True)]
    assert right["choices"] == [('"C"', False)]
    assert left["new"] == right["new"] == ["default"]
    assert (left["default"], right["default"]) == ('"C"', '"F"')
    assert found["days"]["cells"][1] is None and found["place"]["cells"][0] is None
    assert found["place"]["cells"][1]["type"] == "string | null"
    assert found["city"]["cells"][0]["limits"] == "minLength 2" and found["city"]["cells"][0]["required"]


def test_nested_parameters_have_paths() -> None:
    nested = {"type": "object", "properties": {"from": {"type": "string"}}, "required": ["from"]}
    listed = {"type": "array", "items": {"type": "object", "properties": {"name": {"enum": ["x"]}}}}
    found = rows(tool("a", when=nested, rows=listed), tool("b"))
    assert list(found) == ["when", "when.from", "rows", "rows[].name"]
    assert found["when.from"]["cells"][0]["required"]
    assert found["rows"]["cells"][0]["type"] == "array of object"


@pytest.mark.parametrize(
    "schema", [True, {"$ref": "#/$defs/x"}, {"anyOf": [{"type": "string"}, {}]}, {"enum": "x"}, {"items": 3}]
)
def test_odd_schemas_are_shown(schema: Any) -> None:
    assert list(rows(tool("a", odd=schema), tool("b"))) == ["odd"]


def test_schemas_without_end_are_cut() -> None:
    deep: dict[str, Any] = {"type": "object", "properties": {}}
    for _ in range(40):
        deep = {"type": "object", "properties": {"x": deep}}
    wide = {f"p{i}": {"type": "string"} for i in range(3000)}
    assert len(rows(tool("a", x=deep), tool("b"))) < 20
    assert len(rows(tool("a", **wide), tool("b"))) == 400


def test_words_that_the_other_lacks() -> None:
    text = "Finds trains between two stations, with fares and platforms."
    found = differing_words(text, "Finds trains between two stations, with times.")
    assert [part for part, lacks in found if lacks] == [" fares and platforms."]
    other = differing_words("Weather of a city and its past.", "Sends mail and letters to people you know.")
    assert [lacks for _, lacks in other] == [False]


@given(st.text(max_size=80), st.text(max_size=80))
def test_segments_are_the_text(text: str, other: str) -> None:
    assert "".join(part for part, _ in differing_words(text, other)) == text


@pytest.mark.parametrize(
    ("value", "spans", "quoted"),
    [
        ("Bergen", ["bergen"], "all"),
        ("berg", [], "no"),
        (3, ["3"], "all"),
        (3.0, ["3"], "all"),
        (13, [], "no"),
        (1500, ["1,500"], "all"),
        ("two_days", ["two days"], "all"),
        ("Bergen Central Station", ["bergen"], "part"),
        ({"place": "bergen", "n": [3, 7]}, ["bergen", "3"], "part"),
        (True, [], "no"),
        (None, [], "no"),
        ("", [], "no"),
        ("(x)", ["(x)"], "all"),
    ],
)
def test_quotes(value: Any, spans: list[str], quoted: str) -> None:
    query = "Trip to bergen 😀 (x) for two days, 3 people, 1,500 euros, train 130?"
    found, how = quotes(query, value)
    assert ([query[a:b] for a, b in found], how) == (spans, quoted)


def test_pieces_of_a_query_carry_all_marks() -> None:
    query = "😀 Oslo to Bergen"
    assert segments(query, {"a": [(2, 6)], "b": [(2, 6), (10, 16)]}) == [
        ("😀 ", []),
        ("Oslo", ["a", "b"]),
        (" to ", []),
        ("Bergen", ["b"]),
    ]
    assert segments("", {}) == []
