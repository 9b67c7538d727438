"""The one place where prompts are made: (query, tools) -> messages -> token ids with a target.

Training, inference and serving all render here, with the tokenizer's own chat template, so that
what a model is trained on and what it is asked are equal to the byte.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gentool.jsonl import GenToolError, content_hash
from gentool.prompting.limit import time_limit
from gentool.prompting.parse import Malformed, Parsed, parse_calls, parse_response
from gentool.records import GENERATE_RESPONSE, GENERATE_RESPONSE_TOOL, Function, Task, Tool, ToolCall

ToolFormat = Literal["native", "text"]

RANK_REQUEST = (
    "Do not call a tool yet. Rank the tools that can serve this request, best first, and end with "
    "generate_response. Write only their names, separated by ' > '."
)
"""``generate_response`` is the cut-off of a ranking even where it is not shown as a tool (``fallback_text``)."""

TEMPLATE_VARIABLES: dict[str, Any] = {
    "enable_thinking": False,  # Qwen3 and others: no thinking block
    "date_string": "26 Jul 2024",  # Llama 3.x: a fixed date, else prompts change from day to day
}

TEMPLATE_SECONDS = 10
TEMPLATE_CHARACTERS = 10_000_000
"""A template is code from outside: more than this is a fault or an attack."""

_TEXT_TOOLS = (
    "You can call one of these tools:\n<tools>\n{tools}\n</tools>\n"
    "To call it, write\n<tool_call>\n"
    '{{"name": <name of the tool>, "arguments": <object of arguments>}}\n</tool_call>\n\n{text}'
)

_STOP_TOKENS = (
    "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<end_of_turn>", "</s>", "<|endoftext|>",
)  # fmt: skip

_CALL_ID = (
    "000000000"  # Mistral's templates demand nine letters or digits; constant, so that it can be learned
)


class PromptError(GenToolError):
    """A chat template that cannot be used as asked; the message says why and what to do."""


def _with_tools(text: str, tools: Sequence[Mapping[str, Any]]) -> str:
    """A user turn with the tools written into it, in Hermes style."""
    listed = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools)
    return _TEXT_TOOLS.format(tools=listed, text=text)


def _calls_as_text(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message with calls, or a tool's result, written as text in Hermes style; others as they are."""
    if message["role"] == "tool":
        return {"role": "user", "content": f"<tool_response>\n{message['content']}\n</tool_response>"}
    if not message.get("tool_calls"):
        return dict(message)
    calls = [
        f"<tool_call>\n{json.dumps(call['function'], ensure_ascii=False)}\n</tool_call>"
        for call in message["tool_calls"]
    ]
    return {"role": message["role"], "content": "\n".join([*filter(None, [message["content"]]), *calls])}


@dataclass(frozen=True)
class Rival:
    """The token that another answer has at ``place``, where it parts from the target, and the preference's weight."""

    place: int
    token: int
    weight: float


@dataclass(frozen=True)
class Rendered:
    """Token ids of prompt and target; ``ids[start:]`` is the target, the only part trained on.

    ``weight``: what each of its target tokens counts in the loss. ``rival``: an answer that is to be less likely.
    """

    ids: list[int]
    start: int
    weight: float = 1.0
    rival: Rival | None = None

    @property
    def labels(self) -> list[int]:
        return [-100] * self.start + self.ids[self.start :]


def user_content(query: str, now: str | None, task: Task) -> str:
    """The user turn: the query, then the date if the query needs it, then the request to rank."""
    parts = [query]
    if now is not None:
        parts.append(f"Current date and time: {now}")
    if task == "rank":
        parts.append(RANK_REQUEST)
    return "\n\n".join(parts)


def prompt_messages(
    query: str,
    now: str | None,
    tools: Sequence[Tool],
    task: Task,
    tool_format: ToolFormat,
    plain_fallback: bool = False,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]] | None]:
    """What a model is asked: messages, and the tools beside them where ``tool_format`` is native.

    ``plain_fallback``: where no tool fits, the answer is plain text; ``generate_response`` is not shown.
    """
    text = user_content(query, now, task)
    shown = [tool.openai() for tool in tools if not (plain_fallback and tool.name == GENERATE_RESPONSE)]
    if tool_format == "native" or not shown:
        return [{"role": "user", "content": text}], shown or None
    return [{"role": "user", "content": _with_tools(text, shown)}], None


