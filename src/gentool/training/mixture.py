"""The user's own chat and tool conversations, trained on beside GenTool's samples.

Read from JSONL in TRL's conversational formats: ``messages`` (every assistant turn is a target), or ``prompt`` and
``completion`` (the completion's assistant turns are), each with ``tools`` where the conversation has some.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gentool.config import MixOptions
from gentool.jsonl import RecordError, content_hash, read_jsonl_lines
from gentool.prompting.order import seeded

Message = dict[str, Any]

ROLES = ("system", "developer", "user", "assistant", "tool")


@dataclass(frozen=True)
class ChatTurn:
    """One assistant turn to train on (``answer``), and what stands before it. ``where`` is the file and line."""

    where: str
    messages: tuple[Message, ...]
    answer: Message
    tools: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class MixPart:
    """The turns of one file, as positions in the list of all turns; ``weight``: turns for each GenTool sample."""

    turns: range
    weight: float


@dataclass(frozen=True)
class Mixture:
    """All turns to train on, by file, and those held out to see whether chat ability is retained."""

    turns: tuple[ChatTurn, ...] = ()
    parts: tuple[MixPart, ...] = ()
    held_out: tuple[ChatTurn, ...] = ()

    @property
    def hash(self) -> str:
        """Hash of what is trained on."""
        weights = [[part.turns.start, part.turns.stop, part.weight] for part in self.parts]
        return content_hash([weights, [[t.messages, t.answer, t.tools] for t in self.turns]])

    def without(self, turns: set[int]) -> Mixture:
        """The mixture without some of its turns."""
        kept: list[ChatTurn] = []
        parts = []
        for part in self.parts:
            begin = len(kept)
            kept += [self.turns[i] for i in part.turns if i not in turns]
            parts.append(MixPart(range(begin, len(kept)), part.weight if len(kept) > begin else 0.0))
        return Mixture(tuple(kept), tuple(parts), self.held_out)


def read_mixture(options: Sequence[MixOptions], seed: int) -> Mixture:
    """All files of ``data.mix``; the held-out conversations are drawn by ``seed``. Raises :class:`RecordError`."""
    turns: list[ChatTurn] = []
    parts: list[MixPart] = []
    held_out: list[ChatTurn] = []
    for option in options:
        conversations = list(_conversations(Path(option.path)))
        if not conversations:
            raise RecordError(
                f"{option.path}: data.mix: expected conversations; found none. Fix: remove the entry."
            )
        kept = round(option.held_out * len(conversations))
        order = sorted(
            range(len(conversations)), key=lambda i: seeded("held out", seed, option.path, i).random()
        )
        test = set(order[:kept])
        begin = len(turns)
        for i, conversation in enumerate(conversations):
            (held_out if i in test else turns).extend(conversation)
        if len(turns) == begin and option.weight:
            raise RecordError(
                f"{option.path}: data.mix: held_out {option.held_out} leaves no conversation to train on. "
                "Fix: lower held_out, add conversations, or set weight to 0."
            )
        parts.append(MixPart(range(begin, len(turns)), option.weight))
    return Mixture(tuple(turns), tuple(parts), tuple(held_out))


def draw(part: MixPart, number: int, epoch: int, seed: int) -> list[int]:
    """``number`` turns for an epoch: the file is gone through in shuffled rounds, no turn twice in a round."""
    size = len(part.turns)
    chosen: list[int] = []
    number = number if size else 0
    rounds: dict[int, list[int]] = {}
    for position in range(epoch * number, (epoch + 1) * number):
        turn, place = divmod(position, size)
        if turn not in rounds:
            rounds[turn] = list(part.turns)
            seeded("mix", seed, part.turns.start, turn).shuffle(rounds[turn])
        chosen.append(rounds[turn][place])
    return chosen


def _conversations(path: Path) -> Iterator[list[ChatTurn]]:
    """The turns to train on of each line of a file."""
    for number, value in read_jsonl_lines(path):
        where = f"{path}:{number}"
        messages, trained = _messages(value, where)
        tools = _tools(value.get("tools"), where)
        turns = [
            ChatTurn(where, tuple(messages[:i]), messages[i], tools)
            for i in range(trained, len(messages))
            if messages[i]["role"] == "assistant"
        ]
        if not turns or not turns[0].messages:
            raise _error(where, "messages", "a user's message and an assistant's answer to it", "neither")
        yield turns


def _error(where: str, field: str, expected: str, found: str) -> RecordError:
    return RecordError(
        f"{where}: {field}: expected {expected}; found {found}. Fix: write TRL's conversational format, "
        '{"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}.'
    )


def _messages(value: Any, where: str) -> tuple[list[Message], int]:
    """The messages of a line, and the position of the first that may be trained on."""
    if not isinstance(value, dict):
        raise _error(where, "(record)", "an object", type(value).__name__)
    if "messages" in value:
        return [
            _message(m, f"{where}: messages.{i}") for i, m in _listed(value["messages"], where, "messages")
        ], 0
    if "prompt" in value and "completion" in value:
        both = [
            [_message(m, f"{where}: {key}.{i}") for i, m in _listed(value[key], where, key)]
            for key in ("prompt", "completion")
        ]
        return both[0] + both[1], len(both[0])
    raise _error(
        where, "(record)", "`messages`, or `prompt` and `completion`", f"the fields {sorted(value)}"[:200]
    )


def _listed(value: Any, where: str, field: str) -> list[tuple[int, Any]]:
    if not isinstance(value, list) or not value:
        raise _error(where, field, "a list of messages", repr(value)[:80])
    return list(enumerate(value))


def _message(value: Any, where: str) -> Message:
    """A message as chat templates take it: text content, arguments of calls as objects."""
    if not isinstance(value, dict) or value.get("role") not in ROLES:
        raise _error(where, "role", f"one of {', '.join(ROLES)}", repr(value)[:80])
    content = value.get("content")
    if isinstance(content, list) and all(isinstance(p, dict) and p.get("type") == "text" for p in content):
        content = "".join(str(p.get("text", "")) for p in content)
    if content is not None and not isinstance(content, str):
        raise _error(where, "content", "a text", repr(content)[:80])
    calls = value.get("tool_calls") or []
    if not isinstance(calls, list):
        raise _error(where, "tool_calls", "a list", repr(calls)[:80])
    if value["role"] == "assistant" and not calls and not content:
        raise _error(where, "content", "a text or tool_calls", "neither")
    message: Message = {"role": value["role"], "content": content or ""}
    if calls:
        message["tool_calls"] = [_call(call, f"{where}.tool_calls.{i}") for i, call in enumerate(calls)]
    if value["role"] == "tool":
        message |= {k: value[k] for k in ("name", "tool_call_id") if isinstance(value.get(k), str)}
    return message


def _call(value: Any, where: str) -> dict[str, Any]:
    function = value.get("function") if isinstance(value, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise _error(where, "function.name", "a text", repr(value)[:80])
    arguments = function.get("arguments") or {}
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            arguments = None
    if not isinstance(arguments, dict):
        raise _error(where, "function.arguments", "an object", repr(function.get("arguments"))[:80])
    # An argument that is null stems from files whose rows share one struct; no model should learn to write it.
    given = {k: v for k, v in arguments.items() if v is not None}
    return {"type": "function", "function": {"name": function["name"], "arguments": given}}


def _tools(value: Any, where: str) -> tuple[dict[str, Any], ...]:
    if value is None:
        return ()
    if isinstance(value, str):  # data sets keep schemas as JSON text, so that rows do not share one struct
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise _error(
                where, "tools", "a list of tools, or such a list as JSON text", repr(value)[:80]
            ) from None
    if not isinstance(value, list) or not all(
        isinstance(t, dict) and isinstance(t.get("function", t).get("name"), str) for t in value
    ):
        raise _error(where, "tools", "a list of tools in OpenAI's format", repr(value)[:80])
    tools = [t if "function" in t else {"type": "function", "function": t} for t in value]
    return tuple(_without_nulls(t) for t in tools)


def _without_nulls(value: Any) -> Any:
    """Without the keys that are null: files whose rows share one struct hold every other tool's parameters so."""
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None or k in ("default", "const")}
    return [_without_nulls(v) for v in value] if isinstance(value, list) else value
