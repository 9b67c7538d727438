"""The fast check of schemas says yes only where the full one does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from gentool.catalog import references
from gentool.catalog.plain_schema import plain_references, plainly_valid
from gentool.catalog.references import reference_problems

WORDS = sorted(
    {"type", "title", "pattern", "required", "enum", "examples", "deprecated", "minLength", "minimum", "$ref", "$id"}
    | {"properties", "$defs", "patternProperties", "items", "additionalProperties", "allOf", "anyOf", "not", "if"}
    | {"multipleOf", "dependentRequired", "dependencies", "$anchor", "$comment", "prefixItems", "definitions", "const"}
    | {"exclusiveMinimum", "uniqueItems", "maxItems", "format", "contentSchema", "$schema", "$dynamicRef"}
    | {"propertyNames"}
)  # fmt: skip
VALUES = ["object", "string", "#/$defs/a", "#/$defs/b", "#", "a", "b", "(", "[a-z]", ""]
scalars = st.none() | st.booleans() | st.integers(-2, 3) | st.floats(-1, 2) | st.sampled_from(VALUES)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*WORDS, "a", "b", "x-a"]), inner, max_size=4)
    ),
    max_leaves=15,
)
schemas = st.dictionaries(st.sampled_from(WORDS), values, max_size=5)


def fully_valid(schema: Any) -> bool:
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError:
        return False
    return True


@settings(deadline=None, max_examples=300)
@given(schema=schemas)
def test_plainly_valid_is_valid(schema: dict[str, Any]) -> None:
    if plainly_valid(schema):
        assert fully_valid(schema)
        if plain_references(schema):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(references, "plainly_valid", lambda _: False)
                assert reference_problems(schema) == []


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "strng"},
        {"type": []},
        {"type": ["string", "string"]},
        {"properties": []},
        {"properties": {"a": 7}},
        {"required": ["a", "a"]},
        {"minLength": -1},
        {"minimum": True},
        {"pattern": "("},
        {"anyOf": []},
        {"enum": {}},
        {"deprecated": "yes"},
    ],
)
def test_invalid_is_never_plainly_valid(schema: dict[str, Any]) -> None:
    assert not fully_valid(schema) and not plainly_valid(schema)


def test_ordinary_schemas_are_plainly_valid() -> None:
    tree = {"type": "object", "properties": {"in": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}}
    schema = {
        "type": "object",
        "properties": {"t": {"$ref": "#/$defs/tree", "description": "T."}},
        "$defs": {"tree": tree},
    }
    assert plainly_valid(schema) and plain_references(schema)


@pytest.mark.parametrize(
    "definitions",
    [
        {},
        {"a": {"$ref": "#/$defs/a"}},
        {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"not": {"$ref": "#/$defs/a"}}},
    ],
)
def test_references_to_nothing_and_in_circles_are_not_plain(definitions: dict[str, Any]) -> None:
    schema = {"properties": {"x": {"$ref": "#/$defs/a"}}, "$defs": definitions}
    assert plainly_valid(schema) and not plain_references(schema)
    assert reference_problems(schema) != []
