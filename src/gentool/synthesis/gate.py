"""What people's decisions make of an item; used by the review page and when pairs are put together."""

from __future__ import annotations

from collections.abc import Iterable

from gentool.catalog.schema import call_problems
from gentool.records import GradedQuery, Tool
from gentool.synthesis.records import Decision, Item


def standing(decisions: Iterable[Decision]) -> dict[str, Decision]:
    """Reviewer -> the decision that counts: the last one, where an ``undo`` took the one before it back.

    ``decisions`` are those on one item, in the order of the file. Who took everything back is not in it.
    """
    made: dict[str, list[Decision]] = {}
    for decision in decisions:
        of_reviewer = made.setdefault(decision.reviewer, [])
        if decision.decision != "undo":
            of_reviewer.append(decision)
        elif of_reviewer:
            of_reviewer.pop()
    return {reviewer: kept[-1] for reviewer, kept in made.items() if kept}


def decided(item: Item, decisions: Iterable[Decision], require_review: bool = False) -> GradedQuery | None:
    """What is trained on of an item: its graded query, as edited where it was; ``None`` if it is left out.

    One ``reject`` leaves it out, whoever accepted it. Of several edits the last in ``decisions`` counts. Without a
    decision an accepted item stays and a disagreed one does not; an ``accept`` lets the disagreed one in, an ``edit``
    also one that a check rejected. ``require_review``: what no one decided on is left out. An edit is not checked here
    against the tools: see :func:`edit_problems`.
    """
    decisions = list(decisions)
    counts = standing(decisions)
    verdicts = {d.decision for d in counts.values()}
    if "reject" in verdicts:
        return None
    edits = [d for d in decisions if d.edited is not None and counts.get(d.reviewer) is d]
    if edits:
        return edits[-1].edited
    if "accept" in verdicts:
        return None if item.status == "rejected" else item.graded
    return item.graded if item.status == "accepted" and not require_review else None


def edit_problems(graded: GradedQuery, tools: tuple[Tool, Tool]) -> list[str]:
    """Why an edited query cannot be one of the pair of ``tools``, each with its field; empty if it can."""
    names = {tool.name: tool for tool in tools}
    if set(graded.grades) != set(names):
        return [f"grades: expected grades of the tools {sorted(names)}; found {sorted(graded.grades)}"]
    return [
        f"tool_calls.{i}: {problem}"
        for i, call in enumerate(graded.tool_calls)
        for problem in call_problems(names[call.name], call)
    ]
