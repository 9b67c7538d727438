"""All checks of the open dataset, and the figures for its card: ``gentool data check``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gentool.catalog.schema import pair_problems, unusable
from gentool.dataset.rankers import contested, embedding_accuracy, lexical_choices, tools_only_accuracy
from gentool.dataset.readings import Reading, agreement
from gentool.dataset.written import pair_remarks
from gentool.records import GradedQuery, Tool, ToolPair
from gentool.scenarios.groups import near_duplicates
from gentool.scenarios.leaks import SAME_QUERY, plain_query
from gentool.scenarios.neighbours import similarity, tool_text
from gentool.synthesis.grounding import ground_call
from gentool.synthesis.records import CallDraft, Ground, QueryDraft

LEAST = {"pairs": 240, "queries": 2400, "domains": 24, "tools": 300, "near_misses": 300}
GROUPS = {"T": 100, "D": 20, "A": 40, "B": 40, "U": 40}
CHALLENGE = 20
LEXICAL_LIMIT = 0.75
TOOLS_ONLY_LIMIT = 0.55
"""Chance is 0.5; with 2,400 queries of 240 pairs a classifier without information stays below this."""

GROUNDED = 0.95
"""Rules do not see everything that follows from a query; what they miss is read."""

WEAKER_IS_BETTER = 0.15
UPGRADES = 0.2


@dataclass
class Checked:
    """``figures`` go into the card; ``problems`` are empty where the dataset is fit to be shipped."""

    figures: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def check_dataset(
    pairs: Sequence[ToolPair], tools: Sequence[Tool], readings: Sequence[Reading], embedding: bool = True
) -> Checked:
    """Run every check. The order of ``pairs`` and ``tools`` does not matter.

    ``embedding``: measure the embedding ranker too, which takes minutes and decides nothing.
    """
    checked = Checked()
    _sizes(checked, pairs, tools)
    _calls(checked, pairs)
    checked.problems += [f"{'/'.join(p.names)}: {remark}" for p in pairs for remark in pair_remarks(p)]
    checked.problems += [f"{t.name}: {problem}" for t in tools for problem in unusable(t)]
    checked.problems += _names(pairs, tools)
    _alike(checked, pairs, tools)
    _artefacts(checked, pairs)
    checked.figures["embedding_ranker_accuracy"] = embedding_accuracy(pairs) if embedding else None
    checked.figures |= agreement(readings)
    if not readings:
        checked.problems.append("readings: expected a second, blind reading; found none")
    return checked


def _sizes(checked: Checked, pairs: Sequence[ToolPair], tools: Sequence[Tool]) -> None:
    graded = contested(pairs)
    groups = Counter(p.group for p in pairs)
    figures = {
        "pairs": len(pairs),
        "queries": len(graded),
        "near_misses": sum(q.best is None for p in pairs for q in p.queries),
        "domains": len({p.domain for p in pairs}),
        "tools": len(tools),
        "groups": {g: groups[g] for g in ("T", "D", "A", "B", "U")},
        "challenge": sum(p.challenge for p in pairs),
        "ways": dict(Counter(p.derivation.how for p in pairs).most_common()),
    }
    checked.figures |= figures
    for name, least in LEAST.items():
        if figures[name] < least:  # type: ignore[operator]
            checked.problems.append(f"{name}: expected at least {least:,}; found {figures[name]:,}")
    for group, least in GROUPS.items():
        if groups[group] < least:  # type: ignore[index]
            checked.problems.append(f"group {group}: expected at least {least} pairs; found {groups[group]}")  # type: ignore[index]
    if figures["challenge"] < CHALLENGE:  # type: ignore[operator]
        checked.problems.append(
            f"challenge: expected at least {CHALLENGE} pairs; found {figures['challenge']}"
        )
    elsewhere = {p.domain for p in pairs if not p.challenge}
    for pair in pairs:
        if pair.challenge and (pair.group != "U" or pair.domain in elsewhere):
            checked.problems.append(
                f"{'/'.join(pair.names)}: a challenge pair is in group U and a domain of its own"
            )
    rich = sum(p.unseen_tool == p.derivation.from_tool for p in pairs if p.group == "B")
    if abs(2 * rich - groups["B"]) > 2:
        checked.problems.append(
            f"group B: expected the richer tool unseen in half of the pairs; found {rich}"
        )
    _directions(checked, pairs)


def _directions(checked: Checked, pairs: Sequence[ToolPair]) -> None:
    strong = sum(q.best == p.derivation.from_tool for p, q in contested(pairs))
    mostly = sum(2 * sum(q.best == p.derivation.tool for q in p.queries) > 10 for p in pairs) / max(
        1, len(pairs)
    )
    upgrades = sum(p.derivation.how == "older_version" for p in pairs) / max(1, len(pairs))
    both = Counter(
        (q.best == p.derivation.from_tool, q.grades[p.sibling(str(q.best))]) for p, q in contested(pairs)
    )
    checked.figures |= {
        "strong_best": round(strong / max(1, len(contested(pairs))), 4),
        "weak_best_mostly": round(mostly, 4),
        "upgrades": round(upgrades, 4),
        "other_tool": {
            f"{'strong' if is_strong else 'weak'} best, other {grade}": n
            for (is_strong, grade), n in sorted(both.items())
        },
    }
    if mostly < WEAKER_IS_BETTER:
        checked.problems.append(
            f"expected {WEAKER_IS_BETTER:.0%} of the pairs with the weaker tool best for most queries; "
            f"found {mostly:.1%}"
        )
    if upgrades < UPGRADES:
        checked.problems.append(f"expected {UPGRADES:.0%} upgrades of one tool; found {upgrades:.1%}")


def _calls(checked: Checked, pairs: Sequence[ToolPair]) -> None:
    problems = [f"{'/'.join(p.names)}: {text}" for p in pairs for text in pair_problems(p)]
    checked.figures["calls"] = sum(len(q.tool_calls) for p in pairs for q in p.queries)
    checked.figures["invalid_calls"] = len(problems)
    checked.problems += problems
    grounds = [ground for p in pairs for q in p.queries for ground in query_grounds(p, q)]
    grounded = sum(ground != "none" for ground in grounds) / max(1, len(grounds))
    checked.figures |= {"values": len(grounds), "grounded_values": round(grounded, 4)}
    if grounded < GROUNDED:
        checked.problems.append(
            f"values that rules find grounded: expected {GROUNDED:.0%}; found {grounded:.1%}"
        )


def query_grounds(pair: ToolPair, query: GradedQuery) -> list[Ground]:
    """What each argument of a query's calls is grounded in."""
    draft = QueryDraft(query=query.query, now=query.now, intended=str(query.best))
    found: list[Ground] = []
    for call in query.tool_calls:
        grounds, _ = ground_call(pair.tool(call.name), draft, CallDraft(arguments=call.arguments))
        found += grounds.values()
    return found


