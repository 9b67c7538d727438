"""A review under way: what the page asks for and what it decides. Used by several threads at once."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from gentool.jsonl import GenToolError
from gentool.recipe import load_config
from gentool.records import GradedQuery, Record
from gentool.review.decisions import Decisions
from gentool.review.edit import Form, Problem, read_edit
from gentool.review.exchange import exchange
from gentool.review.queue import SHOW, Decided, Queue, Show, fits, make_queue, select
from gentool.review.tally import Tally, tally
from gentool.review.units import Entry, Units
from gentool.review.view import item_view, shown_query
from gentool.synthesis.plan import units_file
from gentool.synthesis.records import Decision, Item, Unit
from gentool.synthesis.settings import settings_hash
from gentool.synthesis.templates import Prompts

REASONS = (
    "The query is unnatural, unclear or in another language",
    "The other tool is the better one",
    "A grade is wrong",
    "An argument is wrong or missing",
    "A value is not in the query",
    "The made tool is not weaker (or not stronger)",
    "The made tool makes no sense",
    "Much like another query",
    "Private, unsafe or offensive",
)
"""Offered for a rejection, on the keys 1 to 9; any other text can be written."""

WINDOW = 100
"""Most rows of the list in one answer."""
_SHOWN = 160
"""Characters of a query in the list."""
_LONGEST_REASON = 500


class Refused(GenToolError):
    """A decision that cannot be taken; ``problems`` are those of the form's fields."""

    def __init__(self, message: str, problems: list[Problem] | None = None) -> None:
        super().__init__(message)
        self.problems = problems or []


class Unknown(GenToolError):
    """There is no such item."""


class Order(Record):
    """A decision as the page sends it. ``sure``: saved although checks object."""

    item: str
    decision: Literal["accept", "reject", "edit", "undo"]
    reason: str = ""
    form: Form | None = None
    sure: bool = False


