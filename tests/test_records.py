"""Records: what is read and written, how ids are made, and what every refusal says."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gentool.jsonl import (
    RecordError,
    canonical_json,
    content_hash,
    parse_record,
    read_jsonl,
    to_json,
    write_jsonl,
    write_text,
)
from gentool.records import (
    GENERATE_RESPONSE,
    GENERATE_RESPONSE_TOOL,
    Derivation,
    Function,
    GradedQuery,
    Prediction,
    Probe,
    Record,
    Sample,
    Tool,
    ToolCall,
    ToolPair,
    ToolSet,
    UseCase,
)

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def tool(name: str = "find_city", **more: Any) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {"name": name, "description": "A city.", "parameters": CITY, **more},
    }


def call(name: str = "find_city", arguments: Any = None) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "arguments": arguments or {"city": "Oslo"}}}


def query(**more: Any) -> dict[str, Any]:
    return {
        "query": "Where is Oslo?",
        "grades": {"find_city": "full", "list_cities": "partial"},
        "best": "find_city",
        "tool_calls": [call(), call("list_cities")],
        **more,
    }


def pair(**more: Any) -> dict[str, Any]:
    return {
        "domain": "travel",
        "tools": [tool(), tool("list_cities")],
        "derivation": {"tool": "list_cities", "from_tool": "find_city", "how": "fewer_filters"},
        "queries": [query()],
        **more,
    }


def tool_set(**more: Any) -> dict[str, Any]:
    return {"pair": "p", "pair_tools": ["a@1"], "distractors": ["b@1", "c@1"], **more}


def probe(**more: Any) -> dict[str, Any]:
    return {
        "scenario": "seen_query_seen_tool",
        "transition": "zero",
        "pair": "p",
        "query": query(),
        "before": tool_set(),
        "after": tool_set(),
        "stay": True,
        **more,
    }


def sample(**more: Any) -> dict[str, Any]:
    return {
        "pair": "p",
        "query_id": "q",
        "query": "Where?",
        "tool_set": tool_set(),
        "ranking": ["find_city", GENERATE_RESPONSE],
        "tool_call": call(),
        **more,
    }


def prediction(**more: Any) -> dict[str, Any]:
    return {
        "model": "m",
        "seed": 0,
        "task": "select",
        "query_id": "q",
        "tool_set": "s",
        "shown": ["a@1"],
        "text": "",
        "outcome": "answer",
        "prompt_tokens": 3,
        "completion_tokens": 0,
        **more,
    }


def use_case(**more: Any) -> dict[str, Any]:
    return {"query": "Where is Oslo?", "tools": [tool()], "tool_calls": [call()], **more}


KINDS: list[tuple[type[Record], Callable[..., dict[str, Any]]]] = [
    (Tool, tool),
    (ToolCall, call),
    (GradedQuery, query),
    (ToolPair, pair),
    (ToolSet, tool_set),
    (Sample, sample),
    (Probe, probe),
    (Prediction, prediction),
    (UseCase, use_case),
]
by_kind = pytest.mark.parametrize(("kind", "make"), KINDS, ids=[k.__name__ for k, _ in KINDS])


def write_lines(path: Path, *lines: Any) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


# ------------------------------------------------------------------ round trip

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
names = st.from_regex(r"[a-zA-Z0-9_-]{1,64}", fullmatch=True)
arguments = st.dictionaries(texts, values, max_size=4)
calls = st.builds(ToolCall.of, texts, arguments)


@st.composite
def graded_queries(draw: st.DrawFn, pair_names: tuple[str, str] | None = None) -> GradedQuery:
    first, second = pair_names or draw(st.lists(names, min_size=2, max_size=2, unique=True))
    grades = {n: draw(st.sampled_from(["full", "partial", "none"])) for n in (first, second)}
    useful = [n for n in grades if grades[n] != "none"]
    full = [n for n in useful if grades[n] == "full"]
    return GradedQuery(
        query=draw(texts.filter(bool)),
        now=draw(st.none() | st.just("2026-05-06T13:10")),
        grades=grades,
        best=draw(st.sampled_from(full or useful)) if useful else None,
        reason=draw(texts),
        tool_calls=tuple(ToolCall.of(n, draw(arguments)) for n in useful),
        alternatives={
            n: draw(st.dictionaries(texts, st.lists(values, max_size=2), max_size=2)) for n in useful[:1]
        },
    )


@st.composite
def tool_pairs(draw: st.DrawFn) -> ToolPair:
    first, second = draw(
        st.lists(names.filter(lambda n: n != GENERATE_RESPONSE), min_size=2, max_size=2, unique=True)
    )
    group = draw(st.sampled_from([None, "T", "A", "B", "U"]))
    schemas = st.dictionaries(texts, st.fixed_dictionaries({"default": values}), max_size=2)
    tools = tuple(
        Tool(
            function=Function(
                name=n, description=draw(texts), parameters={"type": "object", "properties": draw(schemas)}
            )
        )
        for n in (first, second)
    )
    asked = draw(st.lists(graded_queries((first, second)), max_size=2, unique_by=lambda q: q.id))
    return ToolPair(
        domain=draw(texts),
        group=group,
        tools=tools,
        derivation=Derivation(tool=first, from_tool=second, how="older_version", note=draw(texts)),
        unseen_tool=first if group == "B" else None,
        queries=tuple(asked),
    )


@settings(max_examples=60, deadline=None)
@given(calls | graded_queries() | tool_pairs())
def test_record_is_read_back_as_written(record: Record) -> None:
    line = to_json(record)
    assert "\n" not in line
    assert parse_record(type(record), json.loads(line), "x") == record
    assert to_json(parse_record(type(record), json.loads(line), "x")) == line


@settings(max_examples=20, deadline=None)
@given(st.lists(calls, max_size=4))
def test_file_is_read_back_as_written(
    tmp_path_factory: pytest.TempPathFactory, records: list[ToolCall]
) -> None:
    path = tmp_path_factory.mktemp("records") / "calls.jsonl"
    write_jsonl(path, records)
    assert read_jsonl(ToolCall, path) == records
    assert path.read_bytes().count(b"\n") == len(records)


@by_kind
def test_every_kind_of_record_is_read_back(
    kind: type[Record], make: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    record = kind.model_validate(make())
    write_jsonl(tmp_path / "folder" / "x.jsonl", [record, record])
    assert read_jsonl(kind, tmp_path / "folder" / "x.jsonl") == [record, record]


def test_null_arguments_and_alternatives_are_kept() -> None:
    graded = GradedQuery.model_validate(
        query(
            tool_calls=[call(arguments={"city": None, "in": {"a": None}}), call("list_cities")],
            alternatives={"find_city": {"city": [None, "Oslo"]}},
        )
    )
    written = json.loads(to_json(graded))
    assert written["tool_calls"][0]["function"]["arguments"] == {"city": None, "in": {"a": None}}
    assert written["alternatives"] == {"find_city": {"city": [None, "Oslo"]}}


def test_fields_that_are_not_given_are_left_out_of_the_file() -> None:
    assert not {"now", "group", "unseen_tool", "domain"} & set(
        json.loads(to_json(Tool.model_validate(tool())))
    )


def test_empty_lines_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"\r\n" + json.dumps(call()).encode() + b"\r\n\n  \n" + json.dumps(call("b")).encode())
    assert [c.name for c in read_jsonl(ToolCall, path)] == ["find_city", "b"]


def test_line_separators_of_unicode_do_not_end_a_line(tmp_path: Path) -> None:
    record = ToolCall.of("a", {"text": "one\u2028two\x85three\nfour"})
    write_jsonl(tmp_path / "x.jsonl", [record])
    assert read_jsonl(ToolCall, tmp_path / "x.jsonl") == [record]


# ------------------------------------------------------------------ wire format


def test_arguments_as_a_json_string_are_read_as_an_object() -> None:
    wire = {
        "type": "function",
        "function": {"name": "find_city", "arguments": '{"city": "Oslo", "n": [1, null]}'},
    }
    read = parse_record(ToolCall, wire, "x")
    assert read.arguments == {"city": "Oslo", "n": [1, None]}
    assert json.loads(to_json(read))["function"]["arguments"] == read.arguments


@pytest.mark.parametrize("bad", ["{city: Oslo}", "", "[1]", "null", '"text"', "[" * 100_000, "1" * 5000])
def test_arguments_that_are_no_object_are_refused(bad: str) -> None:
    wire = {"function": {"name": "find_city", "arguments": bad}}
    with pytest.raises(RecordError, match=r"^x:3: function\.arguments: .*found .*Fix: "):
        parse_record(ToolCall, wire, "x:3")


def test_call_without_arguments_has_none() -> None:
    assert parse_record(ToolCall, {"function": {"name": "a"}}, "x").arguments == {}


def test_openai_form_of_a_tool_is_what_models_are_shown() -> None:
    read = Tool.model_validate(
        tool(output_schema={"type": "object"}) | {"domain": "d", "split": "test", "source": "s"}
    )
    assert read.openai() == tool()
    assert GENERATE_RESPONSE_TOOL.openai()["function"]["parameters"] == {"type": "object", "properties": {}}


# ------------------------------------------------------------------ ids


def reordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: reordered(value[k]) for k in reversed(list(value))}
    return [reordered(v) for v in value] if isinstance(value, list) else value


@by_kind
def test_order_of_fields_does_not_change_a_record(
    kind: type[Record], make: Callable[..., dict[str, Any]]
) -> None:
    first, second = kind.model_validate(make()), kind.model_validate(reordered(make()))
    assert getattr(first, "id", "") == getattr(second, "id", "")
    assert first == second


ID_KINDS = [(k, m) for k, m in KINDS if "id" in k.model_fields]


@pytest.mark.parametrize(("kind", "make"), ID_KINDS, ids=[k.__name__ for k, _ in ID_KINDS])
def test_id_is_computed_and_checked(
    kind: type[Record], make: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    made = kind.model_validate(make()).id  # type: ignore[attr-defined]
    assert re.fullmatch(r"(find_city@[0-9a-f]{8})|[0-9a-f]{12}", made)
    assert kind.model_validate({**make(), "id": made}) == kind.model_validate(make())
    path = write_lines(tmp_path / "x.jsonl", make(), {**make(), "id": "0123456789ab"})
    with pytest.raises(RecordError) as caught:
        read_jsonl(kind, path)
    for part in (
        f"{path}:2: ",
        f"expected id {made!r}",
        "found '0123456789ab'",
        "Fix: delete the field `id`",
    ):
        assert part in str(caught.value)


def test_ids_do_not_change_between_releases() -> None:
    assert content_hash({"b": 1, "a": "ü"}) == content_hash({"a": "ü", "b": 1}) == "4e7ff4080b1a"
    assert canonical_json({"b": [1, None], "a": "ü"}) == '{"a":"ü","b":[1,null]}'
    assert Tool.model_validate(tool()).id == "find_city@06d4de0d"
    assert GradedQuery.model_validate(query()).id == "db4e6582cceb"
    assert ToolPair.model_validate(pair()).id == "2ff2a11ee165"


def test_tool_id_depends_on_what_the_model_is_shown_alone() -> None:
    plain = Tool.model_validate(tool())
    assert Tool.model_validate(tool() | {"domain": "d", "split": "test", "source": "s"}).id == plain.id
    assert Tool.model_validate(tool(output_schema={"type": "object"})).id == plain.id
    assert Tool.model_validate(tool(description="Another.")).id != plain.id
    assert Tool.model_validate(tool(parameters={"type": "object", "properties": {}})).id != plain.id


def test_pair_id_depends_on_its_tools_alone() -> None:
    first = ToolPair.model_validate(pair())
    others = [
        pair(queries=[]),
        pair(queries=[query(), query(query="And Bergen?")]),
        pair(tools=pair()["tools"][::-1]),
        pair(group="B", unseen_tool="find_city"),
        pair(domain="maps"),
    ]
    assert {ToolPair.model_validate(p).id for p in others} == {first.id}
    assert (
        ToolPair.model_validate(pair(tools=[tool(description="Another."), tool("list_cities")])).id
        != first.id
    )


def test_query_id_depends_on_text_now_and_tools() -> None:
    first = GradedQuery.model_validate(query())
    regraded = query(grades={"list_cities": "full", "find_city": "full"}, reason="both")
    assert GradedQuery.model_validate(regraded).id == first.id
    assert GradedQuery.model_validate(query(now="2026-05-06T13:10")).id != first.id
    assert GradedQuery.model_validate(query(query="Where is Bergen?")).id != first.id


def test_set_id_depends_on_its_tools_alone() -> None:
    first = ToolSet.model_validate(tool_set())
    assert ToolSet.model_validate(tool_set(distractors=["c@1", "b@1"], slot=4)).id == first.id
    assert ToolSet.model_validate(tool_set(pair_tools=[], distractors=["a@1", "b@1", "c@1"])).id != first.id
    assert ToolSet.model_validate(tool_set(pair="other")).id != first.id


@by_kind
def test_records_are_frozen(kind: type[Record], make: Callable[..., dict[str, Any]]) -> None:
    record = kind.model_validate(make())
    field = next(iter(kind.model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(record, field, getattr(record, field))


# ------------------------------------------------------------------ refusals


def without(record: dict[str, Any], field: str) -> dict[str, Any]:
    return {k: v for k, v in record.items() if k != field}


both_none = {"find_city": "none", "list_cities": "none"}
REFUSED: dict[str, tuple[type[Record], Any, tuple[str, ...]]] = {
    "not an object": (Tool, [1], ("(record): ", "found [1]")),
    "field missing": (
        ToolPair,
        without(pair(), "derivation"),
        ("derivation: Field required", "Fix: add the field"),
    ),
    "unknown field": (
        GradedQuery,
        query(notes="x"),
        ("notes: ", 'found "x"', "Fix: remove the field or correct its name"),
    ),
    "name with a dot": (
        Tool,
        tool("find.city"),
        ("function.name: ", 'found "find.city"', "Fix: use letters, digits, _ and - only"),
    ),
    "name too long": (Tool, tool("n" * 65), ("function.name: ", "Fix: use letters", "at most 64")),
    "name empty": (Tool, tool(""), ("function.name: ", 'found ""', "Fix: use letters")),
    "name with a line break": (Tool, tool("find\n"), ("function.name: ", "Fix: use letters")),
    "name no text": (Tool, tool(None), ("function.name: ", "found null", "Fix: ")),  # type: ignore[arg-type]
    "type not function": (
        Tool,
        {**tool(), "type": "custom"},
        ("type: ", 'found "custom"', "Fix: use one of"),
    ),
    "unknown split": (
        Tool,
        {**tool(), "split": "dev"},
        ("split: ", "'train' or 'test'", 'found "dev"', "Fix: "),
    ),
    "parameters no object schema": (
        Tool,
        tool(parameters={"city": "string"}),
        (
            "function: expected parameters as a JSON Schema",
            'found {"city":"string"}',
            "Fix: wrap the parameters",
        ),
    ),
    "properties a list": (
        Tool,
        tool(parameters={"type": "object", "properties": ["city"]}),
        ("function: expected", 'found {"properties":["city"]', "Fix: wrap"),
    ),
    "half a character in the wrong place": (
        Tool,
        tool(parameters={"type": "\ud800"}),
        ("function: expected parameters as a JSON Schema", 'found {"type":"\\ud800"}', "Fix: wrap"),
    ),
    "parameters null": (Tool, tool(parameters=None), ("function.parameters: ", "found null", "Fix: ")),
    "query empty": (GradedQuery, query(query=""), ("query: ", 'found ""', "Fix: write a text")),
    "unknown grade": (
        GradedQuery,
        query(grades={"find_city": "good", "list_cities": "none"}),
        ("grades.find_city: ", "'full', 'partial' or 'none'", 'found "good"', "Fix: use one of"),
    ),
    "best graded none": (
        GradedQuery,
        query(grades={"find_city": "none", "list_cities": "full"}, tool_calls=[call("list_cities")]),
        (
            "expected `best` to be one of the useful tools ['list_cities']",
            "found 'find_city'",
            "Fix: correct `best`",
        ),
    ),
    "best missing": (
        GradedQuery,
        without(query(), "best"),
        ("expected `best`", "['find_city', 'list_cities']", "found None", "Fix: correct `best` or `grades`"),
    ),
    "best where nothing is useful": (
        GradedQuery,
        query(grades=both_none, tool_calls=[]),
        ("none: null", "found 'find_city'", "`best` is null exactly when every grade is none"),
    ),
    "best an empty text": (GradedQuery, query(best=""), ("`best`", "found ''", "Fix: ")),
    "best another tool": (GradedQuery, query(best="find_town"), ("`best`", "found 'find_town'", "Fix: ")),
    "best partial beside a full one": (
        GradedQuery,
        query(best="list_cities"),
        ("`best` to be a tool graded full", "found 'list_cities', graded partial", "Fix: correct"),
    ),
    "call missing": (
        GradedQuery,
        query(tool_calls=[call()]),
        (
            "one entry of `tool_calls` for each useful tool",
            "found ['find_city']",
            "Fix: add the missing call",
        ),
    ),
    "call of a tool graded none": (
        GradedQuery,
        query(grades={"find_city": "full", "list_cities": "none"}),
        ("`tool_calls`", "found ['find_city', 'list_cities']", "remove the one of a tool graded none"),
    ),
    "call twice": (
        GradedQuery,
        query(tool_calls=[call(), call(), call("list_cities")]),
        ("`tool_calls`", "found ['find_city', 'find_city', 'list_cities']", "Fix: "),
    ),
    "alternatives of a tool that is not useful": (
        GradedQuery,
        query(
            grades={"find_city": "full", "list_cities": "none"},
            tool_calls=[call()],
            alternatives={"list_cities": {"city": ["Oslo"]}},
        ),
        ("`alternatives` only for useful tools ['find_city']", "found ['list_cities']", "Fix: remove them"),
    ),
    "alternatives no list": (
        GradedQuery,
        query(alternatives={"find_city": {"city": "Oslo"}}),
        ("alternatives.find_city.city: ", 'found "Oslo"', "Fix: "),
    ),
    "two tools of one name": (
        ToolPair,
        pair(tools=[tool(), tool(description="Another.")]),
        ("two tools of different names", "found ('find_city', 'find_city')", "Fix: rename one of them"),
    ),
    "tool called as the default one": (
        ToolPair,
        pair(tools=[tool(), tool(GENERATE_RESPONSE)]),
        ("none called generate_response", "found ('find_city', 'generate_response')", "Fix: rename"),
    ),
    "three tools": (ToolPair, pair(tools=[tool(), tool("b"), tool("c")]), ("tools: ", "Fix: ")),
    "derivation of another tool": (
        ToolPair,
        pair(derivation={"tool": "find_town", "from_tool": "find_city", "how": "fewer_filters"}),
        (
            "`derivation.tool` and `derivation.from_tool`",
            "found 'find_town' from 'find_city'",
            "Fix: correct the names",
        ),
    ),
    "derivation in an unknown way": (
        ToolPair,
        pair(derivation={"tool": "list_cities", "from_tool": "find_city", "how": "worse"}),
        ("derivation.how: ", 'found "worse"', "Fix: use one of the values named"),
    ),
    "unknown group": (ToolPair, pair(group="C"), ("group: ", 'found "C"', "Fix: use one of")),
    "B without an unseen tool": (
        ToolPair,
        pair(group="B"),
        (
            "`unseen_tool` to name one",
            "found group 'B', unseen_tool None",
            "Fix: correct `group` or `unseen_tool`",
        ),
    ),
    "unseen tool outside B": (
        ToolPair,
        pair(group="T", unseen_tool="find_city"),
        ("absent elsewhere", "found group 'T', unseen_tool 'find_city'", "Fix: "),
    ),
    "unseen tool of no group": (
        ToolPair,
        pair(unseen_tool="find_city"),
        ("`unseen_tool`", "found group None, unseen_tool 'find_city'", "Fix: "),
    ),
    "unseen tool not of the pair": (
        ToolPair,
        pair(group="B", unseen_tool="find_town"),
        ("`unseen_tool`", "unseen_tool 'find_town'", "Fix: "),
    ),
    "grades of another tool": (
        ToolPair,
        pair(queries=[query(), query(query="B", grades={"find_city": "full"}, tool_calls=[call()])]),
        (
            "`queries.1.grades` to grade exactly the pair's tools",
            "found ['find_city']",
            "Fix: grade both tools",
        ),
    ),
    "query twice": (
        ToolPair,
        pair(queries=[query(), query(reason="again")]),
        ("each query once", "found `queries.1` again: 'Where is Oslo?'", "Fix: remove the duplicate"),
    ),
    "bad query within a pair": (
        ToolPair,
        pair(queries=[query(), query(query="B", best=None)]),
        ("queries.1: expected `best`", "found None", "Fix: "),
    ),
    "tool twice in a set": (
        ToolSet,
        tool_set(distractors=["b@1", "a@1"]),
        ("each tool once in a set", "found ('a@1', 'b@1', 'a@1')", "Fix: build the scenarios anew"),
    ),
    "unknown scenario": (Probe, probe(scenario="seen"), ("scenario: ", 'found "seen"', "Fix: use one of")),
    "unknown transition": (
        Probe,
        probe(transition="one"),
        ("transition: ", 'found "one"', "Fix: use one of"),
    ),
    "unknown outcome": (Prediction, prediction(outcome="ok"), ("outcome: ", 'found "ok"', "Fix: use one of")),
    "call without a name": (
        ToolCall,
        {"function": {}},
        ("function.name: Field required", "Fix: add the field"),
    ),
    "arguments a list": (
        ToolCall,
        call(arguments=["Oslo"]),
        ("function.arguments: ", 'found ["Oslo"]', "Fix: "),
    ),
    "use case without a query": (UseCase, use_case(query=""), ("query: ", 'found ""', "Fix: write a text")),
}


@pytest.mark.parametrize(("kind", "bad", "parts"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_record_is_refused_with_place_field_finding_and_fix(
    kind: type[Record], bad: Any, parts: tuple[str, ...], tmp_path: Path
) -> None:
    good = next(make for k, make in KINDS if k is kind)
    path = write_lines(tmp_path / "records.jsonl", good(), bad)
    with pytest.raises(RecordError) as caught:
        read_jsonl(kind, path)
    message = str(caught.value)
    assert message.startswith(f"{path}:2: ")
    for part in (*parts, "found", "Fix: "):
        assert part in message, message
    assert "pydantic" not in message


def test_all_faults_of_a_record_are_told_at_once() -> None:
    bad = {**tool("bad name"), "split": "dev", "colour": "red"}
    with pytest.raises(RecordError) as caught:
        parse_record(Tool, bad, "f.jsonl:7")
    lines = str(caught.value).split("\n")
    assert len(lines) == 3
    assert all(
        re.match(r"f\.jsonl:7: (function\.name|split|colour): .*found .*Fix: ", line) for line in lines
    )


def test_long_values_are_cut_in_messages() -> None:
    with pytest.raises(RecordError) as caught:
        parse_record(Tool, tool("n" * 5000), "x")
    assert len(str(caught.value)) < 500


BAD_FILES = {
    "cut off": (b'{"function": ', ":2: expected one JSON object a line; found '{\"function\":'"),
    "two on a line": (b"{} {}", ":2: expected one JSON object a line"),
    "not JSON": (b"name: find_city", ":2: expected one JSON object a line; found 'name: find_city'"),
    "nested too deeply": (b"[" * 200_000, ":2: expected one JSON object a line"),
    "number too long": (b"1" * 5000, ":2: expected one JSON object a line"),
    "not UTF-8": (b'{"a": "\xe9t\xe9"}', ":2: expected UTF-8; found byte 0xe9 at column 8"),
    "NaN": (b'{"a": NaN}', ":2: expected one JSON object a line; found '{\"a\": NaN}' (NaN is not JSON)"),
    "a number beyond all floats": (b'{"a": 1e999}', ":2: expected one JSON object a line"),
    "a key twice": (b'{"a": {"b": 1, "b": 2}}', ":2: expected one JSON object a line"),
    "a NUL byte": (b'{"a": "\0"}', ":2: expected one JSON object a line"),
    "UTF-16": ("{}".encode("utf-16"), ":2: expected UTF-8; found byte 0xff at column 1"),
}


@pytest.mark.parametrize(("line", "expected"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_bad_line_is_refused_with_its_number(line: bytes, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(json.dumps(call()).encode() + b"\n" + line + b"\n")
    with pytest.raises(RecordError) as caught:
        read_jsonl(ToolCall, path)
    assert str(caught.value).startswith(f"{path}{expected}")
    assert "Fix: " in str(caught.value)
    assert len(str(caught.value)) < 600


def test_missing_file_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(
            RecordError, match=rf"^{re.escape(str(path))}: cannot be read: .*Fix: check the path"
        ):
            read_jsonl(ToolCall, path)


# ------------------------------------------------------------------ queries and pairs


@pytest.mark.parametrize(
    ("grades", "best", "expected"),
    [
        (("full", "partial"), "a", ("a", "b")),
        (("partial", "full"), "b", ("b", "a")),
        (("full", "full"), "b", ("b", "a")),
        (("full", "full"), "a", ("a", "b")),
        (("partial", "partial"), "b", ("b", "a")),
        (("none", "full"), "b", ("b",)),
        (("none", "none"), None, ()),
    ],
)
def test_useful_tools_come_best_first(
    grades: tuple[str, str], best: str | None, expected: tuple[str, ...]
) -> None:
    named = dict(zip("ab", grades, strict=True))
    graded = GradedQuery(
        query="q",
        grades=named,
        best=best,
        tool_calls=tuple(ToolCall.of(n) for n in "ab" if named[n] != "none"),
    )
    assert graded.useful(["a", "b"]) == graded.useful(["b", "a"]) == expected
    assert graded.useful([]) == graded.useful(["unknown"]) == ()
    for name in "ab":
        assert graded.useful([name]) == ((name,) if named[name] != "none" else ())
        if named[name] == "none":
            with pytest.raises(KeyError):
                graded.call_of(name)
        else:
            assert graded.call_of(name).name == name


def test_useful_ranks_full_above_partial_beside_the_best() -> None:
    graded = GradedQuery(
        query="q",
        grades={"a": "partial", "b": "full", "c": "full", "d": "none"},
        best="c",
        tool_calls=(ToolCall.of("a"), ToolCall.of("b"), ToolCall.of("c")),
    )
    assert graded.useful("abcd") == ("c", "b", "a")
    assert graded.useful("abd") == ("b", "a")


def test_pair_finds_its_tools_by_name() -> None:
    read = ToolPair.model_validate(pair())
    assert read.names == ("find_city", "list_cities")
    assert [read.sibling(n) for n in read.names] == ["list_cities", "find_city"]
    assert read.tool("list_cities").name == "list_cities"
    with pytest.raises(KeyError):
        read.tool("find_town")


def test_making_a_record_does_not_change_what_it_is_made_from() -> None:
    value = pair()
    before = copy.deepcopy(value)
    ToolPair.model_validate(value)
    assert value == before


# ------------------------------------------------------------------ writing


def failing(records: list[ToolCall]) -> Iterator[ToolCall]:
    yield from records
    raise RuntimeError("the source broke off")


@pytest.mark.parametrize("old", [None, "old text\n"])
def test_file_is_written_whole_or_not_at_all(old: str | None, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    if old:
        path.write_text(old)
    with pytest.raises(RuntimeError, match="broke off"):
        write_jsonl(path, failing([ToolCall.of("a")]))
    assert [p.name for p in tmp_path.iterdir()] == ([path.name] if old else [])
    if old:
        assert path.read_text() == old
    write_jsonl(path, [ToolCall.of("a")])
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert read_jsonl(ToolCall, path) == [ToolCall.of("a")]


@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.replace"])
def test_failure_while_writing_leaves_the_old_file(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("old text\n")

    def fail(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(step, fail)
    with pytest.raises(OSError, match="No space"):
        write_text(path, "new text\n")
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "old text\n"


def test_text_that_is_no_unicode_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("old text\n")
    with pytest.raises(UnicodeEncodeError):
        write_jsonl(path, [ToolCall.of("a", {"text": "\ud800"})])
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "old text\n"
