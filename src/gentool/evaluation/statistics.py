"""Statistics of means over pairs and seeds: bootstrap, intervals, permutation test, Holm's correction, power.

The data of a mean: ``total`` (cells x seeds x pairs), the sum of a metric over the probes of each cell, seed and
pair, and ``count`` (cells x pairs), how many probes those are. The mean weighs cells the same, and within a
cell probes. For a difference of two models, ``total`` is the difference of theirs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

EXACT_PAIRS = 12
"""Up to so many pairs in which two models differ, the permutation test goes through all sign patterns."""

_NOTHING = 1e-12
"""Differences below it are rounding: values are shares, and sums of at most some thousand of them."""


def seed_means(total: Floats, count: Floats) -> Floats:
    """The mean with each seed alone, shape (seeds,); their average is the mean."""
    return np.asarray((total.sum(-1) / count.sum(-1)[:, None]).mean(0))


def pair_parts(total: Floats, count: Floats) -> Floats:
    """What each pair adds to the mean over all seeds, shape (pairs,); their sum is the mean."""
    return np.asarray((total.mean(1) / count.sum(-1)[:, None]).mean(0))


@lru_cache(maxsize=4)
def _weights(kind: int, size: int, resamples: int) -> Floats:
    """How often each of ``size`` things is drawn in each resample, shape (resamples, size); rows sum to ``size``.

    Pairs (kind 0) and seeds (kind 1) have streams of their own. The draws depend on nothing but the
    arguments, so the interval of a cell does not depend on what else is scored.
    """
    drawn = np.random.default_rng([kind, size]).multinomial(size, np.full(size, 1 / size), size=resamples)
    weights = drawn.astype(np.float64)
    weights.flags.writeable = False
    return weights


def bootstrap(total: Floats, count: Floats, resamples: int, seeds: bool = True) -> Floats:
    """The mean in each resample, shape (resamples,): whole pairs, and with ``seeds`` seeds, with replacement.

    All cells share the draws. A cell of which a resample holds no pair is left out of its mean.
    """
    pairs = _weights(0, count.shape[1], resamples)
    number = total.shape[1]
    by_seed = _weights(1, number, resamples) if seeds else np.ones((1, number))
    means = np.full((len(total), resamples), np.nan)
    for row, cell_total, cell_count in zip(means, total, count, strict=True):
        probes = pairs @ cell_count
        np.divide(((pairs @ cell_total.T) * by_seed).sum(1) / number, probes, out=row, where=probes > 0)
    return np.asarray(np.nanmean(means, axis=0))


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard error (``None`` from fewer than two pairs) and degrees of freedom."""

    value: float
    error: float | None
    freedom: float

    def _errors(self, coverage: float) -> float:
        """Student's quantile, in standard errors: about 1.96 for 0.975 where pairs and seeds are many."""
        from scipy.special import stdtrit

        return float(stdtrit(self.freedom, coverage))

    def low(self, coverage: float) -> float:
        """The bound that lies below the true mean with probability ``coverage``; minus infinity without an error."""
        return -math.inf if self.error is None else self.value - self._errors(coverage) * self.error

    def interval(self, confidence: float, least: float, most: float) -> tuple[float, float]:
        """The two-sided interval, within what the metric can be; all of that without an error."""
        low = self.low((1 + confidence) / 2)
        return max(least, low), min(most, 2 * self.value - low)

    @property
    def detectable(self) -> float | None:
        """The true difference that such data shows (95 % interval without 0) with probability 0.80.

        ``None`` if there is no error to compute it from, or no pair differs from another.
        """
        if self.error is None or self.error <= _NOTHING:
            return None
        return (self._errors(0.975) + self._errors(0.80)) * self.error


def estimate(total: Floats, count: Floats, resamples: int) -> Estimate:
    """The mean, and its standard error by bootstrap over pairs and seeds.

    The degrees of freedom are Satterthwaite's (1946) for the two parts of the error: pairs, with those of the
    smallest cell, and seeds. With one seed the error is that of pairs alone.
    """
    by_seed = seed_means(total, count)
    value = float(by_seed.mean())
    pairs, seeds = int((count > 0).sum(1).min()), len(by_seed)
    if pairs < 2 or resamples < 2:
        return Estimate(value, None, 0)
    error = float(bootstrap(total, count, resamples).std(ddof=1))
    if seeds == 1:
        return Estimate(value, error, pairs - 1)
    of_pairs = float(bootstrap(total, count, resamples, seeds=False).var(ddof=1))
    of_seeds = float(by_seed.var(ddof=1)) / seeds
    parts = of_pairs**2 / (pairs - 1) + of_seeds**2 / (seeds - 1)
    freedom = (of_pairs + of_seeds) ** 2 / parts if parts else seeds - 1
    return Estimate(value, error, min(freedom, pairs - 1))


def permutation_p(parts: Floats, resamples: int) -> float:
    """Two-sided p of a mean difference being 0: for each pair the two models are swapped or not.

    ``parts`` (pairs,) is what each pair adds to the difference (:func:`pair_parts`); a swap flips its sign. All
    patterns are gone through where at most :data:`EXACT_PAIRS` parts are not 0; else ``resamples`` random
    ones, the observed pattern counted among them.
    """
    parts = parts[np.abs(parts) > _NOTHING]  # to swap equals changes nothing
    bound = abs(float(parts.sum())) - _NOTHING
    if len(parts) <= EXACT_PAIRS:
        signs = np.array(list(product((-1.0, 1.0), repeat=len(parts))))
        return float((np.abs(signs @ parts) >= bound).mean())
    signs = 2.0 * np.random.default_rng(2).integers(0, 2, size=(resamples, len(parts))) - 1
    return float((1 + (np.abs(signs @ parts) >= bound).sum()) / (1 + resamples))


def holm(values: Sequence[float | None]) -> list[float | None]:
    """p values after Holm's (1979) correction, in the order given; ``None`` stays and does not count."""
    known = sorted((p, i) for i, p in enumerate(values) if p is not None)
    found: list[float | None] = [None] * len(values)
    floor = 0.0
    for rank, (p, i) in enumerate(known):
        floor = max(floor, min(1.0, (len(known) - rank) * p))
        found[i] = floor
    return found
