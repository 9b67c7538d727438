"""OpenAPI 3.0 and 3.1 and Swagger 2.0 documents, in JSON or YAML: one tool an operation.

The arguments of path, query, headers and body are merged into one object; credentials and cookies are left out,
they are not the model's to write. Real documents are seldom quite valid: what is malformed is left out or left open
and noted, and costs no more than its own operation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from gentool.catalog.arguments import Arguments
from gentool.catalog.entries import Entry, Row
from gentool.catalog.openapi_schema import Schemas, Unusable
from gentool.jsonl import excerpt

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")
_CREDENTIAL = re.compile(r"authorization|(x-)?(api|auth|access|subscription)[-_]?(key|token)", re.IGNORECASE)
_HEADERS_IGNORED = frozenset({"accept", "content-type"})
"""OpenAPI itself ignores parameters of these names: the body's media type says it."""


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any], Any]]:
    """Path, method, path item and operation; the method is empty where a path holds none that can be read.

    Paths that lie inside another path, by a bracket set wrong, are found too.
    """
    waiting = list(reversed(document["paths"].items()))
    while waiting:
        path, item = waiting.pop()
        if path.startswith("x-"):
            continue
        if not isinstance(item, dict):
            yield path, "", {}, item
            continue
        for key, part in item.items():
            if key.lower() in _METHODS:
                yield path, key, item, part
        waiting += [(key, part) for key, part in reversed(item.items()) if key.startswith("/")]


def _is_document(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("paths"), dict)
        and bool(value.keys() & {"openapi", "swagger", "info"})
    )


def score(row: Row) -> int:
    """How many operations ``row`` has if it is an OpenAPI document; three more, since nothing else looks so."""
    return 3 + sum(1 for _ in _operations(row.value)) if _is_document(row.value) else 0


def entries(rows: Iterable[Row], file: str) -> Iterator[Entry]:
    """One entry for each operation of the documents in ``rows`` of a file of that name."""
    for row in rows:
        if row.problem:
            yield Entry(row.where, row.value, f"openapi:{file}", problem=row.problem)
        else:
            yield from entries_of_document(row.value, row.where, f"openapi:{file}")


def entries_of_document(document: Any, where: str, source: str) -> Iterator[Entry]:
    """One entry for each operation of a parsed OpenAPI document, at ``where#METHOD /path``.

    A ``document`` that is none gives one entry that says so. The API's title becomes the entries' server and domain.
    """
    if not _is_document(document):
        problem = "not an OpenAPI document: expected an object with `openapi`, `info` and `paths`"
        yield Entry(where, document, source, problem=problem)
        return
    api = _Api(document)
    for path, method, item, operation in _operations(document):
        at = f"{where}#{method.upper()} {path}" if method else f"{where}#{path}"
        if not isinstance(operation, dict):
            yield Entry(at, operation, source, problem="not an operation: expected an object")
            continue
        try:
            yield api.entry(at, source, str(path), method.lower(), item, operation)
        except Unusable as problem:
            yield Entry(at, operation, source, name=operation.get("operationId"), problem=str(problem))
        except RecursionError:
            yield Entry(at, operation, source, problem="nested too deeply: cannot be read")


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


