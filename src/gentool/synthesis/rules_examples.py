"""What an example query says: the values of a tool's required parameters, where that is plain to see."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

from gentool.records import Tool
from gentool.synthesis.dates import relative_words
from gentool.synthesis.rules_queries import Asked, Request, properties, required
from gentool.synthesis.rules_values import Value, fits
from gentool.synthesis.text import listed

_SPANS = re.compile(
    r"[\"“](?P<quoted>[^\"”]{2,80})[\"”]|(?P<web>[\w.+-]+@[\w.-]+\w|https?://\S+[\w/])|(?P<day>\d{4}-\d{2}-\d{2})|"
    r"(?P<number>(?<![\w.])\d+(?:\.\d+)?(?![\w]))|(?P<code>\b(?=\w*\d)(?=\w*[A-Z])[\w-]+\b)|"
    r"(?P<name>(?<!^)(?<![.!?] )\b[A-Z][\w'-]+(?: [A-Z][\w'-]+)*)"
)
_NOT_NAMES = frozenset(listed("I I'm I'd I've I'll Please Thanks Hi Hello Can Could What"))


def _spans(text: str) -> list[tuple[str, str]]:
    """What in ``text`` looks like a value, each with its kind."""
    found = []
    for m in _SPANS.finditer(text):
        kind = str(m.lastgroup)
        if m[kind] not in _NOT_NAMES:
            found.append((kind, m[kind]))
    return found


def read_example(tool: Tool, text: str) -> Request | None:
    """The example as a request to ``tool``, if each value in it belongs to one required parameter, and no other way."""
    spans = _spans(text)
    names = required(tool)
    if len(spans) != len(names) or relative_words(text):
        return None
    values: dict[str, Value] = {}
    for kind, said in spans:
        takers = [n for n in names if n not in values and _takes(tool, n, kind, said)]
        if len(takers) != 1:
            return None
        value = (float(said) if "." in said else int(said)) if _is_number(tool, takers[0]) else said
        values[takers[0]] = Value(value, said)
    return Request(text, Asked({n: v.value for n, v in values.items()}), None, values)


def _is_number(tool: Tool, name: str) -> bool:
    return properties(tool)[name].get("type") in ("integer", "number")


def _takes(tool: Tool, name: str, kind: str, said: str) -> bool:
    schema = properties(tool)[name]
    if kind == "number" and _is_number(tool, name):
        return fits(tool, name, float(said) if "." in said else int(said))
    if schema.get("type", "string") != "string" or kind == "number":
        return False
    shapes = {"email": "web", "uri": "web", "date": "day"}
    wanted = shapes.get(str(schema.get("format")))
    return (wanted is None or wanted == kind) and fits(tool, name, said)


def recombined(requests: Sequence[Request], rng: Random) -> list[Request]:
    """Each example with the values of another one in the place of its own."""
    made = []
    for one in requests:
        others = [r for r in requests if r is not one and r.used.keys() == one.used.keys()]
        if not others or not one.used:
            continue
        other = rng.choice(others)
        text = one.text
        for name, value in one.used.items():
            text = text.replace(value.text, f"\0{name}\0", 1)
        for name, value in other.used.items():
            text = text.replace(f"\0{name}\0", value.text)
        made.append(Request(text, other.asked, None, other.used))
    return made
