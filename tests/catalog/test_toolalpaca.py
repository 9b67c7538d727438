"""ToolAlpaca: OpenAPI documents as text, queries with golden answers beside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gentool.catalog.importer import import_tools
from tests.imports import calls, checked, kinds, load, shared


def api(*answers: Any, document: Any = None, **more: Any) -> dict[str, Any]:
    bed = {"name": "bed", "in": "query", "required": True, "schema": {"type": "string"}}
    deep = {"name": "depth", "in": "query", "schema": {"type": "integer"}}
    responses = {"200": {"description": "Done."}}
    paths = {
        "/beds/water": {
            "post": {
                "operationId": "waterBed",
                "summary": "Waters a bed.",
                "parameters": [bed, deep],
                "responses": responses,
            }
        },
        "/beds/{bed}": {
            "get": {"summary": "One bed.", "parameters": [{**bed, "in": "path"}], "responses": responses}
        },
    }
    document = document or {"openapi": "3.0.0", "info": {"title": "Garden", "version": "1"}, "paths": paths}
    queries = [f"Query {i}" for i, _ in enumerate(answers)]
    asked = {"Instructions": queries, "Golden_Answers": list(answers)}
    return {"Name": "Garden", "Category": "Home", "Documentation": json.dumps(document), **asked, **more}


def call(name: str, arguments: str) -> dict[str, str]:
    return {"Action": name, "Action_Input": arguments}


def test_operations_and_calls(tmp_path: Path) -> None:
    first = [
        call("waterBed", '{"bed": "roses", "depth": ""}'),
        call("[Optional]waterBed", '{"bed": "dahlias"}'),
    ]
    imported = load(tmp_path, [api(first, [call("beds_bed_get", '{"bed": "roses"}')])])
    assert imported.format == "toolalpaca"
    assert sorted(t.name for t in imported.tools) == ["beds_bed_get", "waterBed"]
    assert {(t.domain, t.source) for t in imported.tools} == {("Home", "toolalpaca:Garden")}
    assert calls(imported) == [("waterBed", {"bed": "roses"})]
    assert calls(imported, 1) == [("beds_bed_get", {"bed": "roses"})]
    assert kinds(imported.repaired_cases) == {"empty argument": 1}


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("depends on another call", [call("waterBed", '{"bed": ${bed from getBeds}}')]),
        ("depends on another call", [call("waterBed", '{"bed": "{a bed}"}')]),
        ("call cannot be read", [call("waterBed", '{"bed": ')]),
        ("call cannot be read", "waterBed"),
        ("no call", []),
        ("unknown tool", [call("getDetails", "{}")]),
        ("call does not fit its tool", [call("waterBed", "{}")]),
    ],
)
def test_case_is_kept_out_with_its_reason(tmp_path: Path, kind: str, answer: Any) -> None:
    imported = load(tmp_path, [api(answer)])
    assert kinds(imported.rejected_cases) == {kind: 1} and len(imported.tools) == 2


def test_a_document_that_is_none(tmp_path: Path) -> None:
    imported = load(tmp_path, [api(), api(Documentation="{")])
    assert kinds(imported.rejected) == {"malformed document": 1}


def test_every_published_api_is_accounted_for() -> None:
    imported = checked(import_tools(shared("toolalpaca/eval_real.json", "toolalpaca/eval_simulated.json")))
    assert imported.format == "toolalpaca" and imported.rejected == []
    assert len({tool.source for tool in imported.tools}) == 21
    # 94 operations, and 5 in paths that slipped into another one.
    assert (imported.read, imported.cases_read) == (99, 214)
    assert set(kinds(imported.rejected_cases)) <= {
        "depends on another call",
        "unknown tool",
        "call cannot be read",
        "call does not fit its tool",
    }
    assert len(imported.use_cases) == 176
