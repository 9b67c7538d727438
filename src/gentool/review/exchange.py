"""What a teacher was asked and answered, as far as the call cache holds it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from gentool.llm.call import read_reply


def exchange(cache: Path, key: str) -> dict[str, Any]:
    """``messages`` (role and text) and ``answer`` of a call; ``note``: what is not there. The cache is only read."""
    try:
        # The path as a URI: one with a question mark would otherwise be cut there.
        with closing(sqlite3.connect(f"{cache.resolve().as_uri()}?mode=ro", uri=True, timeout=5)) as base:
            base.row_factory = sqlite3.Row
            row = base.execute("SELECT * FROM calls WHERE key = ?", (key,)).fetchone()
    except sqlite3.Error as error:
        return {"messages": [], "answer": "", "note": f"{cache.name} cannot be read: {error}."}
    if row is None:
        return {"messages": [], "answer": "", "note": f"{cache.name} holds no such call."}
    found = {name: _json(value) for name, value in dict(row).items()}
    reply = found.get("reply")
    request = found.get("request") or (reply.get("request") if isinstance(reply, dict) else None)
    messages = _messages(request)
    return {
        "messages": messages,
        "answer": _answer(reply),
        "note": "" if messages else f"{cache.name} keeps no prompts.",
    }


def _json(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return text


def _answer(reply: Any) -> str:
    try:
        return read_reply(reply).content
    except ValueError:
        return json.dumps(reply, ensure_ascii=False, indent=2)


def _messages(request: Any) -> list[dict[str, str]]:
    messages = request.get("messages") if isinstance(request, dict) else request
    if not isinstance(messages, list):
        return []
    return [
        {"role": str(m.get("role", "")), "content": _text(m.get("content"))}
        for m in messages
        if isinstance(m, dict)
    ]


def _text(content: Any) -> str:
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, indent=2)
