"""Service models of botocore: shapes as JSON Schema, and all of an installed botocore."""

from __future__ import annotations

import gzip
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from gentool.catalog.importer import Imported, import_tools
from gentool.catalog.plain_text import plain_text
from gentool.catalog.schema import call_problems
from gentool.records import ToolCall
from tests.imports import checked

SHAPES: dict[str, Any] = {
    "Text": {"type": "string"},
    "Name": {"type": "string", "min": 1, "max": 64, "pattern": "[a-z]+"},
    "Java": {"type": "string", "pattern": "\\p{Print}+", "min": 0},
    "Season": {"type": "string", "enum": ["SPRING", "AUTUMN"]},
    "Count": {"type": "integer", "min": 0, "max": 10},
    "Long": {"type": "long", "max": 9223372036854775807},
    "Share": {"type": "double"},
    "Flag": {"type": "boolean"},
    "When": {"type": "timestamp"},
    "Photo": {"type": "blob", "max": 1000},
    "Names": {"type": "list", "member": {"shape": "Name"}, "min": 1},
    "Counts": {"type": "map", "key": {"shape": "Season"}, "value": {"shape": "Count"}, "max": 2},
    "Free": {"type": "structure", "members": {}, "document": True},
    "Choice": {
        "type": "structure",
        "union": True,
        "members": {"a": {"shape": "Text"}, "b": {"shape": "Flag"}},
    },
    "Plant": {
        "type": "structure",
        "required": ["name"],
        "members": {"name": {"shape": "Name"}, "beside": {"shape": "Plants"}},
        "documentation": "<p>A plant.</p>",
    },
    "Plants": {"type": "list", "member": {"shape": "Plant"}},
}


def model(operations: dict[str, Any], **shapes: Any) -> dict[str, Any]:
    metadata = {"serviceId": "Garden", "uid": "garden-2020-01-01", "apiVersion": "2020-01-01"}
    return {"metadata": metadata, "operations": operations, "shapes": SHAPES | shapes}


def write(folder: Path, content: Any, version: str = "2020-01-01", service: str = "garden") -> Path:
    path = folder / service / version / "service-2.json.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(json.dumps(content).encode()))
    return path


def with_members(tmp_path: Path, members: dict[str, Any], required: list[str] | None = None) -> Imported:
    shape = {"type": "structure", "members": members, "required": required or []}
    operation = {"name": "PlantBed", "input": {"shape": "In"}, "documentation": "<p>Plants a bed.</p>"}
    return checked(import_tools(write(tmp_path, model({"PlantBed": operation}, In=shape))))


@pytest.mark.parametrize(
    ("shape", "schema"),
    [
        ("Name", {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "[a-z]+"}),
        ("Java", {"type": "string"}),
        ("Season", {"type": "string", "enum": ["SPRING", "AUTUMN"]}),
        ("Count", {"type": "integer", "minimum": 0, "maximum": 10}),
        ("Long", {"type": "integer"}),
        ("Share", {"type": "number"}),
        ("Flag", {"type": "boolean"}),
        ("When", {"type": "string", "format": "date-time"}),
        ("Photo", {"type": "string", "contentEncoding": "base64"}),
        (
            "Names",
            {
                "type": "array",
                "items": {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "[a-z]+"},
                "minItems": 1,
            },
        ),
        (
            "Counts",
            {
                "type": "object",
                "additionalProperties": {"type": "integer", "minimum": 0, "maximum": 10},
                "propertyNames": {"type": "string", "enum": ["SPRING", "AUTUMN"]},
                "maxProperties": 2,
            },
        ),
        ("Free", {}),
        (
            "Choice",
            {
                "type": "object",
                "properties": {"a": {"type": "string"}, "b": {"type": "boolean"}},
                "minProperties": 1,
                "maxProperties": 1,
            },
        ),
    ],
)
def test_shapes_become_schemas(tmp_path: Path, shape: str, schema: dict[str, Any]) -> None:
    (made,) = with_members(tmp_path, {"x": {"shape": shape}}).tools
    assert made.parameters == {"type": "object", "properties": {"x": schema}}