def _names(pairs: Sequence[ToolPair], tools: Sequence[Tool]) -> Iterator[str]:
    counts = Counter([name for p in pairs for name in p.names] + [t.name for t in tools])
    for name, number in counts.items():
        if number > 1:
            yield f"{name}: a name must tell tools apart; found {number} of it"


def _alike(checked: Checked, pairs: Sequence[ToolPair], tools: Sequence[Tool]) -> None:
    """Tools and queries that are one another again, in other words."""
    owner = {t.id: p.id for p in pairs for t in p.tools}
    paired = [t for p in pairs for t in p.tools]
    texts = {t.id: tool_text(t) for t in [*paired, *tools]}
    queries = {q.id: q.query for p in pairs for q in p.queries}
    alike = similarity(texts | queries, "tfidf", fit_on=list(texts))
    for a, b, value in near_duplicates(paired, [*paired, *tools], alike):
        if owner[a.id] != owner.get(b.id) and a.id < b.id:
            checked.problems.append(f"near-duplicate tools: {a.name} and {b.name} ({value:.2f})")
    ids = sorted(queries)
    for start in range(0, len(ids), 512):
        values: np.ndarray = alike.between(ids[start : start + 512], ids)
        for i, j in zip(*np.nonzero(values >= SAME_QUERY), strict=True):
            if start + i < j:
                both = f"{queries[ids[start + i]]!r} and {queries[ids[j]]!r}"
                checked.problems.append(f"near-duplicate queries: {both}")
    for text, number in Counter(map(plain_query, queries.values())).items():
        if number > 1:
            checked.problems.append(f"repeated query: {text!r}, {number} times")


def _artefacts(checked: Checked, pairs: Sequence[ToolPair]) -> None:
    """What can be told without understanding."""
    right = lexical_choices(pairs)
    words = lexical_choices(pairs, (1, 1))
    lexical = max(sum(right), sum(words)) / max(1, len(right))
    blind = tools_only_accuracy(pairs)
    checked.figures |= {
        "lexical_ranker_accuracy": round(lexical, 4),
        "tools_only_accuracy": round(blind, 4),
    }
    if lexical >= LEXICAL_LIMIT:
        checked.problems.append(
            f"word overlap finds {lexical:.1%} of the best tools; expected under {LEXICAL_LIMIT:.0%}"
        )
    if blind >= TOOLS_ONLY_LIMIT:
        checked.problems.append(
            f"a classifier that does not see the query finds {blind:.1%}; expected under {TOOLS_ONLY_LIMIT:.0%}"
        )
