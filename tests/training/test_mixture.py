"""The user's own conversations beside GenTool's samples: reading, weights, targets, held-out ones."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gentool.config import ConfigError, MixOptions
from gentool.jsonl import RecordError
from gentool.pipeline import Run
from gentool.progress import Progress
from gentool.recipe import load_config
from gentool.training.arms import plan_arms
from gentool.training.mixture import MixPart, draw, read_mixture
from gentool.training.plan import Item
from gentool.training.prepare import prepare
from gentool.training.preview import preview_samples

TOOL = {
    "type": "function",
    "function": {
        "name": "find_song",
        "description": "Find a song.",
        "parameters": {"type": "object", "properties": {"title": {"type": "string"}, "other": None}},
    },
}
TALK = {
    "messages": [
        {"role": "system", "content": "You are kind."},
        {"role": "user", "content": "Hello there"},
        {"role": "assistant", "content": "Hello, how are you?"},
        {"role": "user", "content": "Tired."},
        {"role": "assistant", "content": "Then rest a little."},
    ]
}
CALL = {
    "tools": json.dumps([TOOL]),
    "messages": [
        {"role": "user", "content": "Play Blue Moon"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "find_song", "arguments": '{"title": "Blue Moon", "year": null}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "name": "find_song", "content": "track 7"},
        {"role": "assistant", "content": "Playing track 7."},
    ],
}
COMPLETION = {
    "prompt": [
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": "Two"},
        {"role": "user", "content": "Three"},
    ],
    "completion": [{"role": "assistant", "content": "Four"}],
}


@pytest.fixture
def chats(tmp_path: Path) -> Callable[..., MixOptions]:
    def make(*lines: Any, **options: Any) -> MixOptions:
        file = tmp_path / "chat.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        return MixOptions(path=str(file), **{"held_out": 0, **options})

    return make


def test_every_assistant_turn_is_a_target_of_a_completion_only_its_own(
    chats: Callable[..., MixOptions],
) -> None:
    mixture = read_mixture([chats(TALK, CALL, COMPLETION)], 0)
    assert [(t.answer["content"], len(t.messages)) for t in mixture.turns] == [
        ("Hello, how are you?", 2),
        ("Then rest a little.", 4),
        ("", 1),
        ("Playing track 7.", 3),
        ("Four", 3),
    ]
    call = mixture.turns[2]
    assert call.answer["tool_calls"][0]["function"] == {
        "name": "find_song",
        "arguments": {"title": "Blue Moon"},
    }
    assert call.tools[0]["function"]["parameters"]["properties"] == {"title": {"type": "string"}}


def test_whole_conversations_are_held_out(chats: Callable[..., MixOptions]) -> None:
    lines = [
        {"messages": [{"role": "user", "content": f"q{i}"}, {"role": "assistant", "content": f"a{i}"}]}
        for i in range(20)
    ]
    first = read_mixture([chats(*lines, held_out=0.25)], 0)
    assert len(first.held_out) == 5 and len(first.turns) == 15
    assert not {t.where for t in first.held_out} & {t.where for t in first.turns}
    assert first == read_mixture([chats(*lines, held_out=0.25)], 0)
    assert first.held_out != read_mixture([chats(*lines, held_out=0.25)], 1).held_out


def test_drawing_goes_through_the_file_in_rounds() -> None:
    part = MixPart(range(10, 17), 0.5)
    drawn = [i for epoch in range(7) for i in draw(part, 3, epoch, 0)]  # 21 turns: three rounds of 7
    for turn in range(3):
        assert sorted(drawn[turn * 7 : turn * 7 + 7]) == list(range(10, 17))
    assert drawn[:7] != drawn[7:14]
    assert draw(MixPart(range(4, 4), 1.0), 3, 0, 0) == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["x"], "expected an object; found list"),
        ({"text": "raw"}, "expected `messages`, or `prompt` and `completion`; found the fields"),
        ({"messages": []}, "messages: expected a list of messages"),
        ({"messages": [{"role": "bot", "content": "x"}]}, "messages.0: role: expected one of system"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages.0: content: expected a text"),
        (
            {"messages": [{"role": "user", "content": "x"}]},
            "expected a user's message and an assistant's answer",
        ),
        ({**TALK, "tools": "not json"}, "tools: expected a list of tools"),
        ({**TALK, "tools": [{"function": {}}]}, "tools: expected a list of tools"),
        (
            {"messages": [TALK["messages"][1], {"role": "assistant", "content": ""}]},
            "messages.1: content: expected a text or tool_calls; found neither",
        ),
        (
            {
                "messages": [
                    TALK["messages"][1],
                    {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "["}}]},
                ]
            },
            "tool_calls.0: function.arguments: expected an object",
        ),
    ],
)
def test_bad_lines_are_named(chats: Callable[..., MixOptions], line: Any, message: str) -> None:
    options = chats(TALK, line)
    with pytest.raises(RecordError) as error:
        read_mixture([options], 0)
    assert str(error.value).startswith(f"{options.path}:2: ")
    assert message in str(error.value) and "Fix: " in str(error.value)


def test_nothing_left_to_train_on_is_an_error(chats: Callable[..., MixOptions]) -> None:
    with pytest.raises(RecordError, match=r"held_out 1\.0 leaves no conversation"):
        read_mixture([chats(TALK, held_out=1)], 0)
    assert read_mixture([chats(TALK, held_out=1, weight=0)], 0).held_out
    with pytest.raises(RecordError, match="expected conversations; found none"):
        read_mixture([chats()], 0)


@pytest.mark.parametrize("tool_format", ["native", "text"])
def test_conversations_are_rendered_with_their_tools_and_trained_by_weight(
    chats: Callable[..., MixOptions], recipe: Callable[..., Path], tmp_path: Path, tool_format: str
) -> None:
    options = chats(TALK, CALL, COMPLETION, weight=0.5)
    file = recipe(
        data__mix=[options.model_dump()],
        prompt__tool_format=tool_format,
        train__epochs=2,
        train__arms=["sft", "gentool"],
    )
    run = Run(load_config(file), tmp_path / "run", Progress())
    run.build()
    data = prepare(run.config, run.samples(), run.tools(), run.base(), tmp_path / "stages", run.progress)
    source = data.source(0)

    def texts(turn: int) -> tuple[str, str]:
        rendered = source.render(Item(turn, "chat", 0))
        decode = source.renderer.tokenizer.decode
        return decode(rendered.ids[: rendered.start]), decode(rendered.ids[rendered.start :])

    prompt, target = texts(2)
    assert "find_song" in prompt and "Play Blue Moon" in prompt
    assert "<tool_call>" in target and "Blue Moon" in target and target.endswith("<|im_end|>")
    prompt, target = texts(3)
    assert "track 7" in prompt and "Blue Moon" in prompt and target == "Playing track 7.<|im_end|>"
    prompt, target = texts(1)
    assert "You are kind." in prompt and target == "Then rest a little.<|im_end|>"

    plans = plan_arms(source, run.config, 0, data.mixture)
    for plan in [*plans["gentool"], *plans["sft"]]:
        kinds = Counter("chat" if i.task == "chat" else "own" for i in plan.items)
        assert kinds["chat"] / kinds["own"] == pytest.approx(0.5, abs=0.05)
    tokens = {arm: sum(p.tokens for p in stages) for arm, stages in plans.items()}
    assert tokens["sft"] == pytest.approx(tokens["gentool"], rel=0.02)
    changed = read_mixture([options.model_copy(update={"weight": 0.4})], run.config.seed)
    assert changed.hash != data.mixture.hash


def test_conversations_can_be_looked_at(
    chats: Callable[..., MixOptions], recipe: Callable[..., Path], tmp_path: Path
) -> None:
    run = Run(load_config(recipe(data__mix=[chats(TALK, CALL).model_dump()])), tmp_path / "run", Progress())
    run.build()
    panels = list(preview_samples(run.config, run.base(), run.samples(), run.tools(), 2, "chat"))
    assert (
        len(panels) == 2 and "chat.jsonl:1" in str(panels[0].title) and "chat.jsonl:2" in str(panels[1].title)
    )
    assert "Hello, how are you?" in panels[0].renderable.plain
    with pytest.raises(ConfigError, match="chat needs conversations of your own"):
        plain = load_config(recipe(data__mix=[]))
        list(preview_samples(plain, run.base(), run.samples(), run.tools(), 2, "chat"))
