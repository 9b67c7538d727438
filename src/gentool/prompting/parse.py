"""Model text -> tool call or ranking, in the styles of Hermes/Qwen, Llama 3.x and Mistral.

Malformed text is told apart from abstention (text without any attempt at a call).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

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


_decoder = json.JSONDecoder()


def _decode(text: str) -> tuple[Any, str]:
    """The JSON value at the start of ``text`` and what follows it."""
    try:
        value, end = _decoder.raw_decode(text.lstrip())
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not valid JSON: {error}") from None
    return value, text.lstrip()[end:]


def _call(value: Any) -> ToolCall:
    """A call from ``{"name": ..., "arguments" | "parameters": {...}}``."""
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise Malformed("a call without a name")
    arguments = value.get("arguments", value.get("parameters", {}))
    if isinstance(arguments, str):
        arguments, rest = _decode(arguments)
        if rest.strip():
            raise Malformed("arguments are not one JSON object")
    if not isinstance(arguments, dict):
        raise Malformed("arguments are not an object")
    return ToolCall.of(value["name"], arguments)


def _hermes(text: str) -> list[ToolCall]:
    calls = []
    for block in text.split("<tool_call>")[1:]:
        value, rest = _decode(block)
        if rest.strip() and not rest.lstrip().startswith("</tool_call>"):
            raise Malformed("text between a call and </tool_call>")
        calls.append(_call(value))
    return calls


_MISTRAL_NAMED = re.compile(r"\s*([a-zA-Z0-9_.-]+)(?:\[CALL_ID\]\w+)?(?:\[ARGS\])?(?=\s*\{)")


def _mistral(text: str) -> list[ToolCall]:
    calls: list[ToolCall] = []
    for block in text.split("[TOOL_CALLS]")[1:]:
        named = _MISTRAL_NAMED.match(block)
        if named:
            arguments, _ = _decode(block[named.end() :])
            calls.append(_call({"name": named[1], "arguments": arguments}))
            continue
        value, _ = _decode(block)
        calls += [_call(v) for v in (value if isinstance(value, list) else [value])]
    return calls


def _llama(text: str) -> list[ToolCall]:
    calls = []
    rest = text.replace("<|python_tag|>", "").strip()
    while rest.startswith("{"):
        value, rest = _decode(rest)
        calls.append(_call(value))
        rest = rest.lstrip("; \n")
    return calls


def parse_calls(text: str) -> list[ToolCall]:
    """All calls in a model's text; none if it does not attempt one. Raises :class:`Malformed`."""
    if "<tool_call>" in text:
        return _hermes(text)
    if "[TOOL_CALLS]" in text:
        return _mistral(text)
    if "<|python_tag|>" in text or text.lstrip().startswith("{"):
        calls = _llama(text)
        if not calls:
            raise Malformed("a call was begun and not written")
        return calls
    return []


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


def _select(text: str, names: Collection[str], finished: bool) -> Parsed:
    calls = parse_calls(text)
    if not calls:
        if not text.strip():
            raise Malformed("empty output")
        if not finished:
            raise Malformed("no call, and no end of the answer within the limit of tokens")
        return Parsed("answer")
    if len(calls) > 1:
        raise Malformed(f"{len(calls)} calls where one is asked for")
    if calls[0].name not in names:
        raise Malformed(f"calls {calls[0].name[:80]!r}, which is not a tool of the set")
    if not finished:
        raise Malformed("did not stop after the call")
    return Parsed("call", tool_call=calls[0])


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
        parsed = _select(text, names, finished)
        if task == "joint" and parsed.outcome == "call":
            head = re.split(r"<tool_call>|\[TOOL_CALLS\]|<\|python_tag\|>|\{", text, maxsplit=1)[0]
            return Parsed("call", parsed.tool_call, ranking=parse_names(head, names))
        return parsed
    except Malformed as error:
        return Parsed("malformed", error=str(error))
