"""The import: what is repaired, what is rejected, and that every entry is accounted for."""

from __future__ import annotations

import gzip
import json
import re
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from gentool.catalog import files, importer
from gentool.catalog.entries import MAX_DEPTH, unfit
from gentool.catalog.importer import CatalogError, Imported, import_tools, original_name, summary_table
from gentool.catalog.names import unique_names, valid_name
from gentool.catalog.openai import write_openai
from gentool.catalog.references import reference_problems
from gentool.catalog.schema import tool_problems
from gentool.jsonl import read_jsonl, write_jsonl
from gentool.records import GENERATE_RESPONSE, NAME_PATTERN, Function, Tool

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "mcp_servers.jsonl.gz"
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
NO_PARAMETERS = {"type": "object", "properties": {}}


def mcp_tool(name: Any = "get_weather", parameters: Any = CITY, **more: Any) -> dict[str, Any]:
    return {"name": name, "description": "Weather of a city.", "inputSchema": parameters, **more}


def chat_tool(name: str = "get_weather", **more: Any) -> dict[str, Any]:
    function = {"name": name, "description": "Weather of a city.", "parameters": CITY, **more}
    return {"type": "function", "function": function}


def flat_tool(name: str = "get_weather", **more: Any) -> dict[str, Any]:
    return {"type": "function", **chat_tool(name)["function"], **more}


def load(folder: Path, content: Any, file: str = "tools.json", format: str | None = None) -> Imported:
    """Import ``content``: bytes and text as they are, anything else as JSON."""
    path = folder / file
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    imported = import_tools(path, format)
    assert_accounted(imported)
    return imported


def assert_accounted(imported: Imported) -> None:
    """Nothing is lost, and what was kept can be used."""
    assert imported.read == len(imported.tools) + len(imported.rejected) + len(imported.duplicates)
    names = [t.name for t in imported.tools]
    assert len(set(names)) == len(names)
    assert GENERATE_RESPONSE not in names
    assert all(re.fullmatch(NAME_PATTERN, n) for n in names)
    assert set(imported.names) <= set(names)
    assert all(original != new for new, original in imported.names.items())
    for tool in imported.tools:
        assert tool_problems(tool) == []
        assert reference_problems(tool.parameters) == []
    for note in [*imported.repaired, *imported.rejected, *imported.duplicates]:
        assert note.where and note.reason and note.kind


def kinds(imported: Imported) -> list[str]:
    return [n.kind for n in imported.repaired]


# --------------------------------------------------------------------------- formats and containers

CONTAINERS: dict[str, tuple[str, Any]] = {
    "chat array": ("openai", [chat_tool("a"), chat_tool("b")]),
    "flat array": ("openai", [flat_tool("a"), flat_tool("b")]),
    "object with tools": ("openai", {"model": "m", "tools": [chat_tool("a"), flat_tool("b")]}),
    "tools/list result": ("mcp", {"tools": [mcp_tool("a"), mcp_tool("b")]}),
    "JSON-RPC": ("mcp", {"jsonrpc": "2.0", "id": 1, "result": {"tools": [mcp_tool("a"), mcp_tool("b")]}}),
    "array of servers": (
        "mcp",
        [{"server": "One", "tools": [mcp_tool("a")]}, {"server": "Two", "tools": [mcp_tool("b")]}],
    ),
    "one server": ("mcp", {"server": "One", "label": "X", "tools": [mcp_tool("a"), mcp_tool("b")]}),
}


@pytest.mark.parametrize("case", CONTAINERS)
def test_each_container_is_recognised(tmp_path: Path, case: str) -> None:
    format, content = CONTAINERS[case]
    imported = load(tmp_path, content)
    assert imported.format == format
    assert [(t.name, t.description, t.parameters) for t in imported.tools] == [
        ("a", "Weather of a city.", CITY),
        ("b", "Weather of a city.", CITY),
    ]
    assert imported.repaired == imported.rejected == imported.duplicates == []
    assert imported.names == {}


