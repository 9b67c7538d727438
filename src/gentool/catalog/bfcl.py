"""BFCL: ``{"id": ..., "question": [[messages]], "function": [...]}``, JSON Schema with Python's and Java's types.

The calls are in a file of their own (``possible_answer/``): ``{"id": ..., "ground_truth": [{name: {argument: [values
that are right]}}]}``. The first value is taken; an argument that may be left out (``""`` among its values) is.
Questions of the ``irrelevance`` files have no answer, since no call is right.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from gentool.catalog.entries import Case, Entry, Row, listed, unfit

_SOURCE = "bfcl"


def _is_question(value: Any) -> bool:
    return isinstance(value, dict) and {"question", "function"} <= value.keys()


def _is_answer(value: Any) -> bool:
    return isinstance(value, dict) and {"id", "ground_truth"} <= value.keys()


def _functions(row: Row) -> list[Row]:
    found = row.value["function"]
    return list(listed(row.where, [found] if isinstance(found, dict) else found, "function"))


def score(row: Row) -> int:
    """How many functions a question has, and one more; one for an answer."""
    if _is_question(row.value):
        return 1 + len(_functions(row))
    return int(_is_answer(row.value))


def entries(rows: Iterable[Row], file: str) -> Iterator[Entry]:
    """One entry for each function of each question. Answers have none."""
    source = f"{_SOURCE}:{file}"
    for row in rows:
        if _is_answer(row.value) and not _is_question(row.value):
            continue
        if row.problem or not _is_question(row.value):
            problem = row.problem or "not a question: expected `question` and `function`"
            yield Entry(row.where, row.value, source, problem=problem)
            continue
        for item in _functions(row):
            tool = item.value
            if item.problem or not isinstance(tool, dict):
                problem = item.problem or "not a tool: expected an object"
                yield Entry(item.where, tool, source, problem=problem)
                continue
            name, text, parameters = (tool.get(k) for k in ("name", "description", "parameters"))
            yield Entry(item.where, tool, source, name=name, description=text, parameters=parameters)


def _query(question: Any) -> tuple[Any, str]:
    """The text of the only message, or why there is none."""
    turns = question if isinstance(question, list) else []
    if len(turns) != 1 or not isinstance(turns[0], list) or len(turns[0]) != 1:
        return None, "several messages: expected one message of the user"
    message = turns[0][0]
    if not isinstance(message, dict) or message.get("role") != "user":
        return None, "no query: expected a message of the user"
    return message.get("content"), ""


def _value(right: Any) -> Any:
    """One right value; the fields of an object have lists of right values again."""
    if isinstance(right, dict):
        return {
            k: _value(next((v for v in values if v != ""), ""))
            for k, values in right.items()
            if isinstance(values, list) and "" not in values
        }
    return [_value(r) for r in right] if isinstance(right, list) else right


def _arguments(right: Any, required: Any) -> Any:
    if not isinstance(right, dict) or not all(isinstance(v, list) and v for v in right.values()):
        return right
    names = required if isinstance(required, list) else []
    return {
        name: _value(next((v for v in values if v != ""), ""))
        for name, values in right.items()
        if "" not in values or name in names
    }


def _calls(truth: Any, functions: Iterable[Row]) -> Iterator[tuple[Any, Any]]:
    required: dict[str, Any] = {}
    for f in functions:
        if isinstance(f.value, dict) and isinstance(f.value.get("parameters"), dict):
            required[str(f.value.get("name"))] = f.value["parameters"].get("required")
    for call in truth:
        for name, right in call.items():
            yield name, _arguments(right, required.get(name))


def cases(rows: Sequence[Row]) -> Iterator[Case]:
    """One case for each question, joined with its answer by id."""
    truths = {str(row.value["id"]): row.value["ground_truth"] for row in rows if _is_answer(row.value)}
    for row in rows:
        if row.problem or not _is_question(row.value):
            continue
        name = str(row.value.get("id", ""))
        functions = _functions(row)
        tools = tuple(f.where for f in functions)
        query, problem = _query(row.value["question"])
        truth = truths.get(name, [] if "irrelevance" in name else None)
        calls: tuple[tuple[Any, Any], ...] = ()
        if truth is None:
            problem = problem or "no answer: import the file of possible_answer too"
        elif unfit(truth):
            problem = unfit(truth)
        elif not isinstance(truth, list) or not all(isinstance(c, dict) for c in truth):
            problem = problem or "malformed answer: expected `ground_truth` to be an array of calls"
        else:
            calls = tuple(_calls(truth, functions))
        yield Case(row.where, row.value, _SOURCE, query, tools, calls, problem)
