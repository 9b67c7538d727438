"""What is exported is what GenTool's own training renders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gentool.config import Arm, Config, ConfigError
from gentool.export.example import Example
from gentool.export.samples import TaskChoice, chosen_stages, sample_stages
from gentool.jsonl import JsonlFile
from gentool.pipeline import Run
from gentool.records import GENERATE_RESPONSE, Sample
from gentool.training.dataset import SampleRenderer
from gentool.training.plan import plan_arm
from tests.prompting.conftest import make_renderer


def examples(
    run: Run, config: Config | None = None, arm: Arm = "gentool", task: TaskChoice = "all", epochs: int = 1
) -> dict[str, list[Example]]:
    with JsonlFile(Sample, run.scenarios / "train.jsonl") as samples:
        found = {}
        for stage in sample_stages(config or run.config, samples, run.tools(), arm, task, epochs):
            found[stage.name] = list(stage.examples)
            assert len(found[stage.name]) == stage.count
        return found


def ids_of(example: Example, tokenizer: Any) -> list[list[int]]:
    """Token ids of the prompt, and of the whole."""
    given: dict[str, Any] = {"tools": example.tools, "tokenize": False, "enable_thinking": False}
    prompt = tokenizer.apply_chat_template(example.prompt, add_generation_prompt=True, **given)
    whole = tokenizer.apply_chat_template([*example.prompt, example.answer], **given)
    return [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, whole)]


@pytest.mark.parametrize("schedule", ["two_pass", "one_output", "mixed"])
@pytest.mark.parametrize("tool_order", ["list", "sample"])
def test_stages_are_those_of_training_token_by_token(
    run: Run,
    changed: Callable[..., Config],
    schedule: str,
    tool_order: str,
) -> None:
    config = changed(train={"schedule": schedule, "tool_order": tool_order, "epochs": 2})
    qwen = make_renderer("qwen3", joint=True)
    samples = run.samples()
    source = SampleRenderer(samples, run.tools(), qwen, 0, 10**6, options=config.train)
    plans = plan_arm(samples, "gentool", config.train, 0, lambda *_: 1)
    found = examples(run, config, epochs=2)
    assert list(found) == [plan.name for plan in plans]
    for plan in plans:
        assert len(found[plan.name]) == len(plan.items)
        for item, example in zip(plan.items, found[plan.name], strict=True):
            trained = source.rendered(item)
            prompt, whole = ids_of(example, qwen.tokenizer)
            assert prompt == trained.ids[: trained.start]
            assert whole[: len(trained.ids)] == trained.ids


def test_orders_of_tools_are_new_in_each_epoch(run: Run) -> None:
    found = examples(run, task="select", epochs=3)["select"]
    shown: dict[str, set[tuple[str, ...]]] = {}
    for example in found:
        assert example.tools is not None
        names = [tool["function"]["name"] for tool in example.tools]
        shown.setdefault(f"{example.prompt} {sorted(names)}", set()).add(tuple(names))
    assert max(map(len, shown.values())) > 1


def test_only_what_a_tool_serves_is_exported_where_the_recipe_says_so(run: Run) -> None:
    train = run.config.train.model_copy(update={"max_declined": 0.0})
    found = examples(run, run.config.model_copy(update={"train": train}), arm="no_ranking")["select"]
    assert len(found) == sum(s.ranking[0] != GENERATE_RESPONSE for s in run.samples()) < len(run.samples())


def test_arms(run: Run) -> None:
    samples = run.samples()
    sft = examples(run, arm="sft")
    assert list(sft) == ["select"]
    assert len(sft["select"]) == sum(s.single_state for s in samples) < len(samples)
    assert len(examples(run, arm="no_ranking")["select"]) == len(samples)
    two = examples(run)
    assert len(two["rank"]) == len(samples)
    assert len(two["select"]) == len(samples) + round(0.5 * len(samples))  # with the replay


def test_a_task_alone(run: Run) -> None:
    assert all(e.call is None for e in examples(run, task="rank")["rank"])
    select = examples(run, task="select")["select"]
    assert len(select) == len(run.samples())
    assert all(e.call and e.answer["content"] == "" for e in select)
    joint = examples(run, task="joint")["joint"]
    assert all(e.call and GENERATE_RESPONSE in e.answer["content"] for e in joint)


def test_a_task_that_an_arm_does_not_have_is_refused(run: Run, changed: Callable[..., Config]) -> None:
    with pytest.raises(ConfigError, match="--task rank: the arm sft has select only"):
        chosen_stages(run.config, "sft", "rank")
    with pytest.raises(ConfigError, match="no call after a ranking"):
        chosen_stages(changed(prompt={"fallback": "text"}), "gentool", "joint")


def test_a_fallback_in_text_shows_no_generate_response(run: Run, changed: Callable[..., Config]) -> None:
    config = changed(prompt={"fallback": "text", "fallback_text": "None fits."})
    found = examples(run, config, task="select")["select"]
    assert all(GENERATE_RESPONSE not in str(e.tools) for e in found)
    plain = [e for e in found if e.call is None]
    assert plain and {e.answer["content"] for e in plain} == {"None fits."}


def test_tools_in_text_stand_in_the_prompt(run: Run, changed: Callable[..., Config]) -> None:
    for example in examples(run, changed(prompt={"tool_format": "text"}), task="select")["select"]:
        assert example.tools is None and example.call is None
        assert "<tools>" in example.prompt[0]["content"]
        assert example.answer["content"].startswith("<tool_call>")
