"""Scores of all models: per scenario and transition, and compared; formulas in ``docs/metrics.md``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import fsum
from typing import Any

import numpy as np

from gentool.evaluation.metrics import METRICS
from gentool.evaluation.statistics import (
    Estimate,
    Floats,
    estimate,
    holm,
    pair_parts,
    permutation_p,
)
from gentool.records import SCENARIOS, TRANSITIONS, Probe

SCHEMA = "gentool-scores-2"
CONTRASTS = (("gentool", "sft"), ("gentool", "no_ranking"))

Cell = tuple[str, str]
"""Scenario and transition."""


def _cells(scenarios: Sequence[str], *transitions: str) -> tuple[Cell, ...]:
    return tuple((scenario, transition) for scenario in scenarios for transition in transitions)


_SEEN = ("seen_query_seen_tool", "unseen_query_seen_tool")
_UNSEEN = ("seen_query_unseen_tool", "unseen_query_unseen_tool")

ENDPOINT_CELLS = _cells(_UNSEEN, "zero_to_one", "weak_to_strong")
"""The endpoint is ``arrival``, averaged over these cells."""

GUARD = {
    "zero": _cells(_SEEN, "zero"),
    "decoy": _cells(_UNSEEN, "zero"),
    "seen_tools": _cells(_SEEN, "zero_to_one", "weak_to_strong"),
}
"""Where a model must not lose: ``tool_selection``, averaged over the cells of each group."""

GUARD_LOSS = 0.05
"""What a model may lose in a group of the guard; the one-sided 95 % bound counts."""

ModelMetrics = Mapping[int, Sequence[Mapping[str, float] | None]]
"""Seed -> metrics of each probe, in the order of the probes."""


def answered(models: Sequence[ModelMetrics], cell: Sequence[int], metric: str) -> list[int]:
    """The probes of a cell for which the metric is known of every model with every seed."""
    rows = [rows for model in models for rows in model.values()]
    return [i for i in cell if rows and all((row[i] or {}).get(metric) is not None for row in rows)]


def _sums(
    model: ModelMetrics, probes: Sequence[Probe], cells: Sequence[Sequence[int]], metric: str
) -> tuple[Floats, Floats]:
    """Total and count as :mod:`gentool.evaluation.statistics` takes them; pairs and seeds sorted.

    Summed without rounding on the way, so that the order of the probes is of no effect.
    """
    pairs = {pair: n for n, pair in enumerate(sorted({probes[i].pair for cell in cells for i in cell}))}
    total, count = np.zeros((len(cells), len(model), len(pairs))), np.zeros((len(cells), len(pairs)))
    for c, cell in enumerate(cells):
        by_pair: dict[str, list[int]] = {}
        for i in cell:
            by_pair.setdefault(probes[i].pair, []).append(i)
        for pair, members in by_pair.items():
            count[c, pairs[pair]] = len(members)
            for s, seed in enumerate(sorted(model)):
                values = ((model[seed][i] or {})[metric] for i in members)
                total[c, s, pairs[pair]] = fsum(values)
    return total, count


def _cell(
    model: ModelMetrics,
    probes: Sequence[Probe],
    cell: Sequence[int],
    metric: str,
    resamples: int,
    confidence: float,
) -> dict[str, Any]:
    wanted = answered([model], cell, metric)
    if not wanted:
        return {"value": None, "low": None, "high": None, "n_pairs": 0, "n_queries": 0}
    total, count = _sums(model, probes, [wanted], metric)
    found = estimate(total, count, resamples)
    low, high = found.interval(confidence, 0, 1)
    queries = len({probes[i].query.id for i in wanted})
    return {"value": found.value, "low": low, "high": high, "n_pairs": count.shape[1], "n_queries": queries}


def _difference(
    a: ModelMetrics,
    b: ModelMetrics,
    probes: Sequence[Probe],
    cells: Sequence[Sequence[int]],
    metric: str,
    resamples: int,
) -> tuple[Estimate, float, int] | None:
    """a - b over the probes that both have, with the same seeds: estimate, p, pairs in the smallest cell.

    Cells weigh the same; those without probes are left out, and make the smallest cell one of 0 pairs.
    """
    common = [answered([a, b], cell, metric) for cell in cells]
    used = [cell for cell in common if cell]
    if not used:
        return None
    total, count = _sums(a, probes, used, metric)
    total -= _sums(b, probes, used, metric)[0]
    smallest = min(len({probes[i].pair for i in cell}) for cell in common)
    return estimate(total, count, resamples), permutation_p(pair_parts(total, count), resamples), smallest


def _compare(
    a: ModelMetrics,
    b: ModelMetrics,
    probes: Sequence[Probe],
    by_cell: Mapping[Cell, Sequence[int]],
    resamples: int,
    confidence: float,
) -> dict[str, Any]:
    """a - b on the endpoint and the guard, with the seeds that both have."""
    seeds = sorted(set(a) & set(b))
    a, b = {s: a[s] for s in seeds}, {s: b[s] for s in seeds}
    endpoint: dict[str, Any] = dict.fromkeys(("delta", "low", "high", "p", "mdd")) | {"n_pairs": 0}
    found = _difference(a, b, probes, [by_cell[cell] for cell in ENDPOINT_CELLS], "arrival", resamples)
    if found:
        difference, p, pairs = found
        low, high = difference.interval(confidence, -1, 1)
        endpoint = {"delta": difference.value, "low": low, "high": high, "p": p}
        endpoint |= {"mdd": difference.detectable, "n_pairs": pairs}
    guard = []
    for name, cells in GUARD.items():
        row: dict[str, Any] = {"name": name, "metric": "tool_selection"}
        row |= {"delta": None, "low": None, "n_pairs": 0, "passed": None}
        found = _difference(a, b, probes, [by_cell[cell] for cell in cells], "tool_selection", resamples)
        if found:
            difference, _, pairs = found
            low = max(-1.0, difference.low(0.95))
            row |= {"delta": difference.value, "low": low, "n_pairs": pairs}
            # From one pair nothing follows for others: not checked, rather than failed.
            row["passed"] = low >= -GUARD_LOSS if difference.error is not None else None
        guard.append(row)
    passed = [row["passed"] for row in guard]
    return {
        **endpoint,
        "n_seeds": len(seeds),
        "guard": guard,
        "guard_passed": None if None in passed else all(passed),
    }


def cells_of(probes: Sequence[Probe]) -> dict[Cell, list[int]]:
    """The probes of every cell, by number; ``all`` are those of a scenario, whatever the transition."""
    by_cell: dict[Cell, list[int]] = {cell: [] for cell in _cells(SCENARIOS, *TRANSITIONS, "all")}
    for i, probe in enumerate(probes):
        by_cell[probe.scenario, probe.transition].append(i)
        by_cell[probe.scenario, "all"].append(i)
    return by_cell


def mean_over(
    model: ModelMetrics,
    probes: Sequence[Probe],
    cells: Sequence[Cell],
    metric: str,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> dict[str, Any]:
    """A metric averaged over cells that weigh the same, with its interval; cells without probes are left out."""
    by_cell = cells_of(probes)
    used = [found for cell in cells if (found := answered([model], by_cell[cell], metric))]
    if not used:
        return {"value": None, "low": None, "high": None, "n_pairs": 0}
    total, count = _sums(model, probes, used, metric)
    mean = estimate(total, count, resamples)
    low, high = mean.interval(confidence, 0, 1)
    return {"value": mean.value, "low": low, "high": high, "n_pairs": int((count > 0).sum(1).min())}


def compare(
    a: ModelMetrics,
    b: ModelMetrics,
    probes: Sequence[Probe],
    resamples: int = 2000,
    confidence: float = 0.95,
) -> dict[str, Any]:
    """a - b on the endpoint and the guard, with the seeds that both have."""
    return _compare(a, b, probes, cells_of(probes), resamples, confidence)


def make_scores(
    models: Mapping[str, ModelMetrics],
    probes: Sequence[Probe],
    seeds: Sequence[int],
    resamples: int = 2000,
    confidence: float = 0.95,
) -> dict[str, Any]:
    """``scores.json``: see ``docs/formats.md``.

    Probes weigh the same within a cell; the bootstrap draws whole pairs, since queries of a pair are
    alike. A cell without probes has value null and n 0. The order of models, seeds and probes is of no effect
    on any number, and a number depends on nothing but the answers that it is made from.
    """
    by_cell = cells_of(probes)
    scored = {
        name: {
            scenario: {
                transition: {
                    metric: _cell(model, probes, by_cell[scenario, transition], metric, resamples, confidence)
                    for metric in METRICS
                }
                for transition in (*TRANSITIONS, "all")
            }
            for scenario in SCENARIOS
        }
        for name, model in models.items()
    }
    comparisons = [
        {
            "a": a,
            "b": b,
            "metric": "arrival",
            **_compare(models[a], models[b], probes, by_cell, resamples, confidence),
        }
        for a, b in CONTRASTS
        if a in models and b in models
    ]
    corrected = holm([c["p"] for c in comparisons])
    for comparison, p in zip(comparisons, corrected, strict=True):
        comparison["p_holm"] = p
    return {
        "schema": SCHEMA,
        "seeds": list(seeds),
        "confidence": confidence,
        "models": scored,
        "comparisons": comparisons,
    }
