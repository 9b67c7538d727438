"""Model text in all styles of calls and rankings: what is a call, an answer, a ranking, or malformed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gentool.prompting.parse import parse_response
from gentool.records import ToolCall

NAMES = ["get_weather", "find-trains.v2", "generate_response"]
ARGUMENTS = {"city": "Zürich", "days": 2}
BODY = '{"city": "Zürich", "days": 2}'
CALL = ToolCall.of("get_weather", ARGUMENTS)
HERMES = f'<tool_call>\n{{"name": "get_weather", "arguments": {BODY}}}\n</tool_call>'
LLAMA = f'{{"name": "get_weather", "parameters": {BODY}}}'
LIST = f'[TOOL_CALLS] [{{"name": "get_weather", "arguments": {BODY}, "id": "000000000"}}]'
NAMED = f"[TOOL_CALLS]get_weather[ARGS]{BODY}"

CALLS = {
    "hermes": HERMES,
    "hermes, one line": HERMES.replace("\n", ""),
    "hermes, no close mark": HERMES.removesuffix("\n</tool_call>"),
    "hermes, text before": f"I look it up.\n{HERMES}",
    "hermes, text after": f"{HERMES}\nDone.",
    "hermes, arguments as a string": HERMES.replace(BODY, json.dumps(BODY)),
    "hermes, parameters": HERMES.replace("arguments", "parameters"),
    "llama": LLAMA,
    "llama, arguments": LLAMA.replace("parameters", "arguments"),
    "llama, python tag": f"<|python_tag|>{LLAMA}",
    "llama, white space": f"\n {LLAMA} \n",
    "llama, with a type": LLAMA.replace('{"name"', '{"type": "function", "name"'),
    "mistral list": LIST,
    "mistral list, text before": f"I look it up. {LIST}",
    "mistral list, arguments as a string": LIST.replace(BODY, json.dumps(BODY)),
    "mistral single object": LIST.replace("[{", "{").replace("}]", "}"),
    "mistral named": NAMED,
    "mistral named, text before": f"I look it up.{NAMED}",
    "mistral named, call id": NAMED.replace("[ARGS]", "[CALL_ID]a1B2c3D4e[ARGS]"),
    "mistral named, no args mark": NAMED.replace("[ARGS]", ""),
}


@pytest.mark.parametrize("text", CALLS.values(), ids=CALLS.keys())
def test_call(text: str) -> None:
    parsed = parse_response("select", text, NAMES)
    assert (parsed.outcome, parsed.tool_call, parsed.ranking, parsed.error) == ("call", CALL, None, None)


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>{"name": "generate_response"}</tool_call>',
        '{"name": "generate_response", "parameters": {}}',
        '[TOOL_CALLS] [{"name": "generate_response", "arguments": {}}]',
        "[TOOL_CALLS]generate_response[ARGS]{}",
    ],
)
def test_call_without_arguments(text: str) -> None:
    assert parse_response("select", text, NAMES).tool_call == ToolCall.of("generate_response")


def test_name_with_a_dot_and_a_dash() -> None:
    parsed = parse_response("select", "[TOOL_CALLS]find-trains.v2[ARGS]{}", NAMES)
    assert parsed.tool_call == ToolCall.of("find-trains.v2")


MALFORMED = {
    "hermes, two": (f"{HERMES}\n{HERMES}", "2 calls"),
    "llama, two": (f"{LLAMA}; {LLAMA}", "2 calls"),
    "llama, two lines": (f"{LLAMA}\n{LLAMA}", "2 calls"),
    "list, two": (LIST.replace("}]", "}, " + LIST[len("[TOOL_CALLS] [") :]), "2 calls"),
    "named, two": (NAMED + NAMED, "2 calls"),
    "hermes, unknown": (HERMES.replace("get_weather", "get_news"), "calls 'get_news'"),
    "llama, unknown": (LLAMA.replace("get_weather", "get_news"), "calls 'get_news'"),
    "list, unknown": (LIST.replace("get_weather", "get_news"), "calls 'get_news'"),
    "named, unknown": (NAMED.replace("get_weather", "get_news"), "calls 'get_news'"),
    "hermes, cut": (HERMES[:40], "not valid JSON"),
    "hermes, begun": ("<tool_call>\n", "not valid JSON"),
    "hermes, text within": (HERMES.replace("\n</tool_call>", " and so on </tool_call>"), "text between"),
    "llama, cut": (LLAMA[:-2], "not valid JSON"),
    "list, cut": (LIST[:-1], "not valid JSON"),
    "named, cut": (NAMED[:-1], "not valid JSON"),
    "named, no arguments": ("[TOOL_CALLS]get_weather", "not valid JSON"),
    "python tag alone": ("<|python_tag|>", "not valid JSON"),
    "python code": ('<|python_tag|>get_weather.call(city="Bern")', "not valid JSON"),
    "no name": ('{"city": "Bern"}', "without a name"),
    "name not a string": ('<tool_call>{"name": 3}</tool_call>', "without a name"),
    "not an object": ("<tool_call>[1]</tool_call>", "without a name"),
    "list of strings": ('[TOOL_CALLS] ["get_weather"]', "without a name"),
    "arguments a list": (HERMES.replace(BODY, "[1]"), "not an object"),
    "arguments null": (HERMES.replace(BODY, "null"), "not an object"),
    "string of a list": (HERMES.replace(BODY, '"[1]"'), "not an object"),
    "string, not JSON": (HERMES.replace(BODY, '"city=Bern"'), "not valid JSON"),
    "string with a rest": (HERMES.replace(BODY, '"{} {}"'), "not one JSON object"),
    "single quotes": ("{'name': 'get_weather', 'parameters': {}}", "not valid JSON"),
    "a number of 5000 digits": (HERMES.replace("2}", "2" * 5000 + "}"), "not valid JSON"),
    "nested without end": (HERMES.replace("2}", "[" * 5000 + "}"), "not valid JSON"),
    "empty": ("", "empty output"),
    "blank": (" \n\t", "empty output"),
}


@pytest.mark.parametrize(("text", "error"), MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_is_no_abstention(text: str, error: str) -> None:
    parsed = parse_response("select", text, NAMES)
    assert (parsed.outcome, parsed.tool_call, parsed.ranking) == ("malformed", None, None)
    assert parsed.error is not None
    assert error in parsed.error


@pytest.mark.parametrize(
    "text",
    [
        "[TOOL_CALLS] []",
        f"Sure: {LLAMA}",
        f"```json\n{LLAMA}\n```",
        f"[{LLAMA}]",
        "</tool_call>",
    ],
)
def test_attempt_in_another_style_is_no_abstention(text: str) -> None:
    assert parse_response("select", text, NAMES).outcome != "answer"


@pytest.mark.parametrize("task", ["select", "joint"])
def test_text_before_a_python_tag(task: Any) -> None:
    assert parse_response(task, f"get_weather\n<|python_tag|>{LLAMA}", NAMES).tool_call == CALL


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_does_not_have(value: str) -> None:
    assert parse_response("select", HERMES.replace("2}", value + "}"), NAMES).outcome == "malformed"


@pytest.mark.parametrize(
    "text", ["I do not know.", "It is 5 > 4.", "get_weather", "Use {braces} if you like"]
)
def test_text_without_a_call_is_an_answer(text: str) -> None:
    parsed = parse_response("select", text, NAMES)
    assert (parsed.outcome, parsed.tool_call, parsed.error) == ("answer", None, None)


@pytest.mark.parametrize("text", ["I do not know.", HERMES, LLAMA, LIST, NAMED])
def test_text_without_end_is_malformed(text: str) -> None:
    parsed = parse_response("select", text, NAMES, finished=False)
    assert (parsed.outcome, parsed.tool_call) == ("malformed", None)


RANKED = ("get_weather", "find-trains.v2", "generate_response")
RANKINGS = {
    "plain": "get_weather > find-trains.v2 > generate_response",
    "no spaces": "get_weather>find-trains.v2>generate_response",
    "a line each": "get_weather\nfind-trains.v2\n\ngenerate_response\n",
    "numbered": "1. get_weather\n2. find-trains.v2\n3. generate_response",
    "numbered with brackets": "1) get_weather\n2) find-trains.v2\n3) generate_response",
    "bulleted": "- get_weather\n- find-trains.v2\n* generate_response",
    "quoted": "`get_weather` > \"find-trains.v2\" > 'generate_response'",
    "sign at the end": "get_weather > find-trains.v2 > generate_response >",
}


@pytest.mark.parametrize("text", RANKINGS.values(), ids=RANKINGS.keys())
def test_ranking(text: str) -> None:
    parsed = parse_response("rank", text, NAMES)
    assert (parsed.outcome, parsed.ranking, parsed.tool_call, parsed.error) == ("ranking", RANKED, None, None)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("get_weather > get_news > generate_response", "ranks 'get_news'"),
        ("get_weather > Generate_Response", "ranks 'Generate_Response'"),
        ("get_weather > get_weather", "twice"),
        ("", "empty"),
        (" > ", "empty"),
        ("I would say get_weather > generate_response", "ranks 'I would say get_weather'"),
        ("get_weather > generate_response\nbecause it rains", "ranks 'because it rains'"),
        (HERMES, "not a tool of the set"),
    ],
)
def test_malformed_ranking(text: str, error: str) -> None:
    parsed = parse_response("rank", text, NAMES)
    assert (parsed.outcome, parsed.ranking) == ("malformed", None)
    assert parsed.error is not None
    assert error in parsed.error


def test_ranking_without_end() -> None:
    parsed = parse_response("rank", RANKINGS["plain"], NAMES, finished=False)
    assert (parsed.outcome, parsed.ranking) == ("malformed", None)


@pytest.mark.parametrize("call", [HERMES, LIST, NAMED], ids=["hermes", "list", "named"])
def test_joint(call: str) -> None:
    parsed = parse_response("joint", f"{RANKINGS['plain']}\n{call}", NAMES)
    assert (parsed.outcome, parsed.tool_call, parsed.ranking) == ("call", CALL, RANKED)


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        (HERMES, "malformed"),
        (f"get_news > generate_response\n{HERMES}", "malformed"),
        (f"get_weather\n{HERMES}\n{HERMES}", "malformed"),
        ("get_weather > generate_response\n<tool_call>", "malformed"),
        ("I do not know.", "answer"),
    ],
)
def test_joint_in_part(text: str, outcome: str) -> None:
    parsed = parse_response("joint", text, NAMES)
    assert (parsed.outcome, parsed.tool_call, parsed.ranking) == (outcome, None, None)


_PIECES = [
    "<tool_call>", "</tool_call>", "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", "<|python_tag|>", "get_weather", " > ",
    '{"name": "get_weather", "arguments": ', BODY, "{", "}", "[", "]", '"', ",", ":", "\\", "\n", "1.", "9" * 99,
]  # fmt: skip
_pieces = st.lists(st.sampled_from(_PIECES) | st.text(max_size=5), max_size=12).map("".join)


@settings(max_examples=400, deadline=None)
@given(text=st.text() | _pieces, task=st.sampled_from(["rank", "select", "joint"]), finished=st.booleans())
def test_any_text_gets_an_outcome(text: str, task: Any, finished: bool) -> None:
    parsed = parse_response(task, text, NAMES, finished)
    assert (parsed.error is not None) == (parsed.outcome == "malformed")
    assert (parsed.tool_call is not None) == (parsed.outcome == "call")
    assert parsed.ranking is None or (set(parsed.ranking) <= set(NAMES) and task != "select")
    assert finished or parsed.outcome == "malformed"
    assert task != "rank" or parsed.outcome in ("ranking", "malformed")
    if parsed.tool_call is not None:
        assert parsed.tool_call.name in NAMES
