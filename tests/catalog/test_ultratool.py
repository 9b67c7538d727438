"""UltraTool: schemas without ``required``, calls in the steps of a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.imports import calls, kinds, load

SCHEMA = {"type": "object", "properties": {"bed": {"type": "string"}, "litres": {"type": "number"}}}
TOOL = {
    "name": "water",
    "description": "Waters a bed.",
    "arguments": SCHEMA,
    "results": {"type": "object", "properties": {}},
}


def row(*steps: Any, **more: Any) -> dict[str, Any]:
    plan = [{"step": "1. Begin", "tool": "null"}, {"step": "1.1 Look", "tool": "No tool required"}]
    plan += [{"step": "2. Do", "tool": step} for step in steps]
    return {"question": "Water the roses.\n", "plan": plan, "tools": [TOOL], "domain": "Home", **more}


def test_tools_and_steps(tmp_path: Path) -> None:
    imported = load(tmp_path, [row("water(bed='roses', litres=2.5)", "water(bed='dahlias')")])
    assert imported.format == "ultratool"
    (tool,) = imported.tools
    assert (tool.parameters, tool.function.output_schema) == (SCHEMA, TOOL["results"])
    assert (tool.domain, imported.use_cases[0].query) == ("Home", "Water the roses.")
    assert calls(imported) == [("water", {"bed": "roses", "litres": 2.5}), ("water", {"bed": "dahlias"})]


def test_usage_test_with_a_reference(tmp_path: Path) -> None:
    reference = [{"step": "2. Do", "tool": "water", "param": {"bed": "roses", "litres": "3"}}]
    usage = {"question": "Water.", "input": [], "toolset": [TOOL], "reference": reference}
    imported = load(tmp_path, [usage])
    assert calls(imported) == [("water", {"bed": "roses", "litres": 3})]
    assert kinds(imported.repaired_cases) == {"number given as a text": 1}


@pytest.mark.parametrize(
    ("kind", "steps"),
    [
        ("no call", []),
        ("call cannot be read", ["water(bed='Anna's roses')"]),
        ("call cannot be read", ["water(bed=roses)"]),
        ("call cannot be read", ["water('roses')"]),
        ("call cannot be read", ["water(bed=__import__('os').getcwd())"]),
        ("call cannot be read", ["water(" + "(" * 5000 + ")"]),
        ("depends on another call", ["water(bed='<the bed found>')"]),
        ("unknown tool", ["mow(bed='roses')"]),
    ],
)
def test_case_is_kept_out_with_its_reason(tmp_path: Path, kind: str, steps: list[str]) -> None:
    imported = load(tmp_path, [row(*steps)])
    assert kinds(imported.rejected_cases) == {kind: 1} and imported.tools


def test_calls_are_no_tools(tmp_path: Path) -> None:
    bare = load(tmp_path, [TOOL, 5])
    assert (bare.format, kinds(bare.rejected)) == ("ultratool", {"not a tool": 1})
