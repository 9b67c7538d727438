"""What every format is made of: one prompt and the answer to it, as messages."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

Message = dict[str, Any]

Format = Literal["trl", "trl-messages", "llamafactory", "ms-swift", "axolotl", "openai"]


@dataclass(frozen=True)
class Example:
    """What goes to a chat template, in OpenAI's format but for a call's ``arguments``, which are an object.

    ``tools`` is ``None`` where they are written into the prompt (``prompt.tool_format: text``).
    """

    prompt: list[Message]
    answer: Message
    tools: list[dict[str, Any]] | None

    @property
    def call(self) -> dict[str, Any] | None:
        """``name`` and ``arguments`` of the one call in the answer, if there is one."""
        calls = self.answer.get("tool_calls")
        return calls[0]["function"] if calls else None

    @property
    def answer_with_text_arguments(self) -> Message:
        """The answer with a call's ``arguments`` as JSON text, as OpenAI has them on the wire."""
        calls = self.answer.get("tool_calls")
        if not calls:
            return self.answer
        function = {**calls[0]["function"], "arguments": json_text(calls[0]["function"]["arguments"])}
        return {**self.answer, "tool_calls": [{**calls[0], "function": function}]}


def json_text(value: Any) -> str:
    """JSON as chat templates write it: spaces after separators, no escapes for letters."""
    return json.dumps(value, ensure_ascii=False)
