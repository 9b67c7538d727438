"""Imports documents that a test writes, and checks what holds for every import."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gentool.catalog.importer import Imported, import_tools
from gentool.catalog.names import original_name
from gentool.catalog.schema import call_problems, unusable

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def checked(imported: Imported) -> Imported:
    """``imported``, every entry and query of it accounted for, and all that was kept usable."""
    assert imported.read == len(imported.tools) + len(imported.rejected) + len(imported.duplicates)
    assert imported.cases_read == len(imported.use_cases) + len(imported.rejected_cases)
    known = {tool.id for tool in imported.tools}
    assert len({tool.name for tool in imported.tools}) == len(known) == len(imported.tools)
    assert all(unusable(tool) == [] for tool in imported.tools)
    for case in imported.use_cases:
        tools = {tool.name: tool for tool in case.tools}
        assert case.query.strip() and {tool.id for tool in case.tools} <= known
        assert all(call_problems(tools[call.name], call) == [] for call in case.tool_calls)
    return imported


def load(folder: Path, *contents: Any, format: str | None = None) -> Imported:
    """Import each of ``contents`` as a file of its own: a list as JSONL, anything else as JSON."""
    paths = []
    for i, content in enumerate(contents):
        paths.append(folder / f"{'abcdef'[i]}.jsonl")
        lines = content if isinstance(content, list) else [content]
        paths[-1].write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return checked(import_tools(paths, format))


def kinds(notes: Sequence[Any]) -> dict[str, int]:
    return dict(Counter(note.kind for note in notes))


def shared(*names: str) -> list[Path]:
    """Files of the published data; skips the test where they are not beside this checkout."""
    paths = [SHARED / name for name in names]
    if not all(path.exists() for path in paths):
        pytest.skip("the published data is not beside this checkout")
    return paths


def calls(imported: Imported, number: int = 0) -> list[tuple[str, dict[str, Any]]]:
    """The calls of a use case, under the names that the file has."""
    found = imported.use_cases[number].tool_calls
    return [(original_name(call.name, imported.names), call.arguments) for call in found]
