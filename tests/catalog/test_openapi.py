"""OpenAPI documents: arguments merged, references resolved, and no fault costs more than its operation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gentool.catalog.importer import CatalogError, Imported, import_tools
from gentool.catalog.openapi import entries_of_document
from gentool.catalog.schema import call_problems
from gentool.records import Tool, ToolCall
from tests.imports import checked

TEXT = {"type": "string"}


def load(folder: Path, content: Any, file: str = "tools.json") -> Imported:
    path = folder / file
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return checked(import_tools(path))


def document(operation: Any, path: str = "/beds", method: str = "post", **more: Any) -> dict[str, Any]:
    info = {"title": "Garden", "version": "1"}
    return {"openapi": "3.0.3", "info": info, "paths": {path: {method: operation}}, **more}


def imported(tmp_path: Path, operation: Any, **more: Any) -> Imported:
    if isinstance(operation, dict) and not operation.get("nameless"):
        operation = {"operationId": "plantBed", "summary": "Plants a bed.", **operation}
    return load(tmp_path, document(operation, **more))


def tool(tmp_path: Path, operation: dict[str, Any], **more: Any) -> Tool:
    found = imported(tmp_path, operation, **more)
    (made,) = found.tools
    return made


def notes(found: Imported) -> list[str]:
    return [note.kind for note in found.repaired]


def parameter(name: str, place: str = "query", schema: Any = TEXT, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": place, "schema": schema, **more}


def body(schema: Any, media_type: str = "application/json", **more: Any) -> dict[str, Any]:
    return {"requestBody": {"content": {media_type: {"schema": schema}}, **more}}


def components(**schemas: Any) -> dict[str, Any]:
    return {"components": {"schemas": schemas}}


def test_parameters_of_all_places_and_the_body_become_one_object(tmp_path: Path) -> None:
    shared = parameter("lang", description="Of the shared one.")
    operation = {
        "parameters": [
            parameter("bed", "path", description="Which bed."),
            parameter("depth", schema={"type": "integer"}, required=True),
            parameter("X-Season", "header"),
            parameter("lang", description="Of the operation."),
            parameter("session", "cookie"),
            parameter("Accept", "header"),
        ],
        **body(
            {
                "type": "object",
                "properties": {"plant": TEXT, "count": {"type": "integer"}},
                "required": ["plant"],
            }
        ),
    }
    content = document(
        {"operationId": "plantBed", "summary": "Plants.", "description": "A bed.", **operation}
    )
    content["paths"] = {"/beds/{bed}": {"parameters": [shared], **content["paths"]["/beds"]}}
    found = load(tmp_path, content)
    (made,) = found.tools
    assert found.format == "openapi" and notes(found) == []
    assert (made.name, made.description, made.domain) == ("plantBed", "Plants.\nA bed.", "Garden")
    assert made.parameters == {
        "type": "object",
        "properties": {
            "lang": {"type": "string", "description": "Of the operation."},
            "bed": {"type": "string", "description": "Which bed."},
            "depth": {"type": "integer"},
            "X-Season": TEXT,
            "plant": TEXT,
            "count": {"type": "integer"},
        },
        "required": ["bed", "depth", "plant"],
    }


def test_one_name_in_two_places_gives_two_arguments(tmp_path: Path) -> None:
    operation = {"parameters": [parameter("id", "path")], **body({"properties": {"id": {"type": "integer"}}})}
    found = imported(tmp_path, operation, path="/beds/{id}")
    assert found.tools[0].parameters["properties"] == {"id": TEXT, "body_id": {"type": "integer"}}
    assert notes(found) == ["two arguments of one name"]


def test_credentials_are_not_the_models_to_write(tmp_path: Path) -> None:
    keys = {"key": {"type": "apiKey", "in": "query", "name": "appid"}, "login": {"type": "http"}}
    operation = {
        "parameters": [
            parameter("appid"),
            parameter("Authorization", "header"),
            parameter("X-API-Key", "header"),
        ]
    }
    found = imported(tmp_path, operation, components={"securitySchemes": keys})
    assert found.tools[0].parameters["properties"] == {}
    assert notes(found).count("credential left out") == 3


@pytest.mark.parametrize(
    "schema",
    [{"type": "array", "items": TEXT}, {"oneOf": [{"type": "object", "properties": {"a": TEXT}}, TEXT]}, TEXT,
     {"type": "object", "additionalProperties": TEXT}],
)  # fmt: skip
def test_body_that_is_no_plain_object_is_one_argument(tmp_path: Path, schema: dict[str, Any]) -> None:
    parameters = tool(tmp_path, body(schema, required=True)).parameters
    assert parameters == {"type": "object", "properties": {"body": schema}, "required": ["body"]}


def test_json_is_preferred_and_forms_are_read(tmp_path: Path) -> None:
    operation = {"requestBody": {"content": {
        "text/plain": {"schema": TEXT},
        "application/x-www-form-urlencoded": {"schema": {"properties": {"form": TEXT}}},
    }}}  # fmt: skip
    assert tool(tmp_path, operation).parameters["properties"] == {"form": TEXT}
    operation["requestBody"]["content"]["application/vnd.x+json"] = {"schema": {"properties": {"json": TEXT}}}
    assert tool(tmp_path, operation).parameters["properties"] == {"json": TEXT}


def test_all_of_objects_is_merged_into_one(tmp_path: Path) -> None:
    base = {"type": "object", "properties": {"id": TEXT}, "required": ["id"]}
    schema = {
        "allOf": [{"$ref": "#/components/schemas/Base"}, {"properties": {"plant": TEXT}}],
        "required": ["plant"],
    }
    parameters = tool(tmp_path, body(schema), **components(Base=base)).parameters
    assert parameters["properties"] == {"id": TEXT, "plant": TEXT}
    assert parameters["required"] == ["id", "plant"]


# --------------------------------------------------------------------------- references


def test_references_are_resolved_with_their_own_description(tmp_path: Path) -> None:
    season = {"type": "string", "enum": ["spring", "autumn"], "description": "General."}
    schema = {
        "properties": {"when": {"$ref": "#/components/schemas/Season", "description": "When to plant."}}
    }
    made = tool(tmp_path, body(schema), **components(Season=season))
    assert made.parameters["properties"]["when"] == {**season, "description": "When to plant."}


def test_parameters_and_bodies_by_reference(tmp_path: Path) -> None:
    found = tool(
        tmp_path,
        {
            "parameters": [{"$ref": "#/components/parameters/Depth"}],
            "requestBody": {"$ref": "#/components/requestBodies/B"},
        },
        components={
            "parameters": {"Depth": parameter("depth", schema={"type": "integer"})},
            "requestBodies": {"B": body({"properties": {"plant": TEXT}})["requestBody"]},
        },
    )
    assert list(found.parameters["properties"]) == ["depth", "plant"]


def test_recursive_schemas_stay_references_and_can_be_checked(tmp_path: Path) -> None:
    plant = {
        "type": "object",
        "properties": {
            "name": TEXT,
            "next to": {"type": "array", "items": {"$ref": "#/components/schemas/Plant~1 x"}},
        },
        "required": ["name"],
    }
    schema = {"properties": {"plant": {"$ref": "#/components/schemas/Plant~1 x"}}}
    made = tool(tmp_path, body(schema), components={"schemas": {"Plant/ x": plant}})
    assert list(made.parameters["$defs"]) == ["Plant_1_x"]
    good = {"plant": {"name": "a", "next to": [{"name": "b", "next to": []}]}}
    assert call_problems(made, ToolCall.of(made.name, good)) == []
    bad = {"plant": {"name": "a", "next to": [{"next to": []}]}}
    assert call_problems(made, ToolCall.of(made.name, bad)) != []


def test_schemas_that_double_at_each_level_do_not_explode(tmp_path: Path) -> None:
    text = {"type": "string", "description": "x" * 500}
    schemas: dict[str, Any] = {"S0": {"type": "object", "properties": {"a": text, "b": text}}}
    for level in range(1, 40):
        part = {"$ref": f"#/components/schemas/S{level - 1}"}
        schemas[f"S{level}"] = {"type": "object", "properties": {"a": part, "b": part}}
    made = tool(tmp_path, body({"$ref": "#/components/schemas/S39"}), **components(**schemas))
    assert len(json.dumps(made.openai())) < 10_000 and len(made.parameters["$defs"]) == 39


def test_schemas_nested_deep_stay_shallow(tmp_path: Path) -> None:
    schemas: dict[str, Any] = {
        "S0": {"type": "object", "properties": {"x": {**TEXT, "description": "x" * 500}}}
    }
    for level in range(1, 90):
        schemas[f"S{level}"] = {
            "type": "object",
            "properties": {"a": {"$ref": f"#/components/schemas/S{level - 1}"}},
        }
    made = tool(tmp_path, body({"$ref": "#/components/schemas/S89"}), **components(**schemas))
    value: Any = {"x": "deep"}
    for _ in range(89):
        value = {"a": value}
    assert call_problems(made, ToolCall.of(made.name, value)) == []


def test_only_what_is_needed_is_in_the_definitions(tmp_path: Path) -> None:
    loop = {"type": "object", "properties": {"in": {"$ref": "#/components/schemas/Loop"}}}
    made = tool(tmp_path, body({"properties": {"plant": TEXT}}), **components(Loop=loop))
    assert "$defs" not in made.parameters


# --------------------------------------------------------------------------- dialect


def test_nullable_becomes_a_union_with_null(tmp_path: Path) -> None:
    properties = {
        "a": {"type": "string", "nullable": True},
        "b": {"type": "string", "enum": ["x"], "nullable": True},
        "c": {"allOf": [TEXT], "nullable": True, "description": "C."},
        "d": {"nullable": True},
        "e": {"type": "string", "nullable": False},
    }
    made = tool(tmp_path, body({"properties": properties})).parameters["properties"]
    assert made == {
        "a": {"type": ["string", "null"]},
        "b": {"type": ["string", "null"], "enum": ["x", None]},
        "c": {"description": "C.", "anyOf": [{"allOf": [TEXT]}, {"type": "null"}]},
        "d": {},
        "e": TEXT,
    }


def test_words_of_openapi_alone_go_and_unions_stay(tmp_path: Path) -> None:
    union = {"type": ["integer", "string"]}
    odd = {
        "type": "string",
        "x-order": 1,
        "xml": {},
        "externalDocs": {},
        "discriminator": {},
        "example": "moss",
    }
    limit = {"type": "integer", "minimum": 0, "exclusiveMinimum": True}
    made = tool(tmp_path, body({"properties": {"a": union, "b": odd, "c": limit}})).parameters["properties"]
    assert made == {
        "a": union,
        "b": {"type": "string", "examples": ["moss"]},
        "c": {"type": "integer", "exclusiveMinimum": 0},
    }


def test_what_only_comes_back_is_not_sent_and_the_other_way_round(tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"id": {**TEXT, "readOnly": True}, "secret": {**TEXT, "writeOnly": True}, "name": TEXT},
        "required": ["id", "name"],
    }
    answer = {"responses": {"201": {"content": {"application/json": {"schema": schema}}}}}
    made = tool(tmp_path, {**body(schema), **answer})
    assert made.parameters == {
        "type": "object",
        "properties": {"secret": TEXT, "name": TEXT},
        "required": ["name"],
    }
    assert made.function.output_schema is not None
    assert list(made.function.output_schema["properties"]) == ["id", "name"]


def test_output_is_the_json_of_the_first_good_response(tmp_path: Path) -> None:
    def response(name: str, media_type: str = "application/json") -> dict[str, Any]:
        return {"content": {media_type: {"schema": {"type": "object", "properties": {name: TEXT}}}}}

    answers = {
        "default": response("d"),
        "404": response("e"),
        "202": response("b"),
        "200": response("a", "image/png"),
    }
    output = tool(tmp_path, {"responses": answers}).function.output_schema
    assert output == {"type": "object", "properties": {"b": TEXT}}
    assert tool(tmp_path, {"responses": {"404": response("e")}}).function.output_schema is None


def test_swagger_2(tmp_path: Path) -> None:
    operation = {
        "operationId": "plantBed",
        "description": "Plants.",
        "parameters": [
            {"name": "depth", "in": "query", "type": "integer", "collectionFormat": "csv", "required": True},
            {"name": "bed", "in": "body", "required": True, "schema": {"$ref": "#/definitions/Bed"}},
            {"name": "photo", "in": "formData", "type": "file"},
        ],
        "responses": {"200": {"schema": {"$ref": "#/definitions/Bed"}}},
    }
    bed = {"type": "object", "properties": {"plant": TEXT}, "required": ["plant"]}
    content = {
        "swagger": "2.0",
        "info": {"title": "G"},
        "paths": {"/b": {"post": operation}},
        "definitions": {"Bed": bed},
    }
    (made,) = load(tmp_path, content).tools
    assert made.parameters["properties"] == {
        "depth": {"type": "integer"},
        "plant": TEXT,
        "photo": {"type": "string", "format": "binary"},
    }
    assert made.parameters["required"] == ["depth", "plant"]
    assert made.function.output_schema == bed


# --------------------------------------------------------------------------- faults


def test_operation_without_a_name_is_named_by_method_and_path(tmp_path: Path) -> None:
    found = imported(tmp_path, {"nameless": True, "summary": "One."}, path="/beds/{id}/plants", method="get")
    assert [t.name for t in found.tools] == ["get_beds_id_plants"]
    assert notes(found) == ["`operationId` missing", "part of the path not declared"]
    assert found.tools[0].parameters == {"type": "object", "properties": {"id": TEXT}, "required": ["id"]}


@pytest.mark.parametrize(
    ("operation", "note"),
    [
        ({"parameters": [5, parameter("a")]}, "parameter ignored"),
        ({"parameters": [{"$ref": "#/components/nothing"}, parameter("a")]}, "parameter ignored"),
        ({"parameters": [parameter("a", schema={"$ref": "other.json#/A"})]}, "reference left open"),
        ({"parameters": [parameter("a", schema=7)]}, "schema left open"),
        ({"parameters": [parameter("a")], "requestBody": 7}, "`requestBody` ignored"),
        (body({"properties": {"a": {"type": "date"}}}), "type name"),
        (body({"properties": {"a": {"properties": 7}}}), "`properties` ignored"),
    ],
)
def test_faults_are_mended_and_noted(tmp_path: Path, operation: dict[str, Any], note: str) -> None:
    found = imported(tmp_path, operation)
    assert [list(t.parameters["properties"]) for t in found.tools] == [["a"]]
    assert notes(found) == [note]


def test_a_bad_operation_does_not_cost_the_others(tmp_path: Path) -> None:
    good = {"operationId": "good", "summary": "Good.", "responses": {"200": 7, "201": {"content": []}}}
    text = json.dumps(
        {"openapi": "3.1.0", "info": [], "paths": {"/a": {"get": 5}, "/b": 6, "x-c": 7, "/d": {"get": good}, "/e": {
            "get": {"operationId": "twice", "parameters": [parameter("q", schema={"type": "TYPE"})]}}}}
    ).replace('"type": "TYPE"', '"type": "string", "type": "integer"')  # fmt: skip
    found = load(tmp_path, text)
    assert [t.name for t in found.tools] == ["good"]
    assert [(n.where, n.kind) for n in found.rejected] == [
        ("tools.json#GET /a", "not an operation"),
        ("tools.json#/b", "not an operation"),
        ("tools.json#GET /e", "repeated key"),
    ]


def test_paths_inside_a_path_are_taken_out(tmp_path: Path) -> None:
    content = document({"operationId": "a", "summary": "A."})
    schema = {"$ref": "#/components/schemas/Bed"}
    content["paths"]["/beds"]["/plants"] = {"get": {"operationId": "b", "summary": "B.", **body(schema)}}
    content["paths"]["components"] = {"schemas": {"Bed": {"type": "object", "properties": {"plant": TEXT}}}}
    found = load(tmp_path, content)
    assert [(t.name, list(t.parameters["properties"])) for t in found.tools] == [("a", []), ("b", ["plant"])]
    assert notes(found) == ["path inside another path"]


def test_what_is_no_document_says_so() -> None:
    for value in (None, [], {"openapi": "3.0.0"}, {"paths": {}}):
        (entry,) = entries_of_document(value, "here", "there")
        assert entry.problem.startswith("not an OpenAPI document") and entry.where == "here"


def test_reference_that_leads_back_to_itself_rejects(tmp_path: Path) -> None:
    loop = {"$ref": "#/components/schemas/Loop"}
    found = imported(tmp_path, {"parameters": [parameter("a", schema=loop)]}, **components(Loop=loop))
    assert [n.kind for n in found.rejected] == ["unusable reference"]


# --------------------------------------------------------------------------- YAML

YAML = """\
# A garden.
openapi: 3.1.0
info: {title: Garden, version: 2026-01-02}
paths:
  /beds:
    get:
      operationId: listBeds
      summary: Lists beds.
      parameters:
        - {name: since, in: query, schema: &day {type: string, format: date, default: 2026-01-02}}
        - {name: until, in: query, schema: *day}
        - {name: land, in: query, schema: {type: string, enum: [no, se]}}
      responses:
        200: {content: {application/json: {schema: {type: array, items: {type: string}}}}}
