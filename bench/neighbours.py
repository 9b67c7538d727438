"""How alike the package's tools are, by each kind of similarity: what the screen's levels were set by.

    python bench/neighbours.py [--out bench/results/neighbours.json]

Prints, for TF-IDF and (where the extra `embed` is installed) MiniLM: the range of similarity between the two tools of a
pair; the highest between a pair's tool and any stand-alone tool; and for which share of the queries the better tool of
the pair is also the one more like the query.
"""

from __future__ import annotations

import argparse
import json
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gentool import data
from gentool.catalog.pairs import read_pairs, read_tools
from gentool.scenarios.neighbours import SENTENCE_MODEL, similarity, tool_text


def measure(embedding: str) -> dict[str, Any]:
    """The figures of one kind of similarity on the package's data."""
    pairs, pool = read_pairs(data.PAIRS), read_tools(data.TOOLS)
    texts = {t.id: tool_text(t) for t in [*pool, *(t for p in pairs for t in p.tools)]}
    queries = {q.id: q.query for p in pairs for q in p.queries}
    alike = similarity(texts | queries, embedding, fit_on=list(texts))
    siblings = sorted(float(alike.between([p.tools[0].id], [p.tools[1].id])[0, 0]) for p in pairs)
    stand_alone = max(
        float(alike.between([t.id for t in p.tools], [t.id for t in pool]).max()) for p in pairs
    )
    found = [
        p.names[int(alike.between([q.id], [t.id for t in p.tools])[0].argmax())] == q.best
        for p in pairs
        for q in p.queries
    ]
    return {
        "siblings": [round(siblings[0], 2), round(siblings[-1], 2)],
        "nearest_stand_alone": round(stand_alone, 2),
        "better_tool_found_by_query": round(sum(found) / len(found), 3),
        "queries": len(found),
        "near_duplicate": alike.near_duplicate,
        "related": alike.related,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("bench/results/neighbours.json"))
    options = parser.parse_args()
    kinds = ["tfidf", *([SENTENCE_MODEL] if find_spec("sentence_transformers") else [])]
    result = {kind: measure(kind) for kind in kinds} | {"scikit-learn": version("scikit-learn")}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
