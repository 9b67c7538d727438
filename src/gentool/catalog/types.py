"""Parameters as benchmarks write them: a map of names without a JSON Schema around, with types of Python."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeGuard

from gentool.catalog.cases import fitted
from gentool.catalog.entries import unfit
from gentool.catalog.repair import TYPE_NAMES
from gentool.jsonl import excerpt

_JSON_TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")
_MAX_NESTED = 8
_LONGEST = 200


def is_bare(parameters: Any) -> TypeGuard[dict[str, Any]]:
    """Whether ``parameters`` is a map of name to description of a parameter, not a JSON Schema."""
    if not isinstance(parameters, dict) or not parameters:
        return False
    # A parameter may be called "properties"; then its description has a type.
    inner = parameters.get("properties", {"type": ""})
    described = all(isinstance(p, dict) for p in parameters.values())
    return described and isinstance(inner.get("type"), str)


def _parts(text: str) -> Iterator[str]:
    """``text`` cut at the commas that are outside of brackets."""
    depth, start = 0, 0
    for i, character in enumerate(text):
        depth += (character in "[({") - (character in "])}")
        if character == "," and depth == 0:
            yield text[start:i].strip()
            start = i + 1
    yield text[start:].strip()


def type_schema(text: str, level: int = 0) -> dict[str, Any] | None:
    """The schema of a type such as ``int``, ``List[str]``, ``Union[int, float]`` or ``Dict[str, Any]``.

    ``{}`` is any value; nothing if the type is not known.
    """
    if len(text) > _LONGEST:
        return None
    plain = text.strip().lower().removeprefix("typing.")
    if plain in ("any", "object | any", ""):
        return {}
    name = TYPE_NAMES.get(plain, plain)
    if name in _JSON_TYPES:
        return {"type": name}
    if level > _MAX_NESTED:
        return None
    union = re.split(r"\s+or\s+|\s*\|\s*", plain)
    if len(union) > 1 and "[" not in plain:
        return _union(union, level)
    found = re.fullmatch(r"([a-z.]+)\s*\[(.*)\]", plain, re.DOTALL)
    if not found:
        return None
    outer, inner = found[1], list(_parts(found[2]))
    if outer == "optional":
        return _union([found[2], "none"], level)
    if outer == "union":
        return _union(inner, level)
    schema = type_schema(outer, level + 1)
    if schema == {"type": "array"} and len(inner) == 1:
        items = type_schema(inner[0], level + 1)
        return {"type": "array", "items": items} if items else schema
    return schema


def _union(parts: list[str], level: int) -> dict[str, Any] | None:
    schemas = [type_schema(p, level + 1) for p in parts]
    if {} in schemas:
        return {}
    if None in schemas or not schemas:
        return None
    different = [s for i, s in enumerate(schemas) if s is not None and s not in schemas[:i]]
    if len(different) == 1:
        return different[0]
    if all(s.keys() == {"type"} and isinstance(s["type"], str) for s in different):
        return {"type": [s["type"] for s in different]}
    return {"anyOf": different}


@lru_cache(maxsize=1000)
def _translated(text: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The schema of a type, and what there is to note."""
    made = type_schema(text)
    if made is None:
        return {}, (f"type name: {excerpt(text, 40)} is not known, any value is allowed",)
    same = made == {"type": text}
    return made, () if same else (f"type name: {excerpt(text, 40)} became {excerpt(made, 60)}",)


def property_schema(described: Mapping[str, Any], repairs: list[str]) -> tuple[dict[str, Any], bool]:
    """The schema of one parameter and whether it may be left out: its type says so, or it has a default."""
    schema = {k: v for k, v in described.items() if k not in ("type", "required", "default")}
    written = described.get("type")
    optional = False
    if isinstance(written, str):
        kind, *flags = _parts(written)
        optional = any(flag.lower().startswith("optional") for flag in flags)
        optional |= kind.lower().startswith("optional[")
        made, repair = _translated(kind)
        repairs += repair
        schema |= made
    elif written is not None:
        schema["type"] = written
    if "default" in described:
        value = {"x": described["default"]}
        if not isinstance(value["x"], dict | list) or not unfit(value):
            # Empty texts stand for "none" where defaults were made by machine.
            value = fitted(value, {"properties": {"x": schema}}, [])
        if "x" in value:
            schema["default"] = value["x"]
        else:
            repairs.append("default dropped: empty, which its type does not allow")
    return schema, optional or "default" in described


def object_schema(parameters: Mapping[str, Any], repairs: list[str]) -> dict[str, Any]:
    """The schema of a map of parameters. ``required`` of a parameter, a boolean, beats what its type says."""
    properties: dict[str, Any] = {}
    required = []
    for name, described in parameters.items():
        if not isinstance(described, dict):
            properties[name] = described  # for the checks to reject
            continue
        properties[name], optional = property_schema(described, repairs)
        flag = described.get("required")
        if flag if isinstance(flag, bool) else not optional:
            required.append(name)
    return {"type": "object", "properties": properties, "required": required}
