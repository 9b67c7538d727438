"""Ask a model, and keep every answer as soon as it is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from gentool.evaluation.requests import Request
from gentool.inference.backend import Backend, Completion, Prompter
from gentool.jsonl import append_lines, content_hash, parse_record, read_jsonl_lines, to_json, write_jsonl
from gentool.progress import Progress, Stopped
from gentool.prompting.order import shown_order
from gentool.records import GENERATE_RESPONSE_TOOL, Prediction, Tool

P = TypeVar("P")

EVALUATION_EPOCH = -1
"""Orders shown in evaluation: an epoch that training never has."""


def shown_tools(request: Request, tools: Mapping[str, Tool], seed: int) -> list[Tool]:
    """The tools of a request in the order shown, ``generate_response`` among them."""
    known = {**tools, GENERATE_RESPONSE_TOOL.id: GENERATE_RESPONSE_TOOL}
    return [known[i] for i in shown_order(request.tool_set, seed, EVALUATION_EPOCH)]


def read_predictions(path: Path) -> list[Prediction]:
    """The predictions of a file, none if there is no file; a last line that a crash cut short is left out.

    Raises :class:`gentool.jsonl.RecordError` for a bad line.
    """
    if not path.is_file():
        return []
    return [parse_record(Prediction, v, f"{path}:{n}") for n, v in read_jsonl_lines(path, whole=True)]


@dataclass(frozen=True)
class Asker(Generic[P]):
    """One model with one training seed, and how it is asked.

    ``weights`` stands for all that its answers depend on besides the prompt; ``load`` is called only if something is
    left to ask.
    """

    model: str
    seed: int
    weights: str
    prompter: Prompter[P]
    load: Callable[[], Backend[P]]
    order_seed: int
    max_new_tokens: int

    def _read(self, request: Request, shown: Sequence[str], prompt: P, answer: Completion) -> Prediction:
        parsed = self.prompter.parse(request.task, answer.text, shown, answer.finished)
        return Prediction(
            model=self.model,
            seed=self.seed,
            task=request.task,
            query_id=request.query.id,
            tool_set=request.tool_set.id,
            shown=tuple(shown),
            text=answer.text,
            outcome=parsed.outcome,
            tool_call=parsed.tool_call,
            ranking=parsed.ranking,
            scores=answer.scores,
            error=parsed.error,
            finished=answer.finished,
            weights=self.weights,
            prompt_hash=self._hash(prompt),
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.tokens,
        )

    def _hash(self, prompt: P) -> str:
        return content_hash([prompt, self.max_new_tokens])

    def _kept(self, path: Path, wanted: Mapping[tuple[str, str, str], str]) -> list[Prediction]:
        """Answers on disk that still hold, read anew; those of other seeds as they are. Others leave the file."""
        found = read_predictions(path)
        kept = []
        for old in found:
            if old.seed == self.seed:
                if old.weights != self.weights or wanted.get(old.key, old.prompt_hash) != old.prompt_hash:
                    continue
                parsed = self.prompter.parse(old.task, old.text, old.shown, old.finished)
                old = old.model_copy(
                    update={
                        "outcome": parsed.outcome,
                        "tool_call": parsed.tool_call,
                        "ranking": parsed.ranking,
                        "error": parsed.error,
                    }
                )
            kept.append(old)
        write_jsonl(path, kept)
        return [p for p in kept if p.seed == self.seed]

    def ask(
        self, requests: Sequence[Request], tools: Mapping[str, Tool], path: Path, progress: Progress
    ) -> list[Prediction]:
        """Answers to all requests, appended to ``path`` as they come; what was answered before is kept.

        Raises :class:`Stopped` when asked to stop; what was answered is on disk.
        """
        shown = [shown_tools(r, tools, self.order_seed) for r in requests]
        prompts = [
            self.prompter.prompt(r.query.query, r.query.now, s, r.task)
            for r, s in zip(requests, shown, strict=True)
        ]
        wanted = {r.key: self._hash(p) for r, p in zip(requests, prompts, strict=True)}
        done = {p.key: p for p in self._kept(path, wanted) if p.key in wanted}
        left = [i for i, r in enumerate(requests) if r.key not in done]
        if left:
            if progress.stopping:
                raise Stopped
            backend = self.load()
            bar = progress.start(f"{self.model} seed {self.seed}: {path.stem}", len(left))
            count = 0
            asked = [prompts[i] for i in left]
            for batch in backend.complete(asked, self.max_new_tokens, lambda: progress.stopping):
                new = []
                for position, answer in batch:
                    i = left[position]
                    new.append(self._read(requests[i], [t.name for t in shown[i]], prompts[i], answer))
                append_lines(path, map(to_json, new))
                done |= {p.key: p for p in new}
                count += len(batch)
                progress.update(bar, count)
            if count < len(left):
                raise Stopped
        return [done[r.key] for r in requests]
