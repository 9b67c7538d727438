"""The build checks itself: nothing that must stay unseen is in training."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from gentool.records import Probe, Sample, Tool, ToolPair, ToolSet
from gentool.scenarios.groups import near_duplicates, unseen_tools
from gentool.scenarios.neighbours import ScenarioError, Similarity

SAME_QUERY = 0.97
"""Queries at least that similar are one query in other punctuation or spelling."""


def plain_query(query: str) -> str:
    """A query without case and punctuation."""
    return re.sub(r"\W+", " ", query).strip().lower()


def _check_set(tool_set: ToolSet, pair: ToolPair, tools: Mapping[str, Tool], k: int) -> None:
    names = [tools[i].name for i in tool_set.tools]
    if len(names) != k or len(set(names)) != k:
        raise ScenarioError(f"tool set {tool_set.id}: expected {k} tools of different names; found {names}")
    own = {t.id for t in pair.tools}
    if not set(tool_set.pair_tools) <= own or own & set(tool_set.distractors):
        raise ScenarioError(f"tool set {tool_set.id}: a tool of pair {pair.id} stands among its distractors")


def check_leaks(
    pairs: Sequence[ToolPair],
    tools: Mapping[str, Tool],
    train: Sequence[Sample],
    probes: Sequence[Probe],
    alike: Similarity,
    k: int,
) -> None:
    """Raise :class:`ScenarioError` on the first leak found.

    No unseen tool and no near-duplicate of one is in a training set (B's sibling beside its own unseen tool
    excepted); no query that a scenario calls unseen is trained on; every set has ``k`` tools, the pair's
    never among the distractors; no set of a seen-tool probe has the distractors that its pair was trained with;
    the decoy of an unseen-tool probe is in no training set.
    """
    by_id = {p.id: p for p in pairs}
    for tool_set in [s.tool_set for s in train] + [s for p in probes for s in (p.before, p.after)]:
        _check_set(tool_set, by_id[tool_set.pair], tools, k)
    shown = sorted({i for s in train for i in s.tool_set.tools})
    owner = {t.id: p for p in pairs for t in p.tools}
    unseen = [t for p in pairs for t in unseen_tools(p)]
    unseen_ids = {t.id for t in unseen}
    for tool_id in shown:
        if tool_id in unseen_ids:
            raise ScenarioError(f"leak: the unseen tool {tool_id} is in a training set")
    for a, b, value in near_duplicates([tools[i] for i in shown], unseen, alike):
        if owner.get(a.id) is not owner[b.id]:
            raise ScenarioError(
                f"leak: {a.id} is in a training set and is a near-duplicate ({value:.2f}) of the unseen {b.id}"
            )
    _check_queries(train, probes, alike)
    _check_distractors(train, probes, tools, unseen_ids)


def _check_queries(train: Sequence[Sample], probes: Sequence[Probe], alike: Similarity) -> None:
    trained = {s.query_id: s.query for s in train}
    plain = {plain_query(s.query): s.query_id for s in train}
    unseen = {p.query.id: p.query.query for p in probes if p.scenario.startswith("unseen_query")}
    if not trained or not unseen:
        return
    nearest = alike.between(list(unseen), list(trained))
    for (query_id, text), row in zip(unseen.items(), nearest, strict=True):
        same = plain.get(plain_query(text))
        if same is None and row.max() >= SAME_QUERY:
            same = list(trained)[int(row.argmax())]
        if same is not None:
            raise ScenarioError(
                f"leak: the unseen query {query_id} ({text[:60]!r}) is trained on as {same} "
                f"({trained[same][:60]!r}). Fix: remove one of the two."
            )


def _check_distractors(
    train: Sequence[Sample], probes: Sequence[Probe], tools: Mapping[str, Tool], unseen: set[str]
) -> None:
    """Seen-tool probes have new distractors; the decoys of unseen-tool probes are new to the model."""
    beside: dict[str, set[str]] = {}
    for sample in train:
        beside.setdefault(sample.pair, set()).update(sample.tool_set.distractors)
    shown = {i for s in train for i in s.tool_set.tools}
    for probe in probes:
        if probe.scenario in ("seen_query_seen_tool", "unseen_query_seen_tool"):
            for tool_set in (probe.before, probe.after):
                again = beside.get(probe.pair, set()) & set(tool_set.distractors)
                if again:
                    raise ScenarioError(
                        f"tool set {tool_set.id}: {sorted(again)} stood beside its pair in training"
                    )
        elif probe.transition == "zero":
            decoy = set(probe.after.tools) - set(probe.before.tools)
            if decoy & shown:
                raise ScenarioError(
                    f"tool set {probe.after.id}: its decoy {sorted(decoy)} is shown in training"
                )
