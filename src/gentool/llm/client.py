"""The one way to ask a chat model behind an OpenAI-compatible server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from gentool.config import Prices, ServerConfig
from gentool.jsonl import GenToolError
from gentool.llm.budget import Budget, BudgetError
from gentool.llm.call import Call, Reply
from gentool.llm.retry import Failure, RetryPolicy
from gentool.llm.session import CallFailed, LLMError, Session, Stopping
from gentool.llm.transport import Transport


def never() -> bool:
    return False


@dataclass
class Usage:
    """What was asked so far; ``cached`` calls were answered before and cost nothing."""

    requests: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def count(self, reply: Reply) -> None:
        """Add one answered request."""
        self.requests += 1
        self.prompt_tokens += reply.prompt_tokens
        self.completion_tokens += reply.completion_tokens

    def __str__(self) -> str:
        before = f", {self.cached:,} answers from the cache" if self.cached else ""
        tokens = f"{self.prompt_tokens:,} prompt and {self.completion_tokens:,} completion tokens"
        return f"{self.requests:,} requests answered with {tokens}{before}"


class Client:
    """A server, and what it answered before. ``name`` stands for it in messages, which go to ``say``.

    ``cache``: file of the answers; nothing is kept without one. Nothing is opened before something is asked.
    """

    def __init__(
        self,
        name: str,
        server: ServerConfig,
        cache: Path | None = None,
        say: Callable[[str], None] = print,
        policy: RetryPolicy | None = None,
    ) -> None:
        self.name = name
        self.server = server
        self.cache = cache
        self.say = say
        self.policy = policy or RetryPolicy(server.max_retries)
        self.usage = Usage()

    def session(
        self,
        stopping: Callable[[], bool] = never,
        budget: Budget | None = None,
        prices: Prices | None = None,
    ) -> Session:
        """For many calls at once in one event loop; sessions of several clients may share a budget.

        Raises :class:`gentool.llm.budget.BudgetError` if the budget has a ``max_cost`` and ``prices`` are unknown.
        """
        if budget and budget.max_cost is not None and prices is None:
            raise BudgetError(
                f"{self.name}: the prices of {self.server.model!r} are unknown, so that `max_cost` cannot be kept. "
                "Fix: give them in `synthesis.prices` (input and output, US dollars for a million tokens), or limit "
                "`max_requests` instead."
            )
        return Session(self, stopping, budget or Budget(), prices)

    def answers(
        self, calls: Sequence[Call], stopping: Callable[[], bool] = never
    ) -> Iterator[list[tuple[int, Reply]]]:
        """(index into ``calls``, reply) as they land, some at a time; what the cache knows comes first.

        Each reply is in the cache before it is given. Equal calls are asked once. Once ``stopping()`` is true no
        further request is sent, what is under way is awaited, and the iterator ends.

        Raises :class:`LLMError` if requests failed, after all replies that did come;
        :class:`gentool.llm.cache.CacheError`.
        """
        landing = self._landing(calls, stopping)

        async def some() -> list[tuple[int, Reply]]:
            return await anext(landing, [])

        with asyncio.Runner() as runner:
            while landed := runner.run(some()):
                yield landed

    async def _landing(
        self, calls: Sequence[Call], stopping: Callable[[], bool]
    ) -> AsyncIterator[list[tuple[int, Reply]]]:
        async with self.session(stopping) as session:
            same: dict[str, list[int]] = {}
            for i, call in enumerate(calls):
                same.setdefault(session.key(call), []).append(i)
            found = {key: reply for key in same if (reply := session.known(key))}
            if known := [(i, reply) for key, reply in found.items() for i in same[key]]:
                self.usage.cached += len(known)
                yield known
            left = [indices for key, indices in same.items() if key not in found]
            landed: asyncio.Queue[list[tuple[int, Reply]] | None] = asyncio.Queue()
            lost: list[Failure] = []
            todo = iter(left)

            async def work() -> None:
                for indices in todo:
                    try:
                        reply = await session.ask(calls[indices[0]])
                    except CallFailed as error:
                        lost.append(error.failure)
                        if not error.failure.passing:
                            session.halt(error)
                    except (GenToolError, Stopping):
                        return  # the session is over, and knows why
                    else:
                        landed.put_nowait([(i, reply) for i in indices])

            async def work_all() -> None:
                async with asyncio.TaskGroup() as workers:
                    for _ in range(min(self.server.concurrency, len(left))):
                        workers.create_task(work())

            working = asyncio.create_task(work_all())
            working.add_done_callback(lambda _: landed.put_nowait(None))
            while replies := await landed.get():
                while not landed.empty() and (more := landed.get_nowait()):
                    replies += more
                yield replies
                if working.done() and landed.empty():
                    break
            await working
            if isinstance(session.ended, GenToolError):
                raise session.ended
            if lost and not stopping():
                raise LLMError(session.describe(f"{len(lost)} of {len(left)} requests failed", lost[-1]))

    def transport(self) -> Transport:
        """A connection to the server. Raises :class:`LLMError` without the key it needs."""
        return Transport(self.server, self._key(), self.policy)

    def _key(self) -> str | None:
        """The secret, from the environment. Raises :class:`LLMError`, which does not hold it."""
        if find_spec("openai") is None:
            raise LLMError("openai is not installed. Fix: pip install 'gentool[llm]'")
        name = self.server.key_name
        if name is None:
            return None
        key = os.environ.get(name, "").strip()
        if not key:
            raise LLMError(
                f"{self.name}: the environment variable {name}, which holds the server's key, is not set. "
                f"Fix: export {name}=..."
            )
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise LLMError(
                f"{self.name}: the environment variable {name} holds characters that no key has. "
                "Fix: set it to the key alone, without quotes and spaces."
            )
        return key
