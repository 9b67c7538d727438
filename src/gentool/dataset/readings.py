"""The second, blind reading of the dataset: what another reader graded who saw only query, ``now`` and both tools.

A reading keeps the words and the labels that were there when it was made, so agreement stays that of the first blind
pass whatever is mended afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sklearn.metrics import cohen_kappa_score

from gentool.records import Grade, IdRecord, Record


class Labels(Record):
    """Grades of the stronger and the weaker tool, and which one is ``best``: ``strong``, ``weak`` or neither."""

    strong: Grade
    weak: Grade
    best: str | None = None


class Reading(IdRecord):
    """One query of one pair (its tools by name) as it was ``written`` and as it was ``read``."""

    strong: str
    weak: str
    query: str
    now: str | None = None
    written: Labels
    read: Labels
    reader: str

    def _identity(self) -> Any:
        return [self.strong, self.weak, self.query, self.now, self.reader]


def agreement(readings: Sequence[Reading]) -> dict[str, float | int]:
    """Share of readings with the same ``best``, Cohen's kappa of it, and share of single grades that agree.

    Kappa is over three values (strong, weak, neither); 1.0 where all labels are the same one.
    """
    written = [str(r.written.best) for r in readings]
    read = [str(r.read.best) for r in readings]
    grades = [(r.written.strong, r.read.strong) for r in readings] + [
        (r.written.weak, r.read.weak) for r in readings
    ]
    same = sum(a == b for a, b in zip(written, read, strict=True))
    kappa = 1.0 if len({*written, *read}) < 2 else float(cohen_kappa_score(written, read))
    return {
        "readings": len(readings),
        "agreement": round(same / max(1, len(readings)), 4),
        "kappa": round(kappa, 4),
        "grade_agreement": round(sum(a == b for a, b in grades) / max(1, len(grades)), 4),
    }
