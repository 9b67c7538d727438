"""ms-swift's agent format: messages with the role ``tool_call``, ``tools`` as JSON text.

Followed: ms-swift 4.6, "Custom Dataset" (Agent Format) and "Agent Support" of its documentation, and
``swift/dataset/preprocessor/core.py``, whose standard keys include ``chat_template_kwargs``.
"""

from __future__ import annotations

from typing import Any

from gentool.export.example import Example, json_text
from gentool.prompting.renderer import TEMPLATE_VARIABLES


def record(example: Example) -> dict[str, Any]:
    """One conversation; ms-swift joins a text and the call after it into one turn of the assistant."""
    turns = [{"role": m["role"], "content": m["content"]} for m in example.prompt]
    content, call = example.answer["content"], example.call
    if content:
        turns.append({"role": "assistant", "content": content if call is None else f"{content}\n"})
    if call is not None:
        turns.append({"role": "tool_call", "content": json_text(call)})
    tools = {} if example.tools is None else {"tools": json_text(example.tools)}
    return {**tools, "messages": turns, "chat_template_kwargs": TEMPLATE_VARIABLES}
