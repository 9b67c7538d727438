"""The metrics of one probe; formulas in ``docs/metrics.md``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gentool.evaluation.match import match_call
from gentool.records import GENERATE_RESPONSE, GradedQuery, Prediction, Probe, Task, Tool, ToolSet
from gentool.scenarios.targets import target_ranking

METRICS = (
    "tool_selection",
    "served",
    "arrival",
    "ndcg",
    "argument_names",
    "argument_values",
    "exact_call",
    "malformed",
)


def chosen(prediction: Prediction) -> str | None:
    """The tool a model chose: text without a call counts as ``generate_response``; ``None`` if malformed."""
    if prediction.outcome == "malformed":
        return None
    return prediction.tool_call.name if prediction.tool_call else GENERATE_RESPONSE


def gains(query: GradedQuery, names: Sequence[str]) -> dict[str, float]:
    """Gain of each tool of a set: best 3, useful 2, ``generate_response`` 1, others 0."""
    ranking = target_ranking(query, tuple(names))
    best = {ranking[0]: 3.0} if len(ranking) > 1 else {}
    return dict.fromkeys(ranking[:-1], 2.0) | best | {GENERATE_RESPONSE: 1.0}


def ndcg(ranking: Sequence[str], gain: Mapping[str, float]) -> float:
    """Discounted cumulative gain of a ranking over that of the ideal one (Järvelin & Kekäläinen 2002)."""

    def dcg(values: Sequence[float]) -> float:
        return sum(v / math.log2(i + 2) for i, v in enumerate(values))

    return dcg([gain.get(n, 0.0) for n in ranking]) / dcg(sorted(gain.values(), reverse=True))


@dataclass(frozen=True)
class Answers:
    """A model's predictions, by (task, query, tool set)."""

    by_key: Mapping[tuple[str, str, str], Prediction]

    def _first(self, tasks: tuple[Task, ...], query: GradedQuery, tool_set: ToolSet) -> Prediction | None:
        keys = [(task, query.id, tool_set.id) for task in tasks]
        return next((self.by_key[key] for key in keys if key in self.by_key), None)

    def call(self, query: GradedQuery, tool_set: ToolSet) -> Prediction | None:
        """The answer that holds the call, if the model was asked."""
        return self._first(("select", "joint"), query, tool_set)

    def ranking(self, query: GradedQuery, tool_set: ToolSet) -> Prediction | None:
        """The answer that holds the ranking, if the model was asked for one."""
        return self._first(("rank", "joint"), query, tool_set)


def right_tool(query: GradedQuery, names: Sequence[str]) -> str:
    """The tool to choose from a set: its best useful one, else ``generate_response``."""
    return target_ranking(query, tuple(names))[0]


def pair_names(tool_set: ToolSet, tools: Mapping[str, Tool]) -> list[str]:
    """Names of the pair's tools that are in the set."""
    return [tools[i].name for i in tool_set.pair_tools]


def probe_metrics(probe: Probe, answers: Answers, tools: Mapping[str, Tool]) -> dict[str, float] | None:
    """All metrics of a probe that apply, on its ``after`` set; ``None`` if the model was not asked.

    Argument metrics apply where a tool is to be called, and are 0 if another one is; NDCG where a
    tool is useful and a ranking was asked for.
    """
    query = probe.query
    before, after = answers.call(query, probe.before), answers.call(query, probe.after)
    if before is None or after is None:
        return None
    names = pair_names(probe.after, tools)
    gold = right_tool(query, names)
    choice = chosen(after)
    right = choice == gold
    right_before = chosen(before) == right_tool(query, pair_names(probe.before, tools))
    useful = query.useful(names) or (GENERATE_RESPONSE,)
    values = {
        "tool_selection": float(right),
        "served": float(choice in useful),
        "arrival": float(right and right_before),
        "malformed": float(after.outcome == "malformed"),
    }
    if gold == GENERATE_RESPONSE:
        no_arguments = after.tool_call is None or not after.tool_call.arguments
        values["exact_call"] = float(right and no_arguments)
    else:
        tool = next(tools[i] for i in probe.after.pair_tools if tools[i].name == gold)
        match = match_call(after.tool_call, query, tool) if right and after.tool_call else None
        values["argument_names"] = float(match is not None and match.names_match)
        values["argument_values"] = match.values if match else 0.0
        values["exact_call"] = float(match is not None and match.exact)
    ranked = answers.ranking(query, probe.after)
    if ranked is not None and gold != GENERATE_RESPONSE:
        values["ndcg"] = ndcg(ranked.ranking or (), gains(query, names))
    return values
