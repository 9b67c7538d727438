"""The checks of tools, calls and pairs against their JSON Schemas."""

from __future__ import annotations

from typing import Any

import pytest

from gentool.catalog.schema import call_problems, pair_problems, tool_problems
from gentool.records import Derivation, Function, GradedQuery, Tool, ToolCall, ToolPair

CITY = {"type": "string", "minLength": 1}


def make_tool(name: str = "get_weather", **parameters: Any) -> Tool:
    schema = {"type": "object", "properties": {"city": CITY}, "required": ["city"], **parameters}
    return Tool(function=Function(name=name, description="Weather of a city.", parameters=schema))


def problems_of(properties: dict[str, Any], arguments: dict[str, Any], **more: Any) -> list[str]:
    """Of a call of a tool with these properties, none of them required."""
    tool = make_tool(properties=properties, required=[], **more)
    assert tool_problems(tool) == []
    return call_problems(tool, ToolCall.of(tool.name, arguments))


# --------------------------------------------------------------------------- tools


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"properties": {}, "required": []},
        {"properties": {"city": True}},
        {"properties": {"city": {"$ref": "#/$defs/City"}}, "$defs": {"City": CITY}},
        {"properties": {"city": {"type": ["string", "null"], "nullable": True}}},
        {"additionalProperties": False},
    ],
)
def test_good_tool_has_no_problems(parameters: dict[str, Any]) -> None:
    assert tool_problems(make_tool(**parameters)) == []


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        (
            {"properties": {"city": {"type": "str"}}},
            "parameters.properties.city.type: not a valid JSON Schema",
        ),
        ({"properties": {"city": "string"}}, "parameters.properties.city: not a valid JSON Schema"),
        ({"required": True}, "parameters.required: not a valid JSON Schema"),
        ({"required": ["city", "city"]}, "parameters.required: not a valid JSON Schema"),
        (
            {"properties": {"city": {"exclusiveMinimum": True}}},
            "parameters.properties.city.exclusiveMinimum: not a valid JSON Schema",
        ),
        (
            {"properties": {"city": {"pattern": "("}}},
            "parameters.properties.city.pattern: not a valid JSON Schema",
        ),
        ({"required": ["city", "zip"]}, "parameters.required: names ['zip'] are not among the properties"),
    ],
)
def test_bad_tool_is_told_where_and_why(parameters: dict[str, Any], problem: str) -> None:
    (found,) = tool_problems(make_tool(**parameters))
    assert found.startswith(problem)


def test_required_without_any_properties() -> None:
    tool = Tool(function=Function(name="t", parameters={"type": "object", "required": ["a"]}))
    assert tool_problems(tool) == ["parameters.required: names ['a'] are not among the properties"]


def test_bottomless_schema_is_a_problem_not_a_crash() -> None:
    schema: dict[str, Any] = {}
    for _ in range(400):
        schema = {"not": schema}
    assert tool_problems(make_tool(properties={"city": schema})) == [
        "parameters: nested too deeply to be checked"
    ]


# --------------------------------------------------------------------------- calls


def test_good_call_has_no_problems() -> None:
    assert call_problems(make_tool(), ToolCall.of("get_weather", {"city": "Oslo"})) == []


def test_call_of_another_tool() -> None:
    problems = call_problems(make_tool(), ToolCall.of("get_time", {"city": "Oslo"}))
    assert problems == ["calls 'get_time', expected 'get_weather'"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({}, "(arguments): 'city' is a required property"),
        ({"city": 5}, "city: 5 is not of type 'string'"),
        ({"city": ""}, "city: '' should be non-empty"),
        ({"city": "Oslo", "day": "x"}, "arguments ['day'] are not parameters of 'get_weather'"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], problem: str) -> None:
    assert call_problems(make_tool(), ToolCall.of("get_weather", arguments)) == [problem]


def test_every_bad_argument_is_named() -> None:
    properties = {"b": {"type": "integer"}, "a": {"type": "integer"}}
    problems = problems_of(properties, {"b": "x", "a": "y", "c": 1})
    assert [p.partition(":")[0] for p in problems] == [
        "arguments ['c'] are not parameters of 'get_weather'",
        "a",
        "b",
    ]


def test_unnamed_argument_is_allowed_only_by_a_schema_for_it() -> None:
    assert problems_of({}, {"x": 1}, additionalProperties={"type": "integer"}) == []
    assert problems_of({}, {"x": "y"}, additionalProperties={"type": "integer"}) == [
        "x: 'y' is not of type 'integer'"
    ]
    assert len(problems_of({}, {"x": 1}, additionalProperties=True)) == 1
    assert problems_of({}, {"x": 1}, additionalProperties=False)


