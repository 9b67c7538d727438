"""BFCL: questions with functions, answers in a file beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gentool.catalog.importer import import_tools
from tests.imports import calls, checked, kinds, load, shared

PARAMETERS = {
    "type": "dict",
    "properties": {
        "bed": {"type": "String"},
        "litres": {"type": "float"},
        "spots": {"type": "ArrayList", "items": {"type": "tuple", "items": {"type": "long"}}},
        "plan": {"type": "dict", "properties": {"day": {"type": "string"}, "hour": {"type": "integer"}}},
    },
    "required": ["bed"],
}


def question(name: str = "simple_0", text: str = "Water the roses.", **more: Any) -> dict[str, Any]:
    function = [{"name": "garden.water", "description": "Waters a bed.", "parameters": PARAMETERS}]
    return {"id": name, "question": [[{"role": "user", "content": text}]], "function": function, **more}


def answer(name: str = "simple_0", **arguments: Any) -> dict[str, Any]:
    return {"id": name, "ground_truth": [{"garden.water": arguments or {"bed": ["roses", "rose bed"]}}]}


def test_functions_and_answers_are_joined(tmp_path: Path) -> None:
    right = {
        "bed": ["roses"],
        "litres": ["", 2.0],
        "spots": [[[1, 2], [3, 4]]],
        "plan": [{"day": ["Monday", "Mon"], "hour": ["", 9]}],
    }
    imported = load(
        tmp_path, [question(), question("simple_1", "Again.")], [answer(**right), answer("simple_1")]
    )
    assert imported.format == "bfcl" and (imported.read, len(imported.duplicates)) == (2, 1)
    (tool,) = imported.tools
    assert tool.parameters["type"] == "object"
    assert tool.parameters["properties"]["spots"] == {
        "type": "array",
        "items": {"type": "array", "items": {"type": "integer"}},
    }
    assert calls(imported) == [
        ("garden.water", {"bed": "roses", "spots": [[1, 2], [3, 4]], "plan": {"day": "Monday"}})
    ]
    assert calls(imported, 1) == [("garden.water", {"bed": "roses"})]


def test_required_argument_is_given_though_it_may_be_empty(tmp_path: Path) -> None:
    imported = load(tmp_path, [question()], [answer(bed=["", "roses"])])
    assert calls(imported) == [("garden.water", {"bed": "roses"})]


def test_irrelevant_functions_have_no_call(tmp_path: Path) -> None:
    imported = load(tmp_path, [question("irrelevance_7")])
    assert imported.use_cases[0].tool_calls == ()


@pytest.mark.parametrize(
    ("kind", "asked", "answered"),
    [
        ("no answer", question("simple_9"), answer()),
        ("malformed answer", question(), answer() | {"ground_truth": "x"}),
        ("several messages", question() | {"question": [[], []]}, answer()),
        ("no query", question() | {"question": [[{"role": "system", "content": "x"}]]}, answer()),
        ("call does not fit its tool", question(), answer(bed=[5.5, 6], other=[1])),
        ("unknown tool", question(), {"id": "simple_0", "ground_truth": [{"mow": {}}]}),
    ],
)
def test_case_is_kept_out_with_its_reason(tmp_path: Path, kind: str, asked: Any, answered: Any) -> None:
    imported = load(tmp_path, [asked], [answered])
    assert kinds(imported.rejected_cases) == {kind: 1} and not imported.use_cases and imported.tools


def test_what_is_no_function_is_rejected(tmp_path: Path) -> None:
    imported = load(
        tmp_path, [question(), question("b", function=["x"]), question("c", function=5), {"x": 1}]
    )
    assert kinds(imported.rejected) == {"not a tool": 1, "malformed list": 1, "not a question": 1}


def test_every_published_function_is_accounted_for() -> None:
    names = ("simple_python", "multiple", "irrelevance")
    files = shared(
        *(f"bfcl/BFCL_v4_{n}.json" for n in names),
        *(f"bfcl/possible_answer/BFCL_v4_{n}.json" for n in names[:2]),
    )
    imported = checked(import_tools(files))
    assert (imported.format, imported.read, imported.rejected) == ("bfcl", 1197, [])
    assert (imported.cases_read, imported.rejected_cases) == (840, [])
    assert sum(not case.tool_calls for case in imported.use_cases) == 240
    assert {case.source for case in imported.use_cases} >= {"bfcl:BFCL_v4_multiple.json:1"}
