"""Any JSON thrown at any reader gives entries and cases, all accounted for, or a CatalogError; never another error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gentool.catalog.entries import Row
from gentool.catalog.importer import FORMATS, CatalogError, import_tools
from gentool.catalog.save import write_imported
from gentool.jsonl import read_jsonl
from gentool.records import UseCase
from tests.catalog import (
    test_bfcl,
    test_hermes,
    test_seal_tools,
    test_toolalpaca,
    test_toolbench,
    test_ultratool,
    test_xlam,
)
from tests.imports import checked
from tests.test_any_input import JUNK, mutated

GOOD: dict[str, list[Any]] = {
    "openai": [test_hermes.TOOL],
    "mcp": [{"server": "s", "tools": [{"name": "a", "inputSchema": {"type": "object"}}]}],
    "anthropic": [{"name": "a", "description": "A.", "input_schema": {"type": "object"}}],
    "xlam": [
        {**test_xlam.row(), "tools": json.loads(test_xlam.row()["tools"]), "answers": []},
        test_xlam.row(),
    ],
    "bfcl": [test_bfcl.question(), test_bfcl.answer()],
    "hermes": [test_hermes.talk(test_hermes.LISTINGS["array"])],
    "toolbench": [{"tool_name": "T", "api_list": [test_toolbench.api()]}],
    "seal_tools": [
        test_seal_tools.tool(),
        test_seal_tools.case("Water.", ("waterBed", {"bed": "x", "times": "3"})),
    ],
    "toolalpaca": [test_toolalpaca.api([test_toolalpaca.call("waterBed", '{"bed": "roses"}')])],
    "ultratool": [test_ultratool.row("water(bed='roses', litres=2.5)")],
}
quick = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def imports(folder: Path, rows: list[Any], format: str | None) -> None:
    path = folder / "x.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    try:
        imported = checked(import_tools(path, format))
    except CatalogError as error:
        assert "x.jsonl" in str(error)
        return
    write_imported(imported, folder / "out")
    if imported.cases_read:
        assert read_jsonl(UseCase, folder / "out" / "use_cases.jsonl") == imported.use_cases


@pytest.mark.parametrize("format", GOOD)
@quick
@given(data=st.data())
def test_any_change_is_taken_or_refused(format: str, data: st.DataObject, tmp_path_factory: Any) -> None:
    rows = [data.draw(mutated(row)) for row in GOOD[format]]
    imports(tmp_path_factory.mktemp("any"), rows, data.draw(st.sampled_from([None, format])))


@quick
@given(
    rows=st.lists(JUNK | st.sampled_from([row for rows in GOOD.values() for row in rows]), max_size=4),
    data=st.data(),
)
def test_any_rows_are_taken_or_refused(rows: list[Any], data: st.DataObject, tmp_path_factory: Any) -> None:
    imports(tmp_path_factory.mktemp("any"), rows, data.draw(st.sampled_from([None, *FORMATS])))


@pytest.mark.parametrize("format", GOOD)
def test_each_format_is_told_from_all_others(format: str) -> None:
    scores = {name: sum(form.score(Row("x", row)) for row in GOOD[format]) for name, form in FORMATS.items()}
    best = scores.pop(format)
    assert best > max(scores.values())
