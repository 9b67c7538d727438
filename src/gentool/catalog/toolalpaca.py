"""ToolAlpaca: one API an object, its OpenAPI document as JSON text in ``Documentation``.

``Instructions`` are the queries, ``Golden_Answers`` the calls of each: ``[{"Action": name, "Action_Input": JSON}]``,
with ``[Optional]`` before the name of one that may be left out. An operation without an id is called by its path and
method, such as ``charts_afd_get``.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from gentool.catalog.entries import Case, Entry, Row, hidden_json
from gentool.catalog.openapi import entries_of_document
from gentool.jsonl import excerpt, printable, strict_json

_SOURCE = "toolalpaca"
_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})


def _is_api(value: Any) -> bool:
    return isinstance(value, dict) and "Documentation" in value


def score(row: Row) -> int:
    """Two for an API, since its document is hidden in a text."""
    return 2 if _is_api(row.value) else 0


def _named(document: Any) -> Any:
    """``document``, each operation with an id."""
    paths = document.get("paths") if isinstance(document, dict) else None
    if not isinstance(paths, dict):
        return document
    document = copy.deepcopy(document)
    waiting = list(document["paths"].items())
    while waiting:
        path, operations = waiting.pop()
        for key, value in operations.items() if isinstance(operations, dict) else ():
            if key.startswith("/"):
                waiting.append((key, value))  # a path that slipped into another one
            elif key in _METHODS and isinstance(value, dict) and not value.get("operationId"):
                value["operationId"] = "_".join([*re.findall(r"[^/{}]+", path), key])
    return document


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() and value.isprintable() else None


def _entries(row: Row, file: str) -> Iterator[Entry]:
    if row.problem or not _is_api(row.value):
        problem = row.problem or "not an API: expected `Documentation`"
        yield Entry(row.where, row.value, f"{_SOURCE}:{file}", problem=problem)
        return
    name = _text(row.value.get("Name"))
    source = f"{_SOURCE}:{name or file}"
    document = row.value["Documentation"]
    try:
        document = _named(strict_json(document) if isinstance(document, str) else document)
    except (ValueError, RecursionError) as error:
        problem = f"malformed document: `Documentation` is not JSON: {printable(str(error))[:120]}"
        yield Entry(row.where, row.value, source, problem=problem)
        return
    for entry in entries_of_document(document, row.where, source):
        yield replace(entry, server=name, domain=_text(row.value.get("Category")))


def entries(rows: Iterable[Row], file: str) -> Iterator[Entry]:
    """One entry for each operation of each API in ``rows``."""
    for row in rows:
        yield from _entries(row, file)


def _calls(answer: Any) -> Iterator[tuple[Any, Any]]:
    """Raises ``ValueError`` for a call that cannot be read."""
    if not isinstance(answer, list) or not all(isinstance(c, dict) for c in answer):
        raise ValueError("call cannot be read: expected an array of calls")
    for call in answer:
        name, arguments = call.get("Action"), call.get("Action_Input")
        if isinstance(name, str) and name.startswith("[Optional]"):
            continue
        try:
            yield name, hidden_json(arguments) if isinstance(arguments, str) else arguments
        except ValueError as error:
            if "${" in arguments:  # not quoted, so that the whole is no JSON
                raise ValueError(f"depends on another call: {excerpt(arguments, 80)}") from None
            raise ValueError(f"call cannot be read: `Action_Input` is not JSON: {str(error)[:80]}") from None


def cases(rows: Sequence[Row]) -> Iterator[Case]:
    """One case for each instruction."""
    for row in rows:
        if row.problem or not _is_api(row.value):
            continue
        queries, answers = row.value.get("Instructions"), row.value.get("Golden_Answers")
        tools = tuple(entry.where for entry in _entries(row, ""))
        for i, query in enumerate(queries if isinstance(queries, list) else []):
            answer = answers[i] if isinstance(answers, list) and i < len(answers) else None
            where = f"{row.where}.{i}"
            try:
                calls = tuple(_calls(answer))
                problem = "" if calls else "no call: the answer calls no tool"
            except ValueError as error:
                calls, problem = (), str(error)
            yield Case(where, {"query": query, "answer": answer}, _SOURCE, query, tools, calls, problem)
