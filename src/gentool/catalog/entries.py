"""What the files of this room hand to each other: rows of a file, entries of a catalogue, notes for a person."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gentool.jsonl import GenToolError, printable, strict_json
from gentool.records import Record

MAX_DEPTH = 64
"""Deeper entries are rejected: a schema of 120 levels exhausts the stack while it is checked, real ones have 20."""


class CatalogError(GenToolError):
    """A file from which no tool can be read: names the file, what was expected and found, and the fix."""


class Note(Record):
    """What was changed, dropped or rejected, and where.

    ``reason`` begins with its kind, up to the first ``": "``; notes are counted by it. ``found`` is a short
    excerpt of the original where the original did not make it into the catalogue.
    """

    where: str
    name: str
    reason: str
    found: str = ""

    @property
    def kind(self) -> str:
        return self.reason.partition(": ")[0]


class Repeated(dict[str, Any]):
    """An object of a file in which ``key`` stands twice, of which JSON keeps the last."""

    def __init__(self, items: dict[str, Any], key: str) -> None:
        super().__init__(items)
        self.key = key


@dataclass(frozen=True)
class Row:
    """One JSON value of a file. ``problem`` says why there is none."""

    where: str
    value: Any
    problem: str = ""


@dataclass(frozen=True)
class Entry:
    """One would-be tool, its parts found but not yet checked. ``problem`` says why they were not found."""

    where: str
    raw: Any
    source: str
    name: Any = None
    description: Any = None
    parameters: Any = None
    output_schema: Any = None
    server: str | None = None
    domain: str | None = None
    repairs: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Case:
    """One query and the calls that answer it, not yet checked. ``problem`` says why they were not found.

    ``tools`` has the ``where`` of each entry that could be called; ``calls`` the name in the file and the arguments
    of each call.
    """

    where: str
    raw: Any
    source: str
    query: Any = None
    tools: tuple[str, ...] = ()
    calls: tuple[tuple[Any, Any], ...] = ()
    problem: str = ""


def hidden_json(text: str) -> Any:
    """The value of a JSON text that lies inside of a JSON value. Raises ``ValueError``, also for one nested deeply."""
    try:
        value = strict_json(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    problem = unfit(value)
    if problem:
        raise ValueError(problem)
    return value


def listed(where: str, values: Any, key: str) -> Iterator[Row]:
    """The values of an array, or of its JSON text, each as a row; one row with a problem if it is no array."""
    if isinstance(values, str):
        try:
            values = hidden_json(values)
        except ValueError as error:
            yield Row(where, values, f"malformed list: `{key}` is not JSON: {printable(str(error))[:120]}")
            return
    if not isinstance(values, list):
        yield Row(where, values, f"malformed list: expected `{key}` to be an array")
        return
    for i, value in enumerate(values):
        yield Row(f"{where}#{i}", value)


def tools_of(row: Row) -> Iterator[Row]:
    """The entries of ``row``'s ``tools`` (an array or its JSON text), or ``row`` itself if it holds none."""
    if row.problem or not isinstance(row.value, dict) or "tools" not in row.value:
        yield row
    else:
        yield from listed(row.where, row.value["tools"], "tools")


def unfit(value: Any) -> str:
    """Why ``value``, read from JSON, cannot be written as JSON again; empty if it can."""
    level = [value]
    for _ in range(MAX_DEPTH):
        for part in level:
            if isinstance(part, Repeated):
                return f"repeated key: {part.key!r} is there twice in one object"
        level = [
            part
            for whole in level
            if isinstance(whole, dict | list)
            for part in (whole.values() if isinstance(whole, dict) else whole)
        ]
    if level:
        return f"nested too deeply: more than {MAX_DEPTH} levels"
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except UnicodeEncodeError:
        return "not Unicode: a text holds half of a surrogate pair"
    except ValueError:
        return "not JSON: a number is NaN or infinite"
    return ""