def ranking_text(ranking: Sequence[str]) -> str:
    """A ranking as the model writes it."""
    return " > ".join(ranking)


def answer_message(
    task: Task,
    ranking: Sequence[str],
    call: ToolCall,
    tool_format: ToolFormat,
    fallback_text: str | None = None,
) -> dict[str, Any]:
    """What a model is trained to answer, as the message that goes to the chat template.

    ``fallback_text``: written where no tool fits, instead of a call of ``generate_response``.
    """
    content = ranking_text(ranking) if task in ("rank", "joint") else ""
    if task == "rank":
        return {"role": "assistant", "content": content}
    if call.name == GENERATE_RESPONSE and fallback_text is not None:
        return {"role": "assistant", "content": fallback_text}
    function = {"name": call.name, "arguments": call.arguments}
    message = {
        "role": "assistant",
        "content": content,
        "tool_calls": [{"id": _CALL_ID, "type": "function", "function": function}],
    }
    return message if tool_format == "native" else _calls_as_text(message)


class Renderer:
    """Renders prompts and targets with a tokenizer's chat template, and reads its model's text.

    ``tool_format="native"`` hands the tools to the template and calls as ``tool_calls``;
    ``"text"``, the fallback for templates that ignore tools or drop content beside a call, writes
    both into the text of the messages in Hermes style. With a ``fallback_text`` the model answers with plain text
    where no tool fits, and is trained to write that one; without, it calls ``generate_response``.
    The template is checked on construction:
    :class:`PromptError` if it loses a tool, the query, the call, or (``joint``) the ranking.
    """

    def __init__(
        self,
        tokenizer: Any,
        tool_format: ToolFormat = "native",
        joint: bool = False,
        fallback_text: str | None = None,
    ) -> None:
        if not getattr(tokenizer, "chat_template", None):
            raise PromptError(
                "the tokenizer has no chat template. Fix: use the instruct version of the model, or "
                "set `model.chat_template` to a jinja file."
            )
        self.tokenizer = tokenizer
        self.tool_format = tool_format
        self.fallback_text = fallback_text
        vocabulary = tokenizer.get_vocab()
        stops = {vocabulary[t] for t in _STOP_TOKENS if t in vocabulary}
        if tokenizer.eos_token_id is not None:
            stops.add(tokenizer.eos_token_id)
        if not stops:
            raise PromptError("the tokenizer has no end-of-turn token. Fix: set its `eos_token`.")
        self.stop_ids: list[int] = sorted(stops)
        check_template(self, joint)

    @property
    def template_hash(self) -> str:
        """Hash of all that prompts depend on besides the records: template, tokenizer, format, fixed texts."""
        shown = [*_CHECK_TOOLS, GENERATE_RESPONSE_TOOL]
        tasks: tuple[Task, ...] = ("rank", "select")
        examples = [
            self.training(_CHECK_QUERY, _CHECK_NOW, shown, task, _CHECK_RANKING, _CHECK_CALL).ids
            for task in tasks
        ]
        vocabulary = sorted(self.tokenizer.get_vocab().items())
        return content_hash(
            [self.tokenizer.chat_template, self.tool_format, self.fallback_text, vocabulary, examples]
        )

    def _messages(
        self, query: str, now: str | None, tools: Sequence[Tool], task: Task
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]] | None]:
        return prompt_messages(query, now, tools, task, self.tool_format, self.fallback_text is not None)

    def _template(self, messages: list[dict[str, Any]], tools: Any, generate: bool) -> str:
        try:
            with time_limit(TEMPLATE_SECONDS):
                text = self.tokenizer.apply_chat_template(
                    messages,
                    tools=tools,
                    add_generation_prompt=generate,
                    tokenize=False,
                    **TEMPLATE_VARIABLES,
                )
            if len(text) > TEMPLATE_CHARACTERS:
                raise ValueError(f"it wrote {len(text):,} characters")
        except Exception as error:  # templates raise what they like
            raise PromptError(
                f"the chat template failed: {str(error)[:300]}. Fix: set `prompt.tool_format: text`, "
                "or use another template (`model.chat_template`)."
            ) from None
        return str(text)

    def _encode(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def prompt_text(self, query: str, now: str | None, tools: Sequence[Tool], task: Task) -> str:
        """The prompt as text; ``tools`` in the order to show them."""
        messages, shown = self._messages(query, now, tools, task)
        return self._template(messages, shown, generate=True)

    def prompt(self, query: str, now: str | None, tools: Sequence[Tool], task: Task) -> list[int]:
        """The prompt as token ids, after which the model writes."""
        return self._encode(self.prompt_text(query, now, tools, task))

    def training(
        self,
        query: str,
        now: str | None,
        tools: Sequence[Tool],
        task: Task,
        ranking: Sequence[str],
        call: ToolCall,
    ) -> Rendered:
        """Prompt and target as token ids; the target ends with the stop token.

        Raises :class:`PromptError` where the prompt is not a prefix of the whole, as text or as tokens.
        """
        messages, shown = self._messages(query, now, tools, task)
        answer = answer_message(task, ranking, call, self.tool_format, self.fallback_text)
        return self._rendered(messages, answer, shown)

    def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        answer: Mapping[str, Any],
        tools: Sequence[Mapping[str, Any]],
    ) -> Rendered:
        """A conversation of the user's own, in OpenAI's format; ``answer`` is the target.

        Raises :class:`PromptError` as :meth:`training` does.
        """
        before = [self._numbered(m) for m in messages]
        if self.tool_format == "text":
            before = [_calls_as_text(m) for m in before]
            first = next((i for i, m in enumerate(before) if m["role"] == "user"), None)
            if tools and first is not None:
                text = _with_tools(before[first]["content"], tools)
                before[first] = {**before[first], "content": text}
            return self._rendered(before, _calls_as_text(answer), None)
        return self._rendered(before, self._numbered(answer), list(tools) or None)

    def _numbered(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """With an id in each call, which some templates demand and none of ours needs to differ."""
        found = dict(message)
        if found.get("tool_calls"):
            found["tool_calls"] = [{"id": _CALL_ID, **call} for call in found["tool_calls"]]
        if found["role"] == "tool":
            found["tool_call_id"] = _CALL_ID
        return found

    def _rendered(
        self, messages: list[dict[str, Any]], answer: dict[str, Any], shown: list[Any] | None
    ) -> Rendered:
        """Prompt and target as token ids, the prompt a prefix of the whole."""
        prompt = self._template(messages, shown, generate=True)
        whole = self._template([*messages, answer], shown, generate=False)
        if not whole.startswith(prompt):
            at = next((i for i, (a, b) in enumerate(zip(prompt, whole, strict=False)) if a != b), len(whole))
            raise PromptError(
                "the chat template renders the prompt differently once the answer follows: expected "
                f"{prompt[at : at + 40]!r} at character {at}, found {whole[at : at + 40]!r}. Fix: use a "
                "template without thinking blocks in past turns (`model.chat_template`)."
            )
        ids, prompt_ids = self._encode(whole), self._encode(prompt)
        if ids[: len(prompt_ids)] != prompt_ids:
            raise PromptError(
                "prompt and answer share a token, so the prompt's tokens are not a prefix of the whole: "
                f"the prompt ends with {prompt[-20:]!r}, the answer begins with "
                f"{whole[len(prompt) :][:20]!r}. Fix: use a template whose generation prompt ends with a "
                "special token or a line break (`model.chat_template`)."
            )
        return Rendered(self._stopped(ids, len(prompt_ids)), len(prompt_ids))

    def _stopped(self, ids: list[int], start: int) -> list[int]:
        """``ids`` up to and with the answer's first stop token; one is added if there is none.

        Templates may write more after it (a line break, an end of text): never generated, so not trained on.
        """
        first = next((i for i in range(start, len(ids)) if ids[i] in self.stop_ids), None)
        if first is None:
            stop = self.tokenizer.eos_token_id
            return [*ids, self.stop_ids[0] if stop is None else stop]
        rest = [token for token in ids[first + 1 :] if token not in self.stop_ids]
        if self.tokenizer.decode(rest).strip():
            raise PromptError(
                f"the answer {self.tokenizer.decode(ids[start:])[:120]!r} has the text of a stop token in it, so a "
                "model would end there. Fix: remove it from the call's arguments."
            )
        return ids[: first + 1]

    def decode(self, ids: Sequence[int]) -> tuple[str, bool]:
        """Generated ids as text up to the first stop token, and whether there was one.

        Special tokens stay: ``[TOOL_CALLS]`` and ``<tool_call>`` may be such.
        """
        for i, token in enumerate(ids):
            if token in self.stop_ids:
                return str(self.tokenizer.decode(list(ids[:i]), skip_special_tokens=False)).strip(), True
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=False)).strip(), False

    def parse(self, task: Task, text: str, names: Sequence[str], finished: bool = True) -> Parsed:
        """Read the model's text; see :func:`gentool.prompting.parse.parse_response`."""
        return parse_response(task, text, names, finished)