"""


@pytest.mark.parametrize("file", ["garden.yaml", "garden.YML", "garden.txt"])
def test_yaml_is_read_by_name_or_content(tmp_path: Path, file: str) -> None:
    found = load(tmp_path, YAML, file)
    (made,) = found.tools
    day = {"type": "string", "format": "date", "default": "2026-01-02"}
    land = {"type": "string", "enum": ["no", "se"]}
    assert made.parameters["properties"] == {"since": day, "until": day, "land": land}
    assert made.function.output_schema == {"type": "array", "items": TEXT}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "line "),
        ("a: &a [*a]", "before the end of what it stands for"),
        ("[" * 100_000, "levels"),
        ("? [a, b]\n: c", "a key that is no text"),
        ("a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "\n".join(
            f"{b}: &{b} [{', '.join(['*' + a] * 10)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
        ), "aliases written out"),
    ],
)  # fmt: skip
def test_yaml_that_cannot_be_read(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CatalogError, match=f"expected YAML; found .*{message}.*Fix: "):
        load(tmp_path, text, "garden.yaml")


def test_yaml_builds_no_objects(tmp_path: Path) -> None:
    marker = tmp_path / "made"
    text = YAML + f"x-run: !!python/object/apply:os.mkdir ['{marker}']\n"
    assert load(tmp_path, text, "garden.yaml").tools and not marker.exists()


# --------------------------------------------------------------------------- real documents


def test_published_documents_are_kept_whole() -> None:
    folder = Path(__file__).resolve().parents[3] / "shared" / "data" / "toolalpaca"
    if not folder.exists():
        pytest.skip("needs ../shared/data/toolalpaca, which is not part of the project")
    apis = [a for file in sorted(folder.glob("*.json")) for a in json.loads(file.read_text(encoding="utf-8"))]
    assert len(apis) == 21
    for one in apis:
        found = list(entries_of_document(json.loads(one["Documentation"]), one["Name"], "s"))
        assert found and not any(entry.problem for entry in found)
        for entry in found:
            Draft202012Validator.check_schema(entry.parameters)
            if entry.output_schema is not None:
                Draft202012Validator.check_schema(entry.output_schema)


def test_several_documents_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.yaml").write_text(YAML, encoding="utf-8")
    (tmp_path / "deep" / "b.json").write_text(json.dumps(document({"operationId": "x", "summary": "X."})))
    (tmp_path / "deep" / "c.json").write_text('{"name": "settings"}')
    (tmp_path / "deep" / "d.yaml").write_text("a: [")
    (tmp_path / "README.md").write_text("A garden.")
    (tmp_path / ".hidden.json").write_text("[]")
    found = checked(import_tools(tmp_path))
    assert [t.name for t in found.tools] == ["listBeds", "x"]
    assert [(Path(n.where).name, n.kind) for n in found.skipped] == [
        ("c.json", "no tools found"),
        ("d.yaml", "no tools found"),
    ]
    assert checked(import_tools(tmp_path, "openapi")).read == 2


@pytest.mark.parametrize("junk", [None, True, 5, "x", [], [1], {}, {"$ref": 5}, {"type": ["a"]}])
def test_any_junk_is_taken_or_refused(tmp_path: Path, junk: Any) -> None:
    """Each value of a document replaced: an operation may be lost, never more than that."""
    bed = {"type": "object", "properties": {"plant": TEXT, "in": {"$ref": "#/components/schemas/Bed"}}}
    schema = {"allOf": [{"$ref": "#/components/schemas/Bed"}, {"properties": {"z": TEXT}, "required": ["z"]}]}
    answer = {"responses": {"200": {"content": {"application/json": {"schema": bed}}}}}
    operation = {
        "operationId": "a",
        "summary": "A.",
        "parameters": [parameter("q")],
        **body(schema),
        **answer,
    }
    other = {"get": {"operationId": "other", "summary": "Other."}}

    def replaced(value: Any) -> Iterator[Any]:
        yield junk
        if isinstance(value, dict):
            for key, part in value.items():
                yield from ({**value, key: new} for new in replaced(part))
        elif isinstance(value, list):
            for i, part in enumerate(value):
                yield from ([*value[:i], new, *value[i + 1 :]] for new in replaced(part))

    makers = [lambda v: (v, bed), lambda v: (operation, v)]
    for make, whole in zip(makers, (operation, bed), strict=True):
        for value in replaced(whole):
            made, shared = make(value)
            content = document(made, components={"schemas": {"Bed": shared}})
            content["paths"]["/other"] = other
            assert "other" in [t.name for t in load(tmp_path, content).tools]
