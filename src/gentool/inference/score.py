"""Rankings by log-likelihood: how likely is each tool's name as the first of the ranking? Nothing is generated."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from gentool.inference.backend import Completion, never
from gentool.models import ModelError
from gentool.prompting.parse import Parsed
from gentool.prompting.renderer import PromptError, Renderer, ranking_text
from gentool.records import GENERATE_RESPONSE, Task, Tool, ToolCall


class ScoredPrompt(NamedTuple):
    """A prompt, and for each tool's name the tokens by which a ranking puts it first; all token ids."""

    prompt: list[int]
    continuations: dict[str, list[int]]


def first_of_ranking(
    renderer: Renderer, query: str, now: str | None, tools: Sequence[Tool], name: str
) -> list[int]:
    """The tokens of a trained ranking up to and with the one that ends its first name: separator or stop token.

    No name with its end is the beginning of another, so these are events of which a model chooses one.

    Raises :class:`PromptError` where the target does not begin with the name.
    """
    ranking = tuple(dict.fromkeys((name, GENERATE_RESPONSE)))
    rendered = renderer.training(query, now, tools, "rank", ranking, ToolCall.of(GENERATE_RESPONSE))
    target = rendered.ids[rendered.start :]
    if name == GENERATE_RESPONSE:
        return target
    decode = renderer.tokenizer.decode
    ended = ranking_text((name, "")).rstrip()
    before, found, _ = decode(target, skip_special_tokens=False).partition(ended)
    for size in range(1, len(target)):
        if found and decode(target[:size], skip_special_tokens=False).startswith(before + ended):
            return target[:size]
    raise PromptError(
        f"a ranking that begins with {name!r} cannot be scored: its target is {decode(target)[:120]!r}. Fix: set "
        "`evaluate.rank_by: generate`."
    )


def ranking_by_score(scores: Mapping[str, float]) -> tuple[str, ...]:
    """Names by score, best first, at equal scores by name; cut after ``generate_response``."""
    names = sorted(scores, key=lambda name: (-scores[name], name))
    return tuple(names[: names.index(GENERATE_RESPONSE) + 1])


class RankingPrompts:
    """Prompts whose rankings are scored; see :class:`gentool.inference.backend.Prompter`."""

    def __init__(self, renderer: Renderer) -> None:
        self.renderer = renderer
        self._known: dict[str, list[int]] = {}

    def prompt(self, query: str, now: str | None, tools: Sequence[Tool], task: Task) -> ScoredPrompt:
        """The prompt; ``tools`` in the order to show them, ``generate_response`` among them."""
        for tool in tools:
            # They follow the same end of a prompt, so one prompt stands for all.
            if tool.name not in self._known:
                tokens = first_of_ranking(self.renderer, query, now, tools, tool.name)
                self._known[tool.name] = tokens
        ids = self.renderer.prompt(query, now, tools, task)
        return ScoredPrompt(ids, {tool.name: self._known[tool.name] for tool in tools})

    def parse(self, task: Task, text: str, names: Sequence[str], finished: bool = True) -> Parsed:
        """Read a ranking; see :func:`gentool.prompting.parse.parse_response`."""
        return self.renderer.parse(task, text, names, finished)


class Scorer(Protocol):
    """A model that gives likelihoods; see :meth:`gentool.inference.transformers.TransformersBackend.score`."""

    def score(
        self,
        prompts: Sequence[Sequence[int]],
        continuations: Sequence[Sequence[Sequence[int]]],
        stopping: Callable[[], bool] = never,
    ) -> Iterator[list[tuple[int, list[float]]]]: ...


class RankingBackend:
    """Rankings of a model by score, as if it had written them; see :class:`gentool.inference.backend.Backend`."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

    def complete(
        self, prompts: Sequence[ScoredPrompt], max_new_tokens: int, stopping: Callable[[], bool] = never
    ) -> Iterator[list[tuple[int, Completion]]]:
        """(Index into ``prompts``, ranking as text with the scores); no token is generated.

        Raises :class:`ModelError` for a score that is no number.
        """
        continuations = [list(p.continuations.values()) for p in prompts]
        for batch in self.scorer.score([p.prompt for p in prompts], continuations, stopping):
            yield [(i, _completion(prompts[i], values)) for i, values in batch]


def _completion(prompt: ScoredPrompt, values: Sequence[float]) -> Completion:
    scores = dict(zip(prompt.continuations, values, strict=True))
    bad = next((name for name, value in scores.items() if not math.isfinite(value)), None)
    if bad is not None:
        raise ModelError(
            f"the model gives the tool {bad!r} the log-likelihood {scores[bad]}, which cannot be ranked. Fix: set "
            "`model.dtype: float32`, or `evaluate.rank_by: generate`; weights with NaN must be trained anew."
        )
    text = ranking_text(ranking_by_score(scores))
    return Completion(text, 0, True, len(prompt.prompt), scores)
