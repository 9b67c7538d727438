"""Read tool pairs and stand-alone tools, schemas and calls checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from gentool.catalog.importer import catalogue_format
from gentool.catalog.schema import pair_problems, unusable
from gentool.jsonl import RecordError, parse_record, printable, scan_jsonl
from gentool.records import GENERATE_RESPONSE, Tool, ToolPair

R = TypeVar("R", bound=BaseModel)

_TOLD = 10
"""Problems that :func:`read_pairs` and :func:`read_tools` name; ``gentool check`` names all."""


def _scan(kind: type[R], path: Path) -> tuple[list[tuple[str, R]], list[str]]:
    """The good records of a file with the places where they are, and what is wrong with the others."""
    good: list[tuple[str, R]] = []
    problems: list[str] = []
    try:
        for number, value, problem in scan_jsonl(path):
            where = f"{path}:{number}"
            try:
                if problem:
                    raise RecordError(f"{where}: {problem}")
                good.append((where, parse_record(kind, value, where)))
            except RecordError as error:
                problems += str(error).split("\n")
    except RecordError as error:
        problems.append(str(error))
    return good, problems


def scan_pairs(path: Path) -> tuple[list[ToolPair], list[str]]:
    """The good pairs of a file, and everything that is wrong with it."""
    found, problems = _scan(ToolPair, path)
    pairs: dict[str, ToolPair] = {}
    names: dict[str, str] = {}
    for where, pair in found:
        wrong = [f"{p}. Fix: correct schema or call." for p in pair_problems(pair)]
        if not pair.queries:
            wrong.append(
                "queries: expected graded queries; found none. Fix: write some, or give the tools in data.tools."
            )
        if pair.id in pairs:
            wrong.append(f"the pair {pair.names} is in the file twice. Fix: remove one.")
        else:
            wrong += [
                f"tools: the name {name!r} is also used by the pair at {names[name]}. Fix: rename one of the tools, "
                "since names must tell the tools of a catalogue apart."
                for name in pair.names
                if name in names
            ]
        problems += [f"{where}: {text}" for text in wrong]
        names.update(dict.fromkeys(pair.names, where))
        if not wrong:
            pairs[pair.id] = pair
    if not found and not problems:
        problems.append(f"{path}: expected tool pairs; found none. Fix: see docs/formats.md.")
    return list(pairs.values()), problems


def _is_catalogue(path: Path) -> str | None:
    """The format of a file that :func:`gentool.catalog.importer.import_tools` reads and that is no ``tools.jsonl``."""
    try:
        lines = [value for _, value, _ in scan_jsonl(path)]
    except RecordError:  # no JSONL: it may be one JSON document, or packed
        lines = []
    if any(isinstance(value, dict) and "function" in value for value in lines):
        return None
    return catalogue_format(path)


def scan_tools(path: Path) -> tuple[list[Tool], list[str]]:
    """The good stand-alone tools of a file, and everything that is wrong with it."""
    found, problems = _scan(Tool, path)
    if not found and path.is_file() and (format := _is_catalogue(path)):
        return [], [
            f"{path}: expected one tool a line; found a catalogue in the format {format}. Fix: run "
            f"`gentool import {path} --out catalogue` first, and give catalogue/tools.jsonl instead."
        ]
    tools: dict[str, Tool] = {}
    names: dict[str, str] = {}
    for where, tool in found:
        wrong = [f"function.{p}. Fix: correct the tool." for p in unusable(tool)]
        if tool.name == GENERATE_RESPONSE:
            wrong.append(
                f"function.name: {GENERATE_RESPONSE!r} is the default tool's name. Fix: rename the tool."
            )
        if tool.id in tools:
            wrong.append(f"the tool {tool.name!r} is in the file twice. Fix: remove one.")
        elif tool.name in names:
            wrong.append(
                f"function.name: another tool at {names[tool.name]} is called {tool.name!r} too. Fix: rename one of "
                "them, since names must tell tools apart (`gentool import` does it)."
            )
        problems += [f"{where}: {text}" for text in wrong]
        names.setdefault(tool.name, where)
        if not wrong:
            tools[tool.id] = tool
    if not found and not problems:
        problems.append(
            f"{path}: expected tools; found none. Fix: check the file, or write `data.tools: null` for none."
        )
    return list(tools.values()), problems


def _refuse(path: Path, problems: Sequence[str]) -> None:
    if problems:
        told = list(problems[:_TOLD])
        if len(problems) > _TOLD:
            told.append(f"{path}: and {len(problems) - _TOLD} more. `gentool check` names all.")
        raise RecordError("\n".join(told))


def check_file(key: str, path: Path) -> None:
    """Raise :class:`RecordError` naming the option ``key`` if ``path`` is no file."""
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise RecordError(
            f"{key}: {printable(str(path))} cannot be read: expected a file of JSON lines; found {found}. "
            f"Fix: correct {key}; a path is relative to the folder you start from, {Path.cwd()}."
        )


def read_pairs(path: Path) -> list[ToolPair]:
    """Tool pairs with graded queries. Raises :class:`RecordError` naming file, line, field and fix."""
    pairs, problems = scan_pairs(path)
    _refuse(path, problems)
    return pairs


def read_tools(path: Path) -> list[Tool]:
    """Stand-alone tools. Raises :class:`RecordError` naming file, line, field and fix."""
    tools, problems = scan_tools(path)
    _refuse(path, problems)
    return tools
