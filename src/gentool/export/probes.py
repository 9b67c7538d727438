"""The probes of a scenario as prompts with their references, to ask any model and score its answers elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gentool.config import Config
from gentool.evaluation.predict import shown_tools
from gentool.evaluation.requests import Request, query_requests
from gentool.jsonl import JsonlFile
from gentool.prompting.renderer import prompt_messages
from gentool.records import Probe, Tool
from gentool.scenarios.targets import target_call, target_ranking


def probe_prompts(
    config: Config, probes: JsonlFile[Probe], tools: Mapping[str, Tool]
) -> Iterator[dict[str, Any]]:
    """A record for each prompt of each probe, as GenTool's own evaluation asks it (of ``gentool``, where arms differ).

    ``set`` says whether it is asked before or after the tool arrives; ``reference`` is the right ranking and call, with
    the grades of the pair's tools and further right values of arguments.
    """
    joint = "gentool" in config.train.arms and config.train.schedule == "one_output"
    for i in range(len(probes)):
        probe = probes[i]
        for request in query_requests([probe], rank=True, joint=joint):
            yield _record(config, probe, request, tools)


def _record(config: Config, probe: Probe, request: Request, tools: Mapping[str, Tool]) -> dict[str, Any]:
    query, shown = request.query, shown_tools(request, tools, config.seed)
    messages, listed = prompt_messages(
        query.query,
        query.now,
        shown,
        request.task,
        config.prompt.tool_format,
        config.prompt.fallback == "text",
    )
    pair_tools = tuple(tools[i] for i in request.tool_set.pair_tools)
    return {
        "scenario": probe.scenario,
        "transition": probe.transition,
        "query_id": query.id,
        "tool_set": request.tool_set.id,
        "set": "after" if request.tool_set.id == probe.after.id else "before",
        "stay": probe.stay,
        "task": request.task,
        "messages": messages,
        **({} if listed is None else {"tools": listed}),
        "reference": {
            "ranking": target_ranking(query, tuple(t.name for t in pair_tools)),
            "tool_call": target_call(query, pair_tools).model_dump(),
            "grades": query.grades,
            "alternatives": query.alternatives,
        },
    }
