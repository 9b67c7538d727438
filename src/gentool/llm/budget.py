"""What a run may cost, and what it has cost so far."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from gentool.config import Prices
from gentool.jsonl import GenToolError
from gentool.llm.call import Reply
from gentool.llm.prices import cost_of

TOKENS_A_BYTE = 0.4
"""Assumed of prompts before the first answer tells; English has about 0.25."""

COMPLETION = 1000
"""Tokens assumed of an answer before the first one tells, where ``max_tokens`` does not."""


class BudgetSpent(GenToolError):
    """The next request would go beyond what the user allows; nothing more is sent."""


class BudgetError(GenToolError):
    """A budget that cannot be kept."""


class Budget:
    """At most ``max_cost`` US dollars and ``max_requests`` answered requests, over all sessions that share it.

    For one event loop. ``cost`` and ``requests`` are what was answered; the answers of the cache are free.
    """

    def __init__(self, max_cost: float | None = None, max_requests: int | None = None) -> None:
        self.max_cost = max_cost
        self.max_requests = max_requests
        self.cost = 0.0
        self.requests = 0
        self._under_way: dict[object, float] = {}
        self._landed = asyncio.Event()

    @property
    def projected(self) -> float:
        """US dollars: ``cost``, and what the requests under way are expected to cost."""
        return self.cost + sum(self._under_way.values())

    @asynccontextmanager
    async def room(self, expected: float) -> AsyncIterator[Bill]:
        """Room for a request of ``expected`` US dollars. Waits if it depends on what those under way will cost.

        The request counts if its bill is paid before the end. Raises :class:`BudgetSpent`.
        """
        while excess := self._excess(expected):
            if not self._under_way:
                raise BudgetSpent(excess)
            self._landed.clear()
            await self._landed.wait()
        bill = Bill(self)
        self._under_way[bill] = expected
        try:
            yield bill
        finally:
            del self._under_way[bill]
            self._landed.set()

    def _excess(self, expected: float) -> str | None:
        if self.max_requests is not None and self.requests + len(self._under_way) >= self.max_requests:
            return (
                f"the budget is spent: {self.requests:,} requests were answered, as many as `max_requests` allows. "
                "Fix: raise it; what was answered is kept, and the same command goes on from there."
            )
        if self.max_cost is not None and self.projected + expected > self.max_cost:
            return (
                f"the budget is spent: {self.requests:,} requests cost ${self.cost:.4f}, the next about "
                f"${expected:.4f}; `max_cost` allows ${self.max_cost:g}. Fix: raise it; what was answered is kept, and "
                "the same command goes on from there."
            )
        return None


class Bill:
    """The place of one request in a budget."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    def paid(self, cost: float) -> None:
        """The request was answered, for so many US dollars."""
        self._budget.cost += cost
        self._budget.requests += 1


class Forecast:
    """What a request will cost, from what earlier ones did: rather too much, so that a budget holds.

    ``prices`` of ``None`` are unknown; then all costs are 0.
    """

    def __init__(self, prices: Prices | None) -> None:
        self.prices = prices
        self._tokens_a_byte: float | None = None
        self._completion: int | None = None

    def cost(self, body: Mapping[str, Any]) -> float:
        """US dollars that a request of this body will cost: as many tokens as the longest answer so far."""
        if self.prices is None:
            return 0.0
        allowed = body.get("max_completion_tokens") or body.get("max_tokens")
        completion = self._completion or (allowed if isinstance(allowed, int) else COMPLETION)
        prompt = (self._tokens_a_byte or TOKENS_A_BYTE) * _bytes(body)
        return cost_of(self.prices, prompt, completion)

    def learn(self, body: Mapping[str, Any], reply: Reply) -> float:
        """US dollars that a reply cost."""
        if self.prices is None:
            return 0.0
        if reply.prompt_tokens:
            self._tokens_a_byte = max(self._tokens_a_byte or 0.0, reply.prompt_tokens / _bytes(body))
        if reply.completion_tokens:
            self._completion = max(self._completion or 0, reply.completion_tokens)
        return cost_of(self.prices, reply.prompt_tokens, reply.completion_tokens)


def _bytes(body: Mapping[str, Any]) -> int:
    return len(json.dumps([body.get("messages"), body.get("tools")]))
