"""The scripted teacher in a process of its own.

``python -m bench.synthesis.server`` prints its address; then for each line on stdin, an object of settings, it forgets
what it counted, takes the settings and prints what it had counted before, as a line of JSON.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from typing import Any

from tests.llm.fake_server import Answer, FakeServer, tokens
from tests.llm.limits import Bucket, Limits
from tests.synthesis.scripted import play


class Teacher:
    """Answers after a while, and counts."""

    def __init__(self) -> None:
        self.server = FakeServer(self.answer)
        self.lock = threading.Lock()
        self.take({})

    def take(self, settings: dict[str, Any]) -> None:
        """``latency``: [least, most] seconds; ``at_once``, ``requests`` and ``tokens`` ([a second, burst]): limits."""
        self.latency = settings.get("latency", [0.0, 0.0])
        self.rng = random.Random(0)
        self.first: float | None = None
        self.worked = self.tokens = 0.0
        server = self.server
        server.bodies, server.headers, server.delivered, server.refused = [], [], {}, 0
        server.limits = Limits(
            at_once=settings.get("at_once", float("inf")),
            requests=Bucket(*settings["requests"]) if "requests" in settings else None,
            tokens=Bucket(*settings["tokens"]) if "tokens" in settings else None,
            retry_after=settings.get("retry_after", False),
        )

    def answer(self, body: dict[str, Any], number: int) -> Answer:
        began = time.monotonic()
        made = play(body, number)
        with self.lock:
            self.first = self.first or began
            delay = self.rng.uniform(*self.latency)
            self.worked += delay
            self.tokens += tokens(body)
        return Answer(made.body, delay=max(0.0, began + delay - time.monotonic()))

    def report(self) -> dict[str, Any]:
        """All that was counted; times are those of ``time.monotonic``."""
        server = self.server
        delivered = [at for times in server.delivered.values() for at in times]
        return {
            "first": self.first,
            "last": max(delivered, default=None),
            "answered": len(delivered),
            "refused": server.refused,
            "received": len(server.bodies),
            "worked": self.worked,
            "tokens": self.tokens,
            "repeated": {key: times for key, times in server.delivered.items() if len(times) > 1},
        }


def main() -> None:
    teacher = Teacher()
    print(teacher.server.url, flush=True)
    for line in sys.stdin:
        settings = json.loads(line)
        report = teacher.report()
        if settings is not None:
            teacher.take(settings)
        print(json.dumps(report), flush=True)
    teacher.server.close()


if __name__ == "__main__":
    main()
