"""How much of what people write does the grounding check find, and how much of what does not belong does it refuse?

    python bench/grounding.py            # writes bench/results/grounding.json; under a minute

For the pairs that come with GenTool: the share of the reference calls' arguments that are grounded in their own
query, and the share of calls (and of arguments) that are refused when each call is put to another query of its tool.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gentool import data
from gentool.catalog.pairs import read_pairs
from gentool.records import GradedQuery, ToolCall, ToolPair
from gentool.synthesis.grounding import ground_call
from gentool.synthesis.records import CallDraft, QueryDraft

OUT = Path("bench/results/grounding.json")


def refused(pair: ToolPair, query: GradedQuery, call: ToolCall) -> list[bool]:
    """For each argument of a call: whether it is grounded in nothing of the query."""
    draft = QueryDraft(query=query.query, now=query.now, intended=str(query.best))
    grounds, _ = ground_call(pair.tool(call.name), draft, CallDraft(arguments=call.arguments))
    return [ground == "none" for ground in grounds.values()]


def measure(pairs: Sequence[ToolPair]) -> dict[str, Any]:
    """Counts and shares over all calls with arguments."""
    own: list[bool] = []
    others: list[list[bool]] = []
    for pair in pairs:
        for name in pair.names:
            called = [(q, c) for q in pair.queries for c in q.tool_calls if c.name == name and c.arguments]
            for i, (query, call) in enumerate(called):
                own += refused(pair, query, call)
                other = called[(i + 1) % len(called)][0]
                if other is not query:
                    others.append(refused(pair, other, call))
    moved = [argument for call in others for argument in call]
    return {
        "arguments": len(own),
        "grounded": round(1 - sum(own) / len(own), 4),
        "calls_put_to_another_query": len(others),
        "calls_refused": round(sum(map(any, others)) / len(others), 4),
        "arguments_refused": round(sum(moved) / len(moved), 4),
    }


def main() -> None:
    result = {name: measure(read_pairs(data.pairs_file(name))) for name in data.NAMED}
    OUT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
