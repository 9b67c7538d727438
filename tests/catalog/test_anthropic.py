"""Anthropic's tools, and how they are told from MCP's in snake case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.imports import kinds, load

SCHEMA = {"type": "object", "properties": {"bed": {"type": "integer"}}, "required": ["bed"]}


def tool(name: str = "water_bed", **more: Any) -> dict[str, Any]:
    return {"name": name, "description": "Waters a bed.", "input_schema": SCHEMA, **more}


@pytest.mark.parametrize(
    "content", [[tool()], {"model": "m", "max_tokens": 9, "tools": [tool()]}, [{"tools": [tool()]}]]
)
def test_tools_are_read_from_each_container(tmp_path: Path, content: Any) -> None:
    imported = load(tmp_path, content)
    assert imported.format == "anthropic"
    (found,) = imported.tools
    assert (found.name, found.description, found.parameters) == ("water_bed", "Waters a bed.", SCHEMA)
    assert found.source == "anthropic:a.jsonl" and not imported.repaired


@pytest.mark.parametrize(
    ("format", "content"),
    [
        ("anthropic", [tool(), tool("b", cache_control={"type": "ephemeral"})]),
        ("mcp", {"server": "garden", "tools": [tool(), tool("b"), tool("c")]}),
        ("mcp", {"jsonrpc": "2.0", "result": {"tools": [tool()]}}),
        ("mcp", [tool(output_schema={"type": "object"})]),
        ("mcp", [tool(annotations={"readOnlyHint": True})]),
    ],
)
def test_snake_case_is_mcp_only_where_something_says_so(tmp_path: Path, format: str, content: Any) -> None:
    assert load(tmp_path, content).format == format


def test_tools_that_run_elsewhere_are_rejected(tmp_path: Path) -> None:
    hosted = {"type": "web_search_20250305", "name": "web_search"}
    imported = load(tmp_path, [tool(type="custom", strict=True), hosted, 5])
    assert kinds(imported.rejected) == {"not a custom tool": 1, "not a tool": 1}
    assert kinds(imported.repaired) == {"`strict` dropped": 1}
