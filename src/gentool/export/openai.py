"""OpenAI's format for supervised fine-tuning of chat models.

Followed: the object ``FineTuneChatRequestInput`` of OpenAI's API reference (``messages``, ``tools``,
``parallel_tool_calls``); a call's ``arguments`` are JSON text, and an answer that is a call alone has no ``content``.
"""

from __future__ import annotations

from typing import Any

from gentool.export.example import Example


def record(example: Example) -> dict[str, Any]:
    """One conversation with one answer."""
    answer = example.answer_with_text_arguments
    if not answer["content"]:
        answer = {key: value for key, value in answer.items() if key != "content"}
    found: dict[str, Any] = {"messages": [*example.prompt, answer]}
    if example.tools is not None:
        found |= {"tools": example.tools, "parallel_tool_calls": False}
    return found
