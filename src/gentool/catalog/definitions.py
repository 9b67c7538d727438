"""One self-contained schema of a schema and the named definitions that it refers to by ``#/$defs/NAME``.

Small definitions and those needed once take the place of their reference. The others stay in ``$defs``: recursive
ones, those needed several times, of which copies would grow without bounds, and those nested deep.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from gentool.catalog.repair import LISTS, MAPS, SCHEMAS

_PREFIX = "#/$defs/"
_SMALL = 400
"""Characters of a definition that is copied to each place that needs it."""
_NESTED = 12
"""Definitions that are put into each other before one is kept by its name: bounds the levels of a schema."""
_ANNOTATIONS = frozenset(
    {"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"}
)


def reference(name: str) -> dict[str, Any]:
    """A schema that refers to the definition ``name``, which has letters, digits, ``_``, ``.`` and ``-`` only."""
    return {"$ref": _PREFIX + name}


def _referred(schema: dict[str, Any]) -> str | None:
    pointer = schema.get("$ref")
    if not isinstance(pointer, str) or not pointer.startswith(_PREFIX):
        return None
    return pointer[len(_PREFIX) :]


def with_children(schema: dict[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    """``schema`` with ``change`` made to each of its direct subschemas."""
    made: dict[str, Any] = {}
    for key, part in schema.items():
        if key in MAPS and isinstance(part, dict):
            made[key] = {name: change(p) for name, p in part.items()}
        elif key in LISTS and isinstance(part, list):
            made[key] = [change(p) for p in part]
        elif key in SCHEMAS:
            made[key] = change(part)
        else:
            made[key] = part
    return made


def _references(schema: Any) -> Iterator[str]:
    """The names that a schema refers to, each as often as it does."""
    if not isinstance(schema, dict):
        return
    name = _referred(schema)
    if name is not None:
        yield name
    for key, part in schema.items():
        if key in MAPS and isinstance(part, dict):
            for inner in part.values():
                yield from _references(inner)
        elif key in LISTS and isinstance(part, list):
            for inner in part:
                yield from _references(inner)
        elif key in SCHEMAS:
            yield from _references(part)


class Definitions:
    """The definitions of one document; ``made(name)`` gives one as a schema and is asked once for each."""

    def __init__(self, made: Callable[[str], Any]) -> None:
        self._made = made
        self._known: dict[str, Any] = {}
        self._needs: dict[str, list[str]] = {}
        self._small: dict[str, bool] = {}

    def _get(self, name: str) -> Any:
        if name not in self._known:
            schema = self._known[name] = self._made(name)
            needs = self._needs[name] = list(_references(schema))
            self._small[name] = not needs and len(json.dumps(schema, default=str)) <= _SMALL
        return self._known[name]

    def _reached(self, schema: Any) -> Counter[str]:
        """How often each definition is referred to by ``schema`` and by all that it leads to."""
        uses = Counter(_references(schema))
        waiting = list(uses)
        for name in waiting:
            self._get(name)
            for inner in self._needs[name]:
                if inner not in uses:
                    waiting.append(inner)
                uses[inner] += 1
        return uses

    def _kept(self, schema: Any, uses: Counter[str]) -> set[str]:
        """The names that stay. A circle is entered from outside, so that one of it is referred to twice."""
        kept = {name for name, count in uses.items() if count > 1 and not self._small[name]}
        waiting = [(name, 1) for name in _references(schema)]
        waiting += [(name, 1) for keeper in kept for name in self._needs[keeper]]
        while waiting:
            name, level = waiting.pop()
            if name in kept or self._small[name]:
                continue
            if level > _NESTED:
                kept.add(name)
                level = 0
            waiting += [(inner, level + 1) for inner in self._needs[name]]
        return kept

    def _expanded(self, schema: Any, kept: set[str]) -> Any:
        if not isinstance(schema, dict):
            return schema
        name = _referred(schema)
        if name is None or name in kept:
            return with_children(schema, lambda part: self._expanded(part, kept))
        there = self._expanded(self._get(name), kept)
        here = {key: part for key, part in schema.items() if key != "$ref"}
        if not isinstance(there, dict):
            return there
        if here.keys() <= _ANNOTATIONS:
            return {**there, **here}
        return {"allOf": [there], **with_children(here, lambda part: self._expanded(part, kept))}

    def self_contained(self, schema: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """``schema`` with all that it needs, and the names of the definitions that went into it.

        Raises ``RecursionError`` for one nested too deeply.
        """
        uses = self._reached(schema)
        kept = self._kept(schema, uses)
        made: dict[str, Any] = self._expanded(schema, kept)
        if kept:
            made["$defs"] = {name: self._expanded(self._get(name), kept) for name in uses if name in kept}
        return made, list(uses)
