"""What the comparison of two models can show: coverage, errors and power, by simulation.

    OMP_NUM_THREADS=1 python bench/power.py [--repeats 1000] [--out bench/results/power.json]

Simulates the endpoint's four cells as the build makes them: one group of pairs for each of the two cells of
`seen_query_unseen_tool`, one group for both cells of `unseen_query_unseen_tool`; six probes a pair and cell. The chance
of a right answer is logistic in the sum of a model's level (40 % for the second model), how easy the pair is (standard
deviation 1), how well the model takes to the pair (0.5), the luck of a training seed (0, or 0.2, which moves a
model by about 4 points), and that of a seed with a pair (0.5). Intervals and tests are those of `scores.json`
(gentool.evaluation.statistics), with 1000 resamples.
"""

from __future__ import annotations

import argparse
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gentool.evaluation.scores import GUARD_LOSS
from gentool.evaluation.statistics import bootstrap, estimate, pair_parts, permutation_p

Floats = NDArray[np.float64]

PROBES, LEVEL, RESAMPLES = 6, 0.4, 1000
EASE, TAKES_TO, SEED_AND_PAIR = 1.0, 0.5, 0.5
GROUP_OF_CELL = (0, 1, 2, 2)
DESIGNS = [
    (pairs, seeds, luck) for pairs in (40, 10, 4) for seeds in (1, 3, 5) for luck in (0.0, 0.2) if pairs != 10
] + [(10, 1, 0.0), (10, 3, 0.2)]


def _right(logits: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-logits)))


@cache
def level(share: float, luck: float) -> float:
    """The model's level, in logits, at which the mean chance of a right answer is ``share``."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(41)
    spread = np.sqrt(EASE**2 + TAKES_TO**2 + SEED_AND_PAIR**2 + luck**2)
    low, high = -10.0, 10.0
    for _ in range(60):
        middle = (low + high) / 2
        mean = float(weights @ _right(middle + spread * nodes) / weights.sum())
        low, high = (middle, high) if mean < share else (low, middle)
    return low


def answers(
    share: float, ease: Floats, group: Floats, seeds: int, luck: float, rng: np.random.Generator
) -> Floats:
    """Right answers of one model: cells x seeds x pairs."""
    pairs = len(ease)
    logits = (
        level(share, luck)
        + ease
        + rng.normal(0, TAKES_TO, pairs)
        + rng.normal(0, luck, (seeds, 1))
        + rng.normal(0, SEED_AND_PAIR, (seeds, pairs))
    )
    inside = np.array([group == g for g in GROUP_OF_CELL])[:, None, :]
    return rng.binomial(PROBES, _right(logits), (len(GROUP_OF_CELL), seeds, pairs)) * inside.astype(float)


def simulate(pairs: int, seeds: int, luck: float, effect: float, repeats: int) -> dict[str, float]:
    """Shares of the repeats in which this and that was found, for a true difference of ``effect``."""
    rng = np.random.default_rng([pairs, seeds, int(1000 * luck), round(1e6 * (1 + effect))])
    group = np.repeat([0, 1, 2], pairs)
    count = np.array([PROBES * (group == g) for g in GROUP_OF_CELL], dtype=float)
    rows = []
    for _ in range(repeats):
        ease = rng.normal(0, EASE, len(group))
        a, b = (answers(LEVEL + e, ease, group, seeds, luck, rng) for e in (effect, 0.0))
        found, p = estimate(a - b, count, RESAMPLES), permutation_p(pair_parts(a - b, count), RESAMPLES)
        low, high = found.interval(0.95, -1, 1)
        plain_low, plain_high = np.quantile(bootstrap(a - b, count, RESAMPLES), [0.025, 0.975])
        rows.append(
            {
                "interval_covers": low <= effect <= high,
                "percentile_interval_covers": plain_low <= effect <= plain_high,
                "p_below_0.05": p <= 0.05,
                "ahead": p <= 0.05 and low > 0,
                "guard_passed": found.low(0.95) >= -GUARD_LOSS,
                "error": found.error or 0.0,
                "mdd": found.detectable or 0.0,
                "value": found.value,
            }
        )
    result = {key: round(float(np.mean([row[key] for row in rows])), 3) for key in rows[0]}
    # The error as it is, to set that of the bootstrap against.
    return result | {"spread": round(float(np.std([row["value"] for row in rows])), 4)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path("bench/results/power.json"))
    options = parser.parse_args()
    found: list[dict[str, Any]] = []
    for pairs, seeds, luck in DESIGNS:
        none = simulate(pairs, seeds, luck, 0.0, options.repeats)
        row: dict[str, Any] = {"pairs_per_cell": pairs, "seeds": seeds, "luck": luck, "no_difference": none}
        row["ten_points"] = simulate(pairs, seeds, luck, 0.1, options.repeats)
        if pairs == 40:
            row["at_mdd"] = simulate(pairs, seeds, luck, none["mdd"], options.repeats)
            row["five_points_lost"] = simulate(pairs, seeds, luck, -GUARD_LOSS, options.repeats)
        found.append(row)
        print(json.dumps(row), flush=True)
    result = {"repeats": options.repeats, "resamples": RESAMPLES, "designs": found}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