class Review:
    """The items and decisions of a run, as one reviewer sees them.

    ``sample``: accepted items to look at, drawn with ``seed``; ``None``: all. Raises
    :class:`gentool.review.units.ReviewError` for a folder without units, :class:`gentool.jsonl.RecordError` for a
    damaged file.
    """

    def __init__(self, folder: Path, reviewer: str, sample: int | None = 50, seed: int = 0) -> None:
        self.folder, self.reviewer, self.sample, self.seed = folder, reviewer, sample, seed
        settings, self.strict = _options(folder)
        self.units = Units(units_file(folder), settings)
        self.decisions = Decisions(folder)
        self.made: Counter[str] = Counter()
        """Decisions of this session, by kind."""
        self._lock = threading.RLock()
        self.queue: Queue = self._make_queue()

    def _make_queue(self) -> Queue:
        return make_queue(self.units.entries.values(), self.sample, self.seed)

    def refresh(self) -> None:
        """Take in what was made, and decided, since."""
        with self._lock:
            if self.units.refresh():
                self.queue = self._make_queue()
            self.decisions.refresh()

    def tally(self) -> Tally:
        with self._lock:
            return tally(self.queue, {item: self.decisions.standing(item) for item in self.decisions.by_item})

    def run(self) -> dict[str, Any]:
        """What the page shows around the items."""
        with self._lock:
            self.refresh()
            counts = {show: len(self.queue.part(show)) for show in SHOW}
            return {
                "name": self.folder.resolve().name,
                "reviewer": self.reviewer,
                "reasons": REASONS,
                "counts": counts,
                "progress": self.progress(),
            }

    def progress(self) -> dict[str, Any]:
        return {"reviewer": self.reviewer, **self.tally().json()}

    def window(
        self, show: Show, decided: Decided, q: str, start: int, number: int, around: str
    ) -> dict[str, Any]:
        """Rows of the list from ``start`` on; ``around`` an item: the page of ``number`` rows that it is on."""
        with self._lock:
            self.decisions.refresh()
            found = self._select(show, decided, q)
            number = max(1, min(number, WINDOW))
            place = next((i for i, e in enumerate(found) if e.item == around), None) if around else None
            last = max(0, (len(found) - 1) // number * number)
            start = min(max(0, start), last) if place is None else place - place % number
            rows = [self._row(entry) for entry in found[start : start + number]]
            return {"total": len(found), "start": start, "place": place, "rows": rows}

    def step(
        self, show: Show, decided: Decided, q: str, item: str, by: Literal["next", "back", "open"]
    ) -> str:
        """The item before or after another one in the list, or the next one that is to be decided; "" if there is none.

        The other one need not be in the list: deciding may have taken it out. ``open`` goes round to the beginning.
        """
        with self._lock:
            found = self._select(show, decided, q)
            rank = self.queue.rank
            at = rank.get(item, -1)
            if by == "back":
                return next((e.item for e in reversed(found) if rank[e.item] < at), "")
            later = [e for e in found if rank[e.item] > at]
            if by == "next":
                return later[0].item if later else ""
            earlier = [e for e in found if rank[e.item] < at]
            return next((e.item for e in (*later, *earlier) if self._is_open(e)), "")

    def _select(self, show: Show, decided: Decided, words: str) -> list[Entry]:
        return select(self.queue, show, decided, words, self.reviewer, self.decisions.standing)

    def _is_open(self, entry: Entry) -> bool:
        return fits("open", self.reviewer, self.decisions.standing(entry.item))

    def _row(self, entry: Entry) -> dict[str, Any]:
        mine = self.decisions.standing(entry.item).get(self.reviewer)
        cut = len(entry.query) > _SHOWN
        return {
            "id": entry.item,
            "query": entry.query[:_SHOWN] + ("…" if cut else ""),
            "tools": entry.tools,
            "status": entry.status,
            "sample": entry.item in self.queue.sample,
            "checks": entry.checks[:3],
            "decision": mine.decision if mine else "",
        }

    def item(self, item: str) -> dict[str, Any]:
        """All about one item. Raises :class:`Unknown`."""
        with self._lock:
            self.decisions.refresh()
            unit, found = self._read(item)
            decisions = self.decisions.of(item)
            view = item_view(
                unit, found, decisions, self.decisions.standing(item), self.reviewer, self.strict
            )
            return {**view, "sample": item in self.queue.sample}

    def _read(self, item: str) -> tuple[Unit, Item]:
        entry = self.units.entries.get(item)
        if entry is None:
            raise Unknown(f"item: no item {item[:40]!r} in this run. Fix: load the page again.")
        return self.units.read(entry)

    def exchange(self, item: str, call: str) -> dict[str, Any]:
        """What was asked and answered in a call that an item is made from. Raises :class:`Unknown`."""
        with self._lock:
            unit, found = self._read(item)
        if call not in {p.call for p in (*unit.provenance, *found.provenance) if p.call}:
            raise Unknown("call: not one of this item's. Fix: load the page again.")
        return exchange(self.folder / "cache" / "teacher.sqlite", call)

    def decide(self, order: Order) -> dict[str, Any]:
        """Take a decision and write it to disk. Raises :class:`Refused`, :class:`Unknown`, ``OSError``."""
        with self._lock:
            self.decisions.refresh()
            unit, found = self._read(order.item)
            edited = self._checked(order, unit, found)
            decision = Decision(
                item=order.item,
                reviewer=self.reviewer,
                decision=order.decision,
                reason=order.reason.strip(),
                edited=edited,
                at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            )
            self.decisions.append(decision)
            self.made[order.decision] += 1
            return {"row": self._row(self.units.entries[order.item]), "progress": self.progress()}

    def _checked(self, order: Order, unit: Unit, item: Item) -> GradedQuery | None:
        """Refuse what makes no sense; the edited query, if it is an edit."""
        if len(order.reason) > _LONGEST_REASON:
            raise Refused(
                f"reason: expected at most {_LONGEST_REASON} characters; found {len(order.reason)}."
            )
        if order.decision == "accept":
            if item.status == "rejected" or item.graded is None:
                raise Refused(
                    "A check rejected this item, so it cannot be accepted as it is. Fix: edit it (key e), or leave it."
                )
        elif order.decision == "reject":
            if not order.reason.strip():
                raise Refused("reason: expected why it is rejected; found nothing. Fix: choose or write one.")
        elif order.decision == "undo":
            if self.reviewer not in self.decisions.standing(item.id):
                raise Refused("There is no decision of yours on this item to take back.")
        else:
            return self._edited(order, unit, item)
        return None

    def _edited(self, order: Order, unit: Unit, item: Item) -> GradedQuery:
        if order.form is None:
            raise Refused("form: expected the edited fields; found none.")
        edited, problems = read_edit(order.form, item, unit)
        if edited is None:
            raise Refused("The edited item is not valid.", problems)
        if problems and not order.sure:
            raise Refused("Checks object to the edited item. Save again if you know better.", problems)
        if edited == shown_query(item, self.decisions.standing(item.id), self.reviewer):
            raise Refused("Nothing was changed. Fix: accept it as it is (key a), or close the form.")
        return edited

    def close(self) -> None:
        """Wait until a decision that is being written is on the disk."""
        self._lock.acquire()


def _options(folder: Path) -> tuple[str | None, bool]:
    """Which settings the run's units have, ``None`` if that is not known, and ``synthesis.require_review``."""
    try:
        config = load_config(folder / "config.yaml")
        options = config.synthesis
        if options is None:
            return None, False
        prompts = Prompts(Path(options.prompts) if options.prompts is not None else None)
    except GenToolError:  # a folder without a recipe, or another version's: all units count
        return None, False
    return settings_hash(options, prompts, config.seed), options.require_review
