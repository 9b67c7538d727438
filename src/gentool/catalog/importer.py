"""Brings a user's tools into the catalogue: whatever is wrong is repaired and noted, or rejected with the reason.

Every entry of the file is accounted for: ``read == len(tools) + len(rejected) + len(duplicates)``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from rich.table import Table
from rich.text import Text

from gentool.catalog import mcp, openai
from gentool.catalog.entries import CatalogError, Entry, Note, Row, unfit
from gentool.catalog.files import read_rows
from gentool.catalog.names import name_repairs, original_name, unique_names, valid_name
from gentool.catalog.references import reference_problems
from gentool.catalog.repair import repaired_parameters
from gentool.catalog.schema import oversize, tool_problems
from gentool.jsonl import RecordError, canonical_json, excerpt, parse_record, printable
from gentool.records import Tool

__all__ = ["FORMATS", "CatalogError", "Imported", "Note", "import_tools", "original_name", "summary_table"]

Score = Callable[[Row], int]
Entries = Callable[[Iterable[Row], str], Iterator[Entry]]

FORMATS: dict[str, tuple[Score, Entries]] = {
    "openai": (openai.score, openai.entries),
    "mcp": (mcp.score, mcp.entries),
}


@dataclass
class Imported:
    """What an import made of a file. ``names``: new name -> original, for the names that were changed.

    ``repaired`` has a note for each repair of a tool that was kept, so that one tool can have several.
    """

    format: str
    read: int = 0
    tools: list[Tool] = field(default_factory=list)
    repaired: list[Note] = field(default_factory=list)
    rejected: list[Note] = field(default_factory=list)
    duplicates: list[Note] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Draft:
    """A usable tool, not yet named apart from the others."""

    entry: Entry
    tool: Tool
    repairs: list[str]


class _Unusable(Exception):
    """Carries the reason out of :func:`_draft`; never leaves this file."""


def _output_schema(value: Any, repairs: list[str]) -> dict[str, Any] | None:
    """The schema of the result if it is one: a bad one is no reason to lose the tool, which works without."""
    if value is None:
        return None
    try:
        if isinstance(value, dict):
            Draft202012Validator.check_schema(value)
            return value
    except (SchemaError, RecursionError):
        pass
    repairs.append("output schema dropped: not a valid JSON Schema")
    return None


def _make_tool(entry: Entry, name: str, function: dict[str, Any]) -> Tool:
    value = {"function": {**function, "name": name}, "domain": entry.domain, "source": entry.source}
    return parse_record(Tool, value, entry.where)


def _draft(entry: Entry) -> _Draft:
    """``entry`` as a tool under its own, valid name. Raises :class:`_Unusable` with the reason."""
    problem = entry.problem or unfit(entry.raw)
    if problem:
        raise _Unusable(problem)
    if not isinstance(entry.name, str) or not entry.name.strip():
        raise _Unusable(f"no name: expected a text; found {excerpt(entry.name, 60)}")
    repairs = list(entry.repairs)
    if entry.description is None:
        repairs.append("description missing: left empty")
    elif not isinstance(entry.description, str):
        raise _Unusable(f"description: expected a text; found {excerpt(entry.description, 60)}")
    if entry.parameters not in (None, []) and not isinstance(entry.parameters, dict):
        raise _Unusable(f"parameters: expected a JSON Schema object; found {excerpt(entry.parameters, 60)}")
    parameters, repairs_made = repaired_parameters(entry.parameters or None)
    repairs += repairs_made
    function = {
        "description": entry.description or "",
        "parameters": parameters,
        "output_schema": _output_schema(entry.output_schema, repairs),
    }
    try:
        tool = _make_tool(entry, valid_name(entry.name), function)
    except RecordError as error:
        raise _Unusable(f"not an object schema: {str(error).removeprefix(entry.where + ': ')}") from None
    large = oversize(tool)
    if large:
        raise _Unusable(f"too large: {large}")
    problems = tool_problems(tool)
    if problems:
        raise _Unusable(f"invalid JSON Schema: {'; '.join(problems)}")
    problems = reference_problems(parameters)
    if problems:
        raise _Unusable(f"unusable reference: {'; '.join(problems)}")
    return _Draft(entry, tool, repairs)


def _rejected(entry: Entry, reason: str) -> Note:
    name = printable(entry.name) if isinstance(entry.name, str) else ""
    return Note(where=entry.where, name=name, reason=reason, found=excerpt(entry.raw, 200))


def _drafts(entries: Iterable[Entry], imported: Imported) -> Iterator[_Draft]:
    """The usable entries, each content once; the others are noted in ``imported``."""
    first: dict[str, str] = {}
    for entry in entries:
        imported.read += 1
        try:
            draft = _draft(entry)
        except _Unusable as problem:
            imported.rejected.append(_rejected(entry, str(problem)))
            continue
        except RecursionError:
            imported.rejected.append(_rejected(entry, "nested too deeply: cannot be checked"))
            continue
        tool = draft.tool
        # By the original name: two names that become the same one are two tools.
        content = canonical_json([entry.name, tool.description, tool.parameters])
        if content in first:
            reason = f"exact duplicate: of {first[content]}"
            imported.duplicates.append(Note(where=entry.where, name=entry.name, reason=reason))
            continue
        first[content] = entry.where
        yield draft


def _format_of(path: Path, rows: list[Row]) -> str:
    scores = {name: sum(map(score, rows)) for name, (score, _) in FORMATS.items()}
    best = max(scores, key=scores.__getitem__)
    if not scores[best]:
        found = excerpt(rows[0].value, 80) if rows else "an empty array"
        raise CatalogError(
            f"{path}: expected tools in one of the formats {', '.join(FORMATS)}; found {found}. "
            "Fix: convert them, or name the format if it is one of these."
        )
    return best


def catalogue_format(path: Path) -> str | None:
    """The format in which a file holds tools, if it is one that :func:`import_tools` reads."""
    try:
        return _format_of(path, read_rows(path))
    except CatalogError:
        return None


def import_tools(path: Path, format: str | None = None) -> Imported:
    """The tools of a file (JSON, JSONL, either gzipped), its format told by its content unless given.

    Names are made valid and unique, plain faults of the schemas repaired, exact duplicates dropped, all noted;
    a bad entry is rejected with its reason and does not stop the others. Raises :class:`CatalogError` for a file
    from which nothing can be read, or a ``format`` that is not known.
    """
    if format is not None and format not in FORMATS:
        raise CatalogError(
            f"{path}: expected a format among {', '.join(FORMATS)}; found {format!r}. "
            "Fix: name one of these, or none to have it detected."
        )
    rows = read_rows(path)
    chosen = format or _format_of(path, rows)
    imported = Imported(format=chosen)
    _, entries = FORMATS[chosen]
    drafts = list(_drafts(entries(rows, printable(path.name)), imported))
    if not imported.read:
        raise CatalogError(f"{path}: expected at least one tool; found none. Fix: check the file.")
    names = unique_names([(d.entry.name, d.entry.server) for d in drafts])
    for draft, name in zip(drafts, names, strict=True):
        original = draft.entry.name
        tool = draft.tool
        if name != tool.name:
            tool = _make_tool(draft.entry, name, tool.function.model_dump(exclude={"name"}))
        if name != original:
            imported.names[name] = original
        imported.tools.append(tool)
        imported.repaired += [
            Note(where=draft.entry.where, name=original, reason=reason)
            for reason in [*name_repairs(original, name), *draft.repairs]
        ]
    return imported


def _by_kind(notes: Iterable[Note]) -> list[tuple[str, int]]:
    """How many tools have a note of each kind, the most frequent kind first."""
    tools = Counter(kind for _, kind in {(n.where, n.kind) for n in notes})
    return sorted(tools.items(), key=lambda item: (-item[1], item[0]))


def summary_table(imported: Imported) -> Table:
    """Counts of tools: read, kept, duplicate, and repaired and rejected by the kind of reason."""
    table = Table("tools", "count", title=f"Import ({imported.format})")
    table.columns[1].justify = "right"
    rows = [
        ("read", imported.read),
        ("kept", len(imported.tools)),
        ("exact duplicates, dropped", len(imported.duplicates)),
        ("rejected", len(imported.rejected)),
    ]
    rows += [(f"  {kind}", number) for kind, number in _by_kind(imported.rejected)]
    rows.append(("kept after repair", len({n.where for n in imported.repaired})))
    rows += [(f"  {kind}", number) for kind, number in _by_kind(imported.repaired)]
    for label, number in rows:
        # Text, not markup: a reason may hold square brackets.
        table.add_row(Text(label), f"{number:,}")
    return table
