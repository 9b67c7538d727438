"""What is wrong with an answer: its class, as ``docs/metrics.md`` defines it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from gentool.evaluation.match import CallMatch, match_call
from gentool.evaluation.metrics import chosen, pair_names, right_tool
from gentool.records import GENERATE_RESPONSE, GradedQuery, Prediction, Tool, ToolSet

AnswerClass = Literal[
    "right",
    "weak_for_strong",
    "strong_for_weak",
    "fallback_though_served",
    "served_though_fallback",
    "distractor",
    "missing_argument",
    "extra_argument",
    "wrong_argument",
    "malformed",
]
CLASSES: tuple[AnswerClass, ...] = get_args(AnswerClass)
"""``right`` and the errors; an answer has exactly one class, its first."""

ARGUMENT_FAULTS: tuple[AnswerClass, ...] = ("missing_argument", "extra_argument", "wrong_argument")
"""The classes of the right tool with arguments at fault; an answer with several faults has the first."""


@dataclass(frozen=True)
class Judged:
    """The class of an answer, and which arguments are at fault.

    ``faults`` are all of :data:`ARGUMENT_FAULTS` that an answer has, in that order; ``match`` names the
    arguments, where the right tool was called.
    """

    name: AnswerClass
    faults: tuple[AnswerClass, ...] = ()
    match: CallMatch | None = None

    @property
    def classes(self) -> tuple[AnswerClass, ...]:
        """The classes under which the answer is to be found: its own first, then its other faults."""
        return self.faults or (self.name,)


def classify(
    answer: Prediction,
    query: GradedQuery,
    tool_set: ToolSet,
    tools: Mapping[str, Tool],
    richer: Collection[str] = (),
) -> Judged:
    """The class of an answer to a query asked with a tool set; ``right`` where ``exact_call`` is 1.

    ``tools``: by id. ``richer``: names of the tools that their pair's other tool was derived from
    (``ToolPair.derivation.from_tool``), which probes do not hold; of a pair that is not known, the best
    tool for the query counts as the richer one.
    """
    choice = chosen(answer)
    names = pair_names(tool_set, tools)
    gold = right_tool(query, names)
    if choice is None:
        return Judged("malformed")
    if choice == gold:
        return _judge_arguments(answer, query, tool_set, tools)
    if choice == GENERATE_RESPONSE:
        return Judged("fallback_though_served")
    if choice not in names:
        return Judged("distractor")
    if gold == GENERATE_RESPONSE:
        return Judged("served_though_fallback")
    return Judged("strong_for_weak" if choice in richer else "weak_for_strong")


def _judge_arguments(
    answer: Prediction, query: GradedQuery, tool_set: ToolSet, tools: Mapping[str, Tool]
) -> Judged:
    """The class of an answer that chose the right tool."""
    call = answer.tool_call
    if call is None:
        return Judged("right")
    if call.name == GENERATE_RESPONSE:
        # It takes no arguments, so each one is too many.
        match = CallMatch((), tuple(sorted(call.arguments)), (), 0.0 if call.arguments else 1.0)
    else:
        tool = next(tools[i] for i in tool_set.pair_tools if tools[i].name == call.name)
        match = match_call(call, query, tool)
    found = (match.missing, match.extra, match.wrong)
    faults = tuple(name for name, at_fault in zip(ARGUMENT_FAULTS, found, strict=True) if at_fault)
    return Judged(faults[0] if faults else "right", faults, match)
