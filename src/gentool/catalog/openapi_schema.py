"""The schemas of an OpenAPI document as JSON Schema 2020-12, its references as ``#/$defs/NAME``."""

from __future__ import annotations

import re
from functools import partial
from typing import Any
from urllib.parse import unquote

from gentool.catalog.definitions import Definitions, reference, with_children
from gentool.catalog.entries import Repeated
from gentool.jsonl import excerpt

_DROPPED = frozenset({"discriminator", "xml", "externalDocs", "example", "nullable", "readOnly", "writeOnly"})
_DROPPED |= {"$id", "$anchor", "$dynamicAnchor", "$schema"}
_FORMATS = {
    "file": "binary",
    "binary": "binary",
    "byte": "byte",
    "date": "date",
    "datetime": "date-time",
    "date-time": "date-time",
    "time": "time",
    "uuid": "uuid",
    "uri": "uri",
    "url": "uri",
    "email": "email",
    "password": "password",
}
"""Names of formats that stand where a type should, and the format that they mean."""
_HOPS = 16


class Unusable(Exception):
    """Carries the reason why an operation cannot be a tool to its entry."""


class Schemas:
    """Reads the schemas of one document. ``sent``: for what is sent, not for what comes back."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._names: dict[str, str] = {}
        self._pointers: dict[str, str] = {}
        self._notes: dict[tuple[str, bool], list[str]] = {}
        self._definitions = {
            sent: Definitions(partial(self._definition, sent=sent)) for sent in (True, False)
        }

    def _at(self, pointer: Any) -> Any:
        """What a local reference leads to. Raises ``KeyError`` where it leads nowhere."""
        if not isinstance(pointer, str) or not pointer.startswith("#/"):
            raise KeyError(pointer)
        value: Any = self._document
        for part in pointer[2:].split("/"):
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
                value = value[int(key)]
            elif isinstance(value, dict) and key in value:
                value = value[key]
            else:
                raise KeyError(pointer)
        return value

    def resolved(self, value: Any) -> Any:
        """``value``, or what it refers to; ``None`` where that is nowhere."""
        for _ in range(_HOPS):
            if not isinstance(value, dict) or "$ref" not in value:
                return value
            try:
                value = self._at(value["$ref"])
            except KeyError:
                return None
        return None

    def _name(self, pointer: Any) -> str | None:
        """The name of the definition at ``pointer``; ``None`` if there is nothing."""
        try:
            self._at(pointer)
        except KeyError:
            return None
        if pointer not in self._names:
            name = base = re.sub(r"[^a-zA-Z0-9_.-]", "_", unquote(pointer.rpartition("/")[2])) or "_"
            number = 1
            while name in self._pointers:
                number += 1
                name = f"{base}_{number}"
            self._names[pointer] = name
            self._pointers[name] = pointer
        return self._names[pointer]

    def _definition(self, name: str, sent: bool) -> Any:
        notes = self._notes[name, sent] = []
        return self.converted(self._at(self._pointers[name]), notes, sent)

    def self_contained(self, schema: dict[str, Any], notes: list[str], sent: bool) -> dict[str, Any]:
        """A converted ``schema`` with the definitions that it needs; ``notes`` gets what was changed in these."""
        made, names = self._definitions[sent].self_contained(schema)
        for name in names:
            notes += self._notes[name, sent]
        return made

    def flattened(self, schema: Any, notes: list[str]) -> Any:
        """The converted schema of a body, itself no reference, and one object where it was `allOf` of objects."""
        if isinstance(schema, dict) and "$ref" in schema:
            target = self.resolved(schema)
            if not isinstance(target, dict):
                return self.converted(schema, notes, sent=True)
            return self.flattened({**target, **{k: v for k, v in schema.items() if k != "$ref"}}, notes)
        parts = schema.get("allOf") if isinstance(schema, dict) else None
        if not isinstance(parts, list) or not parts:
            return self.converted(schema, notes, sent=True)
        rest = {key: part for key, part in schema.items() if key != "allOf"}
        made = [self.flattened(part, notes) for part in [*parts, rest]]
        whole: dict[str, Any] = {"type": "object", "properties": {}, "required": []}
        for part in made:
            if not isinstance(part, dict) or part.keys() - {
                "type",
                "properties",
                "required",
                "title",
                "description",
            }:
                return self.converted(schema, notes, sent=True)
            if part.get("type", "object") != "object":
                return self.converted(schema, notes, sent=True)
            whole["properties"] |= part.get("properties") or {}
            required = part.get("required")
            whole["required"] += required if isinstance(required, list) else []
        return whole

    def converted(self, schema: Any, notes: list[str], sent: bool) -> Any:
        """``schema`` and all in it as JSON Schema 2020-12, references to ``$defs`` left in.

        Raises :class:`Unusable` where a key stands twice.
        """
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, dict):
            notes.append(f"schema left open: expected an object; found {excerpt(schema, 40)}")
            return {}
        if isinstance(schema, Repeated):
            raise Unusable(f"repeated key: {schema.key!r} is there twice in one object")
        nullable = schema.get("nullable") is True
        made = {
            key: part
            for key, part in schema.items()
            if key not in _DROPPED and key != "$ref" and not str(key).startswith("x-")
        }
        if "example" in schema and "examples" not in schema:
            made["examples"] = [schema["example"]]
        if not isinstance(made.get("examples", []), list):
            del made["examples"]
        self._one_direction(made, schema, notes, sent)
        made = with_children(made, lambda part: self.converted(part, notes, sent))
        _plain_type(made, notes)
        if "$ref" in schema:
            name = self._name(schema["$ref"])
            if name is None:
                notes.append(
                    f"reference left open: {excerpt(schema['$ref'], 60)} leads nowhere in the document"
                )
            else:
                made = {**reference(name), **made}
        return _with_null(made) if nullable else made

    def _one_direction(self, made: dict[str, Any], schema: Any, notes: list[str], sent: bool) -> None:
        """Leaves out the properties that only ever come back (``readOnly``), or are only ever sent."""
        properties = schema.get("properties")
        if not isinstance(properties, dict):
            if properties not in (None, []):
                notes.append(f"`properties` ignored: expected an object; found {excerpt(properties, 40)}")
                made.pop("properties")
            return
        if isinstance(properties, Repeated):
            raise Unusable(f"repeated key: {properties.key!r} is there twice in one object")
        other = "readOnly" if sent else "writeOnly"
        gone = {n for n, p in properties.items() if isinstance(p, dict) and p.get(other) is True}
        if gone:
            made["properties"] = {n: p for n, p in properties.items() if n not in gone}
            if isinstance(made.get("required"), list):
                made["required"] = [n for n in made["required"] if n not in gone]


def _plain_type(schema: dict[str, Any], notes: list[str]) -> None:
    """A format's name where a type should be, as in ``type: date``, becomes a text of that format."""
    found = schema.get("type")
    format = _FORMATS.get(found.lower()) if isinstance(found, str) else None
    if format is not None:
        notes.append(f"type name: {found} became string of format {format}")
        schema["type"] = "string"
        schema.setdefault("format", format)


def _with_null(schema: dict[str, Any]) -> dict[str, Any]:
    """``schema``, or null: OpenAPI 3.0's ``nullable``."""
    kind = schema.get("type")
    if schema.keys() & {"$ref", "allOf", "anyOf", "oneOf", "const", "not"}:
        outer: dict[str, Any] = {k: schema[k] for k in ("title", "description", "default") if k in schema}
        inner = {key: part for key, part in schema.items() if key not in outer}
        return {**outer, "anyOf": [inner, {"type": "null"}]}
    if isinstance(kind, str) and kind != "null":
        schema = {**schema, "type": [kind, "null"]}
        if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
            schema["enum"] = [*schema["enum"], None]
    return schema
