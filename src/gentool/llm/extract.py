"""The one JSON object in what a model wrote, whatever it put around it."""

from __future__ import annotations

import json
import re
from typing import Any

from gentool.jsonl import canonical_json, distinct, excerpt, finite_float, refuse_constant

_DECODER = json.JSONDecoder(
    parse_constant=refuse_constant, parse_float=finite_float, object_pairs_hook=distinct
)
_START = re.compile(r'\{\s*["}]')  # not the {city} of a template
_THOUGHT_ENDS = ("</think>", "</thinking>")


def find_object(text: str) -> dict[str, Any]:
    """The JSON object of an answer: bare, in a code fence, or with text and reasoning around it.

    Raises :class:`ValueError`, saying why, if there is none, a broken one, or several different ones.
    """
    for end in _THOUGHT_ENDS:
        text = text.rpartition(end)[2]
    found: dict[str, dict[str, Any]] = {}
    at = 0
    while start := _START.search(text, at):
        try:
            value, at = _DECODER.raw_decode(text, start.start())
        except json.JSONDecodeError as error:
            near = excerpt(text[max(0, error.pos - 30) : error.pos + 30])
            raise ValueError(f"the JSON is broken: {error.msg}, near {near}") from None
        except RecursionError:
            raise ValueError("the JSON is nested too deeply") from None
        except ValueError as error:
            raise ValueError(f"the JSON is broken: {error}") from None
        found[canonical_json(value)] = value
    if not found:
        raise ValueError("there is no JSON object in it")
    if len(found) > 1:
        raise ValueError(f"there are {len(found)} JSON objects in it; expected one")
    return next(iter(found.values()))
