"""Words of the report: names of scenarios, transitions and metrics, and numbers as they are written."""

from __future__ import annotations

SCENARIO_LABELS = {
    "seen_query_seen_tool": "seen query, seen tool",
    "seen_query_unseen_tool": "seen query, unseen tool",
    "unseen_query_seen_tool": "unseen query, seen tool",
    "unseen_query_unseen_tool": "unseen query, unseen tool",
}

TRANSITION_LABELS = {
    "zero": "zero",
    "zero_to_one": "zero-to-one",
    "weak_to_strong": "weak-to-strong",
    "all": "all",
}

SCENARIO_NOTES = {
    "seen_query_seen_tool": "queries and tools were trained on; the other tools shown and the order are new",
    "seen_query_unseen_tool": "the query was trained on, the tool that arrives was not",
    "unseen_query_seen_tool": "new queries for tools that were trained on",
    "unseen_query_unseen_tool": "neither the query nor the tool was trained on",
}

TRANSITION_NOTES = {
    "zero": "no tool suits, before and after another irrelevant one arrives: the model has to stay with "
    "generate_response",
    "zero_to_one": "no tool suits, then a useful one arrives: the model has to start to use it",
    "weak_to_strong": "a useful tool is there, then its sibling arrives: the model has to choose the better "
    "of the two",
    "all": "all probes of the scenario together",
}

METRIC_LABELS = {
    "tool_selection": "tool selection",
    "served": "served",
    "arrival": "arrival",
    "ndcg": "ranking NDCG",
    "argument_names": "argument names",
    "argument_values": "argument values",
    "exact_call": "exact call",
    "malformed": "malformed",
}

METRIC_NOTES = {
    "tool_selection": "The best tool of the set is chosen after the arrival; generate_response where none suits.",
    "served": "Any useful tool is chosen after the arrival, be it the best one or not.",
    "arrival": "The right choice before and after the arrival. This is the endpoint.",
    "ndcg": "Quality of the ranking: gain 3 for the best tool, 2 for a useful one, 1 for generate_response.",
    "argument_names": "Where a tool is to be called: the right tool, with exactly the arguments it needs.",
    "argument_values": "Where a tool is to be called: share of the arguments that are right; 0 for another tool.",
    "exact_call": "The right tool and every argument right; generate_response without arguments.",
    "malformed": "The answer could not be read as a call or a text. Lower is better.",
}

CLASS_LABELS = {
    "right": "right",
    "weak_for_strong": "weak for strong",
    "strong_for_weak": "strong for weak",
    "fallback_though_served": "fallback though served",
    "served_though_fallback": "served though fallback",
    "distractor": "distractor",
    "missing_argument": "missing argument",
    "extra_argument": "extra argument",
    "wrong_argument": "wrong argument",
    "malformed": "malformed",
}

CLASS_NOTES = {
    "right": "the right tool and every argument right; generate_response without arguments where no tool suits",
    "weak_for_strong": "the plainer tool of the pair, though the richer one was there and is better here",
    "strong_for_weak": "the richer tool of the pair, though the plainer one was there and is better here",
    "fallback_though_served": "answered without a tool, though a useful one was there",
    "served_though_fallback": "the pair's tool that was there, though it is of no use here",
    "distractor": "a tool that has nothing to do with the query",
    "missing_argument": "the right tool, without an argument that it needs",
    "extra_argument": "the right tool, with an argument that does not belong there",
    "wrong_argument": "the right tool, with a wrong value",
    "malformed": "cannot be read as a call or a text",
}

CLASS_GROUPS: dict[str, tuple[str, ...]] = {
    "right": ("right",),
    "arguments": ("missing_argument", "extra_argument", "wrong_argument"),
    "sibling": ("weak_for_strong", "strong_for_weak"),
    "fallback": ("fallback_though_served",),
    "unsuitable": ("served_though_fallback", "distractor"),
    "malformed": ("malformed",),
}
"""The classes of answers as the plot groups them: it has a colour for each group."""

CLASS_GROUP_NOTES = {
    "right": "the right tool, every argument right",
    "arguments": "the right tool, arguments at fault",
    "sibling": "the worse tool of the pair",
    "fallback": "no tool, though one suits",
    "unsuitable": "a tool that does not suit",
    "malformed": "cannot be read",
}


def percent(value: float | None, places: int = 1) -> str:
    """A share as a number of per cent, with a proper minus; a dash for no value."""
    if value is None:
        return "–"
    text = f"{100 * value:.{places}f}"
    return text.replace("-", "−") if float(text) else text.lstrip("-")


def amount(value: int) -> str:
    """A large count in words: 1.3 million."""
    for size, word in ((1_000_000_000, "billion"), (1_000_000, "million")):
        if value >= size:
            return f"{value / size:.3g} {word}"
    return f"{value:,}"
