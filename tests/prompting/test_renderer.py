"""One renderer for training and inference: prefix property, what is trained on, round trips, refusals."""

from __future__ import annotations

import datetime
import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers.utils import chat_template_utils

from gentool.prompting.renderer import RANK_REQUEST, PromptError, Renderer, user_content
from gentool.records import GENERATE_RESPONSE, GENERATE_RESPONSE_TOOL, Function, Tool, ToolCall

NATIVE = [
    "llama3_1", "llama3_2", "qwen2_5", "qwen3", "qwen3_instruct_2507", "mistral", "mistral_named", "plain",
]  # fmt: skip
IGNORE_TOOLS = ["llama3", "phi3", "phi3_5", "gemma", "gemma3"]
DROP_CONTENT = ["llama3_1", "llama3_2", "mistral"]
STYLES = [(f, "native") for f in NATIVE] + [(f, "text") for f in NATIVE + IGNORE_TOOLS]
CASES = [
    (family, form, task)
    for family, form in STYLES
    for task in ("rank", "select", "joint")
    if not (task == "joint" and form == "native" and family in DROP_CONTENT)
]


def _tool(name: str, description: str, **properties: Any) -> Tool:
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return Tool(function=Function(name=name, description=description, parameters=parameters))


TOOLS = [
    _tool("find_trains", "Trains between two stations – „direct“ ones too.", origin={"type": "string"}),
    GENERATE_RESPONSE_TOOL,
    _tool(
        "get_weather",
        'Weather of a city {today}, with "units" of <degrees> & %s.',
        city={"type": "string", "enum": ["Zürich", "東京"]},
        options={"type": "object", "properties": {"units": {"type": "string", "default": "C"}}},
    ),
    _tool("list_rates", "Rates of a bank."),
]
NAMES = [t.name for t in TOOLS]
QUERY = 'Do I need an umbrella {tonight} in Zürich? It\'s 5 > 4 & "late"…'
NOW = "2031-05-06T07:08"
RANKING = ("get_weather", "find_trains", GENERATE_RESPONSE)
CALL = ToolCall.of("get_weather", {"city": "Zürich", "options": {"units": "C", "days": [1, 2.5, None, True]}})


def _render(renderer: Renderer, task: Any, call: ToolCall = CALL, query: str = QUERY) -> Any:
    return renderer.training(query, NOW, TOOLS, task, RANKING, call)


@pytest.mark.parametrize(("family", "form", "task"), CASES)
def test_training_begins_with_the_prompt_of_inference(
    renderer: Any, family: str, form: str, task: str
) -> None:
    made = renderer(family, form, task == "joint")
    rendered = _render(made, task)
    prompt = made.prompt(QUERY, NOW, TOOLS, task)
    assert rendered.start == len(prompt) < len(rendered.ids)
    assert rendered.ids[: rendered.start] == prompt
    assert made.tokenizer.decode(prompt) == made.prompt_text(QUERY, NOW, TOOLS, task)


@pytest.mark.parametrize(("family", "form", "task"), CASES)
def test_loss_covers_the_answer_and_its_stop_token_only(
    renderer: Any, family: str, form: str, task: str
) -> None:
    made = renderer(family, form, task == "joint")
    rendered = _render(made, task)
    labels = rendered.labels
    assert len(labels) == len(rendered.ids)
    assert set(labels[: rendered.start]) == {-100}
    assert labels[rendered.start :] == rendered.ids[rendered.start :]
    assert labels[-1] in made.stop_ids
    first = next(i for i, token in enumerate(labels) if token in made.stop_ids)
    after = made.tokenizer.decode(labels[first + 1 :], skip_special_tokens=True)
    assert after.strip() == "", "nothing but further stop tokens may follow the first"


@pytest.mark.parametrize(("family", "form", "task"), CASES)
def test_target_reads_back(renderer: Any, family: str, form: str, task: str) -> None:
    made = renderer(family, form, task == "joint")
    rendered = _render(made, task)
    text, finished = made.decode(rendered.ids[rendered.start :])
    parsed = made.parse(task, text, NAMES, finished)
    assert finished
    assert parsed.error is None
    assert parsed.outcome == ("ranking" if task == "rank" else "call")
    assert parsed.ranking == (RANKING if task != "select" else None)
    assert parsed.tool_call == (CALL if task != "rank" else None)


