"""Which pair is trained on and which is kept unseen."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from gentool.prompting.order import seeded
from gentool.records import Group, Tool, ToolPair
from gentool.scenarios.neighbours import ScenarioError, Similarity


def trained_tools(pair: ToolPair) -> tuple[Tool, ...]:
    """The pair's tools that training may show: both in T, the sibling in B, none in A and U."""
    if pair.group == "T":
        return pair.tools
    if pair.group == "B" and pair.unseen_tool:
        return (pair.tool(pair.sibling(pair.unseen_tool)),)
    return ()


def unseen_tools(pair: ToolPair) -> tuple[Tool, ...]:
    """The pair's tools that training must never show."""
    trained = trained_tools(pair)
    return tuple(t for t in pair.tools if t not in trained)


_ROWS = 512
"""Tools compared at once: bounds the memory that a large catalogue takes."""


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def near_duplicates(
    first: Sequence[Tool], second: Sequence[Tool], similarity: Similarity
) -> list[tuple[Tool, Tool, float]]:
    """Pairs of different tools, one of each side, that are alike: by name, or by what they say of themselves."""
    if not first or not second:
        return []
    names: dict[str, list[int]] = {}
    for j, tool in enumerate(second):
        names.setdefault(_plain(tool.name), []).append(j)
    found = []
    for start in range(0, len(first), _ROWS):
        rows = first[start : start + _ROWS]
        values = similarity.between([t.id for t in rows], [t.id for t in second])
        for i, a in enumerate(rows):
            alike = {*np.flatnonzero(values[i] >= similarity.near_duplicate).tolist()}
            found += [
                (a, second[j], float(values[i, j])) for j in sorted(alike | {*names.get(_plain(a.name), [])})
            ]
    return found


def _clusters(pairs: Sequence[ToolPair], similarity: Similarity) -> list[list[ToolPair]]:
    """Pairs joined wherever a tool of one is a near-duplicate of a tool of another."""
    owner = {tool.id: i for i, pair in enumerate(pairs) for tool in pair.tools}
    root = list(range(len(pairs)))

    def find(i: int) -> int:
        while root[i] != i:
            i = root[i]
        return i

    tools = [tool for pair in pairs for tool in pair.tools]
    for a, b, _ in near_duplicates(tools, tools, similarity):
        root[find(owner[a.id])] = find(owner[b.id])
    clusters: dict[int, list[ToolPair]] = {}
    for i, pair in enumerate(pairs):
        clusters.setdefault(find(i), []).append(pair)
    return list(clusters.values())


def assign_groups(
    pairs: Sequence[ToolPair], shares: Mapping[Group, float], seed: int, similarity: Similarity
) -> list[ToolPair]:
    """Give every pair without a group one, in the proportions of ``shares``; groups given stay.

    Pairs whose tools are near-duplicates go to the same group, T if there is no other way. In B the unseen
    tool is the richer one and the plainer one in turn. Raises :class:`ScenarioError` where groups given
    in the data put near-duplicates on both sides.
    """
    counts: Counter[Group] = Counter(p.group for p in pairs if p.group)
    total = sum(shares.values())
    assigned: dict[str, ToolPair] = {p.id: p for p in pairs if p.group}
    free = [c for c in _clusters(pairs, similarity) if any(p.group is None for p in c)]
    free.sort(key=lambda c: (-len(c), seeded("groups", seed, c[0].id).random()))
    for cluster in free:
        given = {p.group for p in cluster if p.group}
        group: Group = max(shares, key=lambda g: (shares[g] / total * len(pairs) - counts[g], shares[g]))
        if given:
            group = "T" if "T" in given else min(given)
        elif len(cluster) > 1 and group == "B":
            group = "T"
        for pair in cluster:
            if pair.group is None:
                unseen = None
                if group == "B":
                    rich, plain = pair.derivation.from_tool, pair.derivation.tool
                    unseen = rich if counts["B"] % 2 == 0 else plain
                assigned[pair.id] = pair.model_copy(update={"group": group, "unseen_tool": unseen})
                counts[group] += 1
    return [assigned[p.id] for p in pairs]


def check_groups(pairs: Sequence[ToolPair], similarity: Similarity) -> None:
    """Raise :class:`ScenarioError` if a trained tool of a pair is a near-duplicate of another pair's unseen tool."""
    owner = {tool.id: pair.id for pair in pairs for tool in pair.tools}
    trained = [t for p in pairs for t in trained_tools(p)]
    unseen = [t for p in pairs for t in unseen_tools(p)]
    for a, b, value in near_duplicates(trained, unseen, similarity):
        if owner[a.id] != owner[b.id]:
            raise ScenarioError(
                f"leak: {a.name!r} is trained on and is a near-duplicate (similarity {value:.2f}, limit "
                f"{similarity.near_duplicate}) of {b.name!r}, which must stay unseen. Fix: put both pairs in "
                "one group, or drop one of them."
            )
