"""Predictions on disk: kept as they land, resumed, cut lines asked again, stopped on request."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from gentool.evaluation.predict import EVALUATION_EPOCH, Asker, read_predictions, shown_tools
from gentool.evaluation.requests import Request
from gentool.inference.backend import Completion, never
from gentool.jsonl import RecordError, write_jsonl
from gentool.models import make_tokenizer
from gentool.progress import Progress, Stopped
from gentool.prompting.order import shown_order
from gentool.prompting.renderer import Renderer
from gentool.records import GENERATE_RESPONSE, Function, GradedQuery, Prediction, Tool, ToolCall, ToolSet

TOOLS = {t.id: t for t in (Tool(function=Function(name=n)) for n in ("rich", "plain", "noise"))}
SET = ToolSet(pair="p", pair_tools=(), distractors=tuple(TOOLS))
QUERIES = [
    GradedQuery(query=f"Frage {n}: Wie spät ist es in Zürich?", grades={"rich": "none", "plain": "none"})
    for n in range(5)
]
REQUESTS = [Request("select", q, SET) for q in QUERIES]
CALL = '<tool_call>\n{"name": "rich", "arguments": {"stadt": "Zürich"}}\n</tool_call>'


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(make_tokenizer(["Wie spät ist es?"], 300, 4096, None))


class Crash(RuntimeError):
    """What the fake backend dies of."""


class FakeBackend:
    """Answers every prompt with ``text``, last prompt first, two at a time; raises before batch ``crash_at``."""

    def __init__(self, text: str = CALL, crash_at: int | None = None, finished: bool = True) -> None:
        self.completion = Completion(text, 7, finished, 11)
        self.crash_at = crash_at
        self.asked: list[list[int]] = []
        self.loaded = 0

    def complete(
        self, prompts: Sequence[Sequence[int]], max_new_tokens: int, stopping: Callable[[], bool] = never
    ) -> Iterator[list[tuple[int, Completion]]]:
        order = list(range(len(prompts)))[::-1]
        for number, start in enumerate(range(0, len(order), 2)):
            if stopping():
                return
            if number == self.crash_at:
                raise Crash
            batch = order[start : start + 2]
            self.asked += [list(prompts[i]) for i in batch]
            yield [(i, self.completion) for i in batch]

    def load(self) -> FakeBackend:
        self.loaded += 1
        return self


class Ask:
    """``Asker.ask`` with all that the tests do not vary."""

    def __init__(self, path: Path, renderer: Renderer) -> None:
        self.path = path
        self.renderer = renderer
        self.progress = Progress(Console(file=io.StringIO()))

    def __call__(
        self,
        backend: FakeBackend,
        requests: Sequence[Request] = REQUESTS,
        seed: int = 0,
        weights: str = "w",
        order_seed: int = 3,
    ) -> list[Prediction]:
        asker = Asker("sft", seed, weights, self.renderer, backend.load, order_seed, 64)
        return asker.ask(requests, TOOLS, self.path, self.progress)

    def prompts(self, requests: Sequence[Request]) -> list[list[int]]:
        return [
            self.renderer.prompt(r.query.query, r.query.now, shown_tools(r, TOOLS, 3), r.task)
            for r in requests
        ]


@pytest.fixture
def ask(tmp_path: Path, renderer: Renderer) -> Ask:
    return Ask(tmp_path / "sft" / "scenario.jsonl", renderer)


def test_answers_in_the_order_asked_and_on_disk(ask: Ask) -> None:
    backend = FakeBackend()
    found = ask(backend)
    assert backend.loaded == 1
    assert [p.key for p in found] == [r.key for r in REQUESTS]
    assert sorted(backend.asked) == sorted(ask.prompts(REQUESTS))
    assert sorted(read_predictions(ask.path), key=str) == sorted(found, key=str)
    first = found[0]
    assert (first.model, first.seed, first.text, first.outcome) == ("sft", 0, CALL, "call")
    assert first.tool_call == ToolCall.of("rich", {"stadt": "Zürich"})
    assert (first.prompt_tokens, first.completion_tokens) == (11, 7)
    assert set(first.shown) == {"rich", "plain", "noise", GENERATE_RESPONSE}


def test_tools_are_shown_in_the_order_of_the_evaluation_epoch(ask: Ask) -> None:
    ids = [t.id for t in shown_tools(REQUESTS[0], TOOLS, 3)]
    assert ids == shown_order(SET, 3, EVALUATION_EPOCH)
    assert EVALUATION_EPOCH < 0
    assert len({p.shown for p in ask(FakeBackend())}) == 1
    assert ask(FakeBackend())[0].shown == tuple(i.split("@")[0] for i in ids)


def test_resume_after_a_crash_asks_only_what_is_left(ask: Ask) -> None:
    with pytest.raises(Crash):
        ask(FakeBackend(crash_at=1))
    kept = read_predictions(ask.path)
    assert [p.query_id for p in kept] == [QUERIES[4].id, QUERIES[3].id], "the first batch is on disk"
    backend = FakeBackend("Zehn Uhr.")
    found = ask(backend)
    assert sorted(backend.asked) == sorted(ask.prompts(REQUESTS[:3]))
    assert [p.outcome for p in found] == ["answer"] * 3 + ["call"] * 2
    assert len(ask.path.read_text(encoding="utf-8").splitlines()) == 5


def test_nothing_left_loads_no_model(ask: Ask) -> None:
    found = ask(FakeBackend())
    again = FakeBackend("something else")
    assert ask(again) == found
    assert again.loaded == 0


def test_seeds_share_a_file(ask: Ask) -> None:
    ask(FakeBackend())
    backend = FakeBackend("Zehn Uhr.")
    assert {(p.seed, p.outcome) for p in ask(backend, seed=1)} == {(1, "answer")}
    assert len(backend.asked) == 5
    assert {(p.seed, p.outcome) for p in ask(FakeBackend())} == {(0, "call")}


def _cut(path: Path, kept: bytes) -> None:
    """End the file within its last line, right after ``kept``."""
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(kept) + len(kept)])


@pytest.mark.parametrize("kept", [b'{"model": "sf', b'"completion_tokens": 7}'])
def test_cut_last_line_is_asked_again(ask: Ask, kept: bytes) -> None:
    found = ask(FakeBackend())
    _cut(ask.path, kept)
    assert len(read_predictions(ask.path)) == 4
    backend = FakeBackend()
    assert ask(backend) == found
    assert len(backend.asked) == 1
    assert ask.path.read_bytes().endswith(b"}\n") and len(read_predictions(ask.path)) == 5


def test_line_cut_within_a_character_is_asked_again(ask: Ask) -> None:
    found = ask(FakeBackend())
    _cut(ask.path, b"Z\xc3")
    assert ask(FakeBackend()) == found


def test_bad_line_is_named(ask: Ask) -> None:
    ask(FakeBackend())
    lines = ask.path.read_text(encoding="utf-8").splitlines(keepends=True)
    ask.path.write_text("".join([lines[0], '{"model": 1}\n', *lines[2:]]), encoding="utf-8")
    with pytest.raises(RecordError, match=r"scenario\.jsonl:2: "):
        ask(FakeBackend())


@pytest.mark.parametrize("value", ['"\\ud83d"', "[" * 300 + "]" * 300], ids=["half a character", "depth 300"])
def test_strange_arguments_do_not_end_the_evaluation(ask: Ask, value: str) -> None:
    assert len(ask(FakeBackend(CALL.replace('"Zürich"', value)))) == 5


class Interrupted(FakeBackend):
    """Somebody presses Ctrl-C while the first batch is under way."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self.progress = progress

    def complete(self, *args: Any, **options: Any) -> Iterator[list[tuple[int, Completion]]]:
        for batch in super().complete(*args, **options):
            self.progress.stopping = True
            yield batch


