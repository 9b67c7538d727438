"""Writes an imported catalogue as others read it: OpenAI, MCP, TRL."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gentool.catalog.importer import Imported
from gentool.catalog.names import original_name
from gentool.catalog.openai import write_openai
from gentool.jsonl import write_text
from gentool.records import Tool


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _mcp_tool(tool: Tool, name: str) -> dict[str, Any]:
    described = {"name": name, "description": tool.description, "inputSchema": tool.parameters}
    output = tool.function.output_schema
    # MCP's results are objects.
    return {**described, "outputSchema": output} if output and output.get("type") == "object" else described


def write_mcp(imported: Imported, path: Path) -> None:
    """Write the result of ``tools/list``, tools under their original names.

    Of several tools of one original name the first one has it; names tell the tools of a server apart.
    """
    taken: set[str] = set()
    tools = []
    for tool in imported.tools:
        original = original_name(tool.name, imported.names)
        name = tool.name if original in taken else original
        taken.add(name)
        tools.append(_mcp_tool(tool, name))
    write_text(path, json.dumps({"tools": tools}, ensure_ascii=False, indent=2) + "\n")


def write_trl(imported: Imported, path: Path) -> None:
    """Write a data set of TRL: one line for each recorded query, or one in all, with the column ``tools``.

    ``tools`` is JSON text, as TRL reads it: the rows of a table would share one struct, and every schema have the keys
    of all others.
    """
    if imported.use_cases:
        rows = [
            {
                "prompt": [{"role": "user", "content": case.query}],
                "tools": _json([t.openai() for t in case.tools]),
            }
            for case in imported.use_cases
        ]
    else:
        rows = [{"tools": _json([t.openai() for t in imported.tools])}]
    write_text(path, "".join(_json(row) + "\n" for row in rows))


WRITERS: dict[str, tuple[str, Callable[[Imported, Path], None]]] = {
    "openai": ("openai.json", lambda imported, path: write_openai(imported.tools, path)),
    "mcp": ("mcp.json", write_mcp),
    "trl": ("trl.jsonl", write_trl),
}
"""Format -> name of the file, and what writes it. OpenAI and TRL take the new names, which alone are valid there."""