def test_cause_within_a_union_is_named() -> None:
    schema = {"anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "null"}]}
    (problem,) = problems_of({"ids": schema}, {"ids": [1, "x"]})
    assert problem == "ids.1: 'x' is not of type 'integer'"


@pytest.mark.parametrize(
    ("format", "good", "bad"),
    [
        ("date", "2026-11-20", "20 November"),
        ("email", "a@example.org", "a at example"),
        ("ipv4", "192.0.2.1", "192.0.2.300"),
        ("ipv6", "2001:db8::1", "2001:db8::g"),
    ],
)
def test_formats_that_are_checked(format: str, good: str, bad: str) -> None:
    properties = {"x": {"type": "string", "format": format}}
    assert problems_of(properties, {"x": good}) == []
    assert problems_of(properties, {"x": bad}) == [f"x: {bad!r} is not a {format!r}"]


def test_format_that_is_not_checked() -> None:
    assert problems_of({"x": {"type": "string", "format": "uuid"}}, {"x": "no uuid"}) == []


def test_reference_is_followed() -> None:
    defs = {"City": CITY}
    assert problems_of({"city": {"$ref": "#/$defs/City"}}, {"city": "Oslo"}, **{"$defs": defs}) == []
    assert problems_of({"city": {"$ref": "#/$defs/City"}}, {"city": 5}, **{"$defs": defs}) == [
        "city: 5 is not of type 'string'"
    ]


def test_reference_that_leads_nowhere_is_a_problem_not_a_crash() -> None:
    (problem,) = problems_of({"city": {"$ref": "#/$defs/No"}}, {"city": "Oslo"})
    assert problem.startswith("parameters: a reference cannot be resolved: ")


def test_reference_in_a_circle_is_a_problem_not_a_crash() -> None:
    (problem,) = problems_of({"city": {"$ref": "#/properties/city"}}, {"city": "Oslo"})
    assert problem.startswith("parameters: a reference cannot be resolved: ")


# --------------------------------------------------------------------------- pairs


def make_pair(
    weak: Tool | None = None, arguments: dict[str, Any] | None = None, **alternatives: Any
) -> ToolPair:
    """A pair with one query that both tools serve; ``alternatives`` are those of the strong tool's call."""
    strong, weak = make_tool(), weak or make_tool("get_weather_lite")
    query = GradedQuery(
        query="How warm is it in Oslo?",
        grades={strong.name: "full", weak.name: "partial"},
        best=strong.name,
        tool_calls=(
            ToolCall.of(strong.name, {"city": "Oslo"}),
            ToolCall.of(weak.name, {"city": "Oslo"} if arguments is None else arguments),
        ),
        alternatives={strong.name: alternatives} if alternatives else {},
    )
    return ToolPair(
        domain="weather",
        tools=(strong, weak),
        derivation=Derivation(tool=weak.name, from_tool=strong.name, how="coarser_result"),
        queries=(query,),
    )


def test_good_pair_has_no_problems() -> None:
    assert pair_problems(make_pair()) == []
    assert pair_problems(make_pair(city=["Oslo, Norway", "Christiania"])) == []


def test_bad_schema_is_named_and_nothing_else_is_checked() -> None:
    weak = make_tool("get_weather_lite", required=["zip"])
    problems = pair_problems(make_pair(weak, arguments={"city": 5}))
    assert problems == ["tools.1.function.parameters.required: names ['zip'] are not among the properties"]


def test_bad_call_is_named() -> None:
    problems = pair_problems(make_pair(arguments={"city": 5}))
    assert problems == ["queries.0.tool_calls.1: city: 5 is not of type 'string'"]


def test_bad_alternative_is_named() -> None:
    problems = pair_problems(make_pair(city=["Bergen", ""]))
    assert problems == ["queries.0.alternatives.get_weather.city: city: '' should be non-empty"]


def test_alternative_null_leaves_the_argument_out() -> None:
    (problem,) = pair_problems(make_pair(city=[None]))
    assert problem == "queries.0.alternatives.get_weather.city: (arguments): 'city' is a required property"


def test_alternative_of_an_argument_that_does_not_exist() -> None:
    (problem,) = pair_problems(make_pair(day=["today"]))
    assert problem == (
        "queries.0.alternatives.get_weather.day: arguments ['day'] are not parameters of 'get_weather'"
    )
    assert pair_problems(make_pair(day=[None])) == []
