"""A session: each call asked once and on disk before it is handed on; it ends in order, whatever ends it."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from gentool.config import Prices
from gentool.llm.budget import Budget, BudgetError, BudgetSpent
from gentool.llm.cache import CacheError, CallCache, DiskFull
from gentool.llm.call import Call, Reply
from gentool.llm.client import Client
from gentool.llm.retry import RetryPolicy
from gentool.llm.session import BREAKER, CallFailed, LLMError, Session, Stopping
from tests.llm.fake_server import DROP, HANG, Answer, FakeServer, completion, error
from tests.llm.limits import Bucket, Limits
from tests.llm.test_client import FAST, Say, asked, calls, client, echo

T = TypeVar("T")


async def all_of(*work: Coroutine[Any, Any, T]) -> list[T | BaseException]:
    return await asyncio.gather(*work, return_exceptions=True)


async def ask(session: Session, call: Call) -> Reply | BaseException:
    try:
        return await session.ask(call)
    except BaseException as caught:
        return caught


def asking(client: Client, calls: list[Call], **options: Any) -> list[Reply | BaseException]:
    """All at once in one session."""

    async def work() -> list[Reply | BaseException]:
        async with client.session(**options) as session:
            return await asyncio.gather(*(ask(session, call) for call in calls))

    return asyncio.run(work())


def contents(found: list[Reply | BaseException]) -> list[str]:
    return [f.content if isinstance(f, Reply) else type(f).__name__ for f in found]


def stored(path: Path) -> int:
    cache = CallCache(path)
    number = cache._base.execute("SELECT count(*) FROM calls").fetchone()[0]
    cache.close()
    return int(number)


def test_calls_are_answered_and_kept_with_what_was_asked(fake_server: FakeServer, tmp_path: Path) -> None:
    fake_server.play = echo
    path = tmp_path / "calls.sqlite"
    asker = client(fake_server, path)
    assert contents(asking(asker, calls(20))) == [f"answer {n}" for n in range(20)]
    assert contents(asking(asker, calls(20))) == [f"answer {n}" for n in range(20)]
    assert len(fake_server.bodies) == 20
    assert (asker.usage.requests, asker.usage.cached, asker.usage.prompt_tokens) == (20, 20, 2000)
    assert [p.name for p in tmp_path.iterdir()] == ["calls.sqlite"]
    cache = CallCache(path)
    key = asker.session().key(calls(1)[0])
    assert cache.request(key) == fake_server.bodies[0] or cache.request(key) in fake_server.bodies
    cache.close()


def test_equal_calls_under_way_are_asked_once(fake_server: FakeServer) -> None:
    fake_server.play = lambda body, n: completion(f"number {n}", delay=0.05)
    found = contents(asking(client(fake_server), calls(1) * 5))
    assert found == ["number 1"] * 5 and len(fake_server.bodies) == 1


def test_a_reply_is_on_disk_before_it_is_handed_on(fake_server: FakeServer, tmp_path: Path) -> None:
    fake_server.play = echo
    path = tmp_path / "calls.sqlite"

    async def work() -> None:
        async with client(fake_server, path).session() as session:

            async def one(call: Call) -> None:
                await session.ask(call)
                other = CallCache(path)
                assert other.get(session.key(call))
                other.close()

            await asyncio.gather(*(one(call) for call in calls(12)))

    asyncio.run(work())


def test_an_asker_that_is_gone_does_not_lose_the_answer(fake_server: FakeServer, tmp_path: Path) -> None:
    sent = threading.Event()

    def play(body: dict[str, Any], number: int) -> Answer:
        sent.set()
        return completion("late", delay=0.2)

    fake_server.play = play
    path = tmp_path / "calls.sqlite"

    async def work() -> None:
        async with client(fake_server, path).session() as session:
            task = asyncio.create_task(session.ask(calls(1)[0]))
            await asyncio.to_thread(sent.wait, 20)
            task.cancel()

    asyncio.run(work())
    assert stored(path) == 1


def test_what_is_under_way_is_awaited_when_the_caller_fails(fake_server: FakeServer, tmp_path: Path) -> None:
    fake_server.play = lambda body, n: completion("late", delay=0.2)
    path = tmp_path / "calls.sqlite"

    async def work() -> None:
        async with client(fake_server, path).session() as session:
            tasks = [asyncio.create_task(session.ask(call)) for call in calls(3)]
            while len(fake_server.bodies) < 3:
                await asyncio.sleep(0.01)
            raise KeyError("of the caller")
        assert tasks

    with pytest.raises(KeyError):
        asyncio.run(work())
    assert stored(path) == 3


def test_stopping(fake_server: FakeServer, tmp_path: Path) -> None:
    stop = threading.Event()
    together = threading.Barrier(3, action=stop.set)

    def play(body: dict[str, Any], number: int) -> Answer:
        together.wait(20)
        return echo(body, number)

    fake_server.play = play
    path = tmp_path / "calls.sqlite"
    found = contents(asking(client(fake_server, path, concurrency=3), calls(9), stopping=stop.is_set))
    assert sorted(found) == sorted(["answer 0", "answer 1", "answer 2"] + ["Stopping"] * 6)
    assert len(fake_server.bodies) == stored(path) == 3
    again = asking(client(fake_server, path), calls(9), stopping=lambda: True)
    assert contents(again) == found, "what is known is given all the same"


def test_a_refused_call_does_not_end_the_session(fake_server: FakeServer) -> None:
    fake_server.play = lambda body, n: error(400, "no such field") if asked(body) == 1 else echo(body, n)
    found = asking(client(fake_server, concurrency=1), calls(3))
    assert contents(found) == ["answer 0", "CallFailed", "answer 2"]
    assert "row: HTTP 400: no such field. Fix: change what the server refuses" in str(found[1])


def test_a_lost_call_does_not_end_the_session(fake_server: FakeServer) -> None:
    fake_server.play = lambda body, n: DROP if asked(body) == 1 else echo(body, n)
    found = asking(client(fake_server), calls(3))
    assert contents(found) == ["answer 0", "CallFailed", "answer 2"]
    assert isinstance(found[1], CallFailed) and found[1].failure.passing


@pytest.mark.parametrize(
    "trouble", [DROP, error(500), error(400), error(422)], ids=["drop", "500", "400", "422"]
)
def test_circuit_breaker(fake_server: FakeServer, tmp_path: Path, trouble: Any) -> None:
    fake_server.play = lambda body, n: echo(body, n) if asked(body) < 2 else trouble
    path = tmp_path / "calls.sqlite"
    found = asking(client(fake_server, path, concurrency=1), calls(50))
    kinds = [type(f) for f in found]
    assert kinds[:2] == [Reply, Reply] and kinds.count(CallFailed) == BREAKER
    assert kinds[-1] is LLMError and kinds.count(LLMError) == 50 - 2 - BREAKER
    assert f"{BREAKER} requests in a row failed" in str(found[-1])
    assert str(found[-1]).endswith("What was answered is kept; the same command goes on from there.")
    assert len(fake_server.bodies) <= 2 + 48 * 4, "no call is tried once more"
    assert stored(path) == 2


def test_tentative_calls_do_not_break_the_circuit(fake_server: FakeServer) -> None:
    fake_server.play = lambda body, n: error(400)

    async def work() -> None:
        async with client(fake_server).session() as session:
            for call in calls(2 * BREAKER):
                with pytest.raises(CallFailed):
                    await session.ask(call, tentative=True)
            assert session.ended is None

    asyncio.run(work())


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_refuses_everything_ends_the_session(fake_server: FakeServer, status: int) -> None:
    fake_server.play = lambda body, n: error(status)
    found = asking(client(fake_server, concurrency=1), calls(9))
    assert contents(found) == ["LLMError"] * 9 and len(fake_server.bodies) == 1


def test_no_call_is_lost_to_a_crowded_server_that_answers_others(fake_server: FakeServer) -> None:
    fake_server.limits = Limits(requests=Bucket(150, 5))
    fake_server.play = echo
    asker = client(fake_server, concurrency=16, policy=RetryPolicy(1, first=0.02, longest=0.05))
    assert contents(asking(asker, calls(60))) == [f"answer {n}" for n in range(60)]
    assert fake_server.refused > 1
    assert isinstance(asker.say, Say) and len(asker.say) == 1


def test_a_server_that_refuses_everything_is_given_up(fake_server: FakeServer) -> None:
    fake_server.limits = Limits(at_once=0)
    found = asking(client(fake_server, policy=FAST), calls(BREAKER))
    assert set(contents(found)) <= {"CallFailed", "LLMError"}
    assert "HTTP 429" in str(found[0])


def test_trouble_of_all_kinds_at_once(fake_server: FakeServer, tmp_path: Path) -> None:
    """Half of the requests end badly, each in its own way; every call is answered in the end."""
    seen: dict[int, int] = {}
    troubles = [
        error(500),
        error(503),
        error(429),
        DROP,
        Answer({"choices": "none"}),
        Answer(completion("cut").body, cut=40),
        Answer(b"<html>Bad gateway</html>", 502),
        Answer(b"not JSON"),
        HANG,
    ]

    def play(body: dict[str, Any], number: int) -> Any:
        n = asked(body)
        seen[n] = seen.get(n, 0) + 1
        if seen[n] == 1 and n % 2:
            return troubles[n // 2 % len(troubles)]
        return echo(body, number)

    fake_server.play = play
    asker = client(fake_server, tmp_path / "c.sqlite", concurrency=32, timeout=0.5, policy=FAST)
    assert contents(asking(asker, calls(60))) == [f"answer {n}" for n in range(60)]
    assert all(seen[n] == 1 + n % 2 for n in range(60))


def test_the_budget_stops_at_the_last_request_it_has_room_for(
    fake_server: FakeServer, tmp_path: Path
) -> None:
    fake_server.play = echo
    path = tmp_path / "c.sqlite"
    budget = Budget(max_requests=7)
    found = asking(client(fake_server, path, concurrency=4), calls(20), budget=budget)
    assert contents(found).count("BudgetSpent") == 13 and len(fake_server.bodies) == stored(path) == 7
    assert "max_requests" in str(next(f for f in found if isinstance(f, BudgetSpent)))
    found = asking(client(fake_server, path), calls(20), budget=Budget(max_requests=13))
    assert "BudgetSpent" not in contents(found), "answers of the cache are free"


def test_the_budget_in_dollars(fake_server: FakeServer) -> None:
    fake_server.play = echo
    prices = Prices(input=10, output=1000)  # an answer: 100 and 7 tokens, 0.8 cents
    budget = Budget(max_cost=0.1)
    found = asking(client(fake_server, concurrency=4), calls(50, max_tokens=7), budget=budget, prices=prices)
    assert contents(found).count("BudgetSpent") == 50 - 12
    assert budget.requests == 12 and budget.cost == pytest.approx(0.096) == budget.projected
    assert "12 requests cost $0.0960" in str(next(f for f in found if isinstance(f, BudgetSpent)))


def test_a_limit_in_dollars_needs_prices(fake_server: FakeServer) -> None:
    with pytest.raises(
        BudgetError, match=r"row: the prices of 'm' are unknown.*Fix: give them in `synthesis.prices`"
    ):
        client(fake_server).session(budget=Budget(max_cost=1))
    assert not fake_server.bodies


def test_two_sessions_share_a_budget(fake_server: FakeServer) -> None:
    fake_server.play = echo
    budget = Budget(max_requests=5)

    async def work() -> list[Reply | BaseException]:
        teacher, judge = client(fake_server), client(fake_server, temperature=1)
        async with teacher.session(budget=budget) as one, judge.session(budget=budget) as two:
            return await asyncio.gather(*(ask(s, c) for c in calls(4) for s in (one, two)))

    assert contents(asyncio.run(work())).count("BudgetSpent") == 3
    assert len(fake_server.bodies) == 5


def test_a_full_disk_keeps_what_is_under_way(
    fake_server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk has no room beside the spare file."""
    fake_server.play = echo
    path = tmp_path / "calls.sqlite"
    put_all = CallCache.put_all

    def full(self: CallCache, entries: Any) -> None:
        if list(tmp_path.glob("*.spare")):
            raise DiskFull("full. Fix: make room")
        put_all(self, entries)

    monkeypatch.setattr(CallCache, "put_all", full)
    found = contents(asking(client(fake_server, path, concurrency=4), calls(30)))
    answered = len(fake_server.bodies)
    assert 1 <= answered < 30
    assert stored(path) == answered == sum(f.startswith("answer") for f in found)
    assert found.count("DiskFull") == 30 - answered
    monkeypatch.setattr(CallCache, "put_all", put_all)
    assert "DiskFull" not in contents(asking(client(fake_server, path), calls(30)))
    assert len(fake_server.bodies) == 30, "nothing is asked twice"