class _Api:
    """One document, and what its operations share."""

    def __init__(self, document: dict[str, Any]) -> None:
        info = document.get("info")
        self.title = _text(info.get("title")) if isinstance(info, dict) else ""
        inside = document["paths"].get("components")  # by the same kind of mistake
        self.schemas = Schemas({"components": inside, **document})
        self._paths = document["paths"]
        self.credentials = self._credentials(document)

    def _credentials(self, document: dict[str, Any]) -> set[tuple[str, str]]:
        """Place and name of each API key that the document declares."""
        components = document.get("components")
        declared = components.get("securitySchemes") if isinstance(components, dict) else None
        declared = declared or document.get("securityDefinitions")
        found = set()
        for scheme in declared.values() if isinstance(declared, dict) else ():
            scheme = self.schemas.resolved(scheme)
            if isinstance(scheme, dict) and scheme.get("type") == "apiKey":
                found.add((str(scheme.get("in")), str(scheme.get("name"))))
        return found

    def entry(
        self, where: str, source: str, path: str, method: str, item: dict[str, Any], operation: dict[str, Any]
    ) -> Entry:
        """The entry of one operation. Raises :class:`Unusable` with the reason, and ``RecursionError``."""
        arguments = Arguments()
        notes = arguments.notes
        if path not in self._paths:
            notes.append("path inside another path: taken out")
        name = _text(operation.get("operationId"))
        if not name:
            name = re.sub(r"[^a-zA-Z0-9]+", "_", f"{method} {path}").strip("_")
            notes.append("`operationId` missing: named by method and path")
        self._add_parameters(item, operation, path, arguments)
        if isinstance(body := self.schemas.resolved(operation.get("requestBody")), dict):
            schema = self._content(body.get("content"), notes)
            if schema is not None:
                required = body.get("required") is True
                self._add_body(schema, _text(body.get("description")), required, arguments)
        elif operation.get("requestBody") is not None:
            notes.append("`requestBody` ignored: it cannot be read")
        parameters = self.schemas.self_contained(arguments.schema(), notes, sent=True)
        texts = [_text(operation.get(key)) or _text(item.get(key)) for key in ("summary", "description")]
        description = "\n".join(t for i, t in enumerate(texts) if t and t not in texts[:i])
        return Entry(
            where,
            operation,
            source,
            name=name,
            description=description or None,
            parameters=parameters,
            output_schema=self._output(operation),
            server=self.title or None,
            domain=self.title or None,
            repairs=tuple(dict.fromkeys(notes)),
        )

    def _add_parameters(
        self, item: dict[str, Any], operation: dict[str, Any], path: str, arguments: Arguments
    ) -> None:
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for owner in (item, operation):  # the operation's own take the place of the path's
            declared = owner.get("parameters")
            for raw in declared if isinstance(declared, list) else ():
                parameter = self.schemas.resolved(raw)
                if not isinstance(parameter, dict) or not isinstance(parameter.get("name"), str):
                    arguments.notes.append(f"parameter ignored: no name in {excerpt(raw, 60)}")
                    continue
                found[str(parameter.get("in")), parameter["name"]] = parameter
        placeholders = re.findall(r"\{([^{}]+)\}", path)
        for name in placeholders:
            if ("path", name) not in found:
                arguments.notes.append(f"part of the path not declared: {name!r} added as a text")
                found["path", name] = {"name": name, "in": "path", "schema": {"type": "string"}}
        for (place, name), parameter in found.items():
            self._add_parameter(place, name, parameter, arguments)

    def _add_parameter(self, place: str, name: str, parameter: dict[str, Any], arguments: Arguments) -> None:
        notes = arguments.notes
        if (place, name) in self.credentials or (place == "header" and _CREDENTIAL.search(name)):
            notes.append(f"credential left out: the {place} parameter {name!r}")
            return
        if place == "cookie" or (place == "header" and name.lower() in _HEADERS_IGNORED):
            return
        if place == "body":  # Swagger 2.0
            required = parameter.get("required") is True
            self._add_body(parameter.get("schema"), _text(parameter.get("description")), required, arguments)
            return
        schema = self._parameter_schema(parameter, notes)
        if isinstance(schema, dict) and _text(parameter.get("description")):
            schema = {**schema, "description": _text(parameter["description"])}
        required = place == "path" or parameter.get("required") is True
        arguments.add(name, schema, required, place if place in ("path", "query", "header") else "body")

    def _parameter_schema(self, parameter: dict[str, Any], notes: list[str]) -> Any:
        if "schema" in parameter:
            schema = self.schemas.converted(parameter["schema"], notes, sent=True)
        elif "content" in parameter:
            content = self._content(parameter["content"], notes)
            schema = {} if content is None else self.schemas.converted(content, notes, sent=True)
        else:  # Swagger 2.0 writes the schema into the parameter itself
            own = {
                "name",
                "in",
                "required",
                "description",
                "collectionFormat",
                "allowEmptyValue",
                "style",
                "explode",
            }
            rest = {key: part for key, part in parameter.items() if key not in own}
            schema = self.schemas.converted(rest, notes, sent=True)
        if isinstance(schema, dict) and "examples" not in schema and "example" in parameter:
            schema = {**schema, "examples": [parameter["example"]]}
        return schema

    def _add_body(self, schema: Any, description: str, required: bool, arguments: Arguments) -> None:
        made = self.schemas.flattened(schema, arguments.notes)
        if isinstance(made, dict):
            if description and "properties" not in made:
                made = {**made, "description": description}
            arguments.add_body(made, required)

    def _content(self, content: Any, notes: list[str]) -> Any:
        """The schema of a body by its media types, JSON first; ``None`` if there is none."""
        if not isinstance(content, dict) or not content:
            return None
        for wanted in ("json", "form", "*/*", ""):
            for media_type, media in content.items():
                if wanted in str(media_type).lower():
                    media = self.schemas.resolved(media)
                    return media.get("schema", {}) if isinstance(media, dict) else {}
        return None

    def _output(self, operation: dict[str, Any]) -> dict[str, Any] | None:
        """The schema of the JSON of the first good response, if there is one."""
        responses = operation.get("responses")
        good = sorted(c for c in responses if c.startswith("2")) if isinstance(responses, dict) else []
        for response in (self.schemas.resolved(operation["responses"][code]) for code in good):
            if not isinstance(response, dict):
                continue
            content = response.get("content", {"json": response})  # Swagger 2.0 has the schema right there
            media = [m for t, m in content.items() if "json" in t] if isinstance(content, dict) else []
            schema = media[0].get("schema") if media and isinstance(media[0], dict) else None
            if isinstance(schema, dict) and schema:
                notes: list[str] = []  # what is wrong with a result is no fault of the tool
                made = self.schemas.converted(schema, notes, sent=False)
                return self.schemas.self_contained(made, notes, sent=False)
        return None
