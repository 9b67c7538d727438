"""How sure a share is, and how far two reviewers agree."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from statistics import NormalDist


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's (1927) score interval of a share; (0, 1) without trials. It holds for few trials and shares near 1."""
    if not trials:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / trials
    scale = 1 + z * z / trials
    centre = (share + z * z / (2 * trials)) / scale
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / scale
    return max(0.0, centre - half), min(1.0, centre + half)


def cohen_kappa(first: Sequence[str], second: Sequence[str]) -> float | None:
    """Cohen's (1960) kappa of two reviewers' decisions on the same items, in the same order.

    ``None`` without items, and where both always decided the same one way: agreement by chance is then certain.
    """
    number = len(first)
    if not number:
        return None
    observed = sum(a == b for a, b in zip(first, second, strict=True)) / number
    ours, theirs = Counter(first), Counter(second)
    chance = sum(ours[kind] * theirs[kind] for kind in ours) / number**2
    if chance == 1:
        return None
    return (observed - chance) / (1 - chance)
