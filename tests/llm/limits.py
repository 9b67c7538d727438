"""What a server allows, as several kinds of servers count it."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class Bucket:
    """Fills with ``rate`` a second, up to ``size``; whole at the beginning."""

    rate: float
    size: float
    level: float = math.nan
    at: float = math.nan

    def wait(self, amount: float, now: float) -> float:
        """Seconds until ``amount`` can be taken. What is larger than the bucket needs a full one."""
        elapsed = 0.0 if math.isnan(self.at) else now - self.at
        self.level = self.size if math.isnan(self.level) else min(self.size, self.level + elapsed * self.rate)
        self.at = now
        return max(0.0, (min(amount, self.size) - self.level) / self.rate)


@dataclass
class Window:
    """At most ``most`` in each period of so many ``seconds``."""

    most: int
    seconds: float
    period: int = -1
    used: int = 0

    def wait(self, now: float) -> float:
        if now // self.seconds != self.period:
            self.period, self.used = int(now // self.seconds), 0
        return 0.0 if self.used < self.most else (self.period + 1) * self.seconds - now


@dataclass
class Limits:
    """``retry_after``: whether a refusal says how long to wait (in whole seconds, as most do)."""

    at_once: float = math.inf
    requests: Bucket | None = None
    tokens: Bucket | None = None
    window: Window | None = None
    retry_after: bool = False

    def refusal(self, under_way: int, tokens: float, now: float) -> dict[str, str] | None:
        """Headers of a refusal; ``None`` if the request is let in, which is then counted."""
        waits = [
            1.0 if under_way >= self.at_once else 0.0,
            self.requests.wait(1, now) if self.requests else 0.0,
            self.tokens.wait(tokens, now) if self.tokens else 0.0,
            self.window.wait(now) if self.window else 0.0,
        ]
        if max(waits) > 1e-9:
            return {"Retry-After": str(math.ceil(max(waits)))} if self.retry_after else {}
        for bucket, amount in ((self.requests, 1.0), (self.tokens, tokens)):
            if bucket:
                bucket.level -= min(amount, bucket.size)
        if self.window:
            self.window.used += 1
        return None
