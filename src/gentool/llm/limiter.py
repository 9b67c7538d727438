"""How many requests are out at once and how fast they follow each other: as much as the server lets through.

What a server allows is not known beforehand, and may be a number at once, a number per time or tokens per time. So
there are two ceilings, of places and of pace, learned from what is refused (429) much as TCP's CUBIC (RFC 9438) learns
a link: after a refusal a ceiling is a little below what went through, is soon back there, stays for a while, and then
climbs ever faster until the next refusal.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

FIRST = 16
"""Requests at once to begin with; each answer allows one more, until the most allowed or a refusal."""

DROP = 0.1
"""Share that a ceiling falls below what went through. Little: a request refused costs less than an idle server."""

SPAN = 24
"""Answers, at least, after which a ceiling is back at what went through."""

DOUBLING = 16
"""Answers in which a pace doubles that was refused only once: little was known of it."""

SPREAD = 1.2
"""While the places are sought, requests are spread over the time of an answer, this much faster than they end."""

MEMORY = 10.0
"""Seconds over which answers are counted to tell their rate."""

SLACK = 0.005
"""Seconds by which requests may follow too fast, after some that were late."""


class _Ceiling:
    """A limit that grows with the answers since its last cut; infinite before the first. ``seeks``: it doubles then."""

    def __init__(self, seeks: bool) -> None:
        self.top = math.inf
        self._seeks = seeks
        self._doubles = False
        self._span = 1.0
        self._answers = 0

    def answered(self) -> None:
        self._answers += 1

    def cut(self, top: float, span: float) -> None:
        """``top`` went through; be back there after ``span`` answers."""
        self._doubles = self._seeks and math.isinf(self.top)
        self.top, self._span, self._answers = top, span, 0

    @property
    def value(self) -> float:
        if self._doubles:
            return self.top * 2 ** min(64.0, self._answers / DOUBLING)
        return self.top * (1 + DROP * (self._answers / self._span - 1) ** 3)


@dataclass(eq=False)
class _Burst:
    """The requests that were sent between two cuts. ``of_places``: the cut after it was one of places."""

    sent: int = 0
    refused: int = 0
    of_places: bool = False


@dataclass(frozen=True)
class Ticket:
    """The place of one request: with which others it was sent, when, and how many were out, itself included."""

    burst: _Burst
    at: float
    out: int
    full: bool


class Limiter:
    """Lets requests go in the order in which they ask; for one event loop.

    Never more than ``most`` are out at once. :meth:`succeeded` and :meth:`refused` tell it how each one ended.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.out = 0
        """Requests under way now."""
        self.cuts = 0
        """How often the limits were cut."""
        self._start = float(min(FIRST, most))
        self._places = _Ceiling(seeks=False)
        self._pace = _Ceiling(seeks=True)
        self._peak = 0.0  # so many were out at once, lately, and were answered
        self._latency = 0.0
        self._answers: deque[float] = deque(maxlen=64)
        self._burst = _Burst()
        self._vain = 0  # bursts in a row that were refused as a whole
        self._resume = self._next = -math.inf
        self._queue: deque[asyncio.Future[Ticket]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._closed: Exception | None = None

    @property
    def limit(self) -> int:
        """Requests allowed at once now; one while the server answers nothing."""
        if self._vain > 1:
            return 1
        return max(1, round(min(self._start, self._places.value, self.most)))

    @property
    def rate(self) -> float:
        """Requests allowed a second now; may be infinite."""
        if self._latency and self._start < self.most:
            return min(self._pace.value, SPREAD * self.limit / self._latency)
        return self._pace.value

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[Ticket]:
        """Waits for a free place and holds it. Raises what the limiter was closed with."""
        ticket = await self._ticket()
        try:
            yield ticket
        finally:
            self.out -= 1
            self._let_go()

    async def _ticket(self) -> Ticket:
        if self._closed:
            raise self._closed
        asked: asyncio.Future[Ticket] = asyncio.get_running_loop().create_future()
        self._queue.append(asked)
        self._let_go()
        try:
            return await asked
        except asyncio.CancelledError:
            if asked.done() and not asked.cancelled() and not asked.exception():
                self.out -= 1
                self._let_go()
            raise

    def _let_go(self) -> None:
        """Give as many places as are free now; come back when the next is."""
        now = asyncio.get_running_loop().time()
        while self._queue and self.out < self.limit:
            wait = max(self._resume, self._next) - now
            if wait > 0:
                if self._timer is None:
                    self._timer = asyncio.get_running_loop().call_later(wait, self._again)
                return
            asked = self._queue.popleft()
            if not asked.done():
                self.out += 1
                self._burst.sent += 1
                self._next = max(self._next, now - SLACK) + 1 / self.rate
                asked.set_result(Ticket(self._burst, now, self.out, self.out >= self.limit))

    def _again(self) -> None:
        self._timer = None
        self._let_go()

    def succeeded(self, ticket: Ticket) -> None:
        """A request was answered; to be called before its place is free."""
        now = asyncio.get_running_loop().time()
        took = now - ticket.at
        self._latency += 0.1 * (took - self._latency) if self._latency else took
        self._answers.append(now)
        # Both: some of those it was sent with, and some of those out now, may yet be refused.
        self._peak = max(self._peak, min(ticket.out, self.out))
        if ticket.burst is self._burst:
            self._vain = 0
        self._start += 1
        self._places.answered()
        self._pace.answered()

    def refused(self, ticket: Ticket, wait: float) -> bool:
        """Too many requests (429), to be tried again after ``wait`` seconds; to be called before the place is free.

        Requests that were out together are refused together: only the first of such a burst cuts. Once whole bursts are
        refused all wait, and then one at a time is tried. Returns whether something was cut.
        """
        burst = ticket.burst
        burst.refused += 1
        if burst is not self._burst:
            self._correct(burst)
            return False
        now = asyncio.get_running_loop().time()
        self.cuts += 1
        self._burst = _Burst()
        self._vain = self._vain + 1 if burst.sent == burst.refused else 0
        if self._vain > 1:
            self._resume = max(self._resume, now + wait)
        else:
            self._cut(ticket, now)
        return True

    def _correct(self, burst: _Burst) -> None:
        """One more of a burst did not go through, after which a limit was cut."""
        if not burst.of_places:
            return
        if self._answers:
            self._places.top = max(1.0, self._places.top - 1)
        else:
            self._start = max(1.0, self._start - 1)

    def _cut(self, ticket: Ticket, now: float) -> None:
        """Find out which limit was met, and cut that.

        If as many were out before, and were answered, it was no limit on how many are out. Nor was it, most likely, if
        there was a place left when the request was sent.
        """
        others = self.out - 1
        if not self._answers:
            self._start = max(1.0, others)
            ticket.burst.of_places = True
            return
        span = max(SPAN, 4.0 * others)
        delivered = self._delivered(now)
        seeking = self._start < math.inf
        if delivered and not seeking and (not ticket.full or others < 1 or others < self._peak):
            self._peak = (
                self._peak + others
            ) / 2  # if the limit on places fell, this comes out after some cuts
            self._pace.cut(min(delivered, self.rate), span)
            self._next = now + 1 / self.rate
        else:
            self._start = math.inf
            self._places.cut(max(1.0, others), span)
            ticket.burst.of_places = True

    def _delivered(self, now: float) -> float:
        """Answers a second, lately; 0 if too few to tell."""
        while self._answers and self._answers[0] < now - MEMORY:
            self._answers.popleft()
        last = list(self._answers)
        return max(
            (len(some) / (now - some[0]) for some in (last, last[-16:]) if some and now > some[0]), default=0
        )

    def close(self, error: Exception) -> None:
        """Let nobody through any more; those who wait get ``error``."""
        self._closed = self._closed or error
        while self._queue:
            asked = self._queue.popleft()
            if not asked.done():
                asked.set_exception(self._closed)
        if self._timer:
            self._timer.cancel()