@pytest.mark.parametrize(
    ("format", "rows"),
    [
        ("openai", [chat_tool("a"), flat_tool("b")]),
        ("openai", [{"messages": [], "tools": [chat_tool("a")]}, {"tools": [chat_tool("b")]}]),
        ("mcp", [mcp_tool("a"), mcp_tool("b")]),
        ("mcp", [{"server": "One", "tools": [mcp_tool("a"), mcp_tool("b")]}]),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_jsonl_plain_and_gzipped(tmp_path: Path, format: str, rows: list[Any], packed: bool) -> None:
    text = "\ufeff" + "\r\n\r\n".join(json.dumps(r) for r in rows)
    # The name says nothing: what is gzipped is told by its content.
    data = gzip.compress(text.encode()) if packed else text.encode()
    imported = load(tmp_path, data, "tools.jsonl")
    assert (imported.format, [t.name for t in imported.tools]) == (format, ["a", "b"])


def test_source_and_domain(tmp_path: Path) -> None:
    server = {"server": "Open Weather", "label": "Weather", "tools": [mcp_tool()]}
    (tool,) = load(tmp_path, server).tools
    assert (tool.source, tool.domain) == ("mcp:Open Weather", "Weather")
    (tool,) = load(tmp_path, {"tools": [mcp_tool()]}, "dump.json.gz").tools
    assert (tool.source, tool.domain) == ("mcp:dump", None)
    (tool,) = load(tmp_path, [chat_tool()], "mine.json").tools
    assert (tool.source, tool.domain) == ("openai:mine.json", None)


def test_input_schema_under_both_spellings_and_output_schema(tmp_path: Path) -> None:
    output = {"type": "object", "properties": {"celsius": {"type": "number"}}}
    snake = {"name": "b", "description": "B.", "input_schema": CITY, "output_schema": output}
    imported = load(tmp_path, {"tools": [mcp_tool("a", outputSchema=output), snake]})
    assert [t.function.output_schema for t in imported.tools] == [output, output]
    assert [t.parameters for t in imported.tools] == [CITY, CITY]


def test_format_given_beats_detection(tmp_path: Path) -> None:
    # Without a schema in any entry, a name alone does not make a list one of tools.
    content = [{"name": "ping", "description": "Ping."}]
    with pytest.raises(CatalogError, match="expected tools in one of the formats openai, mcp"):
        load(tmp_path, content)
    assert load(tmp_path, content, format="mcp").tools[0].parameters == NO_PARAMETERS


def test_where_names_line_and_index(tmp_path: Path) -> None:
    lines = [{"server": "One", "tools": [mcp_tool("a"), 5]}, {"server": "Two", "tools": [6]}]
    imported = load(tmp_path, "\n" + "\n".join(map(json.dumps, lines)), "s.jsonl")
    assert [n.where for n in imported.rejected] == ["s.jsonl:2#1", "s.jsonl:3#0"]
    assert [n.where for n in load(tmp_path, [chat_tool(), 5]).rejected] == ["tools.json#1"]


# --------------------------------------------------------------------------- repairs of schemas


def with_city(schema: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"city": schema}}


SCHEMA_REPAIRS: list[tuple[str, Any, dict[str, Any]]] = [
    ("no parameters", None, NO_PARAMETERS),
    ("no parameters", {}, NO_PARAMETERS),
    ("no parameters", [], NO_PARAMETERS),
    ("`type` of the parameters missing", {"properties": CITY["properties"]}, with_city({"type": "string"})),
    (
        "`type` of the parameters missing",
        {"additionalProperties": False},
        {"additionalProperties": False, "type": "object"},
    ),
    ("`type` of the parameters a union", {"type": ["object", "null"]}, {"type": "object"}),
    ("`$schema` removed", {**CITY, "$schema": "http://json-schema.org/draft-07/schema#"}, CITY),
    ("`$schema` removed", with_city({"$schema": "x", "type": "string"}), with_city({"type": "string"})),
    ("boolean `required` of a property", with_city({"type": "string", "required": True}), CITY),
    (
        "boolean `required` of a property",
        with_city({"type": "string", "required": False}),
        {**with_city({"type": "string"}), "required": []},
    ),
    (
        "boolean `required` of a property",
        with_city({"type": "object", "required": True, "properties": {"a": {"required": True}}}),
        {
            **with_city({"type": "object", "properties": {"a": {}}, "required": ["a"]}),
            "required": ["city"],
        },
    ),
    (
        "boolean `exclusiveMinimum` (draft 4)",
        with_city({"minimum": 0, "exclusiveMinimum": True}),
        with_city({"exclusiveMinimum": 0}),
    ),
    (
        "boolean `exclusiveMaximum` (draft 4)",
        with_city({"maximum": 9, "exclusiveMaximum": False}),
        with_city({"maximum": 9}),
    ),
    ("boolean `exclusiveMinimum` (draft 4)", with_city({"exclusiveMinimum": True}), with_city({})),
    ("`required` names no property", {**CITY, "required": ["city", "zip"]}, CITY),
    ("`required` names a property twice", {**CITY, "required": ["city", "city"]}, CITY),
    ("type name", {**CITY, "type": "dict"}, CITY),
    ("type name", with_city({"type": "str"}), with_city({"type": "string"})),
    ("type name", with_city({"type": "int"}), with_city({"type": "integer"})),
    ("type name", with_city({"type": "float"}), with_city({"type": "number"})),
    ("type name", with_city({"type": "bool"}), with_city({"type": "boolean"})),
    (
        "type name",
        with_city({"type": "list", "items": {"type": "STRING"}}),
        with_city({"type": "array", "items": {"type": "string"}}),
    ),
    ("type name", with_city({"type": ["int", "integer", "null"]}), with_city({"type": ["integer", "null"]})),
    ("type name", with_city({"type": ["string", "string"]}), with_city({"type": ["string"]})),
    ("type name", with_city({"type": "any", "title": "x"}), with_city({"title": "x"})),
    ("type name", {**with_city({"anyOf": [{"type": "int"}]})}, with_city({"anyOf": [{"type": "integer"}]})),
    (
        "type name",
        {"type": "object", "properties": {}, "$defs": {"a": {"type": "int"}}},
        {"type": "object", "properties": {}, "$defs": {"a": {"type": "integer"}}},
    ),
    (
        "array of `items` (draft 7)",
        with_city({"type": "array", "items": [{"type": "number"}, True], "additionalItems": False}),
        with_city({"type": "array", "prefixItems": [{"type": "number"}, True], "items": False}),
    ),
    ("array of `items` (draft 7)", with_city({"type": "array", "items": []}), with_city({"type": "array"})),
    ("keyword null", with_city({"type": "string", "enum": None}), with_city({"type": "string"})),
    (
        "keyword null",
        {"type": "object", "properties": {"city": {"type": "string"}, "zip": None}},
        with_city({"type": "string"}),
    ),
    ("empty array for an object", {"type": "object", "properties": []}, NO_PARAMETERS),
    ("whole schema inside its own `properties`", {"type": "object", "properties": CITY}, CITY),
]


@pytest.mark.parametrize(("kind", "raw", "expected"), SCHEMA_REPAIRS)
def test_schema_is_repaired_and_noted(tmp_path: Path, kind: str, raw: Any, expected: Any) -> None:
    imported = load(tmp_path, {"tools": [mcp_tool("t", raw)]})
    assert [t.parameters for t in imported.tools] == [expected]
    assert set(kinds(imported)) == {kind}
    assert {(n.where, n.name) for n in imported.repaired} == {("tools.json#0", "t")}


def test_same_repair_is_noted_once_a_tool(tmp_path: Path) -> None:
    raw = {"type": "object", "properties": {"a": {"type": "str"}, "b": {"type": "str"}, "c": {"type": "int"}}}
    imported = load(tmp_path, {"tools": [mcp_tool("t", raw)]})
    assert [n.reason for n in imported.repaired] == [
        "type name: str became string",
        "type name: int became integer",
    ]


def test_parameters_that_are_absent(tmp_path: Path) -> None:
    bare = {"name": "a", "description": "A."}
    imported = load(tmp_path, {"tools": [bare, mcp_tool("b")]})
    assert imported.tools[0].parameters == NO_PARAMETERS
    assert kinds(imported) == ["no parameters"]
    imported = load(tmp_path, [{"type": "function", "function": bare}])
    assert imported.tools[0].parameters == NO_PARAMETERS


def test_schema_with_nothing_but_a_dialect(tmp_path: Path) -> None:
    imported = load(tmp_path, {"tools": [mcp_tool("t", {"$schema": "x"})]})
    assert imported.tools[0].parameters == NO_PARAMETERS
    assert kinds(imported) == ["`$schema` removed", "no parameters"]


KEPT_AS_THEY_ARE: list[dict[str, Any]] = [
    {"type": "object"},
    with_city({"type": ["string", "null"]}),
    with_city({"type": "string", "nullable": True}),
    with_city({"const": None, "default": None}),
    with_city({"enum": [None, {"$ref": "#/nowhere"}, {"type": "int"}], "default": {"required": True}}),
    with_city({"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}),
    with_city({"$ref": "#/$defs/City"}) | {"$defs": {"City": {"type": "string"}}},
    with_city({"$ref": "#/definitions/City"}) | {"definitions": {"City": {"type": "string"}}},
    with_city({"$ref": "#"}),
    with_city({"$ref": "#name"}) | {"$defs": {"x": {"$anchor": "name"}}},
    with_city({"$ref": "https://json-schema.org/draft/2020-12/schema"}),
    {"type": "object", "properties": {"$schema": {}, "required": {}, "type": {"type": "string"}}},
    {"type": "object", "properties": {"type": {"type": "string"}, "properties": {"type": "object"}}},
    {"type": "object", "properties": {"$ref": {"type": "string"}}},
]


@pytest.mark.parametrize("schema", KEPT_AS_THEY_ARE)
def test_good_schema_is_left_alone(tmp_path: Path, schema: dict[str, Any]) -> None:
    imported = load(tmp_path, {"tools": [mcp_tool("t", schema)]})
    assert [t.parameters for t in imported.tools] == [schema]
    assert imported.repaired == []


# --------------------------------------------------------------------------- repairs of the rest


def test_missing_description(tmp_path: Path) -> None:
    tools = [mcp_tool("a", description=None), {"name": "b", "inputSchema": CITY}]
    imported = load(tmp_path, {"tools": tools})
    assert [t.description for t in imported.tools] == ["", ""]
    assert kinds(imported) == ["description missing", "description missing"]


def test_strict_is_dropped_wherever_it_lies(tmp_path: Path) -> None:
    outside = {**chat_tool("c"), "strict": True}
    imported = load(tmp_path, [chat_tool("a", strict=True), flat_tool("b", strict=False), outside])
    assert kinds(imported) == ["`strict` dropped"] * 3
    assert all("strict" not in json.dumps(t.openai()) for t in imported.tools)


def test_function_without_its_type(tmp_path: Path) -> None:
    legacy = {"name": "b", "description": "B.", "parameters": CITY}
    imported = load(tmp_path, [{"function": chat_tool("a")["function"]}, legacy])
    assert [t.name for t in imported.tools] == ["a", "b"]
    assert kinds(imported) == ["`type` missing", "`type` missing"]
    assert load(tmp_path, [legacy]).format == "openai"


def test_bad_output_schema_does_not_cost_the_tool(tmp_path: Path) -> None:
    tools = [mcp_tool("a", outputSchema={"type": "strng"}), mcp_tool("b", outputSchema=5)]
    imported = load(tmp_path, {"tools": tools})
    assert [t.function.output_schema for t in imported.tools] == [None, None]
    assert kinds(imported) == ["output schema dropped", "output schema dropped"]


def test_server_and_label_that_are_no_texts(tmp_path: Path) -> None:
    imported = load(tmp_path, {"server": 5, "label": ["x"], "tools": [mcp_tool()]})
    (tool,) = imported.tools
    assert (tool.source, tool.domain) == ("mcp:tools", None)
    assert kinds(imported) == ["`server` ignored", "`label` ignored"]
    imported = load(tmp_path, {"server": "\ud800", "tools": [mcp_tool()]})
    assert imported.tools[0].source == "mcp:tools"
    (tool,) = load(tmp_path, [mcp_tool(server="of a bare tool", label="means nothing")]).tools
    assert (tool.source, tool.domain) == ("mcp:tools", None)


# --------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("original", "name"),
    [
        ("get status", "get_status"),
        ("storage.get", "storage_get"),
        ("长亭 IP", "___IP"),
        ("a\n", "a_"),
        ("x" * 64, "x" * 64),
    ],
)
def test_bad_characters_become_underscores(original: str, name: str) -> None:
    assert valid_name(original) == name


def test_hash_keeps_apart_what_cutting_would_merge() -> None:
    long, other = valid_name("x" * 65), valid_name("x" * 66)
    assert re.fullmatch(r"x{55}_[0-9a-f]{8}", long)
    assert long != other
    assert re.fullmatch(r"tool_[0-9a-f]{8}", valid_name("天气"))
    assert valid_name("天气") != valid_name("地图")


def test_changed_names_lead_back(tmp_path: Path) -> None:
    imported = load(tmp_path, {"tools": [mcp_tool("get status"), mcp_tool("plain")]})
    assert [t.name for t in imported.tools] == ["get_status", "plain"]
    assert imported.names == {"get_status": "get status"}
    assert original_name("get_status", imported.names) == "get status"
    assert original_name("plain", imported.names) == "plain"
    assert [n.reason for n in imported.repaired] == ["name not valid: 'get status' became 'get_status'"]
    assert [n.name for n in imported.repaired] == ["get status"]


def test_same_name_different_content_takes_the_server(tmp_path: Path) -> None:
    lines = [
        {"server": "First", "tools": [mcp_tool("search", CITY)]},
        {"server": "Exa Search!", "tools": [mcp_tool("search", NO_PARAMETERS)]},
        {"server": "Exa Search!", "tools": [mcp_tool("search", {"type": "object"})]},
        {"tools": [mcp_tool("search", {"type": "object", "title": "x"})]},
    ]
    imported = load(tmp_path, lines)
    assert [t.name for t in imported.tools] == [
        "search",
        "search_exa_search",
        "search_exa_search_2",
        "search_2",
    ]
    assert set(imported.names.values()) == {"search"}
    assert kinds(imported) == ["name already taken"] * 3
    assert [t.parameters for t in imported.tools][2] == {"type": "object"}


def test_valid_name_is_not_lost_to_a_changed_one(tmp_path: Path) -> None:
    imported = load(
        tmp_path, {"tools": [mcp_tool("a.b"), mcp_tool("a_b"), mcp_tool("a b"), mcp_tool("a_b_2")]}
    )
    assert [t.name for t in imported.tools] == ["a_b_3", "a_b", "a_b_4", "a_b_2"]
    assert imported.names == {"a_b_3": "a.b", "a_b_4": "a b"}


def test_suffixed_name_stays_short_enough() -> None:
    names = unique_names([("y" * 64, "Server One"), ("y" * 64, "Server One"), ("y" * 64, None)])
    assert names == ["y" * 64, "y" * 53 + "_server_one", "y" * 62 + "_2"]
    assert (
        unique_names([("a", None), ("a", "Model Context Protocol Server")])[1] == "a_model_context_protocol"
    )
    assert unique_names([("a", None), ("a", "z" * 40)])[1] == "a_" + "z" * 24


def test_name_of_the_default_tool_is_reserved(tmp_path: Path) -> None:
    imported = load(tmp_path, {"tools": [mcp_tool(GENERATE_RESPONSE)]})
    assert [t.name for t in imported.tools] == ["generate_response_2"]
    assert kinds(imported) == ["name reserved for the default tool"]


def test_exact_duplicates_are_dropped_and_counted(tmp_path: Path) -> None:
    again = {**mcp_tool("a"), "inputSchema": {**CITY, "$schema": "x"}}
    imported = load(tmp_path, {"tools": [mcp_tool("a"), mcp_tool("b"), again]})
    assert [t.name for t in imported.tools] == ["a", "b"]
    (note,) = imported.duplicates
    assert (note.where, note.name, note.reason) == ("tools.json#2", "a", "exact duplicate: of tools.json#0")
    # Repairs are those of the tools that were kept.
    assert imported.repaired == []


# --------------------------------------------------------------------------- rejections


def nested(levels: int) -> Any:
    schema: Any = {}
    for _ in range(levels):
        schema = {"not": schema}
    return schema


REJECTED: list[tuple[str, Any]] = [
    ("not a tool: expected an object", 5),
    ("not a tool: expected an object", None),
    ("no name: expected a text; found null", {"inputSchema": CITY}),
    ("no name: expected a text; found 5", mcp_tool(5)),
    ('no name: expected a text; found " "', mcp_tool(" ")),
    ('description: expected a text; found ["x"]', mcp_tool(description=["x"])),
    ('parameters: expected a JSON Schema object; found "city"', mcp_tool("t", "city")),
    ("parameters: expected a JSON Schema object; found [1]", mcp_tool("t", [1])),
    ("parameters: expected a JSON Schema object; found false", mcp_tool("t", False)),
    ("not an object schema: function: expected parameters", mcp_tool("t", {"type": "string"})),
    ("not an object schema: function: expected parameters", mcp_tool("t", {"city": {"type": "string"}})),
    (
        "not an object schema: function: expected parameters",
        mcp_tool("t", {"type": "object", "properties": "x"}),
    ),
    ("invalid JSON Schema: parameters.properties.city.type: ", mcp_tool("t", with_city({"type": "strng"}))),
    ("invalid JSON Schema: parameters.properties.city: ", mcp_tool("t", with_city("string"))),
    ("invalid JSON Schema: parameters.required: ", mcp_tool("t", {"type": "object", "required": "city"})),
    (
        "invalid JSON Schema: parameters.properties.city.type: ",
        mcp_tool("t", with_city({"type": ["a", "b"]})),
    ),
    ("invalid JSON Schema: parameters.properties.city.pattern: ", mcp_tool("t", with_city({"pattern": "("}))),
    ("unusable reference: '#/$defs/No' leads nowhere", mcp_tool("t", with_city({"$ref": "#/$defs/No"}))),
    ("unusable reference: '#no' leads nowhere", mcp_tool("t", with_city({"$dynamicRef": "#no"}))),
    (
        "unusable reference: 'http://localhost/x.json' leads nowhere",
        mcp_tool("t", with_city({"$ref": "http://localhost/x.json"})),
    ),
    (
        "unusable reference: '#/type' leads to something that is not a schema",
        mcp_tool("t", with_city({"$ref": "#/type"})),
    ),
    (
        "unusable reference: '#/no' leads nowhere",
        mcp_tool("t", with_city({"$ref": "#/x"}) | {"x": {"not": {"$ref": "#/no"}}}),
    ),
    (
        "unusable reference: a reference leads in a circle",
        mcp_tool("t", with_city({"$ref": "#/properties/city"})),
    ),
    (
        "unusable reference: a reference leads in a circle",
        mcp_tool("t", with_city({"anyOf": [{"not": {"$ref": "#/properties/city"}}]})),
    ),
    (
        "invalid JSON Schema: parameters.properties.type: ",
        mcp_tool("t", {"type": "object", "properties": {"type": "object", "city": {}}}),
    ),
    (
        "invalid JSON Schema: parameters.properties.city.items: ",
        mcp_tool("t", with_city({"items": [{}], "prefixItems": [{}]})),
    ),
    ("unusable reference: '#/type/x' leads nowhere", mcp_tool("t", with_city({"$ref": "#/type/x"}))),
    ("unusable reference: 'x' leads nowhere", mcp_tool("t", with_city({"$id": "http://[", "$ref": "x"}))),
    ("nested too deeply: more than 64 levels", mcp_tool("t", with_city(nested(80)))),
    ("not JSON: a number is NaN or infinite", mcp_tool("t", with_city({"maximum": float("nan")}))),
    ("not Unicode: a text holds half of a surrogate pair", mcp_tool("\ud800", CITY)),
]


@pytest.mark.parametrize(("reason", "entry"), REJECTED)
def test_entry_is_rejected_with_its_reason(tmp_path: Path, reason: str, entry: Any) -> None:
    imported = load(tmp_path, {"tools": [mcp_tool("before"), entry, mcp_tool("after")]})
    assert [t.name for t in imported.tools] == ["before", "after"]
    (note,) = imported.rejected
    assert note.reason.startswith(reason)
    assert note.where == "tools.json#1"
    if "deeply" not in reason:
        assert note.found == json.dumps(entry, ensure_ascii=False)[:200].replace("\ud800", "\\ud800")
    write_jsonl(tmp_path / "rejected.jsonl", imported.rejected)


@pytest.mark.parametrize(
    ("reason", "entry"),
    [
        ('not a function: its type is "web_search"', {"type": "web_search", "name": "x"}),
        ("not a tool: expected `function` to be an object", {"type": "function", "function": "x"}),
        ("not a tool: expected an object", "x"),
        ("no name: expected a text; found null", {"type": "function"}),
        ("malformed list: expected `tools` to be an array", {"tools": {"a": chat_tool()}}),
    ],
)
def test_openai_entry_is_rejected(tmp_path: Path, reason: str, entry: Any) -> None:
    imported = load(tmp_path, [chat_tool("before"), entry, chat_tool("after")])
    assert [t.name for t in imported.tools] == ["before", "after"]
    assert [(n.where, n.reason) for n in imported.rejected] == [("tools.json#1", reason)]


def test_depth_that_can_still_be_checked() -> None:
    assert unfit(nested(MAX_DEPTH - 1)) == ""
    assert unfit(nested(MAX_DEPTH)) == f"nested too deeply: more than {MAX_DEPTH} levels"
    assert tool_problems(Tool(function=Function(name="t", parameters=with_city(nested(MAX_DEPTH))))) == []


def test_check_that_exhausts_the_stack_rejects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(schema: dict[str, Any]) -> list[str]:
        raise RecursionError

    with monkeypatch.context() as patch:
        patch.setattr(importer, "reference_problems", exhausted)
        imported = load(tmp_path, [chat_tool()])
    assert [n.reason for n in imported.rejected] == ["nested too deeply: cannot be checked"]


def test_error_of_a_server_is_reported(tmp_path: Path) -> None:
    answer = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "Method not found"}}
    imported = load(tmp_path, answer)
    assert imported.tools == []
    assert "Method not found" in imported.rejected[0].reason


