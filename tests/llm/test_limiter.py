"""As much as a server lets through, whatever it counts, and not much more."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable

import pytest

from gentool.llm.limiter import FIRST, Limiter
from gentool.llm.retry import CROWDED, Failure, RetryPolicy, retry_after
from tests.llm.limits import Bucket, Limits, Window
from tests.llm.virtual_time import run_virtually


class Run:
    """So many requests through a limiter to a server, in virtual time."""

    def __init__(
        self,
        limits: Limits,
        latency: Callable[[random.Random], float],
        number: int = 2000,
        most: int = 64,
        asking: int = 256,
    ) -> None:
        self.limits, self.latency, self.number, self.most = limits, latency, number, most
        self.rng = random.Random(0)
        random.seed(0)  # of the jitter
        self.asking = asking
        self.refused = self.now = self.peak = 0
        self.sizes = 0.0
        self.seconds = run_virtually(self.run())

    async def run(self) -> float:
        self.limiter = Limiter(self.most)
        todo = iter(range(self.number))
        await asyncio.gather(*(self.work(todo) for _ in range(self.asking)))
        return asyncio.get_running_loop().time()

    async def work(self, todo: object) -> None:
        for _ in todo:  # type: ignore[attr-defined]
            size = self.rng.uniform(500, 1500)
            self.sizes += size
            while (wait := await self.attempt(size)) is not None:
                await asyncio.sleep(wait)

    async def attempt(self, size: float) -> float | None:
        async with self.limiter.slot() as ticket:
            await asyncio.sleep(0.002)
            headers = self.limits.refusal(self.now, size, asyncio.get_running_loop().time())
            if headers is not None:
                self.refused += 1
                asked = retry_after({k.lower(): v for k, v in headers.items()})
                wait = RetryPolicy().wait(0, Failure("x", CROWDED[0], asked))
                assert wait is not None
                self.limiter.refused(ticket, wait)
                return wait
            self.now += 1
            self.peak = max(self.peak, self.limiter.out)
            await asyncio.sleep(self.latency(self.rng))
            self.now -= 1
            self.limiter.succeeded(ticket)
            return None


def constant(rng: random.Random) -> float:
    return 0.5


def spread(rng: random.Random) -> float:
    return rng.uniform(0.2, 0.8)


def heavy(rng: random.Random) -> float:
    """Log-normal, of mean 0.5."""
    return 0.5 * math.exp(rng.gauss(-0.125, 0.5))


LATENCIES = pytest.mark.parametrize("latency", [constant, spread, heavy])
TELLS = pytest.mark.parametrize("tells", [False, True], ids=["without Retry-After", "with Retry-After"])


@LATENCIES
@pytest.mark.parametrize("at_once", [1, 3, 8, 32])
def test_a_limit_on_requests_at_once(at_once: int, latency: Callable[[random.Random], float]) -> None:
    run = Run(Limits(at_once=at_once), latency)
    assert 2000 * 0.5 / at_once / run.seconds > 0.93
    assert run.refused < 100


@LATENCIES
@TELLS
@pytest.mark.parametrize(("rate", "burst"), [(20, 20), (50, 5), (100, 100)])
def test_a_limit_on_requests_a_second(
    rate: int, burst: int, tells: bool, latency: Callable[[random.Random], float]
) -> None:
    run = Run(Limits(requests=Bucket(rate, burst), retry_after=tells), latency)
    assert 2000 / (rate * run.seconds + burst) > 0.9
    assert run.refused < 120


@LATENCIES
@TELLS
def test_a_limit_on_tokens(tells: bool, latency: Callable[[random.Random], float]) -> None:
    run = Run(Limits(tokens=Bucket(50_000, 50_000), retry_after=tells), latency)
    assert run.sizes / (50_000 * run.seconds + 50_000) > 0.93
    assert run.refused < 100


@LATENCIES
def test_a_limit_that_allows_no_burst_at_all(latency: Callable[[random.Random], float]) -> None:
    run = Run(Limits(requests=Bucket(20, 1)), latency)
    assert 2000 / (20 * run.seconds) > 0.75


@LATENCIES
@TELLS
def test_a_limit_on_requests_in_a_period(tells: bool, latency: Callable[[random.Random], float]) -> None:
    run = Run(Limits(window=Window(300, 10.0), retry_after=tells), latency)
    whole_periods = 60
    assert run.seconds < whole_periods + 8
    assert run.refused < 120, "while nothing goes through, one request at a time is tried"


def test_a_server_that_gets_faster_is_used_more() -> None:
    limits = Limits(at_once=4)
    slow = Run(limits, constant, number=400).seconds

    class Growing(Limits):
        def refusal(self, under_way: int, tokens: float, now: float) -> dict[str, str] | None:
            self.at_once = 4 if now < 10 else 40
            return super().refusal(under_way, tokens, now)

    assert Run(Growing(), constant, number=2000).seconds < slow + 10


def test_a_server_that_gets_slower_is_used_less() -> None:
    class Shrinking(Limits):
        def refusal(self, under_way: int, tokens: float, now: float) -> dict[str, str] | None:
            self.at_once = 40 if now < 10 else 4
            return super().refusal(under_way, tokens, now)

    run = Run(Shrinking(), constant, number=1000)
    after = (1000 - 10 * 40 / 0.5) * 0.5 / 4
    assert run.seconds < 10 + after / 0.6, "it takes a few seconds to find a tenth of what was allowed before"
    assert run.refused < 100


def test_without_refusals_all_places_are_used() -> None:
    run = Run(Limits(), constant)
    assert (run.peak, run.refused) == (64, 0)
    assert run.seconds < 2000 * 0.5 / 64 + 2.5
    assert Run(Limits(), constant, most=3).peak == 3


def test_it_begins_with_few() -> None:
    async def check() -> None:
        limiter = Limiter(64)
        slots = [asyncio.create_task(limiter._ticket()) for _ in range(64)]
        await asyncio.sleep(0)
        assert (limiter.out, limiter.limit) == (FIRST, FIRST)
        for slot in slots:
            slot.cancel()

    run_virtually(check())


def test_they_go_in_the_order_in_which_they_came() -> None:
    async def check() -> None:
        limiter = Limiter(2)
        entered: list[int] = []

        async def work(n: int) -> None:
            async with limiter.slot():
                entered.append(n)
                await asyncio.sleep(1)

        await asyncio.gather(*(work(n) for n in range(9)))
        assert entered == list(range(9))

    run_virtually(check())


def test_those_who_give_up_waiting_take_no_place() -> None:
    async def check() -> None:
        limiter = Limiter(1)
        async with limiter.slot():
            waiting = [asyncio.create_task(limiter._ticket()) for _ in range(3)]
            await asyncio.sleep(0)
            waiting[0].cancel()
            await asyncio.sleep(0)
        waiting[1].cancel()  # it has just been given the place, and has not seen it yet
        await asyncio.gather(*waiting, return_exceptions=True)
        assert not waiting[2].cancelled() and limiter.out == 1

    run_virtually(check())


def test_closed() -> None:
    async def check() -> None:
        limiter = Limiter(1)
        async with limiter.slot():
            waiting = asyncio.create_task(limiter._ticket())
            await asyncio.sleep(0)
            limiter.close(ValueError("over"))
            with pytest.raises(ValueError, match="over"):
                await waiting
        with pytest.raises(ValueError, match="over"):
            await limiter._ticket()
        assert limiter.out == 0

    run_virtually(check())
