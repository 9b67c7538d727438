"""Google API discovery documents (``discoveryVersion: v1``): one tool a method, of all resources."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from gentool.catalog.arguments import Arguments
from gentool.catalog.definitions import Definitions, reference, with_children
from gentool.catalog.entries import Entry, Repeated, Row
from gentool.catalog.plain_text import plain_text

METHOD_TEXT = 1000
ARGUMENT_TEXT = 200
"""Characters of description that a method and an argument may have."""

_KEPT = ("type", "format", "pattern", "enum", "items", "properties", "additionalProperties")
_DEEPEST = 16
"""Resources inside each other."""


def _methods(holder: Any, level: int = 0) -> Iterator[tuple[str, Any]]:
    """Name and value of each method of a document or resource, and of the resources in it."""
    if not isinstance(holder, dict) or level > _DEEPEST:
        return
    methods = holder.get("methods")
    yield from methods.items() if isinstance(methods, dict) else ()
    resources = holder.get("resources")
    for inner in resources.values() if isinstance(resources, dict) else ():
        yield from _methods(inner, level + 1)


def _is_document(value: Any) -> bool:
    return isinstance(value, dict) and (
        value.get("kind") == "discovery#restDescription" or {"discoveryVersion", "resources"} <= value.keys()
    )


def score(row: Row) -> int:
    """How many methods ``row`` has if it is a discovery document; three more, since nothing else looks so."""
    return 3 + sum(1 for _ in _methods(row.value)) if _is_document(row.value) else 0


def entries(rows: Iterable[Row], file: str) -> Iterator[Entry]:
    """One entry for each method of the documents in ``rows`` of a file of that name."""
    for row in rows:
        if row.problem or not _is_document(row.value):
            problem = row.problem or "not a discovery document: expected `discoveryVersion` and `resources`"
            yield Entry(row.where, row.value, f"discovery:{file}", problem=problem)
            continue
        api = _Api(row.value)
        for name, method in _methods(row.value):
            yield api.entry(row.where, name, method)


class _Api:
    """One document and what its methods share."""

    def __init__(self, document: dict[str, Any]) -> None:
        schemas = document.get("schemas")
        self._schemas: dict[str, Any] = schemas if isinstance(schemas, dict) else {}
        self._domain = _text(document.get("title")) or _text(document.get("name")) or None
        self._server = f"{document.get('name')} {document.get('version')}"
        self._source = f"discovery:{document.get('id') or self._server}"
        self._sent = Definitions(lambda name: self._schema(self._schemas[name], sent=True))
        self._returned = Definitions(lambda name: self._schema(self._schemas[name], sent=False))

    def entry(self, where: str, name: str, method: Any) -> Entry:
        """The entry of one method, ``name`` its key in its resource."""
        if not isinstance(method, dict):
            where = f"{where}#{name}"
            return Entry(where, method, self._source, name=name, problem="not a method: expected an object")
        name = _text(method.get("id")) or name
        where = f"{where}#{name}"
        try:
            arguments = self._arguments(name, method)
            parameters, _ = self._sent.self_contained(arguments.schema())
            output = None
            if isinstance(answer := method.get("response"), dict) and "$ref" in answer:
                output, _ = self._returned.self_contained(
                    self._schema(self._schemas[answer["$ref"]], sent=False)
                )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            problem = f"schemas that cannot be read: {type(error).__name__} {error}"
            return Entry(where, method, self._source, name=name, problem=problem[:200])
        except RecursionError:
            return Entry(where, method, self._source, name=name, problem="nested too deeply: cannot be read")
        return Entry(
            where,
            method,
            self._source,
            name=name,
            description=plain_text(method.get("description"), METHOD_TEXT) or None,
            parameters=parameters,
            output_schema=output,
            server=self._server,
            domain=self._domain,
            repairs=tuple(arguments.notes),
        )

    def _arguments(self, method_id: str, method: dict[str, Any]) -> Arguments:
        arguments = Arguments()
        for name, parameter in method.get("parameters", {}).items():
            place = str(parameter.get("location", "query"))
            arguments.add(name, self._schema(parameter, sent=True), parameter.get("required") is True, place)
        request = method.get("request")
        if isinstance(request, dict) and "$ref" in request:
            schema = self._schemas[request["$ref"]]
            body = self._schema(schema, sent=True)
            body.pop("description", None)
            needed = [n for n, p in schema.get("properties", {}).items() if method_id in _required_by(p)]
            arguments.add_body({**body, "required": needed} if needed else body, required=True)
        return arguments

    def _schema(self, value: Any, sent: bool) -> dict[str, Any]:
        """A schema of the document as JSON Schema. Raises ``KeyError``, ``TypeError``, ... for one that is none."""
        if isinstance(value, Repeated):
            raise ValueError(f"the key {value.key!r} is there twice in one object")
        if "$ref" in value:
            if value["$ref"] not in self._schemas:
                raise KeyError(value["$ref"])
            made = reference(value["$ref"])
        else:
            made = {key: value[key] for key in _KEPT if key in value}
        if sent and isinstance(made.get("properties"), dict):
            made["properties"] = {n: p for n, p in made["properties"].items() if not p.get("readOnly")}
        made = with_children(made, lambda part: self._schema(part, sent))
        if made.get("type") == "any":
            del made["type"]
        if made.get("enum") == []:
            del made["enum"]
        numeric = made.get("type") in ("integer", "number")
        for key in ("minimum", "maximum", "default") if numeric else ("default",):
            number = _plain(value.get(key), made.get("type"))
            if number is not None:
                made[key] = number
        if value.get("repeated") is True:
            made = {"type": "array", "items": made}
        text = plain_text(value.get("description"), ARGUMENT_TEXT)
        return {**made, "description": text} if text else made


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _required_by(schema: Any) -> list[Any]:
    annotations = schema.get("annotations") if isinstance(schema, dict) else None
    methods = annotations.get("required") if isinstance(annotations, dict) else None
    return methods if isinstance(methods, list) else []


def _plain(value: Any, kind: Any) -> Any:
    """A bound or default, which these documents write as a text, as a value of type ``kind``."""
    if not isinstance(value, str):
        return value
    try:
        if kind == "integer":
            return int(value)
        if kind == "number":
            return float(value)
    except ValueError:
        return None
    if kind == "boolean":
        return {"true": True, "false": False}.get(value.lower())
    return value if kind == "string" else None
