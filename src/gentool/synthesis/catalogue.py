"""The tools that pairs are made of, and what users asked of them: ``synthesis.tools`` and ``synthesis.use_cases``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from gentool import data
from gentool.catalog.importer import import_tools
from gentool.catalog.names import unique_names
from gentool.catalog.pairs import check_file, scan_tools
from gentool.config import SynthesisConfig
from gentool.jsonl import parse_record, read_jsonl_lines
from gentool.records import Tool, UseCase

MOST_EXAMPLES = 5
"""Example queries of a tool that are told to the teacher."""


def _sources(config: SynthesisConfig) -> list[str]:
    names = [config.tools] if isinstance(config.tools, str) else config.tools
    return [str(data.tools_file(name)) if name in data.NAMED else name for name in names]


def _own_format(source: str) -> list[Tool]:
    """The tools of a file that is a flawless ``tools.jsonl``; those of any other source are to be imported."""
    path = Path(source)
    try:
        with path.open("rb") as file:
            Tool.model_validate_json(file.readline())
        tools, problems = scan_tools(path)
    except (OSError, ValueError):
        return []
    return [] if problems else tools


def read_catalogue(config: SynthesisConfig) -> tuple[list[Tool], list[UseCase]]:
    """All tools, each once, under names that tell them apart, and the use cases that were found with them.

    A tool whose name another one has gets a number behind it. Raises :class:`gentool.catalog.entries.CatalogError`
    or :class:`gentool.jsonl.RecordError`.
    """
    found: dict[str, Tool] = {}
    others: list[str] = []
    for source in _sources(config):
        tools = _own_format(source)
        found |= {tool.id: tool for tool in tools}
        others += [] if tools else [source]
    cases: list[UseCase] = []
    if others:
        imported = import_tools(others)
        found |= {tool.id: tool for tool in imported.tools}
        cases = imported.use_cases
    names = unique_names([(tool.name, None) for tool in found.values()])
    return [renamed(tool, name) for tool, name in zip(found.values(), names, strict=True)], cases


def renamed(tool: Tool, name: str) -> Tool:
    """The tool under another name."""
    if name == tool.name:
        return tool
    fields = tool.model_dump(exclude={"id"})
    return Tool.model_validate({**fields, "function": {**fields["function"], "name": name}})


def read_use_cases(path: Path) -> Iterator[UseCase]:
    """The use cases of a file. Raises :class:`gentool.jsonl.RecordError`."""
    check_file("synthesis.use_cases", path)
    for number, value in read_jsonl_lines(path):
        yield parse_record(UseCase, value, f"{path}:{number}")


def examples_of(cases: Iterable[UseCase], tools: Sequence[Tool]) -> dict[str, tuple[str, ...]]:
    """Tool id -> queries that it served, the first few. Only uses of a single tool tell what that tool is for."""
    by_id = {tool.id: tool for tool in tools}
    by_name = {tool.name: tool for tool in tools}
    found: dict[str, list[str]] = {}
    for case in cases:
        called = {call.name for call in case.tool_calls}
        shown = [t for t in case.tools if t.name in called] if called else list(case.tools)
        if len(called) > 1 or len(shown) != 1:
            continue
        tool = by_id.get(shown[0].id) or by_name.get(shown[0].name)
        queries = found.setdefault(tool.id, []) if tool else []
        if len(queries) < MOST_EXAMPLES and case.query not in queries:
            queries.append(case.query)
    return {tool: tuple(queries) for tool, queries in found.items()}
