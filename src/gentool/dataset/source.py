"""The open dataset as people write it, YAML by domain, read into records.

``dataset/pairs/DOMAIN.yaml`` is a list of pairs, ``dataset/tools/DOMAIN.yaml`` a list of stand-alone tools; see
``dataset/README.md``. In the YAML a pair's tools are called ``strong`` and ``weak``; these words also stand for their
names in grades, calls and alternatives.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, model_validator

from gentool.catalog.schema import pair_problems, unusable
from gentool.jsonl import GenToolError, RecordError, parse_record, printable, read_bytes
from gentool.records import (
    Derivation,
    Function,
    Grade,
    GradedQuery,
    Group,
    Record,
    Tool,
    ToolCall,
    ToolPair,
    Way,
)
from gentool.strict_yaml import parse_yaml

Role = Literal["strong", "weak"]

LICENCE = "CC-BY-4.0"
SOURCE = "gentool-open"


class SourceError(GenToolError):
    """A source file that cannot be read; names file, entry, field and fix."""


class _Written(Record):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WrittenTool(_Written):
    """A tool: ``parameters`` are the properties of the object schema, a required one ends in ``!``.

    ``further`` are other keywords of the object schema, such as ``$defs``.
    """

    name: str
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict)
    further: dict[str, Any] = Field(default_factory=dict)

    def function(self) -> Function:
        properties = {name.removesuffix("!"): schema for name, schema in self.parameters.items()}
        schema: dict[str, Any] = {"type": "object", "properties": properties}
        required = [name.removesuffix("!") for name in self.parameters if name.endswith("!")]
        if required:
            schema["required"] = required
        schema |= self.further
        return Function(name=self.name, description=self.description, parameters=schema)


class WrittenQuery(_Written):
    """A query; ``calls`` and ``alternatives`` by ``strong`` and ``weak``."""

    q: str
    now: str | None = None
    strong: Grade
    weak: Grade
    best: Role | None
    why: str
    calls: dict[Role, dict[str, Any]] = Field(default_factory=dict)
    alternatives: dict[Role, dict[str, list[Any]]] = Field(default_factory=dict)


class WrittenPair(_Written):
    """A pair. ``near_misses`` are queries that neither tool can serve, though they sound as if."""

    how: Way
    note: str
    group: Group | None = None
    unseen: Role | None = None
    challenge: bool = False
    strong: WrittenTool
    weak: WrittenTool
    queries: list[WrittenQuery]
    near_misses: list[WrittenQuery] = Field(default_factory=list)

    @model_validator(mode="after")
    def _near_misses_have_no_tool(self) -> WrittenPair:
        for query in self.near_misses:
            if query.best is not None:
                raise ValueError(f"near miss {query.q[:40]!r}: expected no tool to be useful")
        return self

    def pair(self, domain: str) -> ToolPair:
        """The record. Raises ``ValidationError``."""
        tools = {
            role: Tool(function=written.function(), domain=domain, source=SOURCE)
            for role, written in (("strong", self.strong), ("weak", self.weak))
        }
        names = {role: tool.name for role, tool in tools.items()}
        return ToolPair(
            domain=domain,
            group=self.group,
            tools=(tools["strong"], tools["weak"]),
            derivation=Derivation(
                tool=names["weak"], from_tool=names["strong"], how=self.how, note=self.note
            ),
            unseen_tool=names[self.unseen] if self.unseen else None,
            challenge=self.challenge,
            queries=tuple(_graded(q, names) for q in [*self.queries, *self.near_misses]),
        )


def _graded(query: WrittenQuery, names: dict[str, str]) -> GradedQuery:
    return GradedQuery(
        query=query.q,
        now=query.now,
        grades={names["strong"]: query.strong, names["weak"]: query.weak},
        best=names[query.best] if query.best else None,
        reason=query.why,
        tool_calls=tuple(ToolCall.of(names[role], arguments) for role, arguments in query.calls.items()),
        alternatives={names[role]: values for role, values in query.alternatives.items()},
    )


class _WrittenTool(WrittenTool):
    split: Literal["train", "test"] | None = None


def _torn(value: Any) -> Iterator[str]:
    """Keys with nothing behind them: what YAML makes of a text with a comma in it, inside of braces."""
    if isinstance(value, dict):
        for key, part in value.items():
            if part is None and key not in ("default", "const"):
                yield str(key)
            yield from _torn(part)
    elif isinstance(value, list):
        for part in value:
            yield from _torn(part)


def _tool_problems(tool: Tool) -> list[str]:
    torn = [
        f"{tool.name}: {key!r}: expected a value; put texts with commas in quotes"
        for key in _torn(tool.parameters)
    ]
    return [*torn, *unusable(tool)]


def _entries(path: Path) -> list[tuple[str, Any]]:
    try:
        value = parse_yaml(read_bytes(path).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path}{error}") from None
    if not isinstance(value, list):
        raise SourceError(f"{path}: expected a list of entries. Fix: begin each with `- `.")
    return [(f"{path}: entry {i + 1}", entry) for i, entry in enumerate(value)]


def scan_pairs(path: Path) -> tuple[list[ToolPair], list[str]]:
    """The good pairs of a source file, and everything that is wrong with the others."""
    pairs, problems = [], []
    for where, entry in _entries(path):
        named = f"{where} ({_name(entry)})"
        try:
            written = parse_record(WrittenPair, entry, named)
            pair = written.pair(path.stem)
        except RecordError as error:
            problems += str(error).split("\n")
            continue
        except ValueError as error:
            problems.append(f"{named}: {printable(str(error))[:600]}")
            continue
        problems += [f"{named}: {p}" for tool in pair.tools for p in _tool_problems(tool)]
        problems += [f"{named}: {p}" for p in pair_problems(pair)]
        pairs.append(pair)
    return pairs, problems


def _name(entry: Any) -> str:
    strong = entry.get("strong") if isinstance(entry, dict) else None
    return str(strong.get("name"))[:64] if isinstance(strong, dict) else "?"


def scan_tools(path: Path) -> tuple[list[Tool], list[str]]:
    """The good stand-alone tools of a source file, and everything that is wrong with the others."""
    tools, problems = [], []
    for where, entry in _entries(path):
        try:
            written = parse_record(_WrittenTool, entry, where)
            tool = Tool(function=written.function(), domain=path.stem, split=written.split, source=SOURCE)
        except ValueError as error:
            problems.append(f"{where}: {printable(str(error))[:600]}")
            continue
        problems += [f"{where}: {p}" for p in _tool_problems(tool)]
        tools.append(tool)
    return tools, problems