def test_bad_lines_do_not_stop_jsonl(tmp_path: Path) -> None:
    good = json.dumps(chat_tool()).encode()
    deep = b"[" * 100_000
    digits = b"1" * 5000
    imported = load(tmp_path, b"\n".join([b'{"type": ', b"\xff\xfe", good, deep, digits]), "t.jsonl")
    assert [t.name for t in imported.tools] == ["get_weather"]
    assert [(n.where, n.kind) for n in imported.rejected] == [
        (f"t.jsonl:{n}", "unreadable line") for n in (1, 2, 4, 5)
    ]
    assert imported.rejected[0].found == '{"type": '


# --------------------------------------------------------------------------- unreadable files


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "found an empty file"),
        (b"  \n\t\n", "found an empty file"),
        (b"name,description\nx,y\n", "expected JSON, or JSONL"),
        (b'[{"name": "a"},\n{"name": "b"}\n', "expected JSON, or JSONL"),
        (b"\xef\xbb\xbf[1,", "expected JSON, or JSONL"),
        (json.dumps([chat_tool()]).encode("utf-16"), "save it as UTF-8"),
        (b"[" * 100_000, "expected JSON, or JSONL"),
        (b'"text"', "expected tools in one of the formats openai, mcp, "),
        (b"[]", "found an empty array"),
        (b'{"tools": []}', "expected tools in one of the formats"),
        (b'[{"id": 1}, 5]', "expected tools in one of the formats"),
        (b'{"jsonrpc": "2.0", "result": {"tools": []}}', "expected at least one tool; found none"),
        (gzip.compress(b"[]" * 1000, mtime=0)[:-20], "expected a whole gzip file; found a damaged one"),
        (
            gzip.compress(b"[]", mtime=0)[:10] + b"\xff" * 20,
            "expected a whole gzip file; found a damaged one",
        ),
        (b"\x1f\x8bnot gzip at all", "expected a whole gzip file; found a damaged one"),
    ],
)
def test_unreadable_file(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(CatalogError) as failure:
        load(tmp_path, content)
    assert str(failure.value).startswith(f"{tmp_path / 'tools.json'}: expected")
    assert message in str(failure.value)
    assert "Fix: " in str(failure.value)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"no\.json: .*No such file.*Fix: check the path"):
        import_tools(tmp_path / "no.json")
    with pytest.raises(CatalogError, match=r"expected a folder with JSON.*found none.*Fix: check the path"):
        import_tools(tmp_path)