_CHECK_TOOLS = tuple(
    Tool(
        function=Function(
            name=f"{word}_probe",
            description=f"Description of the {word} probe.",
            parameters={
                "type": "object",
                "properties": {f"{word}_size": {"type": "integer", "description": "A size."}},
            },
        )
    )
    for word in ("copper", "walnut")
)
_CHECK_QUERY = "Please measure the violet crane."
_CHECK_NOW = "2026-01-02T03:04"
_CHECK_CALL = ToolCall.of("walnut_probe", {"walnut_size": 41})
_CHECK_RANKING = ("walnut_probe", "copper_probe")


def _ranks(text: str, ranking: Sequence[str]) -> bool:
    """Whether a text has these names in this order, ``>`` between them; a template may number them."""
    return re.search(r"\s*>\s*(?:\d+[.)])?\s*".join(map(re.escape, ranking)), text) is not None


def check_template(renderer: Renderer, joint: bool) -> None:
    """Render a known sample and see that nothing is lost and the call can be read back.

    Raises :class:`PromptError` naming what is lost.
    """
    query = _CHECK_QUERY
    native = renderer.tool_format == "native"
    other = "Fix: use another template (`model.chat_template`)."
    fallback = "Fix: set `prompt.tool_format: text`, which writes tools and calls into the messages."
    fallback = fallback if native else other
    prompt = renderer.prompt_text(query, _CHECK_NOW, _CHECK_TOOLS, "rank")
    for tool in _CHECK_TOOLS:
        parameter = next(iter(tool.parameters["properties"]))
        lost = [w for w in (tool.name, tool.description, parameter) if w not in prompt]
        if lost:
            loses = "ignores `tools`" if native else "loses the user's text"
            raise PromptError(f"the chat template {loses}: {lost[0]!r} is not in the prompt. {fallback}")
    for part in (query, _CHECK_NOW, RANK_REQUEST):
        if part not in prompt:
            raise PromptError(
                f"the chat template loses the user's text: {part!r} is not in the prompt. {other}"
            )
    tasks: tuple[Task, ...] = ("rank", "select", "joint") if joint else ("rank", "select")
    for task in tasks:
        rendered = renderer.training(query, None, _CHECK_TOOLS, task, _CHECK_RANKING, _CHECK_CALL)
        text, finished = renderer.decode(rendered.ids[rendered.start :])
        if task != "select" and not _ranks(text, _CHECK_RANKING):
            beside = " beside a tool call (schedule one_output needs it)" if task == "joint" else ""
            raise PromptError(f"the chat template drops the assistant's content{beside}. {fallback}")
        if task == "rank":
            if renderer.parse(task, text, [t.name for t in _CHECK_TOOLS], finished).ranking != _CHECK_RANKING:
                raise PromptError(
                    f"a ranking as this template writes it cannot be read back: {text[:120]!r}. {other}"
                )
            continue
        try:
            calls = parse_calls(text)
        except Malformed as error:
            raise PromptError(
                f"calls as this template writes them cannot be read back ({error}): {text[:120]!r}. {fallback}"
            ) from None
        if calls != [_CHECK_CALL] or not finished:
            raise PromptError(
                f"the chat template drops or changes tool calls: expected {_CHECK_CALL.function}; found "
                f"{text[:120]!r}. {fallback}"
            )
