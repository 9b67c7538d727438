"""Rankings by score: which tokens are scored, and what becomes of the scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch

from gentool.inference.backend import never
from gentool.inference.score import (
    RankingBackend,
    RankingPrompts,
    ScoredPrompt,
    first_of_ranking,
    ranking_by_score,
)
from gentool.inference.transformers import TransformersBackend
from gentool.jsonl import content_hash
from gentool.models import ModelError, load_tokenizer
from gentool.prompting.renderer import PromptError, Renderer
from gentool.records import GENERATE_RESPONSE, GENERATE_RESPONSE_TOOL, Function, Tool, ToolCall
from tests.models.tiny import save_tiny
from tests.prompting.conftest import make_renderer

NAMES = ("get", "get_weather", "generate", "find-trains", "a1_b2")
TOOLS = [*(Tool(function=Function(name=n, description=f"To {n}.")) for n in NAMES), GENERATE_RESPONSE_TOOL]
QUERY = "Will it rain in Bergen?"


@pytest.mark.parametrize("family", ["plain", "qwen2_5", "qwen3", "llama3_1", "mistral", "phi4_mini"])
def test_exactly_what_is_trained_up_to_the_end_of_the_first_name(family: str) -> None:
    renderer = make_renderer(family, "text" if family == "phi4_mini" else "native")
    found = {t.name: first_of_ranking(renderer, QUERY, None, TOOLS, t.name) for t in TOOLS}
    call = ToolCall.of(GENERATE_RESPONSE)
    for name in NAMES:
        for ranking in ((name, GENERATE_RESPONSE), (name, "get_weather", GENERATE_RESPONSE)):
            trained = renderer.training(QUERY, None, TOOLS, "rank", tuple(dict.fromkeys(ranking)), call)
            target = trained.ids[trained.start :]
            assert target[: len(found[name])] == found[name]
        text = renderer.tokenizer.decode(found[name]).strip()
        assert text.split() == [name, ">"]
        assert renderer.tokenizer.decode(found[name][:-1]).strip() == name, "it ends with the separator"
    last = found[GENERATE_RESPONSE]
    assert last[-1] in renderer.stop_ids and renderer.decode(last) == (GENERATE_RESPONSE, True)
    for one in found.values():
        for other in found.values():
            assert one is other or one != other[: len(one)], "no event is part of another"


def test_a_target_that_does_not_begin_with_the_name() -> None:
    class Shouting(Renderer):
        def training(self, *args: Any) -> Any:
            found = super().training(*args)
            shout = self._encode(self.tokenizer.decode(found.ids[found.start :]).upper())
            return type(found)(found.ids[: found.start] + shout, found.start)

    renderer = make_renderer("plain")
    shouting = Shouting.__new__(Shouting)
    shouting.__dict__ = renderer.__dict__
    with pytest.raises(PromptError, match="begins with 'get' cannot be scored"):
        first_of_ranking(shouting, QUERY, None, TOOLS, "get")


def test_by_score_then_by_name_and_cut_after_generate_response() -> None:
    scores = {"b": -2.0, "c": -1.0, "a": -2.0, GENERATE_RESPONSE: -3.0, "z": -3.0, "d": -3.0}
    assert ranking_by_score(scores) == ("c", "a", "b", "d", GENERATE_RESPONSE)
    backwards = dict(reversed(scores.items()))
    assert ranking_by_score(backwards) == ranking_by_score(scores)
    assert ranking_by_score({"a": -2.0, GENERATE_RESPONSE: -1.0}) == (GENERATE_RESPONSE,)


def test_the_prompt_is_that_of_a_generated_ranking_and_its_hash_is_not() -> None:
    renderer = make_renderer("plain")
    prompts = RankingPrompts(renderer)
    for tools in (TOOLS, TOOLS[::-1]):
        found = prompts.prompt(QUERY, "2026-03-14T09:30", tools, "rank")
        assert found.prompt == renderer.prompt(QUERY, "2026-03-14T09:30", tools, "rank")
        assert list(found.continuations) == [t.name for t in tools]
        assert content_hash([found, 64]) != content_hash([found.prompt, 64])
    parsed = prompts.parse("rank", f"get > {GENERATE_RESPONSE}", [t.name for t in TOOLS])
    assert parsed.ranking == ("get", GENERATE_RESPONSE)


class Fixed:
    """Gives the scores that it is told, two prompts at a time."""

    def __init__(self, *scores: float) -> None:
        self.scores = list(scores)

    def score(
        self,
        prompts: Sequence[Sequence[int]],
        continuations: Sequence[Sequence[Sequence[int]]],
        stopping: Callable[[], bool] = never,
    ) -> Iterator[list[tuple[int, list[float]]]]:
        for start in range(0, len(prompts), 2):
            if stopping():
                return
            yield [(i, self.scores) for i in range(start, min(start + 2, len(prompts)))]


PROMPT = ScoredPrompt([1, 2, 3], {"get": [4], GENERATE_RESPONSE: [5, 6]})


def test_a_ranking_as_if_it_had_been_written() -> None:
    done: list[int] = []
    for batch in RankingBackend(Fixed(-1.5, -0.5)).complete([PROMPT] * 5, 64, lambda: len(done) > 3):
        done.extend(i for i, _ in batch)
        for _, answer in batch:
            assert answer.text == GENERATE_RESPONSE and answer.finished
            assert answer.scores == {"get": -1.5, GENERATE_RESPONSE: -0.5}
            assert (answer.tokens, answer.prompt_tokens) == (0, 3)
    assert done == [0, 1, 2, 3]
    (((_, answer),),) = RankingBackend(Fixed(-0.5, -1.5)).complete([PROMPT], 64)
    assert answer.text == f"get > {GENERATE_RESPONSE}"


@pytest.mark.parametrize("score", [math.nan, -math.inf])
def test_a_score_that_is_no_number(score: float) -> None:
    with pytest.raises(ModelError, match=r"'generate_response' the log-likelihood .* Fix: set `model.dtype"):
        list(RankingBackend(Fixed(-1.0, score)).complete([PROMPT], 64))


def test_scores_of_a_real_prompt(tmp_path: Any) -> None:
    """The score of a name is the likelihood of its trained tokens, and all of them together at most 1."""
    path = save_tiny(tmp_path, "qwen3")
    renderer = Renderer(load_tokenizer(path))
    backend = TransformersBackend(path, renderer, "float64", 4)
    prompts = RankingPrompts(renderer)
    asked = [prompts.prompt(QUERY + "?" * n, None, TOOLS, "rank") for n in range(3)]
    found = {i: a for batch in RankingBackend(backend).complete(asked, 64) for i, a in batch}
    for i, prompt in enumerate(asked):
        for name, tokens in prompt.continuations.items():
            with torch.inference_mode():
                logits = backend.model(torch.tensor([prompt.prompt + tokens]), use_cache=False).logits[0]
            each = torch.log_softmax(logits, dim=-1)[len(prompt.prompt) - 1 : -1]
            wanted = sum(row[t].item() for row, t in zip(each, tokens, strict=True))
            assert found[i].scores[name] == pytest.approx(wanted, abs=1e-9)
        assert sum(map(math.exp, found[i].scores.values())) <= 1
        assert found[i].text.endswith(GENERATE_RESPONSE)
