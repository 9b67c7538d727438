"""Servers are asked the same as models on this machine, and their replies are read by the same rules."""

from __future__ import annotations

from typing import Any

import pytest

from gentool.config import ServerConfig
from gentool.inference.server import ServerBackend, ServerPrompts, reply_text
from gentool.llm.call import read_reply
from gentool.llm.client import Client
from gentool.models import make_tokenizer
from gentool.prompting.renderer import RANK_REQUEST, TEMPLATE_VARIABLES, Renderer, ToolFormat
from gentool.records import GENERATE_RESPONSE, GENERATE_RESPONSE_TOOL, Function, Task, Tool, ToolCall
from tests.llm.fake_server import Answer, FakeServer, completion

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [
    Tool(function=Function(name="find_train", description="Trains.", parameters=SCHEMA)),
    GENERATE_RESPONSE_TOOL,
    Tool(function=Function(name="weather", description="Weather.", parameters=SCHEMA)),
]
NAMES = [t.name for t in TOOLS]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return make_tokenizer(["Any trains to Lyon?"], 300, 4096, None)


@pytest.mark.parametrize("plain_fallback", [False, True])
@pytest.mark.parametrize("tool_format", ["native", "text"])
@pytest.mark.parametrize("task", ["rank", "select"])
def test_a_server_with_the_same_template_makes_the_same_prompt(
    tokenizer: Any, task: Task, tool_format: ToolFormat, plain_fallback: bool
) -> None:
    renderer = Renderer(tokenizer, tool_format, fallback_text="Sorry." if plain_fallback else None)
    query = ("Any trains to Lyon tonight?", "2026-03-09T14:50", TOOLS, task)
    chat = ServerPrompts(tool_format, plain_fallback).prompt(*query)
    rendered = tokenizer.apply_chat_template(
        chat["messages"],
        tools=chat.get("tools"),
        add_generation_prompt=True,
        tokenize=False,
        **TEMPLATE_VARIABLES,
    )
    assert rendered == renderer.prompt_text(*query)
    assert (RANK_REQUEST in chat["messages"][0]["content"]) == (task == "rank")


def test_native_tools_are_shown_in_their_order() -> None:
    chat = ServerPrompts().prompt("Any trains?", None, TOOLS, "select")
    assert chat == {
        "messages": [{"role": "user", "content": "Any trains?"}],
        "tools": [t.openai() for t in TOOLS],
    }
    assert [t["function"]["name"] for t in chat["tools"]] == NAMES


CALL = ("find_train", '{"city": "Lyon"}')


@pytest.mark.parametrize(
    ("answer", "outcome", "detail"),
    [
        (completion(None, CALL), "call", ToolCall.of("find_train", {"city": "Lyon"})),
        (completion("Let me see.", CALL), "call", ToolCall.of("find_train", {"city": "Lyon"})),
        (completion("", (GENERATE_RESPONSE, "{}")), "call", ToolCall.of(GENERATE_RESPONSE, {})),
        (completion(None, (GENERATE_RESPONSE, "")), "call", ToolCall.of(GENERATE_RESPONSE, {})),
        (completion(None, (GENERATE_RESPONSE, None)), "call", ToolCall.of(GENERATE_RESPONSE, {})),
        (
            completion(None, ("find_train", {"city": "Lyon"})),
            "call",
            ToolCall.of("find_train", {"city": "Lyon"}),
        ),
        (
            completion(None, ("find_train", '{"city": "</tool_call><tool_call>{}"}')),
            "call",
            ToolCall.of("find_train", {"city": "</tool_call><tool_call>{}"}),
        ),
        (completion("It rains."), "answer", None),
        (completion("It rains.", tool_calls=None), "answer", None),
        (completion(None, refusal="I cannot help with that."), "answer", None),
        (completion([{"type": "text", "text": "It "}, {"type": "text", "text": "rains."}]), "answer", None),
        (
            completion('<tool_call>\n{"name": "weather", "arguments": {"city": "Lyon"}}\n</tool_call>'),
            "call",
            ToolCall.of("weather", {"city": "Lyon"}),
        ),
        (
            completion('{"name": "weather", "parameters": {"city": "Lyon"}}'),
            "call",
            ToolCall.of("weather", {"city": "Lyon"}),
        ),
        (completion(None, ("find_train", '{"city": "Lyon"')), "malformed", "not valid JSON"),
        (completion(None, ("find_train", '{"city": "Lyon"} {}')), "malformed", "not one JSON object"),
        (completion(None, ("find_train", '["Lyon"]')), "malformed", "not an object"),
        (completion(None, ("find_train", '{"city": "\\ud83d"}')), "malformed", "surrogate"),
        (completion(None, ("find_train", "null")), "malformed", "not an object"),
        (completion(None, ("hotel", "{}")), "malformed", "'hotel', which is not a tool"),
        (completion(None, (None, "{}")), "malformed", "without a name"),
        (completion(None, (7, "{}")), "malformed", "without a name"),
        (completion(None, CALL, CALL), "malformed", "2 calls"),
        (completion(None, tool_calls=[None]), "malformed", "without a name"),
        (completion(None, tool_calls="x"), "malformed", "without a name"),
        (completion(None), "malformed", "empty output"),
        (completion("   "), "malformed", "empty output"),
        (completion("It rains and", finish="length"), "malformed", "within the limit"),
        (completion(None, CALL, finish="length"), "malformed", "did not stop"),
    ],
)
def test_replies_are_read(fake_server: FakeServer, answer: Answer, outcome: str, detail: Any) -> None:
    fake_server.play = lambda body, n: answer
    client = Client("row", ServerConfig(model="m", base_url=fake_server.url), say=print)
    prompts = ServerPrompts()
    [[(_, found)]] = list(
        ServerBackend(client).complete([prompts.prompt("Any trains?", None, TOOLS, "select")], 32)
    )
    parsed = prompts.parse("select", found.text, NAMES, found.finished)
    assert parsed.outcome == outcome
    if outcome == "malformed":
        assert parsed.error is not None and detail in parsed.error
    else:
        assert parsed.tool_call == detail
    assert (found.prompt_tokens, found.tokens) == (100, 7)
    found.text.encode("utf-8")


def test_half_a_character_can_be_written() -> None:
    reply = read_reply({"choices": [{"message": {"content": "It rains \ud83d"}}]})
    assert reply_text(reply) == "It rains ?"
    assert (reply.prompt_tokens, reply.completion_tokens) == (0, 0), "the server does not say"


@pytest.mark.parametrize("task", ["rank", "select"])
def test_the_request(fake_server: FakeServer, task: Task) -> None:
    """Rankings are asked with the tools in the prompt, as calls are."""
    client = Client("row", ServerConfig(model="m", base_url=fake_server.url), say=print)
    prompt = ServerPrompts().prompt("Any trains?", None, TOOLS, task)
    list(ServerBackend(client).complete([prompt], 32))
    text = ServerPrompts("text").prompt("Any trains?", None, TOOLS, task)
    fake_server.play = lambda body, n: completion("x")
    list(ServerBackend(client).complete([text], 32))
    native, plain = fake_server.bodies
    assert (native["tool_choice"], native["max_tokens"], native["temperature"]) == ("auto", 32, 0)
    assert [t["function"]["name"] for t in native["tools"]] == NAMES
    assert "tools" not in plain and "tool_choice" not in plain
    assert all(name in plain["messages"][0]["content"] for name in NAMES)


def test_a_ranking_is_read() -> None:
    ranked = ServerPrompts().parse("rank", "weather > generate_response", NAMES)
    assert ranked.ranking == ("weather", GENERATE_RESPONSE)
