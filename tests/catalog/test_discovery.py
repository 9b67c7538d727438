"""Google discovery documents: methods of all resources, and all that an installed client has."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from gentool.catalog.importer import Imported, import_tools
from gentool.catalog.schema import call_problems
from gentool.records import ToolCall
from tests.imports import checked, kinds


def document(methods: dict[str, Any], **schemas: Any) -> dict[str, Any]:
    return {
        "kind": "discovery#restDescription",
        "discoveryVersion": "v1",
        "id": "garden:v1",
        "name": "garden",
        "version": "v1",
        "title": "Garden API",
        "parameters": {"key": {"type": "string", "location": "query"}},
        "schemas": schemas,
        "resources": {"beds": {"resources": {"plants": {"methods": methods}}}},
    }


def load(folder: Path, content: Any) -> Imported:
    path = folder / "garden.v1.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return checked(import_tools(path))


def method(**more: Any) -> dict[str, Any]:
    return {"id": "garden.plants.set", "description": "Sets a plant.", "httpMethod": "POST", **more}


def test_method_becomes_a_tool(tmp_path: Path) -> None:
    parameters = {
        "bed": {"type": "string", "location": "path", "required": True, "description": "Which <b>bed</b>."},
        "depth": {"type": "integer", "format": "int32", "minimum": "1", "maximum": "9", "default": "3"},
        "tag": {"type": "string", "repeated": True, "enum": ["a", "b"], "enumDescriptions": ["A", "B"]},
        "wet": {"type": "boolean", "default": "false", "location": "query"},
        "any": {"type": "any", "location": "query"},
    }  # fmt: skip
    found = load(tmp_path, document({"set": method(parameters=parameters)}))
    (made,) = found.tools
    assert found.format == "discovery"
    assert (made.name, found.names) == ("garden_plants_set", {"garden_plants_set": "garden.plants.set"})
    assert (made.description, made.domain, made.source) == (
        "Sets a plant.",
        "Garden API",
        "discovery:garden:v1",
    )
    assert made.parameters == {
        "type": "object",
        "properties": {
            "bed": {"type": "string", "description": "Which bed."},
            "depth": {"type": "integer", "format": "int32", "minimum": 1, "maximum": 9, "default": 3},
            "tag": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}},
            "wet": {"type": "boolean", "default": False},
            "any": {},
        },
        "required": ["bed"],
    }


def test_body_is_merged_and_only_what_is_sent(tmp_path: Path) -> None:
    plant = {
        "id": "Plant",
        "type": "object",
        "properties": {
            "name": {"type": "string", "annotations": {"required": ["garden.plants.set"]}},
            "made": {"type": "string", "readOnly": True},
            "bed": {"type": "string"},
            "beside": {"type": "array", "items": {"$ref": "Plant"}},
        },
    }
    call = method(
        parameters={"bed": {"type": "string", "location": "path", "required": True}},
        request={"$ref": "Plant"},
        response={"$ref": "Plant"},
    )
    found = load(tmp_path, document({"set": call}, Plant=plant))
    (made,) = found.tools
    assert list(made.parameters["properties"]) == ["bed", "name", "body_bed", "beside"]
    assert made.parameters["required"] == ["bed", "name"]
    assert kinds(found.repaired) == {"name not valid": 1, "two arguments of one name": 1}
    assert made.function.output_schema is not None
    assert list(made.function.output_schema["properties"]) == ["name", "made", "bed", "beside"]
    good = {"bed": "a", "name": "b", "beside": [{"name": "c", "beside": []}]}
    assert call_problems(made, ToolCall.of(made.name, good)) == []
    assert call_problems(made, ToolCall.of(made.name, {**good, "beside": [{"beside": [1]}]})) != []


def test_methods_of_the_document_itself_and_of_all_resources(tmp_path: Path) -> None:
    content = document({"set": method()})
    content["methods"] = {"ping": method(id="garden.ping")}
    content["resources"]["beds"]["methods"] = {"list": method(id="garden.beds.list")}
    names = [t.name for t in load(tmp_path, content).tools]
    assert names == ["garden_ping", "garden_beds_list", "garden_plants_set"]


def test_broken_schemas_cost_their_own_methods_only(tmp_path: Path) -> None:
    methods = {
        "a": method(id="a", request={"$ref": "Nowhere"}),
        "b": method(id="b", parameters={"x": 7}),
        "c": 7,
        "d": method(id="d"),
    }
    found = load(tmp_path, document(methods))
    assert [t.name for t in found.tools] == ["d"]
    assert [(n.name, n.kind) for n in found.rejected] == [
        ("a", "schemas that cannot be read"),
        ("b", "schemas that cannot be read"),
        ("c", "not a method"),
    ]


def test_an_installed_client_is_accounted_for() -> None:
    spec = importlib.util.find_spec("googleapiclient")
    if spec is None or spec.origin is None:
        pytest.skip("needs google-api-python-client, which is not installed")
    documents = Path(spec.origin).parent / "discovery_cache" / "documents"
    files = [path for path in sorted(documents.glob("*.v1.json")) if path.stat().st_size < 1_000_000]
    found = checked(import_tools(files))
    assert found.format == "discovery" and found.read > 5_000
    assert {n.kind for n in found.rejected} <= {"too large"}
