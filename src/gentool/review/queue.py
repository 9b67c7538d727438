"""Which items a reviewer sees, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

from gentool.jsonl import content_hash
from gentool.review.units import Entry
from gentool.synthesis.records import Decision

Show = Literal["queue", "disagreed", "sample", "accepted", "rejected", "all"]
"""``queue`` is what is to be reviewed: ``disagreed``, then the random ``sample`` of the accepted ones."""

Decided = Literal["any", "open", "mine", "differ"]
"""``open``: not by this reviewer. ``differ``: another reviewer decided otherwise."""

SHOW: tuple[Show, ...] = get_args(Show)
DECIDED: tuple[Decided, ...] = get_args(Decided)


@dataclass(frozen=True)
class Queue:
    """All items in the order of review: disagreed, sample, the other accepted ones, rejected."""

    entries: tuple[Entry, ...]
    disagreed: int
    sample: frozenset[str]

    @cached_property
    def rank(self) -> dict[str, int]:
        """Item -> its place in the order."""
        return {entry.item: place for place, entry in enumerate(self.entries)}

    @property
    def to_review(self) -> int:
        return self.disagreed + len(self.sample)

    def part(self, show: Show) -> Sequence[Entry]:
        """The items under one choice, in order."""
        if show == "all":
            return self.entries
        if show == "queue":
            return self.entries[: self.to_review]
        if show == "sample":
            return self.entries[self.disagreed : self.to_review]
        return [e for e in self.entries if e.status == show]


def make_queue(entries: Iterable[Entry], sample: int | None, seed: int) -> Queue:
    """Disagreed items in the order of the file, so that those of one pair stay together, then a sample.

    The sample is the ``sample`` accepted items (``None``: all) of the smallest hash of seed and item: the same for
    all reviewers, and those decided first are a random sample too.
    """
    found = list(entries)
    disagreed = [e for e in found if e.status == "disagreed"]
    accepted = [e for e in found if e.status == "accepted"]
    drawn = sorted(accepted, key=lambda e: content_hash([seed, e.item]))[:sample]
    chosen = frozenset(e.item for e in drawn)
    others = [e for e in accepted if e.item not in chosen]
    rejected = [e for e in found if e.status == "rejected"]
    return Queue((*disagreed, *drawn, *others, *rejected), len(disagreed), chosen)


def fits(decided: Decided, reviewer: str, standing: dict[str, Decision]) -> bool:
    """Whether an item with these decisions is under a choice; what others decided tells only who decided too."""
    if decided == "any":
        return True
    mine = standing.get(reviewer)
    if decided == "open" or mine is None:
        return decided == "open" and mine is None
    return decided == "mine" or any(d.decision != mine.decision for d in standing.values())


def select(
    queue: Queue,
    show: Show,
    decided: Decided,
    words: str,
    reviewer: str,
    standing: Callable[[str], dict[str, Decision]],
) -> list[Entry]:
    """The items that fit all filters, in order. ``words``: all of them are in the query, a tool, a check or the id."""
    wanted = words.lower().split()
    return [
        entry
        for entry in queue.part(show)
        if all(word in entry.words for word in wanted)
        and (decided == "any" or fits(decided, reviewer, standing(entry.item)))
    ]
