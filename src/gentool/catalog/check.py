"""Everything that is wrong with a user's pairs and tools, and what is in them: ``gentool check``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from gentool.catalog.pairs import check_file, scan_pairs, scan_tools
from gentool.records import Group, Tool, ToolPair, Way
from gentool.scenarios.groups import near_duplicates, trained_tools, unseen_tools
from gentool.scenarios.leaks import SAME_QUERY, plain_query
from gentool.scenarios.neighbours import Similarity, similarity, tool_text

_ROWS = 512
"""Queries compared at once: bounds the memory that many queries take."""


@dataclass(frozen=True)
class Checked:
    """The usable ``pairs`` and ``tools``, what is wrong with the others, and what only deserves a look."""

    pairs: list[ToolPair]
    tools: list[Tool]
    problems: list[str] = field(default_factory=list)
    alike_queries: list[str] = field(default_factory=list)
    alike_tools: list[str] = field(default_factory=list)


def check_files(pairs_file: Path, tool_files: Sequence[Path] = (), embedding: str = "auto") -> Checked:
    """Read pairs and stand-alone tools, and compare what can be used of them.

    ``embedding`` as in ``scenarios.embedding``. Raises :class:`gentool.jsonl.RecordError` for a file that is not
    there; whatever is wrong in a file is in ``Checked.problems``, each naming file, line, field and fix.
    """
    check_file("PAIRS", pairs_file)
    for path in tool_files:
        check_file("--tools", path)
    pairs, problems = scan_pairs(pairs_file)
    pool: dict[str, Tool] = {}
    for path in tool_files:
        tools, wrong = scan_tools(path)
        pool |= {t.id: t for t in tools}
        problems += wrong
    checked = Checked(pairs, list(pool.values()), problems)
    if pairs:
        _compare(checked, pairs_file, embedding)
    return checked


def _compare(checked: Checked, file: Path, embedding: str) -> None:
    """Add what the comparison of the pairs and tools with each other finds."""
    pairs = checked.pairs
    owner = {tool.id: pair for pair in pairs for tool in pair.tools}
    paired = [tool for pair in pairs for tool in pair.tools]
    texts = {t.id: tool_text(t) for t in [*paired, *checked.tools]}
    queries = {q.id: q.query for p in pairs for q in p.queries}
    alike = similarity(texts | queries, embedding, fit_on=list(texts))
    if all(p.group not in (None, "T") for p in pairs):
        checked.problems.append(f"{file}: no pair is in group T. Fix: give one the group T, or none.")
    given = [p for p in pairs if p.group is not None]
    trained = [t for p in given for t in trained_tools(p)]
    unseen = [t for p in given for t in unseen_tools(p)]
    for a, b, value in near_duplicates(trained, unseen, alike):
        if owner[a.id] is not owner[b.id]:
            checked.problems.append(
                f"{file}: {a.name!r} is trained on and is a near-duplicate ({value:.2f}) of {b.name!r}, which must "
                "stay unseen. Fix: put both pairs in one group, or drop one of them."
            )
    for a, b, value in near_duplicates(paired, [*paired, *checked.tools], alike):
        # Of two tools of pairs each finds the other; one of the two is enough.
        if b.id not in owner or (owner[a.id] is not owner[b.id] and a.id < b.id):
            checked.alike_tools.append(f"{a.name} and {b.name} ({value:.2f})")
    checked.alike_queries.extend(_alike_queries(pairs, alike))


def _alike_queries(pairs: Sequence[ToolPair], alike: Similarity) -> Iterator[str]:
    """Queries of different pairs that are one query, or nearly."""
    asked = [(pair.id, query.id, query.query) for pair in pairs for query in pair.queries]
    ids = [query_id for _, query_id, _ in asked]
    same: dict[str, list[int]] = {}
    for j, (_, _, text) in enumerate(asked):
        same.setdefault(plain_query(text), []).append(j)
    for start in range(0, len(asked), _ROWS):
        values = alike.between(ids[start : start + _ROWS], ids)
        for i, (pair, _, text) in enumerate(asked[start : start + _ROWS], start=start):
            near = {*np.flatnonzero(values[i - start] >= SAME_QUERY).tolist(), *same[plain_query(text)]}
            for j in sorted(j for j in near if j > i and asked[j][0] != pair):
                yield f"{text[:60]!r} and {asked[j][2][:60]!r} ({values[i - start, j]:.2f})"


def _directions(pairs: Sequence[ToolPair]) -> Iterator[tuple[str, int]]:
    """Queries by which tool is best, and under that by the grades of the stronger and the weaker tool."""
    counts: Counter[tuple[int, str]] = Counter()
    for pair in pairs:
        strong, weak = pair.derivation.from_tool, pair.derivation.tool
        for query in pair.queries:
            direction = (strong, weak, None).index(query.best)
            counts[direction, f"{query.grades[strong]} / {query.grades[weak]}"] += 1
    for direction, label in enumerate(("stronger tool is best", "weaker tool is best", "neither is useful")):
        found = {grades: n for (d, grades), n in counts.items() if d == direction}
        yield f"  {label}", sum(found.values())
        if direction < 2:
            yield from ((f"    graded {grades}", n) for grades, n in sorted(found.items()))


def check_table(checked: Checked) -> Table:
    """Counts of what is usable: queries by direction and grades, groups, ways of derivation, near-duplicates."""
    pairs = checked.pairs
    groups = Counter(p.group for p in pairs)
    ways = Counter(p.derivation.how for p in pairs)
    sides = Counter(t.split for t in checked.tools)
    rows: list[tuple[str, int]] = [("pairs", len(pairs))]
    rows += [(f"  group {g}", groups[g]) for g in get_args(Group) if groups[g]]
    rows += [("  group assigned by the build", groups[None])] if groups[None] else []
    rows += [(f"  derived by {way}", ways[way]) for way in get_args(Way) if ways[way]]
    rows += [("queries", sum(len(p.queries) for p in pairs)), *_directions(pairs)]
    rows += [("stand-alone tools", len(checked.tools))]
    rows += [(f"  split {s or 'drawn by the build'}", sides[s]) for s in ("train", "test", None) if sides[s]]
    rows += [
        ("near-duplicate queries across pairs", len(checked.alike_queries)),
        ("near-duplicate tools", len(checked.alike_tools)),
        ("problems", len(checked.problems)),
    ]
    table = Table("usable", "count", box=SIMPLE_HEAD)
    table.columns[1].justify = "right"
    for label, number in rows:
        table.add_row(Text(label), f"{number:,}")
    return table