@pytest.mark.parametrize(("family", "form", "task"), CASES)
def test_prompt_holds_tools_in_order_then_the_user_text(
    renderer: Any, family: str, form: str, task: str
) -> None:
    made = renderer(family, form, task == "joint")
    for tools in (TOOLS, TOOLS[::-1]):
        text = made.prompt_text(QUERY, NOW, tools, task)
        plain = family == "plain" and form == "native"  # signatures instead of JSON
        places = [text.index(f"{t.name}(" if plain else f'"{t.name}"') for t in tools]
        assert places == sorted(places)
        written = [t.description if plain else json.dumps(t.description, ensure_ascii=False) for t in tools]
        assert all(description in text for description in written)
        assert places[-1] < text.index(QUERY) < text.index(NOW)
        assert (RANK_REQUEST in text) == (task == "rank")
        assert text.count(QUERY) == text.count(NOW) == 1


@pytest.mark.parametrize(("family", "form", "task"), CASES)
def test_now_and_request_stand_in_the_user_turn(renderer: Any, family: str, form: str, task: str) -> None:
    made = renderer(family, form, task == "joint")
    bare = made.prompt_text(QUERY, None, TOOLS, "select")
    assert made.prompt_text(QUERY, NOW, TOOLS, task) == bare.replace(QUERY, user_content(QUERY, NOW, task))


def test_user_content_in_order() -> None:
    assert user_content("q", None, "select") == user_content("q", None, "joint") == "q"
    assert user_content("q", NOW, "select") == f"q\n\nCurrent date and time: {NOW}"
    assert user_content("q", NOW, "rank") == f"q\n\nCurrent date and time: {NOW}\n\n{RANK_REQUEST}"


@pytest.mark.parametrize(("family", "form"), STYLES)
def test_begin_of_sequence_is_not_doubled(renderer: Any, family: str, form: str) -> None:
    made = renderer(family, form)
    bos = made.tokenizer.bos_token_id
    ids = made.prompt(QUERY, NOW, TOOLS, "select")
    # Phi-3's own templates write none.
    assert ids.count(bos) == (0 if bos is None or family.startswith("phi3") else 1)


@pytest.mark.parametrize("form", ["native", "text"])
def test_thinking_is_off_for_qwen3(renderer: Any, form: str) -> None:
    made = renderer("qwen3", form)
    assert made.prompt_text(QUERY, NOW, TOOLS, "select").endswith("<think>\n\n</think>\n\n")
    rendered = _render(made, "select")
    assert "think>" not in made.decode(rendered.ids[rendered.start :])[0]


@pytest.mark.parametrize("form", ["native", "text"])
@pytest.mark.parametrize("family", ["llama3_1", "llama3_2"])
def test_llama_prompts_do_not_depend_on_the_day(
    renderer: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch, family: str, form: str
) -> None:
    made = renderer(family, form)
    today = made.prompt(QUERY, None, TOOLS, "select")

    class OtherDay(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> OtherDay:
            return cls(1999, 3, 4)

    monkeypatch.setattr(chat_template_utils, "datetime", OtherDay)
    clock = tokenizer("plain", "{{ strftime_now('%d %b %Y') }}")
    assert clock.apply_chat_template([{"role": "user", "content": ""}], tokenize=False) == "04 Mar 1999"
    assert made.prompt(QUERY, None, TOOLS, "select") == today
    assert "Today Date: 26 Jul 2024" in made.prompt_text(QUERY, None, TOOLS, "select")


# ------------------------------------------------------------------------------ round trips

HARD_STRINGS = [
    "</tool_call>", "</tools>", "[/INST]", "[ARGS]", "[CALL_ID]", "}", "{", "}}", '"', "'", "\\", "\\n", "\n",
    "\r\n", "\t", "]", "; {", "a > b", "```", "{{ x }}", "{% if %}", "\u2028", "\x00", "\x1b", "🙂", "日本", "&<>",
    "  ", "null", "5",
]  # fmt: skip
MARKS = re.compile(r"<tool_call>|\[TOOL_CALLS\]|<\|\w+\|>|</?s>|<\w+_of_turn>|</?think>")
"""What a string cannot hold and be read back (see the tests below); hypothesis finds these in the sources."""

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_hard = st.sampled_from(HARD_STRINGS)
_strings = (_text | _hard | st.tuples(_text, _hard, _text).map("".join)).filter(lambda s: not MARKS.search(s))
_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _strings
)
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_strings, inner, max_size=3),
    max_leaves=8,
)
ARGUMENTS = st.dictionaries(_strings, _values, max_size=4)
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _round_trip(renderer: Renderer, task: Any, arguments: dict[str, Any]) -> Any:
    rendered = _render(renderer, task, ToolCall.of("get_weather", arguments))
    text, finished = renderer.decode(rendered.ids[rendered.start :])
    return renderer.parse(task, text, NAMES, finished)


