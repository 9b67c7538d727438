"""A chat model behind an OpenAI-compatible server, asked the same as models on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from gentool.inference.backend import Completion, never
from gentool.llm.call import Call, Reply
from gentool.llm.client import Client
from gentool.prompting.parse import Parsed, parse_response
from gentool.prompting.renderer import ToolFormat, prompt_messages
from gentool.records import Task, Tool

Chat = dict[str, Any]
"""``messages``, and ``tools`` where the server takes them."""


class ServerPrompts:
    """Prompts for servers: the messages and tools that a :class:`~gentool.prompting.renderer.Renderer` puts into a
    template, which here the server does. ``plain_fallback`` as in :func:`gentool.prompting.renderer.prompt_messages`.
    """

    def __init__(self, tool_format: ToolFormat = "native", plain_fallback: bool = False) -> None:
        self.tool_format = tool_format
        self.plain_fallback = plain_fallback

    def prompt(self, query: str, now: str | None, tools: Sequence[Tool], task: Task) -> Chat:
        """The prompt; ``tools`` in the order to show them."""
        messages, shown = prompt_messages(query, now, tools, task, self.tool_format, self.plain_fallback)
        return {"messages": messages, "tools": shown} if shown else {"messages": messages}

    def parse(self, task: Task, text: str, names: Sequence[str], finished: bool = True) -> Parsed:
        """Read a text; see :func:`gentool.prompting.parse.parse_response`."""
        return parse_response(task, text, names, finished)


class ServerBackend:
    """Completes :data:`Chat` prompts with a :class:`gentool.llm.client.Client`."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def complete(
        self, prompts: Sequence[Chat], max_new_tokens: int, stopping: Callable[[], bool] = never
    ) -> Iterator[list[tuple[int, Completion]]]:
        """See :class:`gentool.inference.backend.Backend`. Raises what the client raises."""
        calls = [_call(prompt, max_new_tokens) for prompt in prompts]
        for landed in self.client.answers(calls, stopping):
            yield [(i, _completion(reply)) for i, reply in landed]


def _call(prompt: Chat, max_new_tokens: int) -> Call:
    tools = prompt.get("tools")
    # "auto" for rankings too. With "none" several servers leave the tools out of the prompt, others ignore it, and
    # those that keep to it forbid a mistake that models on this machine are free to make.
    choice = {"tool_choice": "auto"} if tools else {}
    return Call(prompt["messages"], tools, {**choice, "max_tokens": max_new_tokens})


def _completion(reply: Reply) -> Completion:
    return Completion(
        reply_text(reply), reply.completion_tokens, reply.finish_reason != "length", reply.prompt_tokens
    )


def reply_text(reply: Reply) -> str:
    """A reply as a model would have written it: its content, then its calls in Hermes style.

    Arguments stay the text that the server gave, so that they are read, and found malformed, as all others are.
    """
    calls = reply.message.get("tool_calls") or []
    parts = [reply.content.strip(), *(_call_text(c) for c in (calls if isinstance(calls, list) else [calls]))]
    # Half a character (a lone surrogate) cannot be written to a file.
    return "\n".join(filter(None, parts)).encode("utf-8", "replace").decode("utf-8")


def _call_text(call: Any) -> str:
    function = call.get("function") if isinstance(call, Mapping) else None
    written = dict(function) if isinstance(function, Mapping) else {}
    kept = {name: written[name] for name in ("name", "arguments") if written.get(name) not in (None, "")}
    return f"<tool_call>\n{json.dumps(kept, ensure_ascii=False)}\n</tool_call>"
