"""What is right for a query in a tool set: it follows from the query's grades."""

from __future__ import annotations

from gentool.records import GENERATE_RESPONSE, GradedQuery, Sample, Tool, ToolCall


def target_ranking(query: GradedQuery, pair_names: tuple[str, ...]) -> tuple[str, ...]:
    """The useful tools among the pair's tools that are in the set, best first, then ``generate_response``.

    The order below the cut-off is noise, so the target ends there.
    """
    return (*query.useful(pair_names), GENERATE_RESPONSE)


def target_call(query: GradedQuery, pair_tools: tuple[Tool, ...]) -> ToolCall:
    """The call of the top of the ranking, its arguments in the order of the tool's parameters."""
    top = target_ranking(query, tuple(t.name for t in pair_tools))[0]
    if top == GENERATE_RESPONSE:
        return ToolCall.of(GENERATE_RESPONSE)
    tool = next(t for t in pair_tools if t.name == top)
    order = {name: i for i, name in enumerate(tool.parameters.get("properties", {}))}
    arguments = query.call_of(top).arguments
    return ToolCall.of(top, {k: arguments[k] for k in sorted(arguments, key=lambda k: order.get(k, 99))})


def served(sample: Sample) -> bool:
    """Whether a tool of the sample's set serves its query."""
    return sample.tool_call.name != GENERATE_RESPONSE