def test_a_cache_that_cannot_be_written_ends_the_session(
    fake_server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_server.play = echo

    def locked(self: CallCache, entries: Any) -> None:
        raise CacheError("locked")

    monkeypatch.setattr(CallCache, "put_all", locked)
    found = contents(asking(client(fake_server, tmp_path / "c", concurrency=2), calls(30)))
    assert set(found) == {"CacheError"} and len(fake_server.bodies) < 30


def test_a_locked_cache_is_waited_for(fake_server: FakeServer, tmp_path: Path) -> None:
    fake_server.play = echo
    path = tmp_path / "calls.sqlite"
    other = CallCache(path)
    other._writer.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.3, lambda: other._writer.execute("COMMIT"))
    timer.start()
    assert contents(asking(client(fake_server, path), calls(5))) == [f"answer {n}" for n in range(5)]
    timer.join()
    other.close()


def test_no_exception_is_left_unseen(fake_server: FakeServer, caplog: pytest.LogCaptureFixture) -> None:
    """asyncio complains in its log about errors of tasks that nobody asked for."""
    fake_server.play = lambda body, n: Answer(error(400).body, 400, delay=0.1)

    async def work() -> None:
        async with client(fake_server).session() as session:
            task = asyncio.create_task(session.ask(calls(1)[0]))
            await asyncio.sleep(0.05)
            task.cancel()

    asyncio.run(work())
    gc.collect()
    assert "never retrieved" not in caplog.text


def test_after_its_end_a_session_asks_nothing(fake_server: FakeServer) -> None:
    async def work() -> None:
        async with client(fake_server).session() as session:
            pass
        with pytest.raises(Stopping):
            await session.ask(calls(1)[0])

    asyncio.run(work())
    assert not fake_server.bodies
