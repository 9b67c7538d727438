"""Where the values of a call stand in the query."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, Literal

Quoted = Literal["all", "part", "no"]
Span = tuple[int, int]

_SHORTEST = 3
"""Letters that a single word of a value needs to be looked for on its own."""


def _leaves(value: Any) -> list[Any]:
    """The plain values in an argument."""
    if isinstance(value, dict):
        return [leaf for part in value.values() for leaf in _leaves(part)]
    if isinstance(value, list):
        return [leaf for part in value for leaf in _leaves(part)]
    return [value]


def find(query: str, text: str) -> list[Span]:
    """Where ``text`` stands in the query as whole words, in any case."""
    text = text.strip()
    if not text:
        return []
    before = r"(?<!\w)" if re.match(r"\w", text) else ""
    after = r"(?!\w)" if re.search(r"\w$", text) else ""
    return [m.span() for m in re.finditer(before + re.escape(text) + after, query, re.IGNORECASE)]


def _texts(leaf: Any) -> list[str]:
    """How a plain value may be written in a query."""
    if isinstance(leaf, str):
        return [leaf, leaf.replace("_", " "), leaf.replace("-", " ")]
    if leaf is None or isinstance(leaf, bool):
        return []
    texts = [str(leaf)]
    if isinstance(leaf, float) and leaf.is_integer():
        texts.append(str(int(leaf)))
    if abs(leaf) >= 1000:
        texts.append(f"{leaf:,}")
    return texts


def quotes(query: str, value: Any) -> tuple[list[Span], Quoted]:
    """Where a value stands in the query, and whether all of it does; single words of a text count as a part."""
    spans: list[Span] = []
    whole = True
    for leaf in _leaves(value):
        found = next((s for text in _texts(leaf) if (s := find(query, text))), [])
        if not found:
            whole = False
            if isinstance(leaf, str):
                words = [w for w in re.findall(r"\w+", leaf) if len(w) >= _SHORTEST]
                found = [span for word in words for span in find(query, word)]
        spans += found
    return spans, "all" if spans and whole else "part" if spans else "no"


def segments(query: str, marks: Mapping[str, Iterable[Span]]) -> list[tuple[str, list[str]]]:
    """The query cut into pieces, each with the names of the marks that cover it; joined they are the query.

    Pieces and no positions: JavaScript counts characters beyond the basic plane twice.
    """
    cuts = sorted({0, len(query), *(place for spans in marks.values() for span in spans for place in span)})
    pieces = []
    for begin, end in pairwise(cuts):
        names = [name for name, spans in marks.items() if any(b <= begin and end <= e for b, e in spans)]
        pieces.append((query[begin:end], names))
    return pieces
