"""How many requests are out at once: fewer when the server says it is too many, more again when all goes well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Limiter:
    """Additive increase, multiplicative decrease (as in TCP), between 1 and ``most`` requests at once.

    For one event loop. ``limit`` is the number allowed now.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = most
        self._out = 0
        self._cuts = 0
        self._run = 0
        self._resume = 0.0
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[int]:
        """Waits for a free place and holds it; gives the number of cuts before, for :meth:`cut`."""
        while self._out >= self.limit:
            self._freed.clear()
            await self._freed.wait()
        self._out += 1
        try:
            yield self._cuts
        finally:
            self._out -= 1
            self._freed.set()

    @property
    def held(self) -> float:
        """Seconds until requests may be sent again."""
        return max(0.0, self._resume - asyncio.get_running_loop().time())

    def succeeded(self) -> None:
        """A request was answered; ``limit`` of them in a row raise the limit by one."""
        self._run += 1
        if self._run >= self.limit and self.limit < self.most:
            self._run = 0
            self.limit += 1
            self._freed.set()

    def cut(self, cuts_before: int, seconds: float) -> bool:
        """Too many requests (429): a quarter fewer from now on, and none for ``seconds``.

        Requests that were out together are refused together: only the first of such a burst cuts. ``cuts_before``
        is what the request's slot gave. Returns whether the limit was cut.
        """
        self._run = 0
        self._resume = max(self._resume, asyncio.get_running_loop().time() + seconds)
        if cuts_before != self._cuts:
            return False
        self._cuts += 1
        self.limit = max(1, self.limit * 3 // 4)
        return True