def test_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"expected a format among openai, mcp, .*; found 'xml'"):
        load(tmp_path, [chat_tool()], format="xml")


@pytest.mark.parametrize("packed", [False, True])
def test_size_limit_is_that_of_the_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    text = json.dumps([chat_tool()]).encode()
    data = gzip.compress(text) if packed else text
    monkeypatch.setattr(files, "MAX_BYTES", len(text))
    assert len(load(tmp_path, data).tools) == 1
    monkeypatch.setattr(files, "MAX_BYTES", len(text) - 1)
    with pytest.raises(CatalogError, match="expected at most"):
        load(tmp_path, data)


def test_gzip_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert files.MAX_BYTES == 2**30
    monkeypatch.setattr(files, "MAX_BYTES", 1_000_000)
    bomb = gzip.compress(b" " * 100_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(CatalogError, match="expected at most 1,000,000 bytes"):
            load(tmp_path, bomb)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


# --------------------------------------------------------------------------- writing, summary


def test_written_tools_come_back_as_they_were(tmp_path: Path) -> None:
    first = load(tmp_path, {"server": "S", "label": "L", "tools": [mcp_tool("a b"), mcp_tool("ü", {})]})
    path = tmp_path / "out.json"
    write_openai(first.tools, path)
    assert json.loads(path.read_text(encoding="utf-8")) == [t.openai() for t in first.tools]
    second = import_tools(path)
    assert (second.format, second.read, second.repaired) == ("openai", 2, [])
    assert [t.id for t in second.tools] == [t.id for t in first.tools]


def cells(imported: Imported) -> dict[str, str]:
    labels, counts = summary_table(imported).columns
    return {str(a): str(b) for a, b in zip(labels.cells, counts.cells, strict=True)}


def test_summary_counts_tools_by_kind(tmp_path: Path) -> None:
    tools = [
        mcp_tool("a", with_city({"type": "str"}) | {"title": None}),
        mcp_tool("b", {"type": "object", "properties": {"x": {"type": "int"}, "y": {"type": "str"}}}),
        mcp_tool("c"),
        mcp_tool("c"),
        mcp_tool("d", {"type": "strng"}),
        5,
        6,
    ]
    assert cells(load(tmp_path, {"tools": tools})) == {
        "read": "7",
        "kept": "3",
        "exact duplicates, dropped": "1",
        "rejected": "3",
        "  not a tool": "2",
        "  not an object schema": "1",
        "kept after repair": "2",
        # One tool with two repairs of a kind counts once.
        "  type name": "2",
        "  keyword null": "1",
    }


# --------------------------------------------------------------------------- properties

# fmt: off
WORDS = [
    "name", "description", "inputSchema", "input_schema", "parameters", "function", "type", "tools", "server",
    "label", "jsonrpc", "result", "strict", "properties", "required", "items", "anyOf", "$ref", "$defs", "$id",
    "$schema", "enum", "const", "pattern", "exclusiveMinimum", "minimum", "additionalProperties", "object",
    "string", "int", "any", "a", "b",
]
# fmt: on
POINTERS = ["#", "#/properties/a", "#/$defs/a", "#/type/a", "http://[x", "get x", "generate_response", "("]
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(WORDS + POINTERS)
    | st.text(st.characters(), max_size=5)
)
keys = st.sampled_from(WORDS) | st.text(max_size=3)
junk = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=12,
)
schemas = st.fixed_dictionaries(
    {"type": st.just("object"), "properties": st.dictionaries(keys, st.dictionaries(keys, junk), max_size=3)},
    optional={"required": junk, "$defs": st.dictionaries(keys, junk), "$id": junk, "$ref": junk},
)
names = st.sampled_from(["a", "a b", "a.b", "a_b", "a_2", "a_s", "x" * 70, "generate_response", "é"]) | junk
near_tools = st.fixed_dictionaries(
    {"name": names, "inputSchema": schemas | junk}, optional={"description": junk, "outputSchema": junk}
)
near_functions = st.fixed_dictionaries({"name": names, "parameters": schemas | junk}).map(
    lambda f: {"type": "function", "function": f}
)
servers = st.fixed_dictionaries(
    {"tools": st.lists(near_tools | junk, max_size=3) | junk, "server": junk | names}
)
lists = st.lists(junk | near_tools | near_functions | servers, max_size=6)
anything = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def check_junk(folder: Path, content: str, format: str | None) -> Imported | None:
    """Import it, and see that what comes of it can be written and read again."""
    try:
        imported = load(folder, content, format=format)
    except CatalogError:
        return None
    write_jsonl(folder / "tools.jsonl", imported.tools)
    assert read_jsonl(Tool, folder / "tools.jsonl") == imported.tools
    write_jsonl(folder / "notes.jsonl", [*imported.repaired, *imported.rejected, *imported.duplicates])
    (folder / "names.json").write_text(json.dumps(imported.names, ensure_ascii=False), encoding="utf-8")
    if imported.tools:
        write_openai(imported.tools, folder / "again.json")
        again = import_tools(folder / "again.json")
        assert [t.openai() for t in again.tools] == [t.openai() for t in imported.tools]
        assert again.repaired == again.rejected == again.duplicates == []
    return imported


