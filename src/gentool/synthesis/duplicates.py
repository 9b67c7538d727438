"""Is a query the same as another one, or nearly?"""

from __future__ import annotations

from collections.abc import Sequence

from gentool.jsonl import content_hash
from gentool.scenarios.leaks import plain_query
from gentool.synthesis.text import content_stems

NEAR_DUPLICATE = 0.65
"""Two queries of a pair that share more of their words are one query in other words.

Of the pairs that come with GenTool no two queries of a pair share more than 0.31; four words of which one is
another value (the weather in Oslo, the weather in Rome) share at most 0.6.
"""


def query_key(query: str) -> str:
    """16 hex digits that are equal for queries which differ only in case, punctuation, endings and filler words.

    The order of the words counts: from Paris to Rome is not from Rome to Paris. A set of keys takes little memory,
    so that millions of queries of different pairs can be compared.
    """
    return content_hash(content_stems(query), 16)


def overlap(first: str, second: str) -> float:
    """Words that two texts share, as a share of all that they have (Jaccard over sets of stems), 0 to 1."""
    a, b = set(content_stems(first)), set(content_stems(second))
    return len(a & b) / len(a | b) if a | b else 1.0


def same_query(query: str, earlier: Sequence[str]) -> str | None:
    """The query among ``earlier`` that is ``query`` but for case and punctuation, if there is one."""
    plain = plain_query(query)
    return next((text for text in earlier if plain_query(text) == plain), None)


def near_query(query: str, earlier: Sequence[str]) -> tuple[str, float] | None:
    """The most alike query among ``earlier``, with its :func:`overlap`, if that is at least ``NEAR_DUPLICATE``."""
    if not earlier:
        return None
    value, text = max((overlap(query, text), text) for text in earlier)
    return (text, value) if value >= NEAR_DUPLICATE else None
