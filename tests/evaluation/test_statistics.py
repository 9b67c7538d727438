"""Bootstrap, interval, permutation test and Holm against plain recomputations and known cases."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from scipy import stats

from gentool.evaluation.statistics import (
    EXACT_PAIRS,
    Estimate,
    bootstrap,
    estimate,
    holm,
    pair_parts,
    permutation_p,
    seed_means,
)

RNG = np.random.default_rng(7)


def _one_cell(*by_seed: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """One probe a pair."""
    total = np.array([by_seed], dtype=float)
    return total, np.ones((1, total.shape[2]))


# ------------------------------------------------------------------------------ means


def test_means_and_parts_agree() -> None:
    count = np.array([[2.0, 1, 0], [0, 3, 1]])
    total = RNG.random((2, 4, 3)) * count[:, None, :]
    mean = np.mean([total[c].mean(0).sum() / count[c].sum() for c in range(2)])
    assert seed_means(total, count).shape == (4,) and pair_parts(total, count).shape == (3,)
    assert seed_means(total, count).mean() == pytest.approx(mean)
    assert pair_parts(total, count).sum() == pytest.approx(mean)


def test_bootstrap_error_is_that_of_a_mean() -> None:
    values = RNG.random(50)
    drawn = bootstrap(*_one_cell(list(values)), 20_000)
    assert drawn.mean() == pytest.approx(values.mean(), abs=0.002)
    assert drawn.std() == pytest.approx(values.std() / math.sqrt(50), rel=0.03)


def test_bootstrap_draws_seeds_too() -> None:
    total, count = _one_cell([0.0] * 9, [1.0] * 9)
    assert set(bootstrap(total, count, 300)) == {0.0, 0.5, 1.0}
    assert set(bootstrap(total, count, 300, seeds=False)) == {0.5}


def test_cells_share_the_draws_of_pairs() -> None:
    """A pair that gains in one cell what it loses in another adds nothing to the error."""
    one = RNG.random((1, 1, 30))
    count = np.ones((2, 30))
    assert bootstrap(np.concatenate([one, -one]), count, 100) == pytest.approx(np.zeros(100))


def test_pairs_and_seeds_are_drawn_apart() -> None:
    """As many pairs as seeds: the same draws for both would favour the diagonal (mean 0.56)."""
    assert bootstrap(*_one_cell([1, 0, 0], [0, 1, 0], [0, 0, 1]), 20_000).mean() == pytest.approx(
        1 / 3, abs=0.01
    )


def test_a_resample_without_a_cell_is_the_mean_of_the_others() -> None:
    total = np.array([[[1.0, 1, 1]], [[0, 0, 0.0]]])
    count = np.array([[1.0, 1, 1], [0, 0, 1]])
    assert set(bootstrap(total, count, 200)) == {0.5, 1.0}


# ------------------------------------------------------------------------------ estimates


def test_one_seed_gives_the_t_interval_of_a_mean() -> None:
    values = RNG.random(25)
    found = estimate(*_one_cell(list(values)), 20_000)
    assert found.freedom == 24
    half = stats.t.ppf(0.975, 24) * values.std() / 5
    low, high = found.interval(0.95, 0, 1)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.004)
    assert found.low(0.95) == pytest.approx(
        values.mean() - stats.t.ppf(0.95, 24) * values.std() / 5, abs=0.004
    )
    assert found.detectable == pytest.approx(
        (stats.t.ppf(0.975, 24) + stats.t.ppf(0.8, 24)) * values.std() / 5, rel=0.03
    )


def test_degrees_of_freedom_go_from_those_of_pairs_to_those_of_seeds() -> None:
    pairs = RNG.normal(size=40)
    found = [
        estimate(*_one_cell(*(list(pairs + luck * s) for s in (-1, 0, 1))), 2000).freedom
        for luck in (0, 0.2, 0.5, 20)
    ]
    assert found[0] == 39
    assert found == sorted(found, reverse=True)
    assert found[-1] == pytest.approx(2, abs=0.05)


def test_the_smallest_cell_sets_the_degrees_of_freedom() -> None:
    count = np.zeros((2, 30))
    count[0], count[1, :5] = 1, 1
    assert estimate(RNG.random((2, 1, 30)) * count[:, None, :], count, 100).freedom == 4


def test_large_numbers_give_the_normal_quantiles() -> None:
    found = Estimate(0.0, 1.0, 1e9)
    assert found.interval(0.95, -9, 9) == pytest.approx((-1.96, 1.96), abs=1e-3)
    assert found.detectable == pytest.approx(1.96 + 0.84, abs=0.002)


def test_interval_stays_within_what_can_be() -> None:
    assert Estimate(0.9, 0.2, 10).interval(0.95, 0, 1)[1] == 1
    assert Estimate(-0.9, 0.2, 10).interval(0.95, -1, 1)[0] == -1


def test_one_pair() -> None:
    found = estimate(*_one_cell([0.3], [0.5]), 100)
    assert (found.value, found.error, found.detectable) == (0.4, None, None)
    assert found.low(0.95) == -math.inf
    assert found.interval(0.95, -1, 1) == (-1, 1)


def test_no_variance() -> None:
    found = estimate(*_one_cell([0.1] * 9, [0.1] * 9), 100)
    assert found.interval(0.95, 0, 1) == pytest.approx((0.1, 0.1))
    assert found.detectable is None


def test_pairs_and_seeds_without_effects_of_their_own() -> None:
    """Neither pairs nor seeds differ on average, only their combinations: the error is there all the same."""
    found = estimate(*_one_cell([1, 0], [0, 1]), 500)
    assert found.error and found.freedom == 1


@pytest.mark.parametrize(("pairs", "seeds", "luck"), [(8, 1, 0.0), (40, 3, 0.3)])
def test_interval_covers_with_few_pairs_and_lucky_seeds(pairs: int, seeds: int, luck: float) -> None:
    rng = np.random.default_rng(5)
    held = percentiles = 0
    for _ in range(300):
        total = rng.normal(size=(1, 1, pairs)) + rng.normal(0, 0.5, (1, seeds, pairs))
        total += rng.normal(0, luck, (1, seeds, 1))
        count = np.ones((1, pairs))
        low, high = estimate(total, count, 300).interval(0.95, -9, 9)
        held += low <= 0 <= high
        low, high = np.quantile(bootstrap(total, count, 300), [0.025, 0.975])
        percentiles += low <= 0 <= high
    assert 0.92 <= held / 300 <= 1
    assert percentiles < held, "why percentiles are not the interval"


# ------------------------------------------------------------------------------ permutation


def _all_swaps(parts: list[float]) -> float:
    bound = abs(sum(parts)) - 1e-12
    sums = [
        sum(s * p for s, p in zip(signs, parts, strict=True)) for signs in product((-1, 1), repeat=len(parts))
    ]
    return sum(abs(x) >= bound for x in sums) / len(sums)


@pytest.mark.parametrize("pairs", [1, 2, 5, EXACT_PAIRS])
def test_few_pairs_are_enumerated(pairs: int) -> None:
    parts = np.random.default_rng(pairs).normal(0.3, 1, pairs)
    p = permutation_p(parts, 10)
    assert p == pytest.approx(_all_swaps(list(parts)))
    assert p == permutation_p(parts, 5000), "no matter how many resamples: it is exact"


def test_smallest_p_of_few_pairs() -> None:
    assert permutation_p(np.ones(5), 1000) == 2 / 2**5


def test_pairs_without_a_difference_do_not_count() -> None:
    parts = np.array([0.2, 0.1, -0.05])
    assert permutation_p(np.concatenate([parts, np.zeros(500)]), 10) == permutation_p(parts, 10)
    assert permutation_p(np.zeros(8), 10) == 1


def test_many_pairs_are_drawn_and_the_observed_pattern_counts() -> None:
    assert permutation_p(np.ones(60), 999) == pytest.approx(1 / 1000)
    parts = np.random.default_rng(3).normal(0.25, 1, 16)
    assert permutation_p(parts, 20_000) == pytest.approx(_all_swaps(list(parts)), abs=0.015)


def test_p_is_two_sided() -> None:
    for pairs in (6, 30):
        parts = np.random.default_rng(pairs).normal(0.4, 1, pairs)
        assert permutation_p(parts, 500) == permutation_p(-parts, 500)


# ------------------------------------------------------------------------------ Holm


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.04], [0.04]),
        ([0.01, 0.04], [0.02, 0.04]),
        ([0.04, 0.03], [0.06, 0.06]),
        ([0.03, None, 0.01], [0.03, None, 0.02]),
        ([0.7, 0.9], [1.0, 1.0]),
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([None], [None]),
        ([], []),
    ],
)
def test_holm(values: list[float | None], expected: list[float | None]) -> None:
    assert holm(values) == pytest.approx(expected)
