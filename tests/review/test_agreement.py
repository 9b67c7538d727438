"""Interval and kappa against scipy and scikit-learn."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import cohen_kappa_score

from gentool.review.agreement import cohen_kappa, wilson

KINDS = ("accept", "edit", "reject")


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_that_of_scipy(case: tuple[int, int]) -> None:
    successes, trials = case
    expected = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    assert wilson(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_without_trials_says_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(KINDS)), min_size=1, max_size=60))
def test_kappa_is_that_of_sklearn(pairs: list[tuple[str, str]]) -> None:
    first, second = zip(*pairs, strict=True)
    found = cohen_kappa(first, second)
    if found is None:
        assert len({*first, *second}) == 1
    else:
        expected = cohen_kappa_score(first, second)
        assert not math.isnan(expected) and found == pytest.approx(expected, abs=1e-12)


def test_kappa_without_items() -> None:
    assert cohen_kappa([], []) is None
