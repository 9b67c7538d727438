"""Read tool pairs and stand-alone tools, schemas and calls checked."""

from __future__ import annotations

from pathlib import Path

from gentool.catalog.schema import pair_problems, tool_problems
from gentool.jsonl import RecordError, parse_record, read_jsonl_lines
from gentool.records import GENERATE_RESPONSE, Tool, ToolPair


def read_pairs(path: Path) -> list[ToolPair]:
    """Tool pairs with graded queries. Raises :class:`RecordError` naming file, line, field and fix."""
    pairs: dict[str, ToolPair] = {}
    names: dict[str, str] = {}
    for number, value in read_jsonl_lines(path):
        where = f"{path}:{number}"
        pair = parse_record(ToolPair, value, where)
        problems = pair_problems(pair)
        if problems:
            raise RecordError("\n".join(f"{where}: {p}. Fix: correct schema or call." for p in problems))
        if pair.id in pairs:
            raise RecordError(f"{where}: the pair {pair.names} is in the file twice. Fix: remove one.")
        for name in pair.names:
            if name in names:
                raise RecordError(
                    f"{where}: tools: the name {name!r} is also used by the pair at {names[name]}. Fix: rename one "
                    "of the tools, since names must tell the tools of a catalogue apart."
                )
            names[name] = where
        pairs[pair.id] = pair
    if not pairs:
        raise RecordError(f"{path}: expected tool pairs; found none. Fix: see docs/formats.md.")
    return list(pairs.values())


def read_tools(path: Path) -> list[Tool]:
    """Stand-alone tools. Raises :class:`RecordError` naming file, line, field and fix."""
    tools: dict[str, Tool] = {}
    for number, value in read_jsonl_lines(path):
        where = f"{path}:{number}"
        tool = parse_record(Tool, value, where)
        problems = tool_problems(tool)
        if tool.name == GENERATE_RESPONSE:
            problems.append(f"function.name: {GENERATE_RESPONSE!r} is the default tool's name")
        if problems:
            raise RecordError("\n".join(f"{where}: function.{p}. Fix: correct the tool." for p in problems))
        if tool.id in tools:
            raise RecordError(f"{where}: the tool {tool.name!r} is in the file twice. Fix: remove one.")
        tools[tool.id] = tool
    return list(tools.values())
