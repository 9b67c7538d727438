"""A call of a chat model, and the reply to it, in the fields of OpenAI's chat completions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gentool.config import ServerConfig


@dataclass(frozen=True)
class Call:
    """What is asked. ``parameters``: further fields of the body, such as ``max_tokens`` and ``response_format``.

    ``sample``: its number, where the same is asked several times and each answer counts.
    """

    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]] | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    sample: int = 0


@dataclass(frozen=True)
class Reply:
    """What came back. ``message`` is the server's, as it is; ``model`` what the server says it is."""

    message: Mapping[str, Any]
    finish_reason: str | None
    usage: Mapping[str, Any]
    model: str | None
    created: int | None

    @property
    def content(self) -> str:
        """The text of the message; a refusal is one, and parts of a text are joined."""
        content = self.message.get("content")
        if isinstance(content, list):
            parts = [p.get("text") for p in content if isinstance(p, dict) and p.get("type") == "text"]
            content = "".join(p for p in parts if isinstance(p, str))
        found = content or self.message.get("refusal")
        return found if isinstance(found, str) else ""

    @property
    def prompt_tokens(self) -> int:
        """As the server counts them; 0 where it does not say."""
        return self._count("prompt_tokens")

    @property
    def completion_tokens(self) -> int:
        """As the server counts them, hidden reasoning included; 0 where it does not say."""
        return self._count("completion_tokens")

    def _count(self, name: str) -> int:
        value = self.usage.get(name)
        return value if isinstance(value, int) and value >= 0 else 0

    def stored(self) -> dict[str, Any]:
        """A chat completion with the fields kept; :func:`read_reply` reads it again."""
        return {
            "choices": [{"message": dict(self.message), "finish_reason": self.finish_reason}],
            "usage": dict(self.usage),
            "model": self.model,
            "created": self.created,
        }


def read_reply(value: Any) -> Reply:
    """A chat completion (a JSON value). Raises :class:`ValueError` for anything else."""
    try:
        choice = value["choices"][0]
        message, reason = choice["message"], choice.get("finish_reason")
        usage, model, created = value.get("usage") or {}, value.get("model"), value.get("created")
    except (TypeError, KeyError, IndexError, AttributeError):
        raise ValueError("not a chat completion") from None
    if not isinstance(message, dict) or not isinstance(usage, dict):
        raise ValueError("not a chat completion")
    return Reply(
        message,
        reason if isinstance(reason, str) else None,
        usage,
        model if isinstance(model, str) else None,
        created if isinstance(created, int) else None,
    )


def call_body(server: ServerConfig, call: Call) -> dict[str, Any]:
    """The JSON body of the request; a field that is ``None`` is left out, ``server.extra`` has the last word."""
    body: dict[str, Any] = {
        "model": server.model,
        "messages": call.messages,
        "tools": call.tools,
        "temperature": server.temperature,
        **call.parameters,
        **server.extra,
    }
    if "max_completion_tokens" in server.extra:  # reasoning models refuse the older name beside it
        body.pop("max_tokens", None)
    return {name: value for name, value in body.items() if value is not None}


def call_key(server: ServerConfig, call: Call) -> str:
    """What a reply depends on, as a hash of 64 hex digits: address, body and number of the sample.

    Fields are not sorted: models see the order of a schema's properties.
    """
    text = json.dumps([server.base_url, call_body(server, call), call.sample], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
