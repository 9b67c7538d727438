"""Samples that begin with the same tokens, laid out so that each shared token is there once.

The layout is depth first: a trie over token ids, its nodes in one row. Token ``i`` may attend to token ``j`` exactly if
``j <= i < ends[j]``, where ``ends[j]`` is the first index after ``j``'s subtree; its position is its depth. The same
rule keeps apart trees that have nothing in common. Nothing here knows of chat templates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from gentool.prompting.renderer import Rendered


@dataclass(frozen=True)
class Segment:
    """A run of tokens ``[begin, end)`` without a branch; ``path``: the runs of all its ancestors, the root's first."""

    begin: int
    end: int
    path: tuple[tuple[int, int], ...]

    @property
    def depth(self) -> int:
        """How many tokens are before it on its path."""
        return sum(end - begin for begin, end in self.path)


@dataclass(frozen=True)
class Tree:
    """One row of unique tokens in depth-first order, and what is predicted where.

    ``ids``, ``depths`` and ``ends`` have one entry a token. ``predictors[n]`` is the index of the token after which
    ``targets[n]`` is to be predicted, with ``weights[n]``; one token may predict several targets, one for each branch.
    ``total``: tokens of all samples, shared ones counted for each. ``rivals``: of some targets, by number, a token that
    is to be less likely, and the weight of that.
    """

    ids: list[int]
    depths: list[int]
    ends: list[int]
    parents: list[int]
    predictors: list[int]
    targets: list[int]
    weights: list[float]
    total: int
    rivals: dict[int, tuple[int, float]] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """How many times fewer tokens there are than without sharing."""
        return self.total / len(self.ids)

    @cached_property
    def segments(self) -> list[Segment]:
        """The runs between branches, in the order of the row; they cover it without a gap."""
        children = [0] * len(self.ids)
        for parent in self.parents:
            if parent >= 0:
                children[parent] += 1
        begins = [
            i for i, parent in enumerate(self.parents) if i == 0 or parent != i - 1 or children[parent] > 1
        ]
        found: list[Segment] = []
        of = [0] * len(self.ids)
        for begin, end in pairwise([*begins, len(self.ids)]):
            parent = self.parents[begin]
            above = found[of[parent]] if parent >= 0 else None
            path = (*above.path, (above.begin, above.end)) if above else ()
            of[begin:end] = [len(found)] * (end - begin)
            found.append(Segment(begin, end, path))
        return found


def common_length(a: Sequence[int], b: Sequence[int]) -> int:
    """How many tokens two sequences begin with in common."""
    n = min(len(a), len(b))
    if a[:n] == b[:n]:
        return n
    low, high = 0, n  # a[:low] is common, a[:high] is not: comparing slices is faster than comparing tokens
    while high - low > 1:
        middle = (low + high) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle
    return low


def unique_tokens(rows: Sequence[Rendered]) -> int:
    """Tokens of the tree that :func:`build_tree` would make."""
    ordered = sorted(row.ids for row in rows)
    shared = sum(common_length(a, b) for a, b in pairwise(ordered))
    return sum(map(len, ordered)) - shared


def build_tree(rows: Sequence[Rendered]) -> Tree:
    """Lay rows out as a forest of tries. The order of ``rows`` does not matter.

    A target that several samples have after the same tokens stands there once, with the sum of their weights.
    """
    ids: list[int] = []
    depths: list[int] = []
    parents: list[int] = []
    ends: list[int] = []
    wanted: dict[tuple[int, int], float] = {}
    rivals: dict[tuple[int, int], tuple[int, float]] = {}
    path: list[int] = []
    before: list[int] = []
    # In sorted order a row's longest common prefix with any earlier row is that with the one before.
    for row in sorted(rows, key=lambda row: row.ids):
        shared = common_length(before, row.ids)
        for left in path[shared:]:
            ends[left] = len(ids)
        del path[shared:]
        for token in row.ids[shared:]:
            parents.append(path[-1] if path else -1)
            depths.append(len(path))
            path.append(len(ids))
            ids.append(token)
            ends.append(-1)
        for place in range(max(1, row.start), len(row.ids)):
            key = (path[place - 1], row.ids[place])
            wanted[key] = wanted.get(key, 0.0) + row.weight
            if row.rival and row.rival.place == place:
                token, before_weight = rivals.get(key, (row.rival.token, 0.0))
                assert token == row.rival.token, "the same tokens before and the same target have one rival"
                rivals[key] = token, before_weight + row.rival.weight
        before = row.ids
    for left in path:
        ends[left] = len(ids)
    order = sorted(wanted)
    return Tree(
        ids,
        depths,
        ends,
        parents,
        [place for place, _ in order],
        [token for _, token in order],
        [wanted[key] for key in order],
        sum(len(row.ids) for row in rows),
        {n: rivals[key] for n, key in enumerate(order) if key in rivals},
    )


def pack(rows: Sequence[Rendered], budget: int, multiple: int = 1) -> list[list[Rendered]]:
    """Cut rows into packs of at most ``budget`` unique tokens each (one row may be longer), evenly.

    Rows that share most stand together. The number of packs is a multiple of ``multiple`` (of processes), so a pack may
    be empty.
    """
    ordered = sorted(rows, key=lambda row: row.ids)
    count = len(_cut(ordered, budget))
    count = -(-count // multiple) * multiple
    # As even as they come: the smallest budget that gives no more packs.
    low, high = 0, budget
    while high - low > max(1, budget // 64):
        middle = (low + high) // 2
        if len(_cut(ordered, middle)) <= count:
            high = middle
        else:
            low = middle
    packs = _cut(ordered, high)
    return packs + [[] for _ in range(count - len(packs))]


def _cut(ordered: Sequence[Rendered], budget: int) -> list[list[Rendered]]:
    packs: list[list[Rendered]] = []
    used = 0
    for row in ordered:
        own = len(row.ids) - (common_length(packs[-1][-1].ids, row.ids) if packs else 0)
        if not packs or used + own > budget:
            packs.append([])
            used, own = 0, len(row.ids)
        packs[-1].append(row)
        used += own
    return packs
