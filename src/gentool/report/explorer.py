"""The data of the report's example explorer: each tool, query, tool set and answer once."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from gentool.evaluation.errors import CLASSES, Judged
from gentool.evaluation.metrics import METRICS, pair_names
from gentool.evaluation.requests import choose_probes
from gentool.records import (
    GENERATE_RESPONSE,
    GENERATE_RESPONSE_TOOL,
    SCENARIOS,
    TRANSITIONS,
    GradedQuery,
    Prediction,
    Probe,
    Tool,
    ToolCall,
    ToolSet,
)
from gentool.report.collect import RunData
from gentool.scenarios.targets import target_ranking

MAX_ANSWERS = 60_000
"""Answers in one page at most; of a larger run, whole queries are shown, as even as can be."""
MAX_TEXT = 4_000
"""Characters of one answer that are kept; a model that never stops must not fill the page."""

_UNSAFE = re.compile("[<>&\u2028\u2029\ud800-\udfff]")


def script_json(value: Any) -> str:
    """``value`` as JSON that can stand in a ``<script>`` element and holds nothing that could end it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _json_text(value: Any) -> str:
    # As text, so that large numbers and NaN, which models do write, survive the browser.
    return json.dumps(value, ensure_ascii=False, indent=2)


def _call(call: ToolCall) -> list[Any]:
    """The tool's name, and each argument's name and value as text: equal values have equal texts."""
    arguments = call.arguments.items()
    return [call.name, [[k, json.dumps(v, ensure_ascii=False, sort_keys=True)] for k, v in arguments]]


def _tool(tool: Tool) -> list[str]:
    return [tool.name, tool.description, _json_text(tool.parameters), tool.domain or ""]


def _query(query: GradedQuery) -> dict[str, Any]:
    # Lists instead of objects by name: a tool may well be called `constructor`.
    return {
        "text": query.query,
        "now": query.now,
        "best": query.best,
        "reason": query.reason,
        "grades": [[name, grade] for name, grade in query.grades.items()],
        "calls": [_call(call) for call in query.tool_calls],
        "alternatives": [[name, _json_text(values)] for name, values in query.alternatives.items() if values],
    }


def _set(tool_set: ToolSet, shown: Sequence[str], tools: dict[str, Tool]) -> dict[str, Any]:
    ids = {tools[i].name: i for i in tool_set.tools} | {GENERATE_RESPONSE: GENERATE_RESPONSE_TOOL.id}
    order = [ids[name] for name in shown if name in ids]
    return {
        "tools": order + [i for i in ids.values() if i not in order],
        "pair": pair_names(tool_set, tools),
    }


def _answer(prediction: Prediction) -> dict[str, Any]:
    text = prediction.text
    found: dict[str, Any] = {"o": prediction.outcome, "x": text[:MAX_TEXT]}
    if len(text) > MAX_TEXT:
        found["cut"] = len(text)
    if prediction.tool_call:
        found["c"] = _call(prediction.tool_call)
    if prediction.ranking is not None:
        found["r"] = prediction.ranking
    if prediction.error:
        found["e"] = prediction.error
    return found


def _judged(judged: Judged) -> list[Any]:
    """Its classes, by their place in ``CLASSES``; the arguments missing, superfluous and wrong, if any are."""
    found: list[Any] = [[CLASSES.index(name) for name in judged.classes]]
    match = judged.match
    if judged.faults and match:
        found.append([list(match.missing), list(match.extra), list(match.wrong)])
    return found


def _results(run: RunData, model: str, seed: int, probes: Sequence[Probe]) -> list[Any]:
    """Per probe: the answers before and after as judged, metrics (in the order of ``METRICS``); ``None`` if
    not asked."""
    return [
        outcome
        and [
            _judged(outcome.before),
            _judged(outcome.after),
            [None if (v := outcome.metrics.get(m)) is None else round(v, 3) for m in METRICS],
        ]
        for outcome in run.outcomes(model, seed, probes)
    ]


def explorer_data(run: RunData) -> dict[str, Any]:
    """Everything that the explorer shows, as plain JSON values."""
    every = [a for of_model in run.answers.values() for a in of_model.values()]
    total = sum(len(a.by_key) for a in every)
    probes = list(run.asked)
    if total > MAX_ANSWERS:
        probes = choose_probes(probes, True, MAX_ANSWERS // len(every), 0)
    tools = {**run.tools, GENERATE_RESPONSE_TOOL.id: GENERATE_RESPONSE_TOOL}
    sets: dict[str, Any] = {}
    queries: dict[str, Any] = {}
    answers: dict[str, dict[str, dict[str, Any]]] = {
        m: {str(s): {} for s in of_model} for m, of_model in run.answers.items()
    }
    cases = []
    for probe in probes:
        queries.setdefault(probe.query.id, _query(probe.query))
        golds = []
        for tool_set in (probe.before, probe.after):
            golds.append(target_ranking(probe.query, tuple(pair_names(tool_set, run.tools))))
            shown: Sequence[str] = ()
            for model, of_model in run.answers.items():
                for seed, found in of_model.items():
                    for task in ("select", "rank", "joint"):
                        prediction = found.by_key.get((task, probe.query.id, tool_set.id))
                        if prediction:
                            shown = shown or prediction.shown
                            key = f"{task}|{probe.query.id}|{tool_set.id}"
                            answers[model][str(seed)].setdefault(key, _answer(prediction))
            if tool_set.id not in sets:
                sets[tool_set.id] = _set(tool_set, shown, tools)
        cases.append(
            {
                "id": probe.id,
                "s": SCENARIOS.index(probe.scenario),
                "t": TRANSITIONS.index(probe.transition),
                "q": probe.query.id,
                "b": probe.before.id,
                "a": probe.after.id,
                "stay": probe.stay,
                "gb": golds[0],
                "ga": golds[1],
            }
        )
    used = {i for s in sets.values() for i in s["tools"]}
    return {
        "run": run.name,
        "scenarios": SCENARIOS,
        "transitions": TRANSITIONS,
        "classes": CLASSES,
        "metrics": METRICS,
        "models": [m for m in run.models if run.answers.get(m)],
        "tools": {i: _tool(tools[i]) for i in sorted(used)},
        "sets": sets,
        "queries": queries,
        "cases": cases,
        "answers": answers,
        "results": {
            m: {str(s): _results(run, m, s, probes) for s in of_model} for m, of_model in run.answers.items()
        },
        "total": len(run.asked),
    }
