"""How many of what was begun came through, and where the others were lost: ``synthesis/funnel.json``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text


@dataclass
class Funnel:
    """Counts. Something that several checks object to is counted under the first of them, so that all adds up.

    ``seeds`` = ``left`` + ``pairs`` + ``pairs_rejected``; ``queries`` = ``accepted`` + ``disagreed`` +
    ``unreviewed`` + ``queries_rejected``. ``unreviewed``: would be accepted, but ``require_review`` wants a person.
    ``answers`` are those that could not be used; they made no pair or no query.
    """

    seeds: int = 0
    left: int = 0
    pairs: int = 0
    pairs_rejected: Counter[str] = field(default_factory=Counter)
    queries: int = 0
    queries_rejected: Counter[str] = field(default_factory=Counter)
    disagreed: int = 0
    unreviewed: int = 0
    accepted: int = 0
    richer_best: int = 0
    """Of the accepted queries, those for which the richer tool of the pair is the best."""
    reviewed: int = 0
    renamed: int = 0
    answers: Counter[str] = field(default_factory=Counter)

    def json(self) -> dict[str, Any]:
        """As it is written to the file."""
        return {
            "seeds": self.seeds,
            "seeds_left": self.left,
            "pairs": self.pairs,
            "pairs_rejected": _ordered(self.pairs_rejected),
            "queries": self.queries,
            "queries_rejected": _ordered(self.queries_rejected),
            "queries_disagreed": self.disagreed,
            "queries_unreviewed": self.unreviewed,
            "queries_accepted": self.accepted,
            "queries_accepted_for_the_richer_tool": self.richer_best,
            "queries_reviewed": self.reviewed,
            "tools_renamed": self.renamed,
            "answers_unusable": _ordered(self.answers),
        }


def _ordered(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _rows(funnel: Mapping[str, Any]) -> Iterable[tuple[str, int, int | None]]:
    """Label, count, and what it is a part of."""
    begun = funnel["seeds"] - funnel["seeds_left"]
    yield "seeds", funnel["seeds"], None
    if funnel["seeds_left"]:
        yield "  not yet done", funnel["seeds_left"], funnel["seeds"]
    for check, number in funnel["pairs_rejected"].items():
        yield f"  rejected: {check}", number, begun
    yield "pairs", funnel["pairs"], begun
    yield "queries made", funnel["queries"], None
    for check, number in funnel["queries_rejected"].items():
        yield f"  rejected: {check}", number, funnel["queries"]
    yield "  disagreed, for review", funnel["queries_disagreed"], funnel["queries"]
    if funnel["queries_unreviewed"]:
        yield "  not yet reviewed", funnel["queries_unreviewed"], funnel["queries"]
    yield "queries accepted", funnel["queries_accepted"], funnel["queries"]
    richer = funnel["queries_accepted_for_the_richer_tool"]
    yield "  the richer tool is best", richer, funnel["queries_accepted"]
    if funnel["queries_reviewed"]:
        yield "  decided on by a person", funnel["queries_reviewed"], funnel["queries"]


def funnel_table(funnel: Mapping[str, Any]) -> Table:
    """The funnel, as in the file, for a terminal."""
    table = Table("synthesis", "count", "share", box=SIMPLE_HEAD)
    table.columns[1].justify = table.columns[2].justify = "right"
    for label, number, of in _rows(funnel):
        table.add_row(Text(label), f"{number:,}", f"{number / of:.0%}" if of else "")
    return table