def test_stops_between_batches(ask: Ask) -> None:
    for kept in (2, 4):
        ask.progress.stopping = False
        with pytest.raises(Stopped):
            ask(Interrupted(ask.progress))
        assert len(read_predictions(ask.path)) == kept
    ask.progress.stopping = False
    assert len(ask(Interrupted(ask.progress))) == 5, "the last batch is done: nothing is left to stop"


def test_stopping_loads_no_model(ask: Ask) -> None:
    ask.progress.stopping = True
    backend = FakeBackend()
    with pytest.raises(Stopped):
        ask(backend)
    assert backend.loaded == 0


def test_unfinished_text_is_malformed(ask: Ask) -> None:
    assert {p.outcome for p in ask(FakeBackend(finished=False))} == {"malformed"}


def test_task_decides_how_text_is_read(ask: Ask) -> None:
    requests: list[Any] = [Request(task, QUERIES[0], SET) for task in ("rank", "select")]
    ranked, selected = ask(FakeBackend("rich > generate_response"), requests)
    assert (ranked.outcome, ranked.ranking) == ("ranking", ("rich", GENERATE_RESPONSE))
    assert (selected.outcome, selected.ranking) == ("answer", None)


def test_other_weights_or_prompts_are_asked_anew_and_other_seeds_stay(ask: Ask) -> None:
    ask(FakeBackend())
    ask(FakeBackend(), seed=1)
    for changed in ({"weights": "v"}, {"weights": "v", "order_seed": 4}):
        backend = FakeBackend()
        ask(backend, **changed)  # type: ignore[arg-type]
        assert len(backend.asked) == len(REQUESTS)
    backend = FakeBackend()
    ask(backend, seed=1)
    assert not backend.asked, "the answers of seed 1 were kept"
    assert len(read_predictions(ask.path)) == 2 * len(REQUESTS), "answers that no longer hold are gone"


def test_text_is_read_anew(ask: Ask) -> None:
    """A better parser must reach answers that are on disk."""
    found = ask(FakeBackend())
    wrong = [p.model_copy(update={"outcome": "malformed", "tool_call": None, "error": "x"}) for p in found]
    write_jsonl(ask.path, wrong)
    assert ask(FakeBackend()) == found
    assert read_predictions(ask.path) == found
