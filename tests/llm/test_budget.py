"""A budget is kept, also with what is under way, and used up to its end."""

from __future__ import annotations

import asyncio

import pytest

from gentool.config import Prices
from gentool.llm.budget import COMPLETION, Budget, BudgetSpent, Forecast
from gentool.llm.call import Reply
from tests.llm.virtual_time import run_virtually

BODY = {"model": "m", "messages": [{"role": "user", "content": "x" * 400}]}


def reply(prompt: int, completion: int) -> Reply:
    return Reply({}, "stop", {"prompt_tokens": prompt, "completion_tokens": completion}, None, None)


def test_requests_under_way_count_and_failed_ones_do_not() -> None:
    async def check() -> None:
        budget = Budget(max_requests=3)
        sent = []

        async def request(n: int, fails: bool) -> None:
            async with budget.room(0) as bill:
                sent.append(n)
                await asyncio.sleep(1)
                if not fails:
                    bill.paid(0)

        tasks = [request(n, fails=n == 1) for n in range(6)]
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert budget.requests == 3 and sent == [0, 1, 2, 3]
        assert [isinstance(e, BudgetSpent) for e in ended] == [False] * 4 + [True] * 2

    run_virtually(check())


def test_it_waits_for_what_the_others_really_cost() -> None:
    async def check() -> None:
        budget = Budget(max_cost=1.0)

        async def request() -> None:
            async with budget.room(0.4) as bill:
                await asyncio.sleep(1)
                bill.paid(0.1)

        async def watch() -> float:
            await asyncio.sleep(0.5)
            return budget.projected

        *ended, projected = await asyncio.gather(
            *(request() for _ in range(20)), watch(), return_exceptions=True
        )
        assert projected == pytest.approx(0.8), "two under way, no room for a third"
        assert budget.requests == 7 and budget.cost == pytest.approx(0.7)
        assert str(ended[-1]).startswith(
            "the budget is spent: 7 requests cost $0.7000, the next about $0.4000"
        )

    run_virtually(check())


def test_no_limits() -> None:
    async def check() -> None:
        budget = Budget()
        async with budget.room(1000) as bill:
            bill.paid(999)
        assert (budget.cost, budget.requests) == (999, 1)

    run_virtually(check())


def test_forecast_before_anything_is_known() -> None:
    forecast = Forecast(Prices(input=1, output=2))
    prompt = forecast.cost(BODY) - 2 * COMPLETION / 1e6
    assert 100 / 1e6 < prompt < 250 / 1e6, "400 letters are about 100 tokens; rather too many are assumed"
    assert forecast.cost({**BODY, "max_tokens": 10}) == pytest.approx(prompt + 2 * 10 / 1e6)


def test_forecast_learns_the_worst_so_far() -> None:
    forecast = Forecast(Prices(input=1, output=2))
    assert forecast.learn(BODY, reply(90, 300)) == pytest.approx((90 + 600) / 1e6)
    forecast.learn(BODY, reply(100, 200))
    assert forecast.cost({**BODY, "max_tokens": 10_000}) == pytest.approx((100 + 2 * 300) / 1e6)


def test_unknown_prices_cost_nothing() -> None:
    forecast = Forecast(None)
    assert forecast.learn(BODY, reply(90, 300)) == forecast.cost(BODY) == 0
