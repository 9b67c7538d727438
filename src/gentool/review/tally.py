"""Decisions counted: by reviewer, in the random sample, and between reviewers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any

from rich.table import Table
from rich.text import Text

from gentool.jsonl import printable
from gentool.review.agreement import cohen_kappa, wilson
from gentool.review.queue import Queue
from gentool.synthesis.records import Decision

KINDS = ("accept", "edit", "reject")


@dataclass
class Reviewed:
    """What one reviewer decided. ``sampled`` and ``sample_accepted`` count the random sample alone, the only part from
    which a share of all accepted items can be told; an edited item was not good as it was."""

    reviewer: str
    decisions: dict[str, int]
    done: int = 0
    """Of the items to review."""
    sampled: int = 0
    sample_accepted: int = 0
    rate: float | None = None
    low: float = 0.0
    high: float = 1.0
    reasons: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Agreement:
    """Two reviewers on the ``items`` that both decided: accept, edit or reject. ``kappa`` is Cohen's."""

    reviewers: tuple[str, str]
    items: int
    same: int
    kappa: float | None


@dataclass(frozen=True)
class Tally:
    """All that is counted; reviewers in the order of their first decision."""

    to_review: int
    disagreed: int
    sample: int
    reviewers: tuple[Reviewed, ...]
    agreements: tuple[Agreement, ...]

    def json(self) -> dict[str, Any]:
        return asdict(self)


def tally(queue: Queue, standing: Mapping[str, Mapping[str, Decision]]) -> Tally:
    """Count ``standing``: item -> reviewer -> the decision that counts. Items that are no more are left out."""
    of_reviewer: dict[str, dict[str, Decision]] = {}
    for item, decisions in standing.items():
        if item in queue.rank:
            for reviewer, decision in decisions.items():
                of_reviewer.setdefault(reviewer, {})[item] = decision
    return Tally(
        queue.to_review,
        queue.disagreed,
        len(queue.sample),
        tuple(_reviewed(name, made, queue) for name, made in of_reviewer.items()),
        tuple(_agreement(a, b, of_reviewer) for a, b in combinations(of_reviewer, 2)),
    )


def _reviewed(name: str, made: Mapping[str, Decision], queue: Queue) -> Reviewed:
    counts = Counter(d.decision for d in made.values())
    sampled = [d for item, d in made.items() if item in queue.sample]
    accepted = sum(d.decision == "accept" for d in sampled)
    low, high = wilson(accepted, len(sampled))
    reasons = Counter(d.reason for d in made.values() if d.decision == "reject")
    return Reviewed(
        name,
        {kind: counts[kind] for kind in KINDS},  # type: ignore[index]
        sum(queue.rank[item] < queue.to_review for item in made),
        len(sampled),
        accepted,
        accepted / len(sampled) if sampled else None,
        low,
        high,
        dict(reasons.most_common()),
    )


def _agreement(first: str, second: str, of_reviewer: Mapping[str, Mapping[str, Decision]]) -> Agreement:
    ours, theirs = of_reviewer[first], of_reviewer[second]
    both = [item for item in ours if item in theirs]
    pairs = [(ours[item].decision, theirs[item].decision) for item in both]
    kappa = cohen_kappa([a for a, _ in pairs], [b for _, b in pairs])
    return Agreement((first, second), len(both), sum(a == b for a, b in pairs), kappa)


def summary_tables(counted: Tally) -> Iterable[Table]:
    """The tally as tables for the terminal."""
    title = f"Decisions ({counted.disagreed:,} disagreed, sample of {counted.sample:,} accepted items)"
    table = Table("reviewer", title=title, title_justify="left")
    for name in (*KINDS, "left", "sample", "accepted [95 %]"):
        table.add_column(name, justify="right", no_wrap=True)
    for found in counted.reviewers:
        sample, rate = "–", "–"
        if found.rate is not None:
            sample = f"{found.sample_accepted} of {found.sampled}"
            rate = f"{100 * found.rate:.0f} % [{100 * found.low:.0f}, {100 * found.high:.0f}]"
        counts = [str(found.decisions[kind]) for kind in KINDS]
        left = str(counted.to_review - found.done)
        table.add_row(_text(found.reviewer), *counts, left, sample, Text(rate))
    yield table
    if counted.agreements:
        yield _agreements(counted)
    reasons = sum((Counter(r.reasons) for r in counted.reviewers), Counter[str]())
    if reasons:
        table = Table("rejected because", title="Reasons", title_justify="left")
        table.add_column("items", justify="right")
        for reason, number in reasons.most_common():
            table.add_row(_text(reason), str(number))
        yield table


def _agreements(counted: Tally) -> Table:
    table = Table("reviewers", title="Agreement on items that both decided", title_justify="left")
    for name in ("items", "same decision", "Cohen's kappa"):
        table.add_column(name, justify="right")
    for found in counted.agreements:
        kappa = "–" if found.kappa is None else f"{found.kappa:.2f}"
        table.add_row(_text(" and ".join(found.reviewers)), str(found.items), str(found.same), kappa)
    return table


def _text(value: str) -> Text:
    """What people wrote, without the markup and the control characters of a terminal."""
    return Text(printable(value))
