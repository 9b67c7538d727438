"""Plain repairs of parameter schemas: each has one sensible meaning, and each is noted.

What cannot be repaired is returned as it is, for the checks to reject. Union types, ``nullable``, ``$defs`` and
``$ref`` are left alone.
"""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator

_TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")
TYPE_NAMES = {
    "dict": "object",
    "map": "object",
    "hashmap": "object",
    "list": "array",
    "tuple": "array",
    "set": "array",
    "arraylist": "array",
    "str": "string",
    "char": "string",
    "float": "number",
    "double": "number",
    "int": "integer",
    "long": "integer",
    "bool": "boolean",
    "none": "null",
}
"""JSON Schema's types by the names that Python and Java have for them, in lower case."""
MAPS = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems", "items"})
SCHEMAS = frozenset(
    {"items", "additionalItems", "additionalProperties", "contains", "propertyNames", "not", "if", "then"}
    | {"else", "unevaluatedItems", "unevaluatedProperties"}
)
_KEYWORDS = frozenset(Draft202012Validator.VALIDATORS) | {"$comment", "$defs", "$id", "definitions"}
_KEYWORDS |= {"title", "description", "default", "examples", "then", "else"}
_NEVER_NULL = _KEYWORDS - {"const", "default"}
_NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}}


def repaired_parameters(raw: dict[str, Any] | None) -> tuple[dict[str, Any], list[str]]:
    """An object schema made of ``raw``, and what was repaired."""
    notes: list[str] = []
    schema = _schema(_lifted(raw or {}, notes), notes)
    if not schema:
        return dict(_NO_PARAMETERS), [*notes, "no parameters: empty object schema"]
    _object_type(schema, notes)
    _known_required(schema, notes)
    return schema, list(dict.fromkeys(notes))


def _lifted(schema: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    """A schema that lies as a whole in its own ``properties``, lifted out.

    A property called ``type`` has a schema, never the text "object".
    """
    inner = schema.get("properties")
    if (
        isinstance(inner, dict)
        and inner.get("type") == "object"
        and isinstance(inner.get("properties"), dict)
    ):
        notes.append("whole schema inside its own `properties`: lifted out")
        return {**schema, **inner}
    return schema


def _schema(value: Any, notes: list[str]) -> Any:
    if not isinstance(value, dict):
        return value
    schema: dict[str, Any] = {}
    # Top down: a property's boolean `required` must be gone before its own properties' are moved into it.
    for key, part in _required_moved_up(value, notes).items():
        if key == "$schema":
            notes.append("`$schema` removed")
        elif part is None and key in _NEVER_NULL:
            notes.append(f"keyword null: `{key}` removed")
        elif key in MAPS:
            schema[key] = _map(key, part, notes)
        elif key in LISTS and isinstance(part, list):
            schema[key] = [_schema(p, notes) for p in part]
        elif key in SCHEMAS:
            schema[key] = _schema(part, notes)
        else:
            schema[key] = part
    _type_names(schema, notes)
    _examples(schema, notes)
    _tuple_items(schema, notes)
    _exclusive_bounds(schema, notes)
    _required_once(schema, notes)
    return schema


def _map(key: str, part: Any, notes: list[str]) -> Any:
    if part == []:
        # What PHP writes for an empty object.
        notes.append(f"empty array for an object: `{key}`")
        return {}
    if not isinstance(part, dict):
        return part
    for name in [n for n, p in part.items() if p is None]:
        notes.append(f"keyword null: `{key}.{name}` removed")
    return {n: _schema(p, notes) for n, p in part.items() if p is not None}


def _required_moved_up(schema: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    properties = schema.get("properties")
    required = schema.get("required")
    if not isinstance(properties, dict) or not (required is None or isinstance(required, list)):
        return schema
    flags = {
        n: p["required"]
        for n, p in properties.items()
        if isinstance(p, dict) and isinstance(p.get("required"), bool)
    }
    if not flags:
        return schema
    notes.append("boolean `required` of a property: moved up to its object")
    rest = {
        n: {k: v for k, v in p.items() if k != "required"} if n in flags else p for n, p in properties.items()
    }
    names = [*(required or []), *(n for n, flag in flags.items() if flag)]
    return {**schema, "properties": rest, "required": names}


def _type_name(name: Any) -> Any:
    if not isinstance(name, str) or name in _TYPES:
        return name
    lower = name.lower()
    return lower if lower in _TYPES else TYPE_NAMES.get(lower, name)


def _type_names(schema: dict[str, Any], notes: list[str]) -> None:
    found = schema.get("type")
    names = found if isinstance(found, list) else [found]
    if any(isinstance(n, str) and n.lower() == "any" for n in names):
        notes.append("type name: any removed, which allows any value")
        del schema["type"]
        return
    for name in names:
        if _type_name(name) != name:
            notes.append(f"type name: {name} became {_type_name(name)}")
    if isinstance(found, list):
        unique: list[Any] = []
        for name in map(_type_name, found):
            if name not in unique:
                unique.append(name)
        if len(unique) < len(found):
            notes.append("type name: repeated in a union, kept once")
        schema["type"] = unique
    elif found is not None:
        schema["type"] = _type_name(found)


def _examples(schema: dict[str, Any], notes: list[str]) -> None:
    if "examples" in schema and not isinstance(schema["examples"], list):
        notes.append("`examples` not an array: put into one")
        schema["examples"] = [schema["examples"]]


def _tuple_items(schema: dict[str, Any], notes: list[str]) -> None:
    items = schema.get("items")
    if not isinstance(items, list) or "prefixItems" in schema:
        return
    notes.append("array of `items` (draft 7): renamed to `prefixItems`")
    del schema["items"]
    if items:
        schema["prefixItems"] = items
    if "additionalItems" in schema:
        schema["items"] = schema.pop("additionalItems")


def _exclusive_bounds(schema: dict[str, Any], notes: list[str]) -> None:
    for exclusive, inclusive in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        flag = schema.get(exclusive)
        if not isinstance(flag, bool):
            continue
        notes.append(f"boolean `{exclusive}` (draft 4): made a number or removed")
        del schema[exclusive]
        if flag and inclusive in schema:
            schema[exclusive] = schema.pop(inclusive)


def _required_once(schema: dict[str, Any], notes: list[str]) -> None:
    required = schema.get("required")
    if not isinstance(required, list) or not all(isinstance(n, str) for n in required):
        return
    unique = list(dict.fromkeys(required))
    if unique != required:
        notes.append("`required` names a property twice: once is kept")
        schema["required"] = unique


def _object_type(schema: dict[str, Any], notes: list[str]) -> None:
    """Arguments are always an object, so the root may say so; never where the keys look like arguments."""
    found = schema.get("type")
    if found is None and ("properties" in schema or schema.keys() <= _KEYWORDS):
        notes.append("`type` of the parameters missing: set to object")
        schema["type"] = "object"
    elif isinstance(found, list) and "object" in found:
        notes.append("`type` of the parameters a union: set to object")
        schema["type"] = "object"


def _known_required(schema: dict[str, Any], notes: list[str]) -> None:
    """Only at the root: further down, ``required`` without ``properties`` is a common condition of ``anyOf``."""
    required = schema.get("required")
    properties = schema.get("properties", {})
    if not isinstance(required, list) or not isinstance(properties, dict):
        return
    unknown = [n for n in required if isinstance(n, str) and n not in properties]
    if unknown:
        notes.append(f"`required` names no property: {', '.join(unknown)} dropped")
        schema["required"] = [n for n in required if n not in unknown]
