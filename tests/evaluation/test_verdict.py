"""Every reading of a comparison, and that the terminal's table says it with its numbers."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from gentool.evaluation.metrics import METRICS
from gentool.evaluation.table import score_tables
from gentool.evaluation.verdict import guard_words, verdict
from gentool.records import SCENARIOS, TRANSITIONS


def _guard(**changed: Any) -> list[dict[str, Any]]:
    """All groups hold, but for those named: name=(low, passed)."""
    groups = {"zero": (0.01, True), "decoy": (-0.02, True), "seen_tools": (0.0, True)} | changed
    return [
        {"name": n, "metric": "tool_selection", "delta": 0.0, "low": low, "n_pairs": 40, "passed": passed}
        for n, (low, passed) in groups.items()
    ]


def _row(**changed: Any) -> dict[str, Any]:
    row = {"a": "gentool", "b": "sft", "metric": "arrival", "delta": 0.09, "low": 0.04, "high": 0.14}
    row |= {"p": 0.01, "p_holm": 0.02, "mdd": 0.071, "n_pairs": 40, "n_seeds": 3}
    return row | {"guard": _guard(), "guard_passed": True} | changed


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, "gentool is ahead"),
        ({"low": 0.101, "high": 0.2}, "gentool is at least 10 points ahead"),
        ({"low": 0.1}, "gentool is ahead"),
        ({"low": 0.0}, "no difference shown"),
        ({"p_holm": 0.05}, "no difference shown"),
        ({"p_holm": 0.06, "p": 0.03}, "no difference shown"),
        ({"delta": -0.1, "low": -0.15, "high": -0.01}, "gentool is behind"),
        ({"delta": -0.1, "low": -0.15, "high": 0.0}, "no difference shown"),
        ({"n_pairs": 39}, "no verdict: too few pairs"),
        ({"n_seeds": 2}, "no verdict: too few seeds"),
        ({"n_pairs": 4, "n_seeds": 1}, "no verdict: too few pairs, too few seeds"),
        (dict.fromkeys(("delta", "low", "high", "p", "p_holm", "mdd")), "no verdict: nothing to compare"),
        (
            {"guard": _guard(decoy=(-0.0712, False)), "guard_passed": False},
            "gentool is ahead, but loses up to 7.1 points on decoy: guard failed",
        ),
        (
            {"guard": _guard(zero=(-0.2, False), seen_tools=(-0.06, False)), "guard_passed": False},
            "gentool is ahead, but loses up to 20.0 points on zero, 6.0 points on seen tools: guard failed",
        ),
        (
            {"guard": _guard(zero=(None, None)), "guard_passed": None},
            "gentool is ahead, but nothing is known of zero: guard not checked",
        ),
        (
            {"guard": _guard(zero=(None, None), decoy=(-0.06, False)), "guard_passed": None},
            "gentool is ahead, but loses up to 6.0 points on decoy: guard failed",
        ),
    ],
)
def test_verdict(changed: dict[str, Any], words: str) -> None:
    assert verdict(_row(**changed), 0.95) == words


def test_narrow_intervals_give_no_verdict() -> None:
    assert verdict(_row(), 0.9) == "no verdict: intervals narrower than 95 %"
    assert verdict(_row(), 0.99) == "gentool is ahead"


def test_guard_words() -> None:
    words = [guard_words(g) for g in _guard(decoy=(-0.0712, False), zero=(None, None))]
    assert words == ["zero ?", "decoy -7.1 fails", "seen tools +0.0 ok"]


def _printed(*rows: dict[str, Any]) -> str:
    cell = {"value": 0.5, "low": 0.25, "high": 0.75, "n_pairs": 7, "n_queries": 29}
    none = {"value": None, "low": None, "high": None, "n_pairs": 0, "n_queries": 0}
    scores = {
        "confidence": 0.95,
        "models": {
            model: {
                s: {t: dict.fromkeys(METRICS, none if t == "zero" else cell) for t in (*TRANSITIONS, "all")}
                for s in SCENARIOS
            }
            for model in ("base", "gentool")
        },
        "comparisons": rows,
    }
    console = Console(width=100, force_terminal=False)
    with console.capture() as found:
        for table in score_tables(scores):
            console.print(table)
    return " ".join(found.get().split())


def test_terminal_shows_what_a_verdict_rests_on() -> None:
    failed = _row(guard=_guard(decoy=(-0.0712, False)), guard_passed=False)
    printed = _printed(failed)
    for words in ("+9.0", "[+4.0, +14.0]", "0.020", "7.1", "40", "zero +1.0 ok", "decoy -7.1 fails"):
        assert words in printed
    assert "zero to one 7/29 50 [25, 75] 50 [25, 75]" in printed
    assert "zero 0/0 - -" in printed
    for part in ("gentool is ahead", "but loses up to", "decoy: guard failed"):
        assert part in printed


def test_terminal_shows_a_comparison_of_nothing() -> None:
    nothing = dict.fromkeys(("delta", "low", "high", "p", "p_holm", "mdd"))
    guard = _guard(zero=(None, None), decoy=(None, None), seen_tools=(None, None))
    printed = _printed(_row(**nothing, n_pairs=0, guard=guard, guard_passed=None))
    assert "no verdict: nothing to compare" in printed and "zero ?" in printed
    assert "difference in points" not in _printed()
