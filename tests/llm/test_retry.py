"""Which failures are tried again, and after how long."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from gentool.llm.retry import Failure, RetryPolicy, is_passing, retry_after


@pytest.mark.parametrize(
    ("status", "code", "passing"),
    [
        (408, None, True),
        (409, None, True),
        (429, None, True),
        (429, "rate_limit_exceeded", True),
        (429, "insufficient_quota", False),
        (500, None, True),
        (503, "insufficient_quota", True),
        (529, None, True),
        (400, None, False),
        (401, None, False),
        (403, None, False),
        (404, None, False),
        (422, None, False),
    ],
)
def test_what_passes_by_itself(status: int, code: str | None, passing: bool) -> None:
    assert is_passing(status, code) is passing


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": formatdate(0, usegmt=True)}, 0),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_retry_after_as_a_date() -> None:
    found = retry_after({"retry-after": formatdate(time.time() + 100, usegmt=True)})
    assert found is not None and 90 < found <= 100


def test_back_off_doubles_with_jitter_up_to_a_limit() -> None:
    policy = RetryPolicy(retries=20, first=1.0, longest=60.0)
    for attempt, most in ((0, 1), (1, 2), (5, 32), (6, 60), (19, 60)):
        waits = {policy.wait(attempt, Failure("x", 500)) for _ in range(50)}
        assert len(waits) > 1, "jitter"
        assert all(w is not None and most / 2 <= w <= most for w in waits)


def test_what_the_server_asks_for_is_kept() -> None:
    policy = RetryPolicy(first=1.0, longest=2.0)
    waits = [policy.wait(0, Failure("x", 429, retry_after=100)) for _ in range(50)]
    assert all(w is not None and 100 <= w <= 110 for w in waits)


def test_no_more_tries() -> None:
    policy = RetryPolicy(retries=2)
    assert policy.wait(1, Failure("x", 500)) is not None
    assert policy.wait(2, Failure("x", 500)) is None
    assert policy.wait(0, Failure("x", 400, passing=False)) is None
