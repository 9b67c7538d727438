"""YAML as JSON values: nothing is executed, dates stay texts, and aliases cannot grow without bounds."""

from __future__ import annotations

import re
from typing import Any

import yaml

from gentool.catalog.entries import Repeated
from gentool.jsonl import printable

_PARSER: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Only its events are used: composing a document overflows the stack of libyaml's binding at some levels."""
MAX_VALUES = 4_000_000
"""Values of a file, aliases written out: several times the largest API description known."""
MAX_LEVELS = 200
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def _scalar(text: str) -> Any:
    """What a plain word means in YAML 1.2; a date is a text, and so are ``yes``, ``no``, ``on`` and ``off``."""
    word = text.lower() if text in (text.lower(), text.upper(), text.capitalize()) else text
    if word in _WORDS:
        return _WORDS[word]
    if _INTEGER.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


class _Reader:
    """Builds values from the events of a parser, which itself nests no calls; counts aliases as what they stand for."""

    def __init__(self, parser: Any) -> None:
        self._parser = parser
        self._values = 0
        self._anchors: dict[str, tuple[Any, int]] = {}

    def document(self) -> Any:
        """The next document. Raises ``ValueError``."""
        self._parser.get_event()
        self._anchors = {}
        value = self._value(0)
        self._parser.get_event()
        return value

    def _count(self, number: int) -> None:
        self._values += number
        if self._values > MAX_VALUES:
            raise ValueError(f"more than {MAX_VALUES:,} values, aliases written out")

    def _value(self, level: int) -> Any:
        if level > MAX_LEVELS:
            raise ValueError(f"more than {MAX_LEVELS} levels")
        event = self._parser.get_event()
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise ValueError(f"the alias *{event.anchor} before the end of what it stands for")
            value, size = self._anchors[event.anchor]
            self._count(size)
            return value
        before = self._values
        self._count(1)
        self._anchors.pop(event.anchor, None)
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event.value) if event.implicit[0] else event.value
        elif isinstance(event, yaml.SequenceStartEvent):
            value = []
            while not self._parser.check_event(yaml.SequenceEndEvent):
                value.append(self._value(level + 1))
            self._parser.get_event()
        else:
            value = self._mapping(level)
        if event.anchor:
            self._anchors[event.anchor] = (value, self._values - before)
        return value

    def _mapping(self, level: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        merged: list[Any] = []
        repeated = None
        while not self._parser.check_event(yaml.MappingEndEvent):
            if not self._parser.check_event(yaml.ScalarEvent):
                raise ValueError("a key that is no text")
            event = self._parser.get_event()
            key = event.value
            value = self._value(level + 1)
            if key == "<<" and event.implicit[0]:
                merged += value if isinstance(value, list) else [value]
                continue
            repeated = key if key in made else repeated
            made[key] = value
        self._parser.get_event()
        for other in merged:
            if isinstance(other, dict):
                self._count(len(other))
                made = {**other, **made}
        return made if repeated is None else Repeated(made, repeated)


def yaml_documents(text: str) -> list[Any]:
    """The documents of a YAML text, as JSON values. An object with a key twice is a :class:`Repeated`.

    Raises ``ValueError`` for what is no YAML, has too many values or levels, or a key that is no text.
    """
    parser = _PARSER(text)
    reader = _Reader(parser)
    documents = []
    try:
        parser.get_event()
        while not parser.check_event(yaml.StreamEndEvent):
            documents.append(reader.document())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f"line {mark.line + 1}: " if mark else ""
        raise ValueError(printable(f"{at}{error.problem or error.context}")) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(printable(" ".join(str(error).split())[:120])) from None
    finally:
        parser.dispose()
    return documents
