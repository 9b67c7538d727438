"""``python -m gentool.dataset.written FILE...``: what is wrong with source files, told to their writer."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from gentool.dataset.rankers import lexical_choices, split_words
from gentool.dataset.source import SourceError, scan_pairs, scan_tools
from gentool.jsonl import canonical_json
from gentool.records import GradedQuery, ToolPair
from gentool.scenarios.leaks import plain_query

_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
_RELATIVE = re.compile(
    r"\b(today|tonight|tomorrow|yesterday|(?:next|last|this|coming) (?:week|month|year|quarter|weekend|morning|"
    r"afternoon|evening|mon|tue|wed|thu|fri|sat|sun)\w*|(?:on|by|since|until|before|after) "
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)day)\b",
    re.IGNORECASE,
)


def query_problems(pair: ToolPair, query: GradedQuery) -> Iterator[str]:
    """What a query must not have: a tool's name, a relative date without ``now``."""
    text = plain_query(split_words(query.query))
    for tool in pair.tools:
        name = plain_query(split_words(tool.name))
        if tool.name.lower() in query.query.lower() or (name.count(" ") and name in text):
            yield f"names the tool {tool.name!r}"
    dates = {d for call in query.tool_calls for d in _DATE.findall(canonical_json(call.arguments))}
    if (
        query.now is None
        and (found := _RELATIVE.search(query.query))
        and any(d not in query.query for d in dates)
    ):
        yield f"relative date {found[0]!r} without `now`"


def pair_remarks(pair: ToolPair) -> Iterator[str]:
    """What a pair of the dataset must have beyond being valid: 4 to 6 queries in each direction, no repeats."""
    strong, weak = pair.derivation.from_tool, pair.derivation.tool
    number = {
        role: sum(q.best == name for q in pair.queries) for role, name in (("strong", strong), ("weak", weak))
    }
    if not all(4 <= n <= 6 for n in number.values()) or sum(number.values()) < 10:
        yield f"expected 10 queries, 4 to 6 for each tool; found {number}"
    if not any(q.best is None for q in pair.queries):
        yield "expected at least one near miss"
    if not any(q.best == strong and q.grades[weak] == "partial" for q in pair.queries):
        yield "expected at least one query that the weak tool serves partly and the strong one best"
    seen: set[str] = set()
    for i, query in enumerate(pair.queries):
        plain = plain_query(query.query)
        if plain in seen:
            yield f"query {i + 1}: repeated"
        seen.add(plain)
        for problem in query_problems(pair, query):
            yield f"query {i + 1} ({query.query[:50]!r}): {problem}"


def main(paths: list[str]) -> int:
    """Print problems and figures; returns the exit code."""
    pairs: list[ToolPair] = []
    problems: list[str] = []
    for path in map(Path, paths):
        try:
            if path.parent.name == "tools":
                tools, found = scan_tools(path)
                print(f"{path}: {len(tools)} tools")
            else:
                made, found = scan_pairs(path)
                found += [f"{path}: {'/'.join(p.names)}: {r}" for p in made for r in pair_remarks(p)]
                print(f"{path}: {len(made)} pairs, {sum(len(p.queries) for p in made)} queries")
                pairs += made
            problems += found
        except SourceError as error:
            problems.append(str(error))
    if pairs:
        right = lexical_choices(pairs)
        start = 0
        for pair in pairs:
            end = start + sum(q.best is not None for q in pair.queries)
            print(f"  {'/'.join(pair.names)}: word overlap finds {sum(right[start:end])} of {end - start}")
            start = end
        print(
            f"word overlap finds {sum(right) / max(1, len(right)):.0%} of the best tools (to stay under 70 %)"
        )
    for problem in problems:
        print("PROBLEM", problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
