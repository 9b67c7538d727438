"""Calls under way to one server: many at once, each asked once, kept on disk before it is handed on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gentool.config import Prices
from gentool.jsonl import GenToolError
from gentool.llm.budget import Budget, Forecast
from gentool.llm.cache import CacheError, CallCache, Entry
from gentool.llm.call import Call, Reply, call_body, call_key, read_reply
from gentool.llm.limiter import Limiter, Ticket
from gentool.llm.retry import CROWDED, OF_THE_CALL, OF_THE_CONTENT, Failure
from gentool.llm.transport import Transport, advice
from gentool.llm.writer import CacheWriter

if TYPE_CHECKING:
    from gentool.llm.client import Client

QUIET = 30.0
"""Seconds from one message about a failure that may pass to the next."""

BREAKER = 5
"""So many calls lost in a row, each after all its retries or refused for what it is, end a session."""

WATCH = 0.1
"""Seconds between two looks at ``stopping()``."""


class LLMError(GenToolError):
    """A server that cannot be used or does not answer; says which, why and what to do. The session is over."""


class CallFailed(LLMError):
    """One call that got no answer; the session goes on. ``failure`` is how its last attempt ended."""

    def __init__(self, message: str, failure: Failure) -> None:
        super().__init__(message)
        self.failure = failure


class Stopping(Exception):
    """``stopping()`` became true, or the session ended, before a call was sent."""


class Session:
    """Made by :meth:`gentool.llm.client.Client.session`; use it with ``async with``, in one event loop.

    Once ``stopping()`` is true nothing more is sent, and what is under way is awaited and kept. So it is at the end of
    the ``async with``, unless that ends by a cancellation.
    """

    def __init__(
        self, client: Client, stopping: Callable[[], bool], budget: Budget, prices: Prices | None
    ) -> None:
        """See :meth:`gentool.llm.client.Client.session`."""
        self.client = client
        self.server = client.server
        self.stopping = stopping
        self.budget = budget
        self.limiter = Limiter(client.server.concurrency)
        self.unformatted: set[type] = set()
        """Forms of answers whose schema the server refuses; see :func:`gentool.llm.structured.ask_object`."""
        self._forecast = Forecast(prices)
        self._cache: CallCache | None = None
        self._writer: CacheWriter | None = None
        self._transport: Transport | None = None
        self._asked: dict[str, asyncio.Task[Reply]] = {}
        self._end = asyncio.Event()
        self.ended: Exception | None = None
        """Why nothing more is sent."""
        self._lost_in_a_row = 0
        self._quiet_until = 0.0

    async def __aenter__(self) -> Session:
        if self.client.cache:
            self._cache = CallCache(self.client.cache)
            self._writer = CacheWriter(self._cache)
        self._watcher = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.halt(Stopping())
        try:
            under_way = list(self._asked.values())
            if kind is not None and not issubclass(kind, Exception):
                for task in under_way:
                    task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
        finally:
            self._watcher.cancel()
            if self._transport:
                await self._transport.close()
            if self._writer:
                self._writer.close()
            if self._cache:
                self._cache.close()

    async def _watch(self) -> None:
        while not self.stopping():
            await asyncio.sleep(WATCH)
        self.halt(Stopping())

    def halt(self, error: Exception) -> None:
        """Send nothing more; calls that are not under way raise ``error``."""
        if self.ended is None:
            self.ended = error
            self._end.set()
            self.limiter.close(error)

    def key(self, call: Call) -> str:
        """The name of a call in the cache."""
        return call_key(self.server, call)

    def known(self, key: str) -> Reply | None:
        """The reply to an earlier call, from the cache. Raises :class:`gentool.llm.cache.CacheError`."""
        found = self._cache.get(key) if self._cache else None
        try:
            return None if found is None else read_reply(found)
        except ValueError:
            raise CacheError(
                f"{self.client.cache}: call {key[:12]}: expected a chat completion. Fix: move the file away (its "
                "answers are then asked and paid again)."
            ) from None

    async def ask(self, call: Call, tentative: bool = False) -> Reply:
        """The reply to a call: from the cache, from an equal call that is under way, or from the server.

        Raises :class:`CallFailed` if the server refuses this call (of which ``tentative`` says that it may) or was
        asked in vain; any other :class:`LLMError` if nothing more can be asked; :class:`Stopping`;
        :class:`gentool.llm.budget.BudgetSpent`; :class:`gentool.llm.cache.CacheError`.
        """
        key = self.key(call)
        task = self._asked.get(key)
        if task is None:
            known = self.known(key)
            if known is not None:
                self.client.usage.cached += 1
                return known
            if self.ended:
                raise self.ended
            task = asyncio.create_task(self._fetch(key, call_body(self.server, call), tentative))
            self._asked[key] = task
            task.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(task)

    def _forget(self, key: str, task: asyncio.Task[Reply]) -> None:
        del self._asked[key]
        if not task.cancelled():
            task.exception()  # those who asked may be gone

    async def _fetch(self, key: str, body: Mapping[str, Any], tentative: bool) -> Reply:
        try:
            reply = await self._answered(body)
            self._lost_in_a_row = 0
            self.client.usage.count(reply)
            if self._writer and (full := await self._writer.put(Entry(key, reply.stored(), body))):
                self.halt(full)
        except Failure as failure:
            raise self._failed(failure, tentative) from None
        except GenToolError as error:
            self.halt(error)
            raise
        return reply

    async def _answered(self, body: Mapping[str, Any]) -> Reply:
        """One reply, whatever number of attempts it takes. Raises :class:`Failure` and what :meth:`ask` raises."""
        attempt = 0
        while True:
            answered = self.client.usage.requests
            async with self.limiter.slot() as ticket, self.budget.room(self._forecast.cost(body)) as bill:
                try:
                    reply = await self._sent(body)
                except Failure as failure:
                    wait = self.client.policy.wait(attempt, failure)
                    if wait is None:
                        raise
                    self._slow_down(failure, ticket, wait)
                    crowded = failure.status in CROWDED
                else:
                    self.limiter.succeeded(ticket)
                    bill.paid(self._forecast.learn(body, reply))
                    return reply
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._end.wait(), wait)
            # A server that answers others meanwhile is only busy: no call is lost by that.
            if not crowded or self.client.usage.requests == answered:
                attempt += 1

    async def _sent(self, body: Mapping[str, Any]) -> Reply:
        if self.stopping():
            self.halt(Stopping())
        if self.ended:
            raise self.ended
        if self._transport is None:
            self._transport = self.client.transport()
        return await self._transport.send(body)

    def _slow_down(self, failure: Failure, ticket: Ticket, wait: float) -> None:
        say, name = self.client.say, self.client.name
        if failure.status in CROWDED:
            first = not self.limiter.cuts
            if self.limiter.refused(ticket, wait) and first:
                say(f"{name}: {failure}; going on as fast as it lets")
        elif (now := asyncio.get_running_loop().time()) >= self._quiet_until:
            self._quiet_until = now + QUIET
            say(f"{name}: {failure}; trying again")

    def _failed(self, failure: Failure, tentative: bool) -> LLMError:
        """What becomes of a call that failed for good, and of the session."""
        if not failure.passing and failure.status not in OF_THE_CALL:
            self.halt(over := LLMError(self.describe("", failure)))
            return over
        expected = tentative and failure.status in OF_THE_CALL
        if not expected and failure.code not in OF_THE_CONTENT:
            self._lost_in_a_row += 1
        if self._lost_in_a_row >= BREAKER:
            self.halt(LLMError(self.describe(f"{BREAKER} requests in a row failed", failure)))
        return CallFailed(self.describe("a request failed" if failure.passing else "", failure), failure)

    def describe(self, what: str, last: Failure) -> str:
        """A message for users: what happened, the last failure, the fix and how to go on."""
        if what:
            retries = f", each after {self.client.policy.retries} retries" if last.passing else ""
            what = f"{what}{retries}; the last: "
        hint = "What was answered is kept; the same command goes on from there." if self._cache else ""
        return f"{self.client.name}: {what}{last}. {advice(self.server, last)} {hint}".rstrip()
