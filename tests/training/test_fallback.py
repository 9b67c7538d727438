"""``prompt.fallback: text``: where no tool fits, the model learns, and is read, to answer with plain text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from gentool.config import ConfigError
from gentool.inference.backend import Completion
from gentool.inference.predict import Model, predict_query
from gentool.pipeline import Run
from gentool.progress import Progress
from gentool.recipe import load_config
from gentool.records import GENERATE_RESPONSE
from gentool.training.plan import Item
from gentool.training.prepare import prepare

TEXT = "Sorry, nothing fits."


@pytest.mark.parametrize("tool_format", ["native", "text"])
def test_the_text_is_the_target_and_generate_response_is_not_shown(
    recipe: Callable[..., Path], tmp_path: Path, tool_format: str
) -> None:
    file = recipe(prompt={"fallback": "text", "fallback_text": TEXT, "tool_format": tool_format})
    run = Run(load_config(file), tmp_path / "run", Progress())
    run.build()
    data = prepare(run.config, run.samples(), run.tools(), run.base(), tmp_path / "stages", run.progress)
    source = data.source(0)
    seen = set()
    for i, sample in enumerate(source.samples):
        rendered = source.render(Item(i, "select", 0))
        decode = source.renderer.tokenizer.decode
        prompt, target = decode(rendered.ids[: rendered.start]), decode(rendered.ids[rendered.start :])
        fallback = sample.tool_call.name == GENERATE_RESPONSE
        seen.add(fallback)
        assert GENERATE_RESPONSE not in prompt
        assert (target == f"{TEXT}<|im_end|>") == fallback
        assert ("<tool_call>" in target) == (not fallback)
        ranking = source.render(Item(i, "rank", 0))
        assert decode(ranking.ids[ranking.start :]).endswith(f"{GENERATE_RESPONSE}<|im_end|>")
    assert seen == {True, False}


def test_no_ranking_and_call_in_one_output(recipe: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match="schedule one_output needs fallback: tool"):
        load_config(recipe(prompt__fallback="text", train__schedule="one_output"))


class Parrot:
    """Stands for a model: calls ``generate_response`` if it sees tools, else answers with text."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def prompt(self, query: str, now: str | None, tools: Sequence[Any], task: str) -> Any:
        return (query, [t.name for t in tools], task)

    def parse(self, task: Any, text: str, names: Sequence[str], finished: bool = True) -> Any:
        from gentool.prompting.parse import parse_response

        return parse_response(task, text, names, finished)

    def complete(
        self, prompts: Sequence[Any], max_new_tokens: int, stopping: Any = None
    ) -> Iterator[list[tuple[int, Completion]]]:
        self.asked += prompts
        call = f'<tool_call>\n{{"name": "{GENERATE_RESPONSE}", "arguments": {{}}}}\n</tool_call>'
        for i, (_, tools, _) in enumerate(prompts):
            yield [(i, Completion(call if tools else "Good morning!", 5, True, 10))]


@pytest.mark.parametrize("plain", [True, False])
def test_generate_response_can_be_mapped_to_a_plain_answer(tmp_path: Path, plain: bool) -> None:
    file = tmp_path / "tools.json"
    file.write_text('[{"type": "function", "function": {"name": "roll_dice", "description": "Roll."}}]')
    parrot = Parrot()
    model: Model[Any] = Model(parrot, lambda: parrot)
    found = predict_query(model, file, "Hello!", None, False, 32, plain)
    assert found["tool_call"]["function"]["name"] == GENERATE_RESPONSE
    assert found["answer"] == ("Good morning!" if plain else None)
    assert len(parrot.asked) == (2 if plain else 1)
    if plain:
        assert parrot.asked[-1] == ("Hello!", [], "select")