@anything
@given(content=lists, format=st.sampled_from([None, "openai", "mcp"]))
def test_any_list_of_junk_is_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, content: list[Any], format: str | None
) -> None:
    folder = tmp_path_factory.mktemp("junk")
    imported = check_junk(folder, json.dumps(content), format)
    holders = [c for c in content if isinstance(c, dict) and ("tools" in c or "jsonrpc" in c)]
    if imported is not None and not holders:
        assert imported.read == len(content)


@anything
@given(lines=st.lists(lists.map(json.dumps) | near_tools.map(json.dumps) | st.text(max_size=10), max_size=5))
def test_any_lines_of_junk_are_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    content = "\n".join(lines).encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    check_junk(tmp_path_factory.mktemp("junk"), content, None)


@given(
    st.lists(
        st.tuples(st.text(min_size=1) | names.filter(lambda n: isinstance(n, str)), st.none() | st.text())
    )
)
def test_names_are_unique_valid_and_stable(tools: list[tuple[str, str | None]]) -> None:
    made = unique_names(tools)
    assert len(set(made)) == len(tools) == len(made)
    assert all(re.fullmatch(NAME_PATTERN, n) for n in made)
    assert unique_names([(n, None) for n in made]) == made
    for original in {o for o, _ in tools if re.fullmatch(NAME_PATTERN, o) and o != GENERATE_RESPONSE}:
        assert made[[o for o, _ in tools].index(original)] == original


