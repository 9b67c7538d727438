"""Ask a model, and keep every answer as soon as it is there."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gentool.evaluation.requests import Request
from gentool.inference.backend import Backend, Completion
from gentool.progress import Progress, Stopped
from gentool.prompting.order import shown_order
from gentool.prompting.renderer import Renderer
from gentool.records import (
    GENERATE_RESPONSE_TOOL,
    Prediction,
    Tool,
    parse_record,
    read_jsonl_lines,
    to_json,
)

EVALUATION_EPOCH = -1
"""Orders shown in evaluation: an epoch that training never has."""


def shown_tools(request: Request, tools: Mapping[str, Tool], seed: int) -> list[Tool]:
    """The tools of a request in the order shown, ``generate_response`` among them."""
    known = {**tools, GENERATE_RESPONSE_TOOL.id: GENERATE_RESPONSE_TOOL}
    return [known[i] for i in shown_order(request.tool_set, seed, EVALUATION_EPOCH)]


def read_predictions(path: Path) -> list[Prediction]:
    """Predictions kept so far; a last line that was cut short by a crash is dropped and asked again."""
    if not path.is_file():
        return []
    raw = path.read_bytes()
    whole = raw[: raw.rfind(b"\n") + 1]
    if whole != raw:
        path.write_bytes(whole)
    return [parse_record(Prediction, value, f"{path}:{n}") for n, value in read_jsonl_lines(path)]


def make_prediction(
    request: Request,
    shown: Sequence[str],
    completion: Completion,
    renderer: Renderer,
    model: str,
    seed: int,
    prompt: int,
) -> Prediction:
    """Read a completion for a request."""
    parsed = renderer.parse(request.task, completion.text, shown, completion.finished)
    return Prediction(
        model=model,
        seed=seed,
        task=request.task,
        query_id=request.query.id,
        tool_set=request.tool_set.id,
        shown=tuple(shown),
        text=completion.text,
        outcome=parsed.outcome,
        tool_call=parsed.tool_call,
        ranking=parsed.ranking,
        error=parsed.error,
        prompt_tokens=prompt,
        completion_tokens=completion.tokens,
    )


def predict(
    requests: Sequence[Request],
    tools: Mapping[str, Tool],
    renderer: Renderer,
    load: Callable[[], Backend],
    path: Path,
    model: str,
    seed: int,
    order_seed: int,
    max_new_tokens: int,
    batch_size: int,
    progress: Progress,
) -> list[Prediction]:
    """Answers of a model to all requests, appended to ``path`` batch by batch; those already there are kept.

    ``load`` is called only if something is left to ask. Raises :class:`Stopped`.
    """
    done = {p.key: p for p in read_predictions(path) if p.seed == seed}
    left = [r for r in requests if r.key not in done]
    label = f"{model} seed {seed}: {path.stem}"
    if left:
        shown = [shown_tools(r, tools, order_seed) for r in left]
        prompts = [
            renderer.prompt(r.query.query, r.query.now, s, r.task) for r, s in zip(left, shown, strict=True)
        ]
        backend = load()
        bar = progress.start(label, len(left))
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as out:
            count = 0
            for batch in backend.complete(prompts, max_new_tokens, batch_size):
                for i, completion in batch:
                    names = [t.name for t in shown[i]]
                    prediction = make_prediction(
                        left[i], names, completion, renderer, model, seed, len(prompts[i])
                    )
                    done[prediction.key] = prediction
                    out.write(to_json(prediction) + "\n")
                out.flush()
                os.fsync(out.fileno())
                count += len(batch)
                progress.update(bar, count)
                if progress.stopping and count < len(left):
                    raise Stopped
    return [done[r.key] for r in requests]
