"""Queries of different pairs that are nearly the same: where one is trained on, the other is not unseen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gentool.records import ToolPair
from gentool.scenarios.leaks import SAME_QUERY, plain_query
from gentool.scenarios.neighbours import Similarity

_ROWS = 512
"""Queries compared at once: bounds the memory that many queries take."""


def without_repeats(pairs: Sequence[ToolPair], alike: Similarity) -> tuple[list[ToolPair], int]:
    """The pairs without queries that nearly repeat one of an earlier pair, and how many queries that were.

    A pair that is left without queries is left out.
    """
    asked = [(i, query) for i, pair in enumerate(pairs) for query in pair.queries]
    ids = [query.id for _, query in asked]
    owner = np.array([i for i, _ in asked], dtype=int)
    dropped = np.zeros(len(asked), dtype=bool)
    first: dict[str, int] = {}
    for start in range(0, len(asked), _ROWS):
        end = min(start + _ROWS, len(asked))
        near = alike.between(ids[start:end], ids[:end]) >= SAME_QUERY
        for j in range(start, end):
            i, query = asked[j]
            earlier = near[j - start, :j] & (owner[:j] != i) & ~dropped[:j]
            same = first.setdefault(plain_query(query.query), i)
            dropped[j] = same != i or bool(earlier.any())
    kept: dict[int, list[int]] = {}
    for j in np.flatnonzero(~dropped).tolist():
        kept.setdefault(asked[j][0], []).append(j)
    return [
        pairs[i].model_copy(update={"queries": tuple(asked[j][1] for j in places)})
        for i, places in kept.items()
    ], int(dropped.sum())