# --------------------------------------------------------------------------- real tools


@pytest.fixture(scope="module")
def real() -> Imported:
    if not REAL.exists():
        pytest.skip("the published MCP servers are not beside this checkout")
    return import_tools(REAL)


def test_every_real_tool_is_accounted_for(real: Imported, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        Console(width=100).print("", summary_table(real))
    assert_accounted(real)
    assert (real.format, real.read) == ("mcp", 6044)
    assert (len(real.tools), len(real.duplicates)) == (5248, 796)
    # All nine invalid schemas have a plain repair, so nothing is left that would have to be rejected.
    assert real.rejected == []


def test_real_repairs_are_those_that_the_file_needs(real: Imported) -> None:
    with gzip.open(REAL, "rt", encoding="utf-8") as lines:
        raw = [tool for line in lines for tool in json.loads(line)["tools"]]
    unique = {json.dumps([t["name"], t["description"] or "", t["input_schema"]], sort_keys=True) for t in raw}
    assert len(unique) == len(real.tools)
    counts = Counter(kinds(real))
    bad_names = {t["name"] for t in raw if not re.fullmatch(NAME_PATTERN, t["name"])}
    assert counts.pop("name not valid") == len(bad_names) == 32
    assert counts.pop("`$schema` removed") == sum('"$schema": "' in u for u in unique) == 2189
    assert counts.pop("description missing") == 329
    assert counts.pop("name already taken") == len(unique) - len({valid_name(t["name"]) for t in raw}) == 384
    assert counts == {
        "whole schema inside its own `properties`": 6,
        "array of `items` (draft 7)": 1,
        "boolean `exclusiveMinimum` (draft 4)": 1,
        "type name": 1,
        "`required` names no property": 1,
    }


def test_real_names_lead_back(real: Imported) -> None:
    with gzip.open(REAL, "rt", encoding="utf-8") as lines:
        originals = {tool["name"] for line in lines for tool in json.loads(line)["tools"]}
    assert {original_name(t.name, real.names) for t in real.tools} == originals
    assert all(t.source and t.source.startswith("mcp:") and t.domain for t in real.tools)


def test_real_tools_come_back_from_openai_form(real: Imported, tmp_path: Path) -> None:
    write_openai(real.tools, tmp_path / "tools.json")
    again = import_tools(tmp_path / "tools.json")
    assert [t.id for t in again.tools] == [t.id for t in real.tools]
    assert again.repaired == again.rejected == again.duplicates == []


@pytest.mark.parametrize("lines", [False, True])
def test_a_key_twice_rejects_its_entry_alone(tmp_path: Path, lines: bool) -> None:
    bad = json.dumps(chat_tool("bad")).replace('"properties": {', '"properties": {"city": {}, "city": {}, ')
    entries = [json.dumps(chat_tool("before")), bad, json.dumps(chat_tool("after"))]
    path = tmp_path / "tools.json"
    path.write_text("\n".join(entries) if lines else f"[{','.join(entries)}]", encoding="utf-8")
    imported = import_tools(path)
    assert [t.name for t in imported.tools] == ["before", "after"]
    assert [n.reason for n in imported.rejected] == ["repeated key: 'city' is there twice in one object"]


def test_a_tool_larger_than_any_prompt_is_rejected(tmp_path: Path) -> None:
    imported = load(tmp_path, [chat_tool(description="x" * 200_001), chat_tool("small")])
    assert [t.name for t in imported.tools] == ["small"]
    assert [n.kind for n in imported.rejected] == ["too large"]