@pytest.mark.parametrize(("family", "form"), STYLES)
@FEW
@given(arguments=ARGUMENTS)
def test_any_arguments_read_back(renderer: Any, family: str, form: str, arguments: dict[str, Any]) -> None:
    joint = form == "text" or family not in DROP_CONTENT
    task = "joint" if joint else "select"
    parsed = _round_trip(renderer(family, form, joint), task, arguments)
    assert parsed.error is None
    assert parsed.tool_call == ToolCall.of("get_weather", arguments)
    assert repr(parsed.tool_call.arguments) == repr(arguments), "1, 1.0 and true are told apart"


@pytest.mark.parametrize(("family", "form"), STYLES)
@FEW
@given(query=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30) | _strings)
def test_any_query_keeps_the_prefix(renderer: Any, family: str, form: str, query: str) -> None:
    made = renderer(family, form)
    rendered = _render(made, "select", query=query)
    assert rendered.ids[: rendered.start] == made.prompt(query, NOW, TOOLS, "select")
    assert query.strip() in made.prompt_text(query, NOW, TOOLS, "select")


_MARKS = [
    ("llama3_1", "native", "<tool_call>"),
    ("llama3_1", "native", "[TOOL_CALLS]"),
    ("llama3_1", "native", "<|python_tag|>"),
    ("qwen2_5", "native", "<tool_call>"),
    ("mistral", "native", "<tool_call>"),
    ("mistral", "native", "[TOOL_CALLS]"),
    ("mistral_named", "native", "[TOOL_CALLS]"),
    ("gemma", "text", "<tool_call>"),
]


@pytest.mark.parametrize(("family", "form", "mark"), _MARKS)
def test_mark_of_a_call_within_an_argument(renderer: Any, family: str, form: str, mark: str) -> None:
    arguments = {"city": f"the text {mark} itself"}
    assert _round_trip(renderer(family, form), "select", arguments).tool_call == ToolCall.of(
        "get_weather", arguments
    )


@pytest.mark.parametrize(
    ("family", "stop"),
    [("qwen3", "<|im_end|>"), ("llama3_1", "<|eot_id|>"), ("mistral", "</s>"), ("plain", "<|im_end|>")],
)
def test_stop_token_within_an_argument_is_refused(renderer: Any, family: str, stop: str) -> None:
    """The tokenizer reads it as the special token, so a model trained on it would end there."""
    with pytest.raises(PromptError, match="has the text of a stop token in it"):
        _round_trip(renderer(family), "select", {"city": f"a {stop} b"})


def test_end_of_thinking_within_an_argument_is_refused(renderer: Any) -> None:
    """Qwen3's template cuts content at ``</think>``: with the text format that would lose the call."""
    with pytest.raises(PromptError, match="differently once the answer follows"):
        _round_trip(renderer("qwen3", "text"), "select", {"city": "a </think> b"})


# ------------------------------------------------------------------------------ refusals

PLAIN_TEXT = (
    "{% for m in messages %}{{ m.role + ':\\n' + m.content + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant:\\n' }}{% endif %}"
)


@pytest.mark.parametrize("family", IGNORE_TOOLS)
def test_template_that_ignores_tools(tokenizer: Any, family: str) -> None:
    with pytest.raises(PromptError, match=r"ignores `tools`.*prompt.tool_format: text"):
        Renderer(tokenizer(family))


def test_gemma_calls_its_assistant_model(renderer: Any) -> None:
    text = renderer("gemma", "text").prompt_text(QUERY, NOW, TOOLS, "select")
    assert text.endswith("<start_of_turn>model\n")
    assert "<start_of_turn>user\n" in text


@pytest.mark.parametrize("family", DROP_CONTENT)
def test_one_output_is_refused_where_content_beside_a_call_is_dropped(tokenizer: Any, family: str) -> None:
    with pytest.raises(PromptError, match=r"drops the assistant's content beside a tool call.*text"):
        Renderer(tokenizer(family), joint=True)


def test_template_that_changes_the_prompt_once_answered(tokenizer: Any) -> None:
    with pytest.raises(PromptError, match="differently once the answer follows: expected '<think>"):
        Renderer(tokenizer("deepseek_r1_distill"), "text")


