"""Answers of a fixed form: asked for in the way the server takes, checked, mended once, else refused with a reason."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from gentool.llm.cache import CallCache
from gentool.llm.response_format import response_format, strict_schema
from gentool.llm.session import CallFailed, LLMError
from gentool.llm.structured import Answered, BadAnswer, ask_object
from tests.llm.fake_server import Answer, FakeServer, completion, error
from tests.llm.test_client import KEY, client


class Entry(BaseModel):
    text: str
    note: str | None = None


class Closed(BaseModel):
    """Every property is known."""

    entries: list[Entry]
    title: str = "none"


class Open(BaseModel):
    """``arguments`` may hold anything."""

    arguments: dict[str, Any] = Field(default_factory=dict)
    number: int


GOOD = json.dumps({"entries": [{"text": "x", "note": None}], "title": "t"})
MESSAGES = [{"role": "system", "content": "You write."}, {"role": "user", "content": "Write."}]


def ask(
    server: FakeServer,
    form: type[Any] = Closed,
    number: int = 1,
    cache: Path | None = None,
    options: dict[str, Any] | None = None,
    **words: Any,
) -> list[Any]:
    """So many different objects, one after the other, in one session; errors stand for themselves."""

    async def work() -> list[Any]:
        found: list[Any] = []
        async with client(server, cache, **(options or {})).session() as session:
            for n in range(number):
                try:
                    found.append(
                        await ask_object(session, MESSAGES, form, stage="s", template="t", sample=n, **words)
                    )
                except (BadAnswer, LLMError) as caught:
                    found.append(caught)
        return found

    return asyncio.run(work())


def test_an_answer_and_where_it_comes_from(
    fake_server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", KEY)
    fake_server.play = lambda body, n: GOOD
    path = tmp_path / "c.sqlite"
    options = {"api_key_env": "SOME_KEY", "extra": {"top_p": 0.5}}
    [found] = ask(fake_server, cache=path, options=options, parents=["p"], parameters={"max_tokens": 9})
    assert isinstance(found, Answered)
    assert found.value == Closed(entries=[Entry(text="x")], title="t")
    made = found.provenance
    assert (made.stage, made.prompt, made.parents, made.attempt) == ("s", "t", ("p",), 1)
    assert made.model == "served-model-1"
    assert made.parameters == {
        "temperature": 0.0,
        "max_tokens": 9,
        "top_p": 0.5,
        "response_format": "Closed",
    }
    assert made.usage == {"prompt_tokens": 100, "completion_tokens": 7}
    cache = CallCache(path)
    assert (cache.request(made.call) or {})["messages"] == MESSAGES, "the exchange is found by its key"
    cache.close()
    assert KEY not in made.model_dump_json() and KEY.encode() not in path.read_bytes()


def test_the_form_is_sent_strict_where_it_can_be(fake_server: FakeServer) -> None:
    fake_server.play = lambda body, n: GOOD if n == 1 else '{"number": 1}'
    ask(fake_server, Closed)
    ask(fake_server, Open)
    closed, open_ = (b["response_format"]["json_schema"] for b in fake_server.bodies)
    assert (closed["name"], closed["strict"]) == ("Closed", True)
    assert closed["schema"]["required"] == ["entries", "title"]
    entry = closed["schema"]["$defs"]["Entry"]
    assert entry["required"] == ["text", "note"] and entry["additionalProperties"] is False
    assert closed["schema"]["properties"]["title"] == {"type": "string"}, "strict servers refuse defaults"
    assert open_["name"] == "Open" and "strict" not in open_
    assert open_["schema"]["required"] == ["number"]


def test_a_property_may_be_called_like_a_keyword() -> None:
    class Named(BaseModel):
        title: str
        default: int = 3

    schema = response_format(Named)["json_schema"]["schema"]
    assert list(schema["properties"]) == ["title", "default"] == schema["required"]


def test_open_objects_are_not_strict() -> None:
    for inner in ({"type": "object"}, {"type": "object", "properties": {}, "additionalProperties": True}):
        assert strict_schema({"type": "object", "properties": {"a": {"anyOf": [inner]}}}) is None


@pytest.mark.parametrize("status", [400, 422])
def test_a_server_that_takes_no_schema_is_told_in_words_from_then_on(
    fake_server: FakeServer, status: int
) -> None:
    def play(body: dict[str, Any], number: int) -> Any:
        return error(status, "response_format is not supported") if "response_format" in body else GOOD

    fake_server.play = play
    found = ask(fake_server, number=3)
    assert all(isinstance(f, Answered) for f in found)
    assert ["response_format" in b for b in fake_server.bodies] == [True, False, False, False]
    said = fake_server.bodies[-1]["messages"]
    assert said[0] == MESSAGES[0] and said[1]["content"].startswith("Write.\n\nAnswer with one JSON object")
    assert '"entries"' in said[1]["content"]
    assert found[0].provenance.parameters == {"temperature": 0.0}


def test_a_call_that_is_refused_for_another_reason_is_not_blamed_on_the_schema(
    fake_server: FakeServer,
) -> None:
    fake_server.play = lambda body, n: error(400, "your text is too odd") if n < 3 else GOOD
    refused, answered = ask(fake_server, number=2)
    assert isinstance(refused, CallFailed) and isinstance(answered, Answered)
    assert "response_format" in fake_server.bodies[-1]


@pytest.mark.parametrize("status", [401, 500])
def test_other_errors_are_no_reason_to_do_without_the_schema(fake_server: FakeServer, status: int) -> None:
    fake_server.play = lambda body, n: error(status)
    [found] = ask(fake_server, options={"max_retries": 0})
    assert isinstance(found, LLMError)
    assert all("response_format" in b for b in fake_server.bodies)


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("I will not use JSON.", "there is no JSON object in it"),
        ('{"entries": [{"text": "x"},]}', "the JSON is broken"),
        ('{"entries": "x"}', "answer: entries: Input should be a valid list"),
        ('{"title": "x"}', "answer: entries: Field required"),
        ('{"entries": [{"text": "\\ud800"}]}', "lone surrogates"),
    ],
)
def test_a_bad_answer_is_shown_once_with_its_faults(fake_server: FakeServer, bad: str, problem: str) -> None:
    fake_server.play = lambda body, n: bad if n == 1 else GOOD
    [found] = ask(fake_server)
    assert isinstance(found, Answered) and found.provenance.attempt == 2
    assert found.provenance.usage == {"prompt_tokens": 200, "completion_tokens": 14}, "both answers"
    messages = fake_server.bodies[1]["messages"]
    assert messages[:2] == MESSAGES and messages[2] == {"role": "assistant", "content": bad}
    assert problem in messages[3]["content"]


def test_an_answer_that_stays_bad_is_given_up(fake_server: FakeServer) -> None:
    fake_server.play = lambda body, n: f'{{"number": "no {n}"}}'
    [found] = ask(fake_server, Open)
    assert isinstance(found, BadAnswer) and len(fake_server.bodies) == 2
    assert found.reason.startswith("invalid: answer: number: Input should be a valid integer")
    assert found.answer == '{"number": "no 2"}'


def problems_of(answer: Closed) -> list[str]:
    return [f"entry {i} says no" for i, e in enumerate(answer.entries) if e.text == "no"]


def test_the_caller_s_problems_count_too(fake_server: FakeServer) -> None:
    no = json.dumps({"entries": [{"text": "yes"}, {"text": "no"}]})
    fake_server.play = lambda body, n: no
    [found] = ask(fake_server, problems=problems_of)
    assert isinstance(found, BadAnswer) and found.reason == "invalid: entry 1 says no"
    assert "- entry 1 says no" in fake_server.bodies[1]["messages"][3]["content"]
    fake_server.play = lambda body, n: GOOD
    assert isinstance(ask(fake_server, problems=problems_of)[0], Answered)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda: completion(None, refusal="I'm sorry, no."), "refused: I'm sorry, no."),
        (lambda: completion("half", finish="content_filter"), "refused: by the server's content filter"),
        (
            lambda: completion('{"entries": [', finish="length"),
            "truncated: the answer was cut off after 7 tokens",
        ),
        (lambda: completion(GOOD, finish="length"), "truncated"),
        (lambda: completion(" \n"), "empty: the answer has no text"),
        (lambda: completion(None), "empty"),
        (lambda: error(400, "filtered", code="content_filter"), "refused: HTTP 400: filtered"),
        (lambda: error(400, "too long", code="context_length_exceeded"), "refused: HTTP 400: too long"),
    ],
)
def test_what_is_no_answer_has_a_named_reason_and_is_not_asked_again(
    fake_server: FakeServer, answer: Callable[[], Answer], reason: str
) -> None:
    fake_server.play = lambda body, n: answer()
    found = ask(fake_server, number=7)
    assert all(isinstance(f, BadAnswer) and f.reason.startswith(reason) for f in found)
    assert len(fake_server.bodies) == 7, "one each; none of these ends a session"


def test_reasoning_around_the_answer(fake_server: FakeServer) -> None:
    fake_server.play = lambda body, n: completion(
        f"<think>First {{x}}, or {{}}...</think>\nHere:\n```json\n{GOOD}\n```", reasoning_content='{"a": 1}'
    )
    assert isinstance(ask(fake_server)[0], Answered)


def test_a_mended_answer_comes_from_the_cache_as_a_whole(fake_server: FakeServer, tmp_path: Path) -> None:
    def play(body: dict[str, Any], number: int) -> Any:
        if "response_format" in body:
            return error(400)
        return "no" if len(body["messages"]) == 2 else GOOD

    fake_server.play = play
    path = tmp_path / "c.sqlite"
    [first] = ask(fake_server, cache=path)
    answered = len(fake_server.delivered)
    [again] = ask(fake_server, cache=path)
    assert first == again
    assert len(fake_server.delivered) == answered == 2
    assert all(len(times) == 1 for times in fake_server.delivered.values()), (
        "what was answered is not asked again"
    )
