"""The class of every kind of answer, and that classes and metrics agree."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from gentool.evaluation.errors import ARGUMENT_FAULTS, CLASSES, Judged, classify
from gentool.evaluation.metrics import Answers, probe_metrics
from gentool.records import (
    GENERATE_RESPONSE,
    Function,
    GradedQuery,
    Prediction,
    Probe,
    Tool,
    ToolCall,
    ToolSet,
)


def _tool(name: str) -> Tool:
    properties = {"city": {"type": "string"}, "days": {"type": "integer"}, "unit": {"default": "C"}}
    return Tool(function=Function(name=name, parameters={"type": "object", "properties": properties}))


BY_NAME = {n: _tool(n) for n in ("rich", "plain", "noise", "decoy")}
TOOLS = {t.id: t for t in BY_NAME.values()}
CALLS = {"rich": {"city": "Bern", "days": 3}, "plain": {"city": "Bern"}}


def _query(rich: str, plain: str, best: str | None) -> GradedQuery:
    grades: Any = {"rich": rich, "plain": plain}
    calls = tuple(ToolCall.of(n, CALLS[n]) for n in CALLS if grades[n] != "none")
    return GradedQuery(query="Rain?", grades=grades, best=best, tool_calls=calls)


def _set(*names: str) -> ToolSet:
    distractors = ("noise", "decoy")[: 3 - len(names)]
    return ToolSet(
        pair="p",
        pair_tools=tuple(BY_NAME[n].id for n in names),
        distractors=tuple(BY_NAME[n].id for n in distractors),
    )


ZERO, ONE, BOTH = _set(), _set("plain"), _set("rich", "plain")
RICH_BEST = _query("full", "partial", "rich")
PLAIN_BEST = _query("partial", "full", "plain")


def _answer(query: GradedQuery, tool_set: ToolSet, what: Any) -> Prediction:
    """``what``: (name, arguments), "answer" or "malformed"."""
    return Prediction(
        model="m",
        seed=0,
        task="select",
        query_id=query.id,
        tool_set=tool_set.id,
        shown=(),
        text="",
        prompt_tokens=1,
        completion_tokens=1,
        outcome="call" if isinstance(what, tuple) else what,
        tool_call=ToolCall.of(*what) if isinstance(what, tuple) else None,
    )


def _judge(query: GradedQuery, tool_set: ToolSet, what: Any, richer: tuple[str, ...] = ("rich",)) -> Judged:
    return classify(_answer(query, tool_set, what), query, tool_set, TOOLS, richer)


RICH, PLAIN, NOISE = ("rich", CALLS["rich"]), ("plain", CALLS["plain"]), ("noise", {"city": "Bern"})
FALLBACK = (GENERATE_RESPONSE, {})


@pytest.mark.parametrize(
    ("query", "tool_set", "what", "name"),
    [
        (RICH_BEST, BOTH, RICH, "right"),
        (RICH_BEST, BOTH, PLAIN, "weak_for_strong"),
        (_query("full", "none", "rich"), BOTH, PLAIN, "weak_for_strong"),
        (_query("full", "full", "rich"), BOTH, PLAIN, "weak_for_strong"),
        (PLAIN_BEST, BOTH, PLAIN, "right"),
        (PLAIN_BEST, BOTH, RICH, "strong_for_weak"),
        (_query("none", "full", "plain"), BOTH, RICH, "strong_for_weak"),
        (_query("full", "full", "plain"), BOTH, RICH, "strong_for_weak"),
        (RICH_BEST, ONE, PLAIN, "right"),
        (RICH_BEST, ONE, FALLBACK, "fallback_though_served"),
        (RICH_BEST, BOTH, "answer", "fallback_though_served"),
        (_query("full", "none", "rich"), ONE, PLAIN, "served_though_fallback"),
        (_query("none", "none", None), BOTH, RICH, "served_though_fallback"),
        (_query("full", "none", "rich"), ONE, FALLBACK, "right"),
        (_query("full", "none", "rich"), ONE, NOISE, "distractor"),
        (RICH_BEST, ZERO, NOISE, "distractor"),
        (RICH_BEST, ONE, NOISE, "distractor"),
        (RICH_BEST, ZERO, "answer", "right"),
        (RICH_BEST, ZERO, FALLBACK, "right"),
        (RICH_BEST, ZERO, (GENERATE_RESPONSE, {"text": "hm"}), "extra_argument"),
        (RICH_BEST, ZERO, "malformed", "malformed"),
        (RICH_BEST, BOTH, "malformed", "malformed"),
    ],
)
def test_class(query: GradedQuery, tool_set: ToolSet, what: Any, name: str) -> None:
    found = _judge(query, tool_set, what)
    assert found.name == name
    assert found.classes == (name,)


@pytest.mark.parametrize(
    ("arguments", "classes"),
    [
        ({"city": "bern ", "days": 3.0, "unit": "C"}, ("right",)),
        ({"city": "Bern"}, ("missing_argument",)),
        ({"city": "Bern", "days": 3, "x": 1}, ("extra_argument",)),
        ({"city": "Bern", "days": 4}, ("wrong_argument",)),
        ({"city": "Basel", "x": 1}, ARGUMENT_FAULTS),
        ({"days": 4}, ("missing_argument", "wrong_argument")),
        ({"city": "Basel", "days": 3, "x": 1}, ("extra_argument", "wrong_argument")),
    ],
)
def test_arguments(arguments: dict[str, Any], classes: tuple[str, ...]) -> None:
    found = _judge(RICH_BEST, BOTH, ("rich", arguments))
    assert found.name == classes[0]
    assert found.classes == classes
    assert found.faults == (() if classes == ("right",) else classes)


def test_faults_name_the_arguments() -> None:
    match = _judge(RICH_BEST, BOTH, ("rich", {"city": "Basel", "x": 1})).match
    assert match
    assert (match.missing, match.extra, match.wrong) == (("days",), ("x",), ("city",))
    match = _judge(RICH_BEST, ZERO, (GENERATE_RESPONSE, {"b": 1, "a": 2})).match
    assert match and match.extra == ("a", "b")


def test_arguments_of_another_tool_are_not_judged() -> None:
    found = _judge(RICH_BEST, BOTH, ("plain", {"x": 1}))
    assert (found.classes, found.match) == (("weak_for_strong",), None)


def test_without_the_derivation_the_best_tool_counts_as_the_richer() -> None:
    assert _judge(PLAIN_BEST, BOTH, RICH, richer=()).name == "weak_for_strong"


def test_classes_agree_with_the_metrics() -> None:
    """Over all grades, sets and answers: ``right`` is ``exact_call``, and so on."""
    calls = [(n, a) for n in (*BY_NAME, GENERATE_RESPONSE) for a in ({}, *CALLS.values(), {"city": "x"})]
    seen = set()
    for rich, plain in product(("full", "partial", "none"), repeat=2):
        grades = {"rich": rich, "plain": plain}
        top = next((g for g in ("full", "partial") if g in grades.values()), None)
        for best in [n for n, g in grades.items() if g == top] or [None]:
            query = _query(rich, plain, best)
            for tool_set, what in product((ZERO, ONE, BOTH), (*calls, "answer", "malformed")):
                answer = _answer(query, tool_set, what)
                probe = Probe(
                    scenario="unseen_query_unseen_tool",
                    transition="zero",
                    pair="p",
                    query=query,
                    before=tool_set,
                    after=tool_set,
                    stay=True,
                )
                metrics = probe_metrics(probe, Answers({answer.key: answer}), TOOLS)
                found = _judge(query, tool_set, what)
                assert metrics
                assert metrics["exact_call"] == (found.name == "right")
                assert metrics["malformed"] == (found.name == "malformed")
                assert metrics["tool_selection"] == (found.name in ("right", *ARGUMENT_FAULTS))
                names = [BY_NAME[n].name for n in grades if BY_NAME[n].id in tool_set.pair_tools]
                assert (found.name == "fallback_though_served") == (
                    metrics["tool_selection"] == 0
                    and what in ("answer", *((GENERATE_RESPONSE, a) for _, a in calls))
                    and bool(query.useful(names))
                )
                seen.add(found.name)
    assert seen == set(CLASSES)
