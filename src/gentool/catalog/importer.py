"""Brings a user's tools into the catalogue: whatever is wrong is repaired and noted, or rejected with the reason.

Every entry of the files is accounted for: ``read == len(tools) + len(rejected) + len(duplicates)``, and so is every
recorded query: ``cases_read == len(use_cases) + len(rejected_cases)``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from rich.table import Table
from rich.text import Text

from gentool.catalog import (
    anthropic,
    bfcl,
    botocore,
    discovery,
    hermes,
    mcp,
    openai,
    openapi,
    seal_tools,
    toolalpaca,
    toolbench,
    ultratool,
    xlam,
)
from gentool.catalog.cases import Unfit, use_case
from gentool.catalog.entries import Case, CatalogError, Entry, Note, Row, unfit
from gentool.catalog.files import read_rows
from gentool.catalog.names import name_repairs, original_name, unique_names, valid_name
from gentool.catalog.plain_schema import plainly_valid
from gentool.catalog.references import reference_problems
from gentool.catalog.repair import repaired_parameters
from gentool.catalog.schema import oversize, tool_problems
from gentool.catalog.sources import Source, find_sources, printable_source
from gentool.jsonl import RecordError, canonical_json, excerpt, parse_record, printable
from gentool.records import Tool, UseCase

__all__ = ["FORMATS", "CatalogError", "Imported", "Note", "import_tools", "original_name", "summary_table"]

Score = Callable[[Row], int]
Entries = Callable[[Iterable[Row], str], Iterator[Entry]]
Cases = Callable[[Sequence[Row]], Iterator[Case]]


_TELLING = 1000
"""Rows that tell the format, if any of them has one: a large file need not be read once for each format."""


class Format(NamedTuple):
    """How a format is told and read. ``score`` says of one row how many entries it has in this form.

    ``cases`` finds the recorded queries in the rows of all files of the format, since they can lie beside the tools.
    """

    score: Score
    entries: Entries
    cases: Cases | None = None


FORMATS: dict[str, Format] = {
    "openai": Format(openai.score, openai.entries),
    "mcp": Format(mcp.score, mcp.entries),
    "anthropic": Format(anthropic.score, anthropic.entries),
    "xlam": Format(xlam.score, xlam.entries, xlam.cases),
    "bfcl": Format(bfcl.score, bfcl.entries, bfcl.cases),
    "hermes": Format(hermes.score, hermes.entries, hermes.cases),
    "toolbench": Format(toolbench.score, toolbench.entries),
    "seal_tools": Format(seal_tools.score, seal_tools.entries, seal_tools.cases),
    "toolalpaca": Format(toolalpaca.score, toolalpaca.entries, toolalpaca.cases),
    "ultratool": Format(ultratool.score, ultratool.entries, ultratool.cases),
    "openapi": Format(openapi.score, openapi.entries),
    "botocore": Format(botocore.score, botocore.entries),
    "discovery": Format(discovery.score, discovery.entries),
}
"""At equal scores the first one is taken."""


@dataclass
class Imported:
    """What an import made of files. ``names``: new name -> original, for the names that were changed.

    ``repaired`` has a note for each repair of a tool that was kept, so that one tool can have several;
    ``repaired_cases`` the same for recorded queries.
    """

    format: str
    read: int = 0
    tools: list[Tool] = field(default_factory=list)
    repaired: list[Note] = field(default_factory=list)
    rejected: list[Note] = field(default_factory=list)
    duplicates: list[Note] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    cases_read: int = 0
    use_cases: list[UseCase] = field(default_factory=list)
    repaired_cases: list[Note] = field(default_factory=list)
    rejected_cases: list[Note] = field(default_factory=list)
    skipped: list[Note] = field(default_factory=list)
    """Files of a folder of which nothing was read."""


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
        if isinstance(value, dict) and not unfit(value):
            if not plainly_valid(value):
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
    # Of a description in which operations share schemas, these are no part of `raw`.
    problem = unfit(entry.parameters)
    if problem:
        raise _Unusable(problem)
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


def _drafts(entries: Iterable[Entry], imported: Imported, same: dict[str, str]) -> Iterator[_Draft]:
    """The usable entries, each content once; the others are noted in ``imported``.

    ``same`` gets for each duplicate where its content was first met.
    """
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
            same[entry.where] = first[content]
            continue
        first[content] = entry.where
        yield draft


def _format_of(path: Path | str, rows: list[Row]) -> str:
    for some in (rows[:_TELLING], rows):
        scores = {name: sum(map(form.score, some)) for name, form in FORMATS.items()}
        best = max(scores, key=scores.__getitem__)
        if scores[best]:
            break
    else:
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


def _read(
    sources: Iterable[Source], format: str | None, imported: Imported, kept: dict[str, list[Row]]
) -> Iterator[Entry]:
    """The entries of ``sources``, one after the other; ``imported`` gets the formats, and what was skipped.

    ``kept`` gets the rows of formats that record queries.
    """
    chosen: dict[str, None] = {}
    for source in sources:
        try:
            label, rows = source.read()
            if format is None or (source.optional and not any(map(FORMATS[format].score, rows))):
                name = _format_of(source.path, rows)
            else:
                name = format
        except CatalogError as error:
            if not source.optional:
                raise
            reason = str(error).removeprefix(f"{source.path}: ").partition(" Fix: ")[0]
            imported.skipped.append(Note(where=source.path, name="", reason=f"no tools found: {reason}"))
            continue
        if format not in (None, name):
            reason = f"another format: expected {format}; found {name}"
            imported.skipped.append(Note(where=source.path, name="", reason=reason))
            continue
        chosen[name] = None
        imported.format = ", ".join(chosen)
        if FORMATS[name].cases:
            kept.setdefault(name, []).extend(rows)
        yield from FORMATS[name].entries(rows, label)


def import_tools(path: Path | str | Sequence[Path | str], format: str | None = None) -> Imported:
    """The tools of files, folders or MCP servers (see :func:`live_rows`), formats told by content unless given.

    Names are made valid and unique, plain faults of the schemas repaired, exact duplicates dropped, all noted;
    a bad entry is rejected with its reason and does not stop the others. Queries recorded with their calls become
    use cases. Raises :class:`CatalogError` for a file from which nothing can be read, or a ``format`` that is not
    known.
    """
    given = [path] if isinstance(path, Path | str) else list(path)
    told = ", ".join(map(printable_source, given))
    if format is not None and format not in FORMATS:
        raise CatalogError(
            f"{told}: expected a format among {', '.join(FORMATS)}; found {format!r}. "
            "Fix: name one of these, or none to have it detected."
        )
    rows: dict[str, list[Row]] = {}
    same: dict[str, str] = {}
    imported = Imported(format="")
    sources, imported.skipped = find_sources(given)
    drafts = list(_drafts(_read(sources, format, imported, rows), imported, same))
    if not imported.read:
        raise CatalogError(f"{told}: expected at least one tool; found none. Fix: check the file.")
    names = unique_names([(d.entry.name, d.entry.server) for d in drafts])
    at: dict[str, Tool] = {}
    for draft, name in zip(drafts, names, strict=True):
        original = draft.entry.name
        tool = draft.tool
        if name != tool.name:
            tool = _make_tool(draft.entry, name, tool.function.model_dump(exclude={"name"}))
        if name != original:
            imported.names[name] = original
        imported.tools.append(tool)
        at[draft.entry.where] = tool
        imported.repaired += [
            Note(where=draft.entry.where, name=original, reason=reason)
            for reason in [*name_repairs(original, name), *draft.repairs]
        ]
    at |= {where: at[first] for where, first in same.items()}
    for name, found in rows.items():
        _add_cases(FORMATS[name].cases or (lambda _: iter(())), found, at, imported)
    return imported


def _add_cases(cases: Cases, rows: Sequence[Row], at: dict[str, Tool], imported: Imported) -> None:
    first: dict[str, str] = {}
    for case in cases(rows):
        imported.cases_read += 1
        name = printable(case.query)[:80] if isinstance(case.query, str) else ""
        try:
            made, repairs = use_case(case, at, imported.names)
            if made.id in first:
                raise Unfit(f"exact duplicate: of {first[made.id]}")
        except Unfit as problem:
            note = Note(where=case.where, name=name, reason=str(problem), found=excerpt(case.raw, 200))
            imported.rejected_cases.append(note)
            continue
        first[made.id] = case.where
        imported.use_cases.append(made)
        imported.repaired_cases += [Note(where=case.where, name=name, reason=reason) for reason in repairs]


def _by_kind(notes: Iterable[Note]) -> list[tuple[str, int]]:
    """How many tools have a note of each kind, the most frequent kind first."""
    tools = Counter(kind for _, kind in {(n.where, n.kind) for n in notes})
    return sorted(tools.items(), key=lambda item: (-item[1], item[0]))


def _counts(rejected: Sequence[Note], repaired: Sequence[Note]) -> list[tuple[str, int]]:
    rows = [("rejected", len(rejected))]
    rows += [(f"  {kind}", number) for kind, number in _by_kind(rejected)]
    rows.append(("kept after repair", len({n.where for n in repaired})))
    return rows + [(f"  {kind}", number) for kind, number in _by_kind(repaired)]


def summary_table(imported: Imported) -> Table:
    """Counts of tools: read, kept, duplicate, and repaired and rejected by the kind of reason; then of queries."""
    table = Table("tools", "count", title=f"Import ({imported.format})")
    table.columns[1].justify = "right"
    rows = [
        ("read", imported.read),
        ("kept", len(imported.tools)),
        ("exact duplicates, dropped", len(imported.duplicates)),
        *_counts(imported.rejected, imported.repaired),
    ]
    if imported.skipped:
        rows += [("files skipped", len(imported.skipped))]
        rows += [(f"  {kind}", number) for kind, number in _by_kind(imported.skipped)]
    if imported.cases_read:
        rows += [("queries read", imported.cases_read), ("queries kept", len(imported.use_cases))]
        rows += [
            (f"queries {label}" if label[0] != " " else label, number)
            for label, number in _counts(imported.rejected_cases, imported.repaired_cases)
        ]
    for label, number in rows:
        # Text, not markup: a reason may hold square brackets.
        table.add_row(Text(label), f"{number:,}")
    return table
