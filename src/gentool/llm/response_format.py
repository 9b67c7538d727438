"""The form of an answer as OpenAI's ``response_format``, and in words for servers that take none."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from pydantic import BaseModel

_ANNOTATIONS = ("title", "default", "examples")
"""Keywords that change nothing and that strict servers refuse."""


def json_schema(form: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of a form, without what only annotates."""
    made: dict[str, Any] = _plain(form.model_json_schema())
    return made


def _plain(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_plain(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    made = {}
    for name, value in schema.items():
        if name in ("properties", "$defs"):
            made[name] = {key: _plain(s) for key, s in value.items()}
        elif name in ("enum", "const", "required"):
            made[name] = value
        elif name not in _ANNOTATIONS:
            made[name] = _plain(value)
    return made


def strict_schema(schema: dict[str, Any]) -> dict[str, Any] | None:
    """The schema for OpenAI's strict mode: closed objects, every property required. ``None`` if it has open ones."""
    try:
        return {name: _strict(value) for name, value in _closed(schema).items()}
    except ValueError:
        return None


def _strict(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_strict(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    return {name: _strict(value) for name, value in _closed(schema).items()}


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    if schema.get("type") != "object":
        return schema
    if not isinstance(schema.get("properties"), dict) or schema.get("additionalProperties"):
        raise ValueError("an object that may have any property")
    return {**schema, "additionalProperties": False, "required": list(schema["properties"])}


@cache
def response_format(form: type[BaseModel]) -> dict[str, Any]:
    """``response_format`` of the type ``json_schema``; strict where the form allows it."""
    schema = json_schema(form)
    strict = strict_schema(schema)
    name = re.sub(r"[^a-zA-Z0-9_-]", "_", form.__name__)[:64]
    if strict is None:
        return {"type": "json_schema", "json_schema": {"name": name, "schema": schema}}
    return {"type": "json_schema", "json_schema": {"name": name, "schema": strict, "strict": True}}


@cache
def in_words(form: type[BaseModel]) -> str:
    """The form for the end of a prompt."""
    schema = json.dumps(json_schema(form), ensure_ascii=False)
    return f"Answer with one JSON object and nothing else. It must fit this JSON Schema:\n{schema}"