@pytest.mark.parametrize("template", [None, ""])
def test_no_chat_template(tokenizer: Any, template: str | None) -> None:
    bare = tokenizer("plain")
    bare.chat_template = template
    with pytest.raises(PromptError, match="no chat template"):
        Renderer(bare)


def test_template_that_raises(tokenizer: Any) -> None:
    template = "{{ raise_exception('tools are not for me') }}"
    with pytest.raises(PromptError, match=r"failed: tools are not for me.*prompt.tool_format: text"):
        Renderer(tokenizer("plain", template))


def test_call_ids_of_mistral(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gentool.prompting.renderer._CALL_ID", "call_0")
    with pytest.raises(PromptError, match="nine letters or digits"):
        Renderer(tokenizer("mistral"))


def test_no_stop_token(tokenizer: Any) -> None:
    bare = tokenizer("deepseek_r1_distill", PLAIN_TEXT)
    bare.eos_token = None
    with pytest.raises(PromptError, match="no end-of-turn token"):
        Renderer(bare, "text")


def test_template_that_loses_the_user_text(tokenizer: Any) -> None:
    with pytest.raises(PromptError, match="loses the user's text"):
        Renderer(tokenizer("plain", "{{ tools | tojson }}"))


def test_template_that_loses_the_assistant_text(tokenizer: Any) -> None:
    template = "{{ tools | tojson + messages[0].content }}<|im_end|>"
    with pytest.raises(PromptError, match="drops the assistant's content\\. Fix"):
        Renderer(tokenizer("plain", template))


def test_template_that_loses_calls(tokenizer: Any) -> None:
    template = "{{ tools | tojson }}" + PLAIN_TEXT.replace("m.content +", "m.content + '<|im_end|>' +")
    with pytest.raises(PromptError, match="drops or changes tool calls"):
        Renderer(tokenizer("plain", template))


def test_template_that_changes_arguments(tokenizer: Any, renderer: Any) -> None:
    template = renderer("plain").tokenizer.chat_template.replace(
        "call.function.arguments | tojson", "{} | tojson"
    )
    with pytest.raises(PromptError, match="drops or changes tool calls"):
        Renderer(tokenizer("plain", template))


def test_template_whose_calls_cannot_be_read(tokenizer: Any, renderer: Any) -> None:
    template = renderer("plain").tokenizer.chat_template.replace('{"name": ', '{"name" = ')
    with pytest.raises(PromptError, match="cannot be read back"):
        Renderer(tokenizer("plain", template))


def test_generation_prompt_that_shares_a_token_with_the_answer(tokenizer: Any) -> None:
    """With ``assistant: `` the space belongs to the first word of the answer."""
    template = PLAIN_TEXT.replace(":\\n", ": ")
    with pytest.raises(PromptError, match=r"share a token.*the prompt ends with"):
        Renderer(tokenizer("plain", template), "text")


def test_stop_token_is_added_where_the_template_has_none(tokenizer: Any) -> None:
    made = Renderer(tokenizer("plain", PLAIN_TEXT), "text", joint=True)
    rendered = _render(made, "joint")
    assert rendered.ids[-1] == made.tokenizer.eos_token_id
    assert rendered.ids.count(made.tokenizer.eos_token_id) == 1
    text, finished = made.decode(rendered.ids[rendered.start :])
    assert made.parse("joint", text, NAMES, finished).tool_call == CALL


def test_text_after_the_stop_token_is_not_trained(renderer: Any) -> None:
    """Qwen's template writes a line break after ``<|im_end|>``, which no model has to learn."""
    made = renderer("qwen2_5")
    assert _render(made, "select").ids[-1] == made.tokenizer.convert_tokens_to_ids("<|im_end|>")


def test_decode_stops_at_the_first_stop_token(renderer: Any) -> None:
    made = renderer("qwen2_5")
    stop = made.tokenizer.eos_token_id
    ids = made.tokenizer(" yes \n", add_special_tokens=False)["input_ids"]
    assert made.decode([*ids, stop, *ids, stop]) == ("yes", True)
    assert made.decode(ids) == ("yes", False)


def test_template_hash_follows_template_and_format(tokenizer: Any, renderer: Any) -> None:
    own = renderer("plain").tokenizer.chat_template
    same = Renderer(tokenizer("plain")).template_hash
    assert same == renderer("plain").template_hash
    changed = Renderer(tokenizer("plain", own.replace("system", "context"))).template_hash
    text = renderer("plain", "text").template_hash
    assert len({same, changed, text}) == 3
