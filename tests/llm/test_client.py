"""The client against a real server that behaves, misbehaves and goes away."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from gentool.config import ServerConfig
from gentool.llm.cache import CacheError, CallCache
from gentool.llm.call import Call, Reply, call_key
from gentool.llm.client import Client
from gentool.llm.retry import RetryPolicy
from gentool.llm.session import BREAKER, LLMError
from tests.llm.fake_server import DROP, HANG, Answer, FakeServer, completion

KEY = "sk-test-0123456789abcdef"
FAST = RetryPolicy(retries=3, first=0.01, longest=0.02)
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}


def calls(number: int, **parameters: Any) -> list[Call]:
    return [Call([{"role": "user", "content": f"question {n}"}], [TOOL], parameters) for n in range(number)]


def asked(body: dict[str, Any]) -> int:
    return int(body["messages"][0]["content"].split()[1])


def echo(body: dict[str, Any], number: int) -> Answer:
    return completion(f"answer {asked(body)}")


class Say(list[str]):
    def __call__(self, text: str) -> None:
        self.append(text)


def client(server: FakeServer, cache: Path | None = None, **options: Any) -> Client:
    policy = options.pop("policy", FAST)
    config = ServerConfig.model_validate({"model": "m", "base_url": server.url, **options})
    return Client("row", config, cache, Say(), policy)


def texts(client: Client, calls: list[Call], **options: Any) -> list[str | None]:
    found: dict[int, Reply] = {i: r for some in client.answers(calls, **options) for i, r in some}
    return [found[i].content if i in found else None for i in range(len(calls))]


def test_what_is_sent_and_what_comes_back(fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", f"{KEY}\n")
    fake_server.play = lambda body, n: completion("hello", ("f", '{"a": 1}'), finish="tool_calls")
    asker = client(fake_server, api_key_env="SOME_KEY", extra={"top_p": 0.5, "seed": None})
    call = Call([{"role": "user", "content": "hi"}], [TOOL], {"max_tokens": 9, "tool_choice": "auto"})
    [[(index, reply)]] = list(asker.answers([call]))
    assert fake_server.bodies == [
        {
            "model": "m",
            "messages": [{"role": "user", "content": "hi"}],
            "tools": [TOOL],
            "temperature": 0.0,
            "max_tokens": 9,
            "tool_choice": "auto",
            "top_p": 0.5,
        }
    ]
    assert fake_server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert (index, reply.content, reply.finish_reason) == (0, "hello", "tool_calls")
    assert reply.message["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"a": 1}'}
    assert (reply.model, reply.created) == ("served-model-1", 1790000000)
    assert (reply.prompt_tokens, reply.completion_tokens) == (100, 7)
    assert str(asker.usage) == "1 requests answered with 100 prompt and 7 completion tokens"


def test_openai_s_key_and_account_go_to_no_other_server(
    fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, KEY)
    texts(client(fake_server), calls(1))
    assert KEY not in str(fake_server.headers) and "authorization" not in fake_server.headers[0]
    texts(client(fake_server, api_key_env="OPENAI_API_KEY"), calls(1))
    assert fake_server.headers[-1]["authorization"] == f"Bearer {KEY}", "unless it is asked for"


def test_max_completion_tokens_takes_the_place_of_max_tokens(fake_server: FakeServer) -> None:
    asker = client(fake_server, extra={"max_completion_tokens": 500}, temperature=None)
    texts(asker, calls(1, max_tokens=5))
    assert "max_tokens" not in fake_server.bodies[0] and "temperature" not in fake_server.bodies[0]
    assert fake_server.bodies[0]["max_completion_tokens"] == 500


def test_answers_find_their_questions_with_several_at_once(fake_server: FakeServer) -> None:
    together = threading.Barrier(4)

    def play(body: dict[str, Any], number: int) -> Answer:
        together.wait(20)
        return echo(body, number)

    fake_server.play = play
    assert texts(client(fake_server, concurrency=4), calls(12)) == [f"answer {n}" for n in range(12)]
    assert fake_server.most == 4


def test_what_was_answered_is_not_asked_again(fake_server: FakeServer, tmp_path: Path) -> None:
    cache = tmp_path / "calls.sqlite"
    fake_server.play = echo
    first = texts(client(fake_server, cache), calls(6))
    again = client(fake_server, cache)
    assert texts(again, calls(6)) == first == [f"answer {n}" for n in range(6)]
    assert len(fake_server.bodies) == 6
    assert (again.usage.requests, again.usage.cached) == (0, 6)
    assert texts(again, calls(8))[6:] == ["answer 6", "answer 7"], "known and new ones together"
    assert len(fake_server.bodies) == 8


def test_what_the_key_of_a_call_depends_on() -> None:
    server = ServerConfig(model="m", base_url="http://a/v1")
    call = calls(1, max_tokens=5)[0]
    others = [
        call_key(server, calls(1, max_tokens=6)[0]),
        call_key(server, calls(2, max_tokens=5)[1]),
        call_key(server, Call(call.messages, None, call.parameters)),
        call_key(server, Call(call.messages, call.tools, call.parameters, sample=1)),
        call_key(
            server, Call(call.messages, call.tools, {**call.parameters, "response_format": {"type": "x"}})
        ),
        call_key(ServerConfig(model="n", base_url="http://a/v1"), call),
        call_key(ServerConfig(model="m", base_url="http://b/v1"), call),
        call_key(ServerConfig(model="m", base_url="http://a/v1", temperature=1), call),
        call_key(ServerConfig(model="m", base_url="http://a/v1", extra={"top_p": 1}), call),
    ]
    assert len({call_key(server, call), *others}) == 1 + len(others)
    same = ServerConfig(
        model="m", base_url="http://A/v1/", concurrency=3, timeout=1, max_retries=0, api_key_env="K"
    )
    assert call_key(same, call) == call_key(server, call)


def test_equal_calls_are_asked_once_and_samples_are_not_equal(fake_server: FakeServer) -> None:
    fake_server.play = lambda body, n: completion(f"number {n}")
    one = calls(1)[0]
    found = texts(client(fake_server, concurrency=1), [one, one, Call(one.messages, one.tools, sample=1)])
    assert found == ["number 1", "number 1", "number 2"]


def test_refused_for_a_while(fake_server: FakeServer) -> None:
    refused: set[int] = set()

    def play(body: dict[str, Any], number: int) -> Answer:
        if asked(body) % 2 and asked(body) not in refused:
            refused.add(asked(body))
            return Answer({"error": {"message": "slow down"}}, 429, {"Retry-After": "0"})
        return echo(body, number)

    fake_server.play = play
    asker = client(fake_server, concurrency=4, policy=RetryPolicy(1, first=1000))
    assert texts(asker, calls(10)) == [f"answer {n}" for n in range(10)]
    assert len(fake_server.bodies) == 15
    assert isinstance(asker.say, Say)
    assert asker.say == ["row: HTTP 429: slow down; going on as fast as it lets"]


@pytest.mark.parametrize(
    "trouble",
    [
        Answer({"error": {"message": "overloaded"}}, 500),
        Answer(b"<html>Bad gateway</html>", 502),
        Answer({}, 408),
        Answer({}, 409),
        Answer(b"<html>Welcome</html>"),
        Answer({"choices": []}),
        Answer({"choices": [{"message": "text"}]}),
        Answer(b'{"choices": [{"message": {"content": NaN}}]}'),
        Answer(b"[" * 100_000),
        Answer(b"\xff\xfe\x00"),
        Answer(b'{"choices"', headers={"Content-Length": "5000"}),
        DROP,
        HANG,
    ],
    ids=[
        "500",
        "502 of a proxy",
        "408",
        "409",
        "a web page",
        "no choices",
        "message is a text",
        "NaN",
        "deep",
        "not UTF-8",
        "cut short",
        "dropped",
        "hangs",
    ],
)
def test_trouble_that_passes(fake_server: FakeServer, trouble: Any) -> None:
    fake_server.play = lambda body, n: trouble if n == 1 else echo(body, n)
    asker = client(fake_server, timeout=0.3)
    assert texts(asker, calls(1)) == ["answer 0"]
    assert len(fake_server.bodies) == 2
    assert isinstance(asker.say, Say)
    assert len(asker.say) == 1 and asker.say[0].endswith("trying again")


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (
            400,
            {"message": "unknown field"},
            ["HTTP 400: unknown field", "Fix: change what the server refuses"],
        ),
        (401, {"message": f"wrong key {KEY}"}, ["HTTP 401", "Fix: put a valid key", "SOME_KEY"]),
        (403, {"message": "no access"}, ["no access", "Fix: see that the key in SOME_KEY", "'m'"]),
        (404, {"message": "no such model"}, ["no such model", "Fix: check `model` ('m') and `base_url`"]),
        (422, {"message": "x"}, ["HTTP 422"]),
        (429, {"message": "pay", "code": "insufficient_quota"}, ["HTTP 429: pay", "quota"]),
        (400, {"message": f"your headers: Bearer {KEY} [/bold]"}, ["your headers: Bearer *** [/bold]"]),
    ],
)
def test_what_does_not_pass_stops_at_once_and_keeps_what_was_answered(
    fake_server: FakeServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    error: dict[str, str],
    expected: list[str],
) -> None:
    monkeypatch.setenv("SOME_KEY", KEY)
    fake_server.play = lambda body, n: Answer({"error": error}, status) if n == 3 else echo(body, n)
    cache = tmp_path / "calls.sqlite"
    asker = client(fake_server, cache, concurrency=1, api_key_env="SOME_KEY")
    found: list[str] = []
    with pytest.raises(LLMError) as caught:
        for some in asker.answers(calls(9)):
            found += [r.content for _, r in some]
    assert len(fake_server.bodies) == 3
    assert found == ["answer 0", "answer 1"]
    for part in ["row: ", "What was answered is kept", *expected]:
        assert part in str(caught.value)
    assert KEY not in str(caught.value)
    fake_server.play = echo
    assert texts(client(fake_server, cache, api_key_env="SOME_KEY"), calls(9))[8] == "answer 8"
    assert len(fake_server.bodies) == 3 + 7


def test_requests_under_way_are_awaited_when_another_fails(fake_server: FakeServer, tmp_path: Path) -> None:
    refused = threading.Event()

    def play(body: dict[str, Any], number: int) -> Answer:
        if asked(body) == 0:
            refused.set()
            return Answer({"error": {"message": "no"}}, 400)
        refused.wait(20)
        return echo(body, number)

    fake_server.play = play
    asker = client(fake_server, tmp_path / "c", concurrency=3)
    found: list[str] = []
    with pytest.raises(LLMError):
        for some in asker.answers(calls(3)):
            found += [r.content for _, r in some]
    assert sorted(found) == ["answer 1", "answer 2"]


def test_one_lost_request_does_not_lose_the_others(fake_server: FakeServer, tmp_path: Path) -> None:
    fake_server.play = lambda body, n: Answer({}, 500) if asked(body) == 1 else echo(body, n)
    cache = tmp_path / "calls.sqlite"
    found: list[str] = []
    with pytest.raises(LLMError, match=r"row: 1 of 6 requests failed, each after 3 retries.*HTTP 500"):
        for some in client(fake_server, cache).answers(calls(6)):
            found += [r.content for _, r in some]
    assert len(found) == 5 and len(fake_server.bodies) == 5 + 4
    fake_server.play = echo
    texts(client(fake_server, cache), calls(6))
    assert len(fake_server.bodies) == 5 + 4 + 1


def test_circuit_breaker(fake_server: FakeServer) -> None:
    fake_server.play = lambda body, n: echo(body, n) if n == 1 else DROP
    asker = client(fake_server, concurrency=1)
    found: list[str] = []
    with pytest.raises(LLMError, match=f"{BREAKER} requests in a row failed.*Fix: see that the server at"):
        for some in asker.answers(calls(500)):
            found += [r.content for _, r in some]
    assert found == ["answer 0"]
    assert len(fake_server.bodies) == 1 + BREAKER * 4


def test_losses_that_are_not_in_a_row_do_not_end_it(fake_server: FakeServer) -> None:
    fake_server.play = lambda body, n: DROP if asked(body) % 2 else echo(body, n)
    with pytest.raises(LLMError, match=f"row: {BREAKER + 2} of {2 * BREAKER + 4} requests failed"):
        texts(client(fake_server, concurrency=1), calls(2 * BREAKER + 4))


def test_nobody_listens(fake_server: FakeServer) -> None:
    fake_server.close()
    with pytest.raises(LLMError, match="no connection"):
        texts(client(fake_server), calls(2))


def test_a_server_that_asks_for_an_hour_is_not_waited_for(fake_server: FakeServer) -> None:
    fake_server.play = lambda body, n: Answer({"error": "later"}, 429, {"Retry-After": "3600"})
    with pytest.raises(LLMError, match=r"HTTP 429: later; it asks to wait 3600 s\. Fix:"):
        texts(client(fake_server, concurrency=1), calls(9))
    assert len(fake_server.bodies) == 1


def test_stop_awaits_what_is_under_way_and_sends_nothing_more(
    fake_server: FakeServer, tmp_path: Path
) -> None:
    stop = threading.Event()
    together = threading.Barrier(3, action=stop.set)

    def play(body: dict[str, Any], number: int) -> Answer:
        together.wait(20)
        return echo(body, number)

    fake_server.play = play
    cache = tmp_path / "calls.sqlite"
    found = texts(client(fake_server, cache, concurrency=3), calls(9), stopping=stop.is_set)
    assert [t for t in found if t] == ["answer 0", "answer 1", "answer 2"]
    assert len(fake_server.bodies) == 3
    fake_server.play = echo
    assert None not in texts(client(fake_server, cache), calls(9))
    assert len(fake_server.bodies) == 9


def test_stop_does_not_wait_for_a_back_off(fake_server: FakeServer) -> None:
    stop = threading.Event()

    def play(body: dict[str, Any], number: int) -> Answer:
        stop.set()
        return Answer({}, 500, {"Retry-After": "500"})

    fake_server.play = play
    assert texts(client(fake_server), calls(1), stopping=stop.is_set) == [None]


def test_a_consumer_that_dies_pays_for_nothing_twice(fake_server: FakeServer, tmp_path: Path) -> None:
    fake_server.play = echo
    cache = tmp_path / "calls.sqlite"
    first = client(fake_server, cache, concurrency=1).answers(calls(5))
    assert len(next(first)) == 1
    first.close()  # type: ignore[attr-defined]
    paid = len(CallCache(cache)._base.execute("SELECT key FROM calls").fetchall())
    assert paid >= 1
    sent = len(fake_server.bodies)
    assert None not in texts(client(fake_server, cache), calls(5))
    assert len(fake_server.bodies) == sent + 5 - paid


def test_a_key_that_is_missing_or_no_key(fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    asker = client(fake_server, api_key_env="SOME_KEY")
    monkeypatch.delenv("SOME_KEY", raising=False)
    with pytest.raises(LLMError, match=r"SOME_KEY.*is not set.*Fix: export SOME_KEY="):
        texts(asker, calls(1))
    for bad in (f"“{KEY}”", f"{KEY} x", f"{KEY}\x00"[:-1] + "\t1"):
        monkeypatch.setenv("SOME_KEY", bad)
        with pytest.raises(LLMError, match="SOME_KEY holds characters that no key has") as caught:
            texts(asker, calls(1))
        assert KEY not in str(caught.value)
    assert not fake_server.bodies


def test_a_foreign_reply_in_the_cache(fake_server: FakeServer, tmp_path: Path) -> None:
    asker = client(fake_server, tmp_path / "calls.sqlite")
    cache = CallCache(tmp_path / "calls.sqlite")
    cache.put(call_key(asker.server, calls(1)[0]), {"text": "x"})
    cache.close()
    with pytest.raises(CacheError, match=r"calls\.sqlite.*expected a chat completion"):
        texts(asker, calls(1))