def test_operation_becomes_a_tool(tmp_path: Path) -> None:
    members = {
        "Name": {"shape": "Name", "documentation": "<p>The <b>name</b> &amp; more.</p>"},
        "Token": {"shape": "Text", "idempotencyToken": True},
    }
    found = with_members(tmp_path, members, ["Name", "Token"])
    (made,) = found.tools
    assert found.format == "botocore" and found.repaired == []
    assert (made.name, made.description, made.domain) == ("PlantBed", "Plants a bed.", "Garden")
    assert made.source == "botocore:garden-2020-01-01"
    assert list(made.parameters["properties"]) == made.parameters["required"] == ["Name"]
    assert made.parameters["properties"]["Name"]["description"] == "The name & more."


def test_input_and_output_may_be_absent(tmp_path: Path) -> None:
    operations = {"A": {"name": "A"}, "B": {"name": "B", "output": {"shape": "Plant"}}}
    a, b = checked(import_tools(write(tmp_path, model(operations)))).tools
    assert a.parameters == b.parameters == {"type": "object", "properties": {}}
    assert a.function.output_schema is None
    assert b.function.output_schema is not None and b.function.output_schema["required"] == ["name"]


def test_recursive_shapes_stay_references_and_can_be_checked(tmp_path: Path) -> None:
    (made,) = with_members(tmp_path, {"plants": {"shape": "Plants"}}).tools
    assert set(made.parameters["$defs"]) == {"Plants"}
    good = {"plants": [{"name": "a", "beside": [{"name": "b"}]}]}
    assert call_problems(made, ToolCall.of(made.name, good)) == []
    bad = {"plants": [{"name": "a", "beside": [{"name": 7}]}]}
    assert call_problems(made, ToolCall.of(made.name, bad)) != []


def test_broken_shapes_cost_their_own_operations_only(tmp_path: Path) -> None:
    operations = {
        "A": {"name": "A", "input": {"shape": "Nowhere"}},
        "B": {"name": "B", "input": {"shape": "Odd"}},
        "C": 7,
        "D": {"name": "D", "documentation": "D."},
    }
    content = model(
        operations, Odd={"type": "structure", "members": {"x": {"shape": "Kind"}}}, Kind={"type": "?"}
    )
    found = checked(import_tools(write(tmp_path, content)))
    assert [t.name for t in found.tools] == ["D"]
    assert [(n.name, n.kind) for n in found.rejected] == [
        ("A", "shapes that cannot be read"),
        ("B", "shapes that cannot be read"),
        ("C", "not an operation"),
    ]


def test_of_a_folder_the_latest_version_of_each_service_is_read(tmp_path: Path) -> None:
    for version in ("2019-12-31", "2020-01-01"):
        operation = {"name": "Op", "documentation": version}
        write(tmp_path, model({"Op": operation}), version)
        write(
            tmp_path,
            model({"Op": {**operation, "documentation": "other"}}),
            "2018-01-01",
            "pond" + version[:4],
        )
    (tmp_path / "garden" / "2020-01-01" / "paginators-1.json").write_text('{"pagination": {}}')
    found = checked(import_tools(tmp_path))
    assert [t.description for t in found.tools] == ["2020-01-01", "other"] and len(found.duplicates) == 1
    assert sorted(n.kind for n in found.skipped) == ["no tools found", "older version"]


@pytest.mark.parametrize(
    ("html", "longest", "text"),
    [
        ("<p>One.</p><p>Two.</p>", 100, "One. Two."),
        ("a <code>b</code>, c&nbsp;&lt;d&gt;", 100, "a b, c <d>"),
        ("First sentence. Second sentence is long.", 25, "First sentence."),
        ("no sentence ends in here at all", 20, "no sentence ends..."),
        (None, 20, ""),
    ],
)
def test_documentation_becomes_plain_text(html: object, longest: int, text: str) -> None:
    assert plain_text(html, longest) == text
    assert len(plain_text(html, longest)) <= longest


def test_an_installed_botocore_is_accounted_for() -> None:
    spec = importlib.util.find_spec("botocore")
    if spec is None or spec.origin is None:
        pytest.skip("needs botocore, which is not installed")
    found = checked(import_tools(Path(spec.origin).parent / "data"))
    assert found.format == "botocore" and found.read > 15_000
    assert {n.kind for n in found.rejected} <= {"too large"}
    assert len(found.rejected) < found.read / 1000
