"""When a failed request is worth another try, and how long to wait before it."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

PASSING_STATUS = (408, 409, 425, 429)
"""HTTP statuses below 500 that pass by themselves."""

CROWDED = (429, 529)
"""HTTP statuses of a server that is asked too much at once or too fast."""

OF_THE_CALL = (400, 413, 422)
"""HTTP statuses that refuse one call for what is in it; another one may be taken."""

OF_THE_CONTENT = ("content_filter", "context_length_exceeded")
"""Codes of errors that say nothing about other calls."""

_NO_MONEY = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")
"""Codes of 429 answers that no waiting helps."""


class Failure(Exception):
    """One attempt that failed. ``status``: of HTTP, ``None`` if there was no answer or no readable one.

    ``retry_after``: the seconds that the server asks to wait. ``passing``: another try may succeed. ``code``: as in the
    body of OpenAI's errors.
    """

    def __init__(
        self,
        message: str,
        status: int | None = None,
        retry_after: float | None = None,
        passing: bool = True,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.retry_after = retry_after
        self.passing = passing


def is_passing(status: int, code: str | None) -> bool:
    """Whether an HTTP error may pass by itself; ``code`` as in the body of OpenAI's errors."""
    if status == 429 and code in _NO_MONEY:
        return False
    return status in PASSING_STATUS or status >= 500


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait that a server asks for: ``retry-after-ms``, or ``retry-after`` in seconds or as a date."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        if not math.isnan(seconds):
            return max(0.0, seconds)
    try:
        return max(0.0, parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time())
    except (KeyError, ValueError, OverflowError):
        return None


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential back-off with jitter: the n-th wait is drawn from half to all of ``first * 2**n`` seconds.

    A wait that the server asks for is kept; one above ``longest_asked`` is a failure that does not pass.
    """

    retries: int = 6
    first: float = 1.0
    longest: float = 60.0
    longest_asked: float = 600.0

    def wait(self, attempt: int, failure: Failure) -> float | None:
        """Seconds to wait after attempt number ``attempt`` (from 0) failed; ``None``: do not try again."""
        if not failure.passing or attempt >= self.retries:
            return None
        asked = failure.retry_after
        if asked is not None:
            # A little more, so that those who were told the same do not come back at once.
            return asked * random.uniform(1.0, 1.1)
        return min(self.longest, self.first * 2.0**attempt) * random.uniform(0.5, 1.0)
