"""Fewer requests at once on a burst of 429, more again on a run of successes."""

from __future__ import annotations

import asyncio

from gentool.llm.limiter import Limiter


def test_no_more_than_the_limit_are_out() -> None:
    async def check() -> None:
        limiter = Limiter(3)
        out = most = 0

        async def work() -> None:
            nonlocal out, most
            async with limiter.slot():
                out += 1
                most = max(most, out)
                await asyncio.sleep(0)
                out -= 1

        await asyncio.gather(*(work() for _ in range(20)))
        assert (out, most) == (0, 3)

    asyncio.run(check())


def test_one_burst_cuts_once_and_the_next_again() -> None:
    async def check() -> None:
        limiter = Limiter(16)
        async with limiter.slot() as first, limiter.slot() as second:
            assert limiter.cut(first, 0) and limiter.limit == 12
            assert not limiter.cut(second, 0) and limiter.limit == 12
        async with limiter.slot() as later:
            assert limiter.cut(later, 0) and limiter.limit == 9
        for _ in range(20):
            async with limiter.slot() as again:
                limiter.cut(again, 0)
        assert limiter.limit == 1

    asyncio.run(check())


def test_a_run_of_successes_raises_it_to_the_most_allowed() -> None:
    async def check() -> None:
        limiter = Limiter(4)
        async with limiter.slot() as slot:
            limiter.cut(slot, 0)
        assert limiter.limit == 3
        limiter.succeeded()
        limiter.succeeded()
        assert limiter.limit == 3
        limiter.succeeded()
        assert limiter.limit == 4
        for _ in range(50):
            limiter.succeeded()
        assert limiter.limit == 4

    asyncio.run(check())


def test_a_lower_limit_holds_back_those_who_wait_and_a_higher_one_lets_them_go() -> None:
    async def check() -> None:
        limiter = Limiter(2)
        entered = []

        async def work(n: int, leave: asyncio.Event) -> None:
            async with limiter.slot():
                entered.append(n)
                await leave.wait()

        leave = [asyncio.Event() for _ in range(4)]
        tasks = [asyncio.create_task(work(n, e)) for n, e in enumerate(leave)]
        await asyncio.sleep(0.01)
        assert entered == [0, 1]
        limiter.cut(0, 0)
        leave[0].set()
        await asyncio.sleep(0.01)
        assert entered == [0, 1], "one is still out, and one is allowed"
        limiter.succeeded()
        await asyncio.sleep(0.01)
        assert entered == [0, 1, 2]
        for event in leave:
            event.set()
        await asyncio.gather(*tasks)
        assert sorted(entered) == [0, 1, 2, 3]

    asyncio.run(check())


def test_a_cut_holds_all_requests_for_a_while() -> None:
    async def check() -> None:
        limiter = Limiter(2)
        assert limiter.held == 0
        limiter.cut(0, 30)
        assert 29 < limiter.held <= 30
        limiter.cut(0, 5)
        assert limiter.held > 29, "a shorter wait does not end a longer one"

    asyncio.run(check())
