"""Hermes function calling: conversations whose system prompt lists the tools within ``<tools>``.

``{"conversations": [{"from": "system" | "human" | "gpt" | "tool", "value": ...}]}``, or ``messages`` with ``role`` and
``content``. Tools are OpenAI's, in one array or one after the other; calls are ``<tool_call>{"name", "arguments"}``,
in JSON or as Python writes it. The case of a conversation is its first question and what the model called then.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from gentool.catalog import openai
from gentool.catalog.entries import Case, Entry, Row
from gentool.catalog.literals import literal

_SOURCE = "hermes"
_USER = ("human", "user")
_MODEL = ("gpt", "assistant", "model")


def _turns(value: Any) -> list[tuple[Any, str]]:
    """Role and text of each turn; nothing if ``value`` is no conversation."""
    if not isinstance(value, dict):
        return []
    turns = value.get("conversations", value.get("messages"))
    found = []
    for turn in turns if isinstance(turns, list) else []:
        if isinstance(turn, dict):
            text = turn.get("value", turn.get("content"))
            found.append((turn.get("from", turn.get("role")), text if isinstance(text, str) else ""))
    return found


def _within(text: str, tag: str) -> Iterator[str]:
    """What stands between ``<tag>`` and ``</tag>``, each time."""
    end = 0
    while (start := text.find(f"<{tag}>", end)) >= 0 and (end := text.find(f"</{tag}>", start)) >= 0:
        yield text[start + len(tag) + 2 : end].strip()


def _listing(value: Any) -> str:
    """What the system prompt has within ``<tools>``."""
    for role, text in _turns(value):
        if role == "system":
            # The prompt may name an opening tag before, or both with nothing between them.
            found = (part.rpartition("<tools>")[2].strip() for part in _within(text, "tools"))
            return next(filter(None, found), "")
    return ""


def _values(text: str) -> list[Any]:
    """The values of an array, or of JSON objects written one after the other. Raises ``ValueError``."""
    try:
        value = literal(text)
    except ValueError:
        values: list[Any] = []
        end = 0
        while end < len(text):
            try:
                value, end = json.JSONDecoder().raw_decode(text, end)
            except RecursionError as error:
                raise ValueError(str(error)) from None
            values.append(value)
            while end < len(text) and text[end] in ", \t\r\n":
                end += 1
        return values
    return value if isinstance(value, list) else [value]


def _tools(row: Row) -> list[Row]:
    listing = _listing(row.value)
    try:
        return [Row(f"{row.where}#{i}", value) for i, value in enumerate(_values(listing))] if listing else []
    except ValueError as error:
        return [
            Row(row.where, listing, f"malformed list: what <tools> holds cannot be read: {str(error)[:120]}")
        ]


def score(row: Row) -> int:
    """How many tools the system prompt lists, and one more."""
    tools = _tools(row)
    return len(tools) + 1 if tools else 0


def entries(rows: Iterable[Row], file: str) -> Iterator[Entry]:
    """One entry for each tool of each conversation. A conversation without tools has none."""
    source = f"{_SOURCE}:{file}"
    for row in rows:
        if row.problem or not _turns(row.value):
            problem = row.problem or "not a conversation: expected `conversations`"
            yield Entry(row.where, row.value, source, problem=problem)
        for tool in _tools(row):
            yield openai.entry(tool, source)


def _calls(text: str) -> Iterator[tuple[Any, Any]]:
    for found in _within(text, "tool_call"):
        for call in _values(found):
            if not isinstance(call, dict):
                raise ValueError("expected an object")
            yield call.get("name"), call.get("arguments")


def cases(rows: Sequence[Row]) -> Iterator[Case]:
    """One case for each conversation that lists tools."""
    for row in rows:
        tools = _tools(row)
        if not tools:
            continue
        turns = [(role, text) for role, text in _turns(row.value) if role != "system"]
        where = tuple(t.where for t in tools)
        query, calls, problem = None, [], ""
        if len(turns) > 1 and turns[0][0] in _USER and turns[1][0] in _MODEL:
            query = turns[0][1]
            try:
                calls = list(_calls(turns[1][1]))
                problem = "" if calls else "no call: the first answer calls no tool"
            except ValueError as error:
                problem = f"call cannot be read: {str(error)[:120]}"
        else:
            problem = "no query: expected a turn of the user, then one of the model"
        yield Case(row.where, row.value, _SOURCE, query, where, tuple(calls), problem)
