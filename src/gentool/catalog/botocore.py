"""Service models of botocore (``service-2.json``, as in the folder ``botocore/data``): one tool an operation.

Texts lose their HTML and are shortened. Tokens of idempotency are left out, which a client makes by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from gentool.catalog.definitions import Definitions, reference
from gentool.catalog.entries import Entry, Repeated, Row
from gentool.catalog.plain_schema import compiles
from gentool.catalog.plain_text import plain_text

OPERATION_TEXT = 1000
MEMBER_TEXT = 200
"""Characters of description that an operation and an argument may have."""

_TYPES = {
    "string": "string",
    "character": "string",
    "integer": "integer",
    "long": "integer",
    "short": "integer",
    "byte": "integer",
    "biginteger": "integer",
    "float": "number",
    "double": "number",
    "bigdecimal": "number",
    "boolean": "boolean",
}
_BOUNDS = {
    "string": ("minLength", "maxLength"),
    "list": ("minItems", "maxItems"),
    "map": ("minProperties", "maxProperties"),
    "integer": ("minimum", "maximum"),
    "long": ("minimum", "maximum"),
    "float": ("minimum", "maximum"),
    "double": ("minimum", "maximum"),
}
_UNBOUNDED = 1 << 31
"""A maximum from here on says that there is none."""


def _is_model(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(value.get(key), dict) for key in ("metadata", "operations", "shapes")
    )


def score(row: Row) -> int:
    """How many operations ``row`` has if it is a service model; three more, since nothing else looks so."""
    return 3 + len(row.value["operations"]) if _is_model(row.value) else 0


def entries(rows: Iterable[Row], file: str) -> Iterator[Entry]:
    """One entry for each operation of the service models in ``rows`` of a file of that name."""
    for row in rows:
        if row.problem or not _is_model(row.value):
            problem = row.problem or "not a service model: expected `metadata`, `operations` and `shapes`"
            yield Entry(row.where, row.value, f"botocore:{file}", problem=problem)
            continue
        model = _Model(row.value, file)
        for name, operation in row.value["operations"].items():
            yield model.entry(f"{row.where}#{name}", name, operation)


class _Model:
    """One service and what its operations share."""

    def __init__(self, model: dict[str, Any], file: str) -> None:
        metadata = model["metadata"]
        full = metadata.get("serviceId") or metadata.get("serviceFullName")
        self._service = full if isinstance(full, str) else None
        self._source = f"botocore:{metadata.get('uid') or file}"
        self._shapes = model["shapes"]
        self._definitions = Definitions(self._definition)

    def entry(self, where: str, name: str, operation: Any) -> Entry:
        """The entry of one operation."""
        if not isinstance(operation, dict):
            return Entry(
                where, operation, self._source, name=name, problem="not an operation: expected an object"
            )
        try:
            parameters = self._whole(operation.get("input"))
            output = self._whole(operation.get("output")) if "output" in operation else None
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            problem = f"shapes that cannot be read: {type(error).__name__} {error}"
            return Entry(where, operation, self._source, name=name, problem=problem[:200])
        except RecursionError:
            return Entry(
                where, operation, self._source, name=name, problem="nested too deeply: cannot be read"
            )
        return Entry(
            where,
            operation,
            self._source,
            name=operation.get("name", name),
            description=plain_text(operation.get("documentation"), OPERATION_TEXT) or None,
            parameters=parameters,
            output_schema=output,
            server=self._service,
            domain=self._service,
        )

    def _whole(self, part: Any) -> dict[str, Any]:
        """The object schema of an operation's input or output."""
        if part is None:
            return {"type": "object", "properties": {}}
        made, _ = self._definitions.self_contained(dict(self._definition(part["shape"])))
        return made

    def _member(self, member: dict[str, Any]) -> dict[str, Any]:
        text = plain_text(member.get("documentation"), MEMBER_TEXT)
        made = reference(member["shape"])
        return {**made, "description": text} if text else made

    def _definition(self, name: str) -> dict[str, Any]:
        """A shape as a schema. Raises ``KeyError``, ``TypeError``, ... for a model that is none."""
        shape = self._shapes[name]
        if isinstance(shape, Repeated):
            raise ValueError(f"the key {shape.key!r} is there twice in one object")
        kind = shape["type"]
        text = plain_text(shape.get("documentation"), MEMBER_TEXT)
        made: dict[str, Any] = {"description": text} if text else {}
        if kind == "structure":
            return made if shape.get("document") else {**made, **self._structure(shape)}
        if kind == "list":
            made |= {"type": "array", "items": self._member(shape["member"])}
        elif kind == "map":
            made |= {"type": "object", "additionalProperties": self._member(shape["value"])}
            if "enum" in self._shapes[shape["key"]["shape"]]:
                made["propertyNames"] = reference(shape["key"]["shape"])
        elif kind == "timestamp":
            made |= {"type": "string", "format": "date-time"}
        elif kind == "blob":
            made |= {"type": "string", "contentEncoding": "base64"}
        else:
            made["type"] = _TYPES[kind]
        return {**made, **_limits(kind, shape)}

    def _structure(self, shape: dict[str, Any]) -> dict[str, Any]:
        members = {n: m for n, m in shape.get("members", {}).items() if not m.get("idempotencyToken")}
        made: dict[str, Any] = {
            "type": "object",
            "properties": {n: self._member(m) for n, m in members.items()},
        }
        required = [name for name in shape.get("required", []) if name in members]
        if required:
            made["required"] = required
        if shape.get("union"):
            made |= {"minProperties": 1, "maxProperties": 1}
        return made


def _limits(kind: str, shape: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if isinstance(shape.get("enum"), list) and shape["enum"]:
        return {"enum": list(dict.fromkeys(shape["enum"]))}
    least, most = _BOUNDS.get(kind, ("", ""))
    low, high = shape.get("min"), shape.get("max")
    if least and isinstance(low, int | float) and (low > 0 or least == "minimum"):
        made[least] = low
    if most and isinstance(high, int | float) and high < _UNBOUNDED:
        made[most] = high
    pattern = shape.get("pattern")
    if kind == "string" and isinstance(pattern, str) and compiles(pattern):
        made["pattern"] = pattern
    return made
