"""What a comparison of ``scores.json`` says, in words: the same for terminal and report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MIN_PAIRS = 40
"""Pairs that each cell of the endpoint needs for a verdict: see ``docs/metrics.md``."""

MIN_SEEDS = 3
"""Training seeds that a verdict needs."""

MIN_CONFIDENCE = 0.95
"""Coverage of the intervals that a verdict needs."""

ALPHA = 0.05


def obstacles(comparison: Mapping[str, Any], confidence: float) -> list[str]:
    """What keeps a comparison from a verdict, in words; empty if nothing does."""
    if comparison["delta"] is None:
        return ["nothing to compare"]
    found = []
    if comparison["n_pairs"] < MIN_PAIRS:
        found.append("too few pairs")
    if comparison["n_seeds"] < MIN_SEEDS:
        found.append("too few seeds")
    if confidence < MIN_CONFIDENCE:
        found.append("intervals narrower than 95 %")
    return found


def verdict(comparison: Mapping[str, Any], confidence: float) -> str:
    """The reading of a row of ``comparisons``; ``confidence`` is that of the intervals (``scores.json``)."""
    against = obstacles(comparison, confidence)
    if against:
        return f"no verdict: {', '.join(against)}"
    model, low = comparison["a"], comparison["low"]
    if comparison["p_holm"] < ALPHA and low > 0:
        ahead = f"{model} is {'at least 10 points ' if low > 0.1 else ''}ahead"
        return ahead + _reservation(comparison["guard"])
    if comparison["p_holm"] < ALPHA and comparison["high"] < 0:
        return f"{model} is behind"
    return "no difference shown"


def _reservation(guard: list[Mapping[str, Any]]) -> str:
    """What the guard says against a model that is ahead; empty if it holds."""
    lost = [g for g in guard if g["passed"] is False]
    unknown = [_name(g) for g in guard if g["passed"] is None]
    if lost:
        parts = [f"{-100 * g['low']:.1f} points on {_name(g)}" for g in lost]
        return f", but loses up to {', '.join(parts)}: guard failed"
    return f", but nothing is known of {', '.join(unknown)}: guard not checked" if unknown else ""


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry["name"]).replace("_", " ")


def guard_words(entry: Mapping[str, Any]) -> str:
    """An entry of the guard in a few characters: ``decoy -7.1 fails`` (the lower bound, in points)."""
    if entry["passed"] is None:
        return f"{_name(entry)} ?"
    return f"{_name(entry)} {100 * entry['low']:+.1f} {'ok' if entry['passed'] else 'fails'}"
