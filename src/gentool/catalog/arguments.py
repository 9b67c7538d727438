"""Makes one object schema of what an HTTP operation takes in its path, query, headers and body."""

from __future__ import annotations

from typing import Any


class Arguments:
    """Named arguments, gathered. Two of one name from different places are told apart by their place."""

    def __init__(self) -> None:
        self.properties: dict[str, Any] = {}
        self.required: list[str] = []
        self.notes: list[str] = []

    def add(self, name: str, schema: Any, required: bool, place: str) -> None:
        """One more argument, of ``place``: path, query, header or body."""
        taken = name
        if name in self.properties:
            taken = f"{place}_{name}"
            while taken in self.properties:
                taken += "_"
            self.notes.append(f"two arguments of one name: {name!r} of the {place} became {taken!r}")
        self.properties[taken] = schema
        if required:
            self.required.append(taken)

    def add_body(self, schema: dict[str, Any], required: bool) -> None:
        """The properties of an object as arguments; any other body, or one that is a choice, as one named ``body``.

        The properties that the object requires stay required even where the body as a whole is left open: hardly
        any author means that a call without one is useful.
        """
        properties = schema.get("properties")
        plain = schema.get("type", "object") == "object" and isinstance(properties, dict) and properties
        open_ended = isinstance(schema.get("additionalProperties"), dict)
        if not plain or open_ended or schema.keys() & {"anyOf", "oneOf", "allOf", "not", "if", "$ref"}:
            self.add("body", schema, required, "body")
            return
        names = schema.get("required")
        needed = names if isinstance(names, list) else []
        for name, part in (properties or {}).items():
            self.add(name, part, name in needed, "body")

    def schema(self) -> dict[str, Any]:
        """All of them as an object schema."""
        made: dict[str, Any] = {"type": "object", "properties": self.properties}
        if self.required:
            made["required"] = self.required
        return made
