"""One item as the page shows it: plain JSON values, all texts as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gentool.catalog.schema import call_problems
from gentool.records import GradedQuery, Tool, ToolCall
from gentool.review.compare import compare, schema_text
from gentool.review.edit import regrounded
from gentool.review.quotes import Span, find, quotes, segments
from gentool.synthesis.gate import decided
from gentool.synthesis.records import CallDraft, Decision, Item, Unit


def json_text(value: Any) -> str:
    """A value as JSON; the browser shows it as text, since it cannot hold large integers."""
    return json.dumps(value, ensure_ascii=False)


def shown_query(item: Item, standing: Mapping[str, Decision], reviewer: str) -> GradedQuery | None:
    """What the reviewer looks at: the query as they edited it, else as it was made."""
    mine = standing.get(reviewer)
    return mine.edited if mine and mine.edited else item.graded


def item_view(
    unit: Unit,
    item: Item,
    decisions: Sequence[Decision],
    standing: Mapping[str, Decision],
    reviewer: str,
    strict: bool,
) -> dict[str, Any]:
    """Everything about an item. Others' decisions are in it only once the reviewer has one: they judge on their own.

    ``strict``: nothing is trained on that nobody accepted (``synthesis.require_review``).
    """
    assert unit.tools is not None
    tools = unit.tools
    mine = standing.get(reviewer)
    graded = shown_query(item, standing, reviewer)
    query = graded.query if graded else item.draft.query
    edited = bool(mine and mine.edited)
    calls = []
    marks: dict[str, list[Span]] = {}
    for tool in tools:
        call, of_call = _call(tool, graded, item, query, edited)
        calls.append(call)
        marks.update(of_call)
    names = [tool.name for tool in tools]
    return {
        "id": item.id,
        "pair": item.pair,
        "domain": unit.domain,
        "status": item.status,
        "query": segments(query, marks),
        "now": graded.now if graded else item.draft.now,
        "edited": edited,
        "draft": {"query": item.draft.query, "now": item.draft.now, "reason": item.draft.reason},
        "upgrade": unit.seed.upgrade,
        "derivation": {"how": unit.derivation.how, "note": unit.derivation.note} if unit.derivation else None,
        "tools": [_tool(tool, i, unit) for i, tool in enumerate(tools)],
        "comparison": compare(*tools),
        "grades": _grades(names, item, graded),
        "reason": graded.reason if graded else "",
        "calls": calls,
        "findings": [f.model_dump() for f in item.findings],
        "provenance": [p.model_dump() for p in (*unit.provenance, *item.provenance)],
        "form": _form(names, item, graded),
        "decision": _decision(mine),
        "history": [_decision(d) for d in decisions if d.reviewer == reviewer],
        "others": [_decision(d) for name, d in standing.items() if name != reviewer] if mine else [],
        "outcome": _outcome(item, decisions, strict) if mine or not standing else "",
    }


def _tool(tool: Tool, place: int, unit: Unit) -> dict[str, Any]:
    return {
        "name": tool.name,
        "id": tool.id,
        "role": "source" if place == 0 else "made",
        "schema": schema_text(tool),
        "origin": unit.seed.tool.source if place == 0 else None,
    }


def _grades(names: Sequence[str], item: Item, graded: GradedQuery | None) -> dict[str, Any]:
    """Grades by tool (in the order of ``names``) and the best one: of each pass of the judge, and as they stand."""
    return {
        "intended": item.draft.intended,
        "judgements": [
            {
                "grades": [j.grades.get(name, "") for name in names],
                "best": j.best,
                "reason": j.reason,
                "shown": list(j.shown),
            }
            for j in item.judgements
        ],
        "standing": {"grades": [graded.grades[name] for name in names], "best": graded.best}
        if graded
        else None,
    }


def _call(
    tool: Tool, graded: GradedQuery | None, item: Item, query: str, edited: bool
) -> tuple[dict[str, Any] | None, dict[str, list[Span]]]:
    """A tool's call, and where its values stand in the query; ``kept``: it is one of those that are trained on."""
    draft = item.calls.get(tool.name)
    kept = graded is not None and any(call.name == tool.name for call in graded.tool_calls)
    if kept and graded is not None:
        arguments = graded.call_of(tool.name).arguments
    elif draft is not None:
        arguments = draft.arguments
    else:
        return None, {}
    draft = draft or CallDraft()
    grounds = item.grounds.get(tool.name, {})
    if edited and kept and graded is not None:
        _, grounds = regrounded(tool, graded, item)
    problems = call_problems(tool, ToolCall.of(tool.name, arguments))
    rows: list[dict[str, Any]] = []
    marks: dict[str, list[Span]] = {}
    for name, value in arguments.items():
        spans, quoted = quotes(query, value)
        derived = draft.derived.get(name, "") if draft.arguments.get(name) == value else ""
        spans = spans + find(query, derived)
        key = f"{tool.name}.{name}"
        if spans:
            marks[key] = spans
        rows.append(
            {
                "name": name,
                "key": key,
                "value": json_text(value),
                "problems": [p for p in problems if p.startswith((f"{name}:", f"{name}."))],
                "known": name in tool.parameters.get("properties", {}),
                "quoted": quoted,
                "ground": grounds.get(name),
                "derived": derived,
            }
        )
    told = {p for row in rows for p in row["problems"]}
    call = {
        "tool": tool.name,
        "kept": kept,
        "arguments": rows,
        "problems": [p for p in problems if p not in told],
        "missing": list(draft.missing) if not kept else [],
        "alternatives": json_text(graded.alternatives[tool.name])
        if graded and graded.alternatives.get(tool.name)
        else "",
    }
    return call, marks


def _form(names: Sequence[str], item: Item, graded: GradedQuery | None) -> dict[str, Any]:
    """What the form for editing begins with."""
    last = item.judgements[-1] if item.judgements else None
    grades = graded.grades if graded else last.grades if last else {}
    best = graded.best if graded else last.best if last else None
    arguments = {}
    for name in names:
        draft = item.calls.get(name, CallDraft()).arguments
        calls = graded.tool_calls if graded else ()
        values = next((c.arguments for c in calls if c.name == name), draft)
        arguments[name] = json.dumps(values, ensure_ascii=False, indent=2)
    return {
        "query": graded.query if graded else item.draft.query,
        "now": (graded.now if graded else item.draft.now) or "",
        "grades": {name: grades.get(name, "none") for name in names},
        "best": best or "",
        "reason": graded.reason if graded else "",
        "arguments": arguments,
    }


def _decision(decision: Decision | None) -> dict[str, Any] | None:
    if decision is None:
        return None
    return decision.model_dump(mode="json", exclude={"edited", "item"})


def _outcome(item: Item, decisions: Sequence[Decision], strict: bool) -> str:
    """What becomes of the item as things stand."""
    if decided(item, decisions, strict) is not None:
        return "will be trained on"
    if item.status == "rejected":
        return "left out: a check rejected it"
    return "left out" if any(d.decision == "reject" for d in decisions) else "waits for a decision"
