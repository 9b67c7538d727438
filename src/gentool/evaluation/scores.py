"""Scores of all models: per scenario and transition, with intervals by bootstrap over pairs (and seeds)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gentool.evaluation.metrics import METRICS
from gentool.records import SCENARIOS, TRANSITIONS, Probe

SCHEMA = "gentool-scores-1"
CONTRASTS = (("gentool", "sft"), ("gentool", "no_ranking"))
ENDPOINT_CELLS = tuple(
    (scenario, transition)
    for scenario in ("seen_query_unseen_tool", "unseen_query_unseen_tool")
    for transition in ("zero_to_one", "weak_to_strong")
)
"""The endpoint is ``arrival``, averaged over these cells."""

Floats = NDArray[np.float64]

ModelMetrics = Mapping[int, Sequence[dict[str, float] | None]]
"""Seed -> metrics of each probe, in the order of the probes."""


def answered(model: ModelMetrics, cell: Sequence[int], metric: str) -> list[int]:
    """The probes of a cell for which the metric is known with every seed."""
    return [i for i in cell if all((model[s][i] or {}).get(metric) is not None for s in model)]


class Sums:
    """Per seed and pair: the sum of a metric over a cell's probes, and how many there are."""

    def __init__(
        self, model: ModelMetrics, probes: Sequence[Probe], cell: Sequence[int], metric: str
    ) -> None:
        self.seeds = sorted(model)
        wanted = answered(model, cell, metric)
        self.pairs = sorted({probes[i].pair for i in wanted})
        self.queries = len({probes[i].query.id for i in wanted})
        row = {pair: n for n, pair in enumerate(self.pairs)}
        self.total: Floats = np.zeros((len(self.seeds), len(self.pairs)))
        self.count: Floats = np.zeros(len(self.pairs))
        for i in wanted:
            self.count[row[probes[i].pair]] += 1
            for j, seed in enumerate(self.seeds):
                self.total[j, row[probes[i].pair]] += (model[seed][i] or {})[metric]

    def value(self) -> float | None:
        return float(self.total.mean(0).sum() / self.count.sum()) if self.pairs else None


def _weights(rng: np.random.Generator, resamples: int, size: int) -> Floats:
    """How often each of ``size`` things is drawn in each bootstrap resample; rows sum to ``size``."""
    return rng.multinomial(size, np.full(size, 1 / size), size=resamples).astype(np.float64)


def _interval(values: Floats, confidence: float) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _resampled(sums: Sums, pair_weights: Floats, seed_weights: Floats) -> Floats:
    per_pair = seed_weights @ sums.total / len(sums.seeds)
    return np.asarray((pair_weights * per_pair).sum(1) / (pair_weights @ sums.count))


def _cell(sums: Sums, resamples: int, confidence: float, rng: np.random.Generator) -> dict[str, Any]:
    value = sums.value()
    if value is None:
        return {"value": None, "low": None, "high": None, "n_pairs": 0, "n_queries": 0}
    pairs = _weights(rng, resamples, len(sums.pairs))
    seeds = _weights(rng, resamples, len(sums.seeds))
    low, high = _interval(_resampled(sums, pairs, seeds), confidence)
    return {"value": value, "low": low, "high": high, "n_pairs": len(sums.pairs), "n_queries": sums.queries}


def _cells(probes: Sequence[Probe]) -> dict[tuple[str, str], list[int]]:
    cells: dict[tuple[str, str], list[int]] = {(s, t): [] for s in SCENARIOS for t in (*TRANSITIONS, "all")}
    for i, probe in enumerate(probes):
        cells[probe.scenario, probe.transition].append(i)
        cells[probe.scenario, "all"].append(i)
    return cells


def _compare(
    a: ModelMetrics, b: ModelMetrics, probes: Sequence[Probe], resamples: int, confidence: float
) -> dict[str, Any]:
    """a - b on the endpoint: paired bootstrap over pairs and seeds; sign-flip permutation test over pairs."""
    rng = np.random.default_rng(0)
    cells = _cells(probes)
    # Paired: the seeds and the probes that both models have.
    seeds = sorted(set(a) & set(b))
    a, b = {s: a[s] for s in seeds}, {s: b[s] for s in seeds}
    common = {key: answered(b, answered(a, cells[key], "arrival"), "arrival") for key in ENDPOINT_CELLS}
    used = {key: Sums(a, probes, cell, "arrival") for key, cell in common.items() if cell and seeds}
    seed_weights = _weights(rng, resamples, len(seeds)) if seeds else np.zeros((resamples, 0))
    if not used:
        return {"delta": None, "low": None, "high": None, "p": None}
    observed, drawn, flipped = [], [], []
    for scenario in sorted({key[0] for key in used}):
        # One draw of pairs and signs serves all cells of a scenario: they hold the same pairs.
        of_scenario = {key: sums for key, sums in used.items() if key[0] == scenario}
        pairs = sorted({p for sums in of_scenario.values() for p in sums.pairs})
        weights = _weights(rng, resamples, len(pairs))
        signs = rng.choice([-1.0, 1.0], size=(resamples, len(pairs)))
        for key, sums in of_scenario.items():
            columns = [pairs.index(p) for p in sums.pairs]
            other = Sums(b, probes, common[key], "arrival")
            difference = sums.total - other.total
            mean, count = difference.mean(0), sums.count
            observed.append(mean.sum() / count.sum())
            with np.errstate(invalid="ignore"):  # a resample may hold no pair of a small cell
                drawn.append(
                    (weights[:, columns] * (seed_weights @ difference / len(seeds))).sum(1)
                    / (weights[:, columns] @ count)
                )
            flipped.append(signs[:, columns] @ mean / count.sum())
    delta = float(np.mean(observed))
    low, high = _interval(np.nanmean(drawn, axis=0), confidence)
    extreme = np.abs(np.mean(flipped, axis=0)) >= abs(delta) - 1e-12
    return {"delta": delta, "low": low, "high": high, "p": float((1 + extreme.sum()) / (1 + resamples))}


def make_scores(
    models: Mapping[str, ModelMetrics],
    probes: Sequence[Probe],
    seeds: Sequence[int],
    resamples: int = 2000,
    confidence: float = 0.95,
) -> dict[str, Any]:
    """``scores.json``: see ``docs/formats.md``.

    Probes weigh the same within a cell; the bootstrap draws whole pairs, since queries of a pair are
    alike. A cell without probes has value null and n 0.
    """
    cells = _cells(probes)
    scored: dict[str, Any] = {}
    for name, model in models.items():
        scored[name] = {}
        for scenario in SCENARIOS:
            scored[name][scenario] = {}
            for transition in (*TRANSITIONS, "all"):
                rng = np.random.default_rng(0)
                cell = cells[scenario, transition]
                scored[name][scenario][transition] = {
                    metric: _cell(Sums(model, probes, cell, metric), resamples, confidence, rng)
                    for metric in METRICS
                }
    comparisons = [
        {"a": a, "b": b, "metric": "arrival", **_compare(models[a], models[b], probes, resamples, confidence)}
        for a, b in CONTRASTS
        if a in models and b in models
    ]
    return {"schema": SCHEMA, "seeds": list(seeds), "models": scored, "comparisons": comparisons}
