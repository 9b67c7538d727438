"""Hermes: tools in the system prompt, calls in the answers, in JSON or as Python writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.imports import calls, kinds, load

PARAMETERS = {
    "type": "object",
    "properties": {"bed": {"type": "string"}, "deep": {"type": "boolean"}},
    "required": ["bed"],
}
TOOL = {
    "type": "function",
    "function": {"name": "water", "description": "Waters a bed.", "parameters": PARAMETERS},
}
MOW = {
    "type": "function",
    "function": {"name": "mow", "description": "Mows.", "parameters": {"type": "object", "properties": {}}},
}
CALL = '<tool_call>\n{"name": "water", "arguments": {"bed": "roses", "deep": true}}\n</tool_call>'


def talk(tools: str, answer: str = CALL, query: str = "Water the roses well.") -> dict[str, Any]:
    system = f"You call functions listed within <tools> </tools> tags.\n<tools>{tools}</tools> Go."
    turns = [("system", system), ("human", query), ("gpt", answer), ("tool", "ok"), ("gpt", "Done.")]
    return {"id": "x", "conversations": [{"from": role, "value": text} for role, text in turns]}


LISTINGS = {
    "array": json.dumps([TOOL, MOW]),
    "one after the other": f"\n{json.dumps(TOOL)}\n{json.dumps(MOW)}\n",
    "Python": repr([TOOL, MOW]),
}


@pytest.mark.parametrize("listing", LISTINGS)
@pytest.mark.parametrize("answer", [CALL, CALL.replace('"', "'").replace("true", "True")])
def test_tools_and_the_first_call(tmp_path: Path, listing: str, answer: str) -> None:
    imported = load(tmp_path, [talk(LISTINGS[listing], "I will.\n" + answer)])
    assert imported.format == "hermes" and not imported.repaired
    assert [t.openai() for t in imported.tools] == [TOOL, MOW]
    assert [t.name for t in imported.use_cases[0].tools] == ["water", "mow"]
    assert calls(imported) == [("water", {"bed": "roses", "deep": True})]
    assert imported.use_cases[0].query == "Water the roses well."


def test_messages_and_a_column_of_tools_beside(tmp_path: Path) -> None:
    turns = [
        {"role": "system", "content": f"<tools>{json.dumps(TOOL)}</tools>"},
        {"role": "user", "content": "Water."},
    ]
    row = {"messages": [*turns, {"role": "assistant", "content": CALL}], "tools": json.dumps([TOOL])}
    imported = load(tmp_path, [row])
    assert imported.format == "hermes" and imported.read == 1 and len(imported.use_cases) == 1


def test_several_calls(tmp_path: Path) -> None:
    both = CALL + '\n<tool_call>{"name": "mow", "arguments": {}}</tool_call>'
    assert [name for name, _ in calls(load(tmp_path, [talk(LISTINGS["array"], both)]))] == ["water", "mow"]


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("no call", talk(LISTINGS["array"], "Which bed?")),
        ("call cannot be read", talk(LISTINGS["array"], "<tool_call>{water</tool_call>")),
        ("call cannot be read", talk(LISTINGS["array"], "<tool_call>__import__('os').getcwd()</tool_call>")),
        ("call does not fit its tool", talk(LISTINGS["array"], CALL.replace("bed", "plot"))),
        ("no query", {"conversations": talk(LISTINGS["array"])["conversations"][:2]}),
        ("no query", talk(LISTINGS["array"], query="")),
    ],
)
def test_case_is_kept_out_with_its_reason(tmp_path: Path, kind: str, row: dict[str, Any]) -> None:
    imported = load(tmp_path, [row])
    assert kinds(imported.rejected_cases) == {kind: 1} and not imported.use_cases and len(imported.tools) == 2


def test_listing_that_cannot_be_read(tmp_path: Path) -> None:
    no_tools = {"conversations": [{"from": "system", "value": "Answer in JSON."}]}
    imported = load(tmp_path, [talk(LISTINGS["array"]), talk("[{"), no_tools, {"id": 1}])
    assert kinds(imported.rejected) == {"malformed list": 1, "not a conversation": 1}
    assert kinds(imported.rejected_cases) == {"no tool": 1}
