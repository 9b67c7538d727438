"""Model text -> tool call or ranking, in the styles of Hermes/Qwen, Llama 3.x and Mistral.

Malformed text is told apart from abstention (text without any attempt at a call).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from gentool.jsonl import finite_float, refuse_constant
from gentool.records import ToolCall


class Malformed(ValueError):
    """Text that attempts a call or a ranking and fails; the message says how."""


@dataclass(frozen=True)
class Parsed:
    """How a model's text was read; ``error`` is set exactly for ``malformed``."""

    outcome: Literal["call", "answer", "ranking", "malformed"]
    tool_call: ToolCall | None = None
    ranking: tuple[str, ...] | None = None
    error: str | None = None


MAX_DEPTH = 64
"""Arguments nested deeper than this are malformed: no schema asks for them, and writing them out may fail."""


_decoder = json.JSONDecoder(parse_constant=refuse_constant, parse_float=finite_float)


def _decode(text: str) -> tuple[Any, str]:
    """The JSON value at the start of ``text`` and what follows it."""
    text = text.lstrip()
    try:
        value, end = _decoder.raw_decode(text)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not valid JSON: {error}") from None
    return value, text[end:]


def _check(value: Any, depth: int = 0) -> None:
    """Refuse what is JSON to Python and cannot be written as UTF-8 JSON again."""
    if depth > MAX_DEPTH:
        raise Malformed(f"arguments nested deeper than {MAX_DEPTH}")
    if isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value):
        raise Malformed("a text with half a character (a lone surrogate)")
    for part in (
        [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    ):
        _check(part, depth + 1)


def _call(value: Any) -> ToolCall:
    """A call from ``{"name": ..., "arguments" | "parameters": {...}}``."""
    if isinstance(value, dict) and isinstance(value.get("function"), dict):
        value = value["function"]
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise Malformed("a call without a name")
    arguments = value.get("arguments", value.get("parameters", {}))
    if isinstance(arguments, str):
        arguments, rest = _decode(arguments)
        if rest.strip():
            raise Malformed("arguments are not one JSON object")
    if not isinstance(arguments, dict):
        raise Malformed("arguments are not an object")
    _check([value["name"], arguments])
    return ToolCall.of(value["name"], arguments)


# Each reader gets the text after its first marker, and reads on from there: markers inside arguments are text.


def _hermes(rest: str) -> list[ToolCall]:
    calls = []
    while True:
        value, rest = _decode(rest)
        calls.append(_call(value))
        rest = rest.lstrip()
        if rest and not rest.startswith("</tool_call>"):
            raise Malformed("text between a call and </tool_call>")
        rest = rest.removeprefix("</tool_call>").lstrip()
        if not rest.startswith("<tool_call>"):
            return calls
        rest = rest.removeprefix("<tool_call>")


_MISTRAL_NAMED = re.compile(r"\s*([a-zA-Z0-9_.-]+)(?:\[CALL_ID\]\w+)?(?:\[ARGS\])?(?=\s*\{)")


def _mistral(rest: str) -> list[ToolCall]:
    calls: list[ToolCall] = []
    while True:
        named = _MISTRAL_NAMED.match(rest)
        if named:
            arguments, rest = _decode(rest[named.end() :])
            calls.append(_call({"name": named[1], "arguments": arguments}))
        else:
            value, rest = _decode(rest)
            calls += [_call(v) for v in (value if isinstance(value, list) else [value])]
        rest = rest.lstrip()
        if not rest.startswith("[TOOL_CALLS]"):
            return calls
        rest = rest.removeprefix("[TOOL_CALLS]")


def _bare(rest: str) -> list[ToolCall]:
    """Calls as plain JSON: Llama 3.x writes them so, and untuned models in fences or lists."""
    value, rest = _decode(rest)
    calls = [_call(v) for v in (value if isinstance(value, list) else [value])]
    rest = rest.lstrip("; \n")
    return calls + _bare(rest) if rest.startswith("{") else calls


_MARKER = re.compile(r"</?tool_call>|\[TOOL_CALLS\]|<\|python_tag\|>")
_BARE = re.compile(
    r'\A\s*(?:\[\s*)?\{\s*["\']|\[?\s*\{\s*(?:"type"\s*:\s*"function"\s*,\s*)?(?:"function"\s*:\s*\{\s*)?"name"\s*:\s*"[^"]*"\s*,'
    r'\s*"(?:arguments|parameters)"'
)
_OTHER_STYLE = re.compile(r"\s*(?:<function=|\[)?([a-zA-Z0-9_-]+)[>(]")
"""Calls as code or as tags of other families, at the beginning of the text."""
_READERS = {"<tool_call>": _hermes, "[TOOL_CALLS]": _mistral, "<|python_tag|>": _bare}


def split_calls(text: str) -> tuple[str, list[ToolCall]]:
    """What stands before the first attempt at a call, and the calls. Raises :class:`Malformed`.

    A marker of any style begins an attempt, and so does JSON that looks like a call or that the text begins with.
    """
    marker = _MARKER.search(text)
    bare = _BARE.search(text)
    if marker and not (bare and bare.start() < marker.start()):
        reader = _READERS.get(marker[0])
        if reader is None:
            raise Malformed("the end of a call without its beginning")
        calls = reader(text[marker.end() :])
        begin = marker.start()
    elif bare:
        calls = _bare(text[bare.start() :])
        begin = bare.start()
    else:
        return text, []
    if not calls:
        raise Malformed("a call was begun and not written")
    return text[:begin], calls


def parse_calls(text: str) -> list[ToolCall]:
    """All calls in a model's text; none if it does not attempt one. Raises :class:`Malformed`."""
    return split_calls(text)[1]


_BULLET = re.compile(r"^\s*(?:\d+[.)]|[-*])\s*")


def parse_names(text: str, names: Collection[str]) -> tuple[str, ...]:
    """A ranking ``a > b > c`` (also one a line, numbered or bulleted). Raises :class:`Malformed`."""
    parts = [_BULLET.sub("", p).strip(" \t`\"'") for p in re.split(r">|\n", text.strip())]
    ranking = tuple(p for p in parts if p)
    if not ranking:
        raise Malformed("an empty ranking")
    unknown = [n for n in ranking if n not in names]
    if unknown:
        raise Malformed(f"ranks {unknown[0][:80]!r}, which is not a tool of the set")
    if len(set(ranking)) != len(ranking):
        raise Malformed("ranks a tool twice")
    return ranking


def _one_call(text: str, names: Collection[str], finished: bool) -> tuple[str, ToolCall | None]:
    """What stands before the call, and the call if the text is not an answer without one."""
    before, calls = split_calls(text)
    if not calls:
        if not text.strip():
            raise Malformed("empty output")
        if not finished:
            raise Malformed("no call, and no end of the answer within the limit of tokens")
        if (other := _OTHER_STYLE.match(text)) and other[1] in names:
            raise Malformed("a call in a style that is not read")
        return before, None
    if len(calls) > 1:
        raise Malformed(f"{len(calls)} calls where one is asked for")
    if calls[0].name not in names:
        raise Malformed(f"calls {calls[0].name[:80]!r}, which is not a tool of the set")
    if not finished:
        raise Malformed("did not stop after the call")
    return before, calls[0]


def _is_ranking(text: str, names: Collection[str]) -> bool:
    try:
        return bool(parse_names(text, names))
    except Malformed:
        return False


def parse_response(
    task: Literal["rank", "select", "joint"], text: str, names: Collection[str], finished: bool = True
) -> Parsed:
    """Read a model's text for a task. ``names``: the tools shown; ``finished``: it reached a stop token.

    For ``joint`` the text before the call is the ranking.
    """
    try:
        if task == "rank":
            if not finished:
                raise Malformed("did not stop after the ranking")
            return Parsed("ranking", ranking=parse_names(text, names))
        before, call = _one_call(text, names, finished)
        if task == "select":
            return Parsed("call", tool_call=call) if call else Parsed("answer")
        if call is None:
            if _is_ranking(text, names):
                raise Malformed("a ranking without the call")
            return Parsed("answer")
        return Parsed("call", tool_call=call, ranking=parse_names(before, names))
    except Malformed as error:
        return Parsed("malformed", error=str(error))
