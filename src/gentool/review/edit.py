"""A reviewer's correction of an item: read from the form and checked as a teacher's answer is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import ValidationError

from gentool.jsonl import error_lines, strict_json
from gentool.records import GradedQuery, Record, Tool
from gentool.synthesis.checks import call_findings, query_findings
from gentool.synthesis.gate import edit_problems
from gentool.synthesis.records import CallDraft, Finding, Item, QueryDraft, Unit


class Form(Record):
    """The form as it was filled in. ``arguments``: tool -> its arguments as JSON text; ``""`` stands for none."""

    query: str
    now: str = ""
    grades: dict[str, str]
    best: str = ""
    reason: str = ""
    arguments: dict[str, str]


@dataclass(frozen=True)
class Problem:
    """What is wrong with a field of the form: ``query``, ``now``, ``grades``, ``best``, ``arguments.TOOL``.

    ``doubt``: a check objects, and a person may know better; all others cannot be saved.
    """

    field: str
    message: str
    doubt: bool = False

    def json(self) -> dict[str, Any]:
        return asdict(self)


def read_edit(form: Form, item: Item, unit: Unit) -> tuple[GradedQuery | None, list[Problem]]:
    """The corrected query and what is wrong with it; ``None`` if it cannot be saved."""
    assert unit.tools is not None
    useful = [tool.name for tool in unit.tools if form.grades.get(tool.name, "none") != "none"]
    calls, problems = _calls(form, useful)
    before = item.graded
    value = {
        "query": form.query.strip(),
        "now": form.now.strip() or None,
        "grades": form.grades,
        "best": form.best or None,
        "reason": form.reason.strip(),
        "tool_calls": calls,
        # Other right values are of the call that they were written for.
        "alternatives": {
            name: values
            for name, values in (before.alternatives if before else {}).items()
            if before and _call(before.call_of(name).arguments, name) in calls
        },
    }
    try:
        edited = GradedQuery.model_validate(value)
        edited.model_dump_json()
    except ValidationError as error:
        return None, [*(_field_problem(line) for line in error_lines(error, "form")), *problems]
    except ValueError as error:  # lone surrogates
        return None, [
            Problem("query", f"expected text that can be written as UTF-8; found {str(error)[:80]}")
        ]
    problems = problems or [_schema_problem(text, edited) for text in edit_problems(edited, unit.tools)]
    if problems:
        return None, problems
    return edited, list(_doubts(edited, item, unit))


def _call(arguments: dict[str, Any], name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


def _calls(form: Form, useful: Iterable[str]) -> tuple[list[dict[str, Any]], list[Problem]]:
    """The calls of useful tools, without arguments where these are no JSON object."""
    calls, problems = [], []
    for name in useful:
        try:
            arguments = strict_json(form.arguments.get(name, "").strip() or "{}")
            if not isinstance(arguments, dict):
                raise ValueError("it is no object")
        except (ValueError, RecursionError) as error:
            message = f"expected a JSON object of arguments; {str(error)[:120]}. Fix: correct the JSON."
            problems.append(Problem(f"arguments.{name}", message))
            arguments = {}
        calls.append(_call(arguments, name))
    return calls, problems


def _field_problem(line: str) -> Problem:
    """A line of a validation error, at the field of the form that it is about."""
    _, field, message = line.split(": ", 2)
    if field == "(record)":
        field = "best" if "`best`" in message else "grades"
    return Problem(field.partition(".")[0], message)


def _schema_problem(text: str, edited: GradedQuery) -> Problem:
    """A problem of a call, at the arguments of its tool."""
    if found := re.match(r"tool_calls\.(\d+): ", text):
        name = edited.tool_calls[int(found[1])].name
        return Problem(f"arguments.{name}", text[found.end() :])
    return Problem("grades", text.removeprefix("grades: "))


def regrounded(tool: Tool, edited: GradedQuery, item: Item) -> tuple[list[Finding], dict[str, Any]]:
    """The checks of an edited call, and what its values are grounded in now."""
    before = item.calls.get(tool.name, CallDraft())
    arguments = edited.call_of(tool.name).arguments
    kept = {
        name: words
        for name, words in before.derived.items()
        if name in arguments and arguments[name] == before.arguments.get(name)
    }
    return call_findings(tool, _draft(edited), CallDraft(arguments=arguments, derived=kept))


def _draft(edited: GradedQuery) -> QueryDraft:
    return QueryDraft(query=edited.query, now=edited.now, intended=edited.best or next(iter(edited.grades)))


def _doubts(edited: GradedQuery, item: Item, unit: Unit) -> Iterable[Problem]:
    """What the checks of synthesis object to in an edited query."""
    assert unit.tools is not None
    earlier = [i.draft.query for i in unit.items if i.id != item.id and i.status != "rejected"]
    for finding in query_findings(_draft(edited), unit.tools, earlier):
        yield Problem("query", f"{finding.check}: {finding.reason}", doubt=True)
    for tool in unit.tools:
        if edited.grades[tool.name] != "none":
            for finding in regrounded(tool, edited, item)[0]:
                yield Problem(f"arguments.{tool.name}", f"{finding.check}: {finding.reason}", doubt=True)
