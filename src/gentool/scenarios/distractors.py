"""Which other tools stand beside a pair's tools: near ones, that could not serve its queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

import numpy as np

from gentool.records import Record, Tool, ToolPair
from gentool.scenarios.neighbours import ScenarioError, Similarity


class Screened(Record):
    """A tool that was kept out of a pair's sets, and why."""

    pair: str
    tool: str
    reason: str
    similarity: float


def screen(
    pair: ToolPair, candidates: Sequence[Tool], similarity: Similarity
) -> tuple[list[Tool], list[Screened]]:
    """Split ``candidates`` into usable ones, nearest first, and those that might serve a query of the pair.

    Kept out is a tool that is a near-duplicate of one of the pair's, has the same name, or is related
    to it and more like a query than the query's best tool is. Being more like a query alone does not
    count: if it did, plain similarity would always find the right tool.
    """
    candidates = [c for c in candidates if c.id not in {t.id for t in pair.tools}]
    if not candidates:
        return [], []
    ids = [c.id for c in candidates]
    to_tools = similarity.between([t.id for t in pair.tools], ids).max(axis=0)
    beaten: dict[int, float] = {}
    asked = [q for q in pair.queries if q.best is not None]
    if asked:
        to_queries = similarity.between([q.id for q in asked], ids)
        own = similarity.between([q.id for q in asked], [t.id for t in pair.tools])
        best = np.array([own[i, pair.names.index(q.best or "")] for i, q in enumerate(asked)])
        worst = (to_queries - best[:, None]).max(axis=0)
        beaten = {j: float(v) for j, v in enumerate(worst) if v >= 0}
    usable: list[tuple[float, Tool]] = []
    screened: list[Screened] = []
    for j, tool in enumerate(candidates):
        value = float(to_tools[j])
        reason = ""
        if tool.name in pair.names:
            reason = "has the name of one of the pair's tools"
        elif value >= similarity.near_duplicate:
            reason = "near-duplicate of one of the pair's tools"
        elif value >= similarity.related and j in beaten:
            reason = "related to the pair's tools and nearer to a query than its best tool"
        if reason:
            screened.append(Screened(pair=pair.id, tool=tool.id, reason=reason, similarity=round(value, 4)))
        else:
            usable.append((value, tool))
    usable.sort(key=lambda item: (-item[0], item[1].id))
    return [tool for _, tool in usable], screened


def _alternate(sources: Sequence[Sequence[Tool]]) -> Iterator[Tool]:
    for layer in zip_longest(*sources):
        yield from (tool for tool in layer if tool is not None)


def choose(
    pair: ToolPair,
    sources: Sequence[Sequence[Tool]],
    number: int,
    side: str,
    avoid: frozenset[str] = frozenset(),
) -> tuple[Tool, ...]:
    """``number`` tools of different names, from the sources in turn, each source nearest first.

    Sources are, say, other pairs' tools and stand-alone tools: in turn, so that where a tool comes from does not
    tell whether it is the answer. ``side`` names them in the error.
    ``avoid``: tool ids not to take. Raises :class:`ScenarioError`.
    """
    chosen: list[Tool] = []
    names = set(pair.names)
    for tool in _alternate(sources):
        if len(chosen) == number:
            break
        if tool.id not in avoid and tool.name not in names:
            chosen.append(tool)
            names.add(tool.name)
    if len(chosen) < number:
        raise ScenarioError(
            f"pair {pair.id} ({', '.join(pair.names)}) needs {number} {side} distractors; found {len(chosen)}. Fix: "
            "add stand-alone tools to data.tools (a list of files; `package` is one), or lower scenarios.k (not below "
            "3). "
            "A pair of T needs about 2k + 2 on the train side, unseen tools k + 1 on the test side."
        )
    return tuple(chosen)
