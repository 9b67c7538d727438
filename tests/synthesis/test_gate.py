"""What decisions make of an item."""

from __future__ import annotations

import pytest

from gentool.records import GradedQuery, ToolCall
from gentool.synthesis.gate import decided, edit_problems, standing
from gentool.synthesis.records import Decision, Item, QueryDraft, Status
from tests.synthesis.scripted import tool

TOOLS = (tool(0), tool(1))
NAMES = [t.name for t in TOOLS]


def graded(query: str = "Hotels in Bergen?", city: object = "Bergen") -> GradedQuery:
    return GradedQuery(
        query=query,
        grades={NAMES[0]: "full", NAMES[1]: "none"},
        best=NAMES[0],
        tool_calls=(ToolCall.of(NAMES[0], {"city": city}),),
    )


def item(status: Status = "accepted") -> Item:
    draft = QueryDraft(query="Hotels in Bergen?", intended=NAMES[0])
    return Item(pair="p", draft=draft, graded=graded(), status=status)


EDITED = graded("Hotels of Bergen, please")
OTHER = graded("Any hotels, in Bergen?")


def decisions(*words: str) -> list[Decision]:
    """``who what``, for an edit ``who edit`` or ``who other``."""
    found = []
    for at, word in enumerate(words):
        reviewer, what = word.split()
        edited = {"edit": EDITED, "other": OTHER}.get(what)
        kind = "edit" if edited else what
        found.append(
            Decision(
                item=item().id, reviewer=reviewer, decision=kind, edited=edited, at=f"2026-01-01T00:00:0{at}"
            )  # type: ignore[arg-type]
        )
    return found


@pytest.mark.parametrize(
    ("status", "words", "expected"),
    [
        ("accepted", [], "graded"),
        ("disagreed", [], None),
        ("rejected", [], None),
        ("disagreed", ["a accept"], "graded"),
        ("rejected", ["a accept"], None),
        ("rejected", ["a edit"], "edit"),
        ("accepted", ["a reject"], None),
        ("accepted", ["a accept", "b reject"], None),
        ("accepted", ["a reject", "a accept"], "graded"),
        ("accepted", ["a reject", "a undo"], "graded"),
        ("disagreed", ["a accept", "a undo"], None),
        ("disagreed", ["a accept", "a reject", "a undo"], "graded"),
        ("disagreed", ["a accept", "a reject", "a undo", "a undo"], None),
        ("disagreed", ["a undo", "a accept"], "graded"),
        ("accepted", ["a reject", "b undo"], None),
        ("accepted", ["a edit"], "edit"),
        ("accepted", ["a edit", "b other"], "other"),
        ("accepted", ["a edit", "a accept"], "graded"),
        ("accepted", ["a edit", "b accept"], "edit"),
        ("accepted", ["a edit", "b reject"], None),
    ],
)
def test_decisions(status: Status, words: list[str], expected: str | None) -> None:
    query = decided(item(status), decisions(*words))
    assert query == {"graded": graded(), "edit": EDITED, "other": OTHER, None: None}[expected]


@pytest.mark.parametrize(
    ("words", "kept"),
    [([], False), (["a accept"], True), (["a edit"], True), (["a accept", "a undo"], False)],
)
def test_require_review_keeps_only_what_a_person_accepted(words: list[str], kept: bool) -> None:
    assert (decided(item(), decisions(*words), require_review=True) is not None) == kept


def test_standing_is_the_last_decision_of_each_reviewer() -> None:
    found = standing(decisions("a accept", "b reject", "a reject", "c accept", "c undo"))
    assert {who: d.decision for who, d in found.items()} == {"a": "reject", "b": "reject"}


def test_an_edit_is_checked_against_the_tools() -> None:
    assert edit_problems(EDITED, TOOLS) == []
    assert "tool_calls.0" in edit_problems(graded(city=5), TOOLS)[0]
    assert "grades" in edit_problems(EDITED, (TOOLS[0], tool(2)))[0]
