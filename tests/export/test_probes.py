"""Probes as prompts: those that evaluation asks, with the answers that it counts as right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gentool.config import Config
from gentool.evaluation.match import match_call
from gentool.evaluation.metrics import pair_names, right_tool
from gentool.evaluation.predict import shown_tools
from gentool.evaluation.requests import query_requests
from gentool.export.write import export_probes
from gentool.pipeline import Run
from gentool.records import GENERATE_RESPONSE, SCENARIOS, ToolCall
from tests.conftest import read_json
from tests.export.conftest import quiet, read_lines
from tests.prompting.conftest import make_renderer


def exported(run: Run, config: Config, out: Path) -> list[dict[str, Any]]:
    export_probes(run.folder, config, SCENARIOS, out, quiet())
    return [line for s in SCENARIOS for line in read_lines(out / f"{s}.jsonl")]


@pytest.mark.parametrize("joint", [False, True])
def test_prompts_are_those_of_evaluation(
    run: Run, changed: Callable[..., Config], tmp_path: Path, joint: bool
) -> None:
    config = changed(train={"schedule": "one_output" if joint else "two_pass"})
    lines = exported(run, config, tmp_path)
    assert read_json(tmp_path / "export.json")["format"] == "prompts"
    renderer = make_renderer("qwen3", joint=True)
    asked = {}
    for scenario in SCENARIOS:
        probes = [p for p in run.probes() if p.scenario == scenario]
        for r in query_requests(probes, True, joint):
            shown = shown_tools(r, run.tools(), config.seed)
            asked[scenario, *r.key] = renderer.prompt_text(r.query.query, r.query.now, shown, r.task)
    found = {}
    for line in lines:
        text = renderer.tokenizer.apply_chat_template(
            line["messages"],
            tools=line["tools"],
            add_generation_prompt=True,
            tokenize=False,
            enable_thinking=False,
        )
        found[line["scenario"], line["task"], line["query_id"], line["tool_set"]] = text
    assert found == asked


def test_references_are_right(run: Run, tmp_path: Path) -> None:
    tools = run.tools()
    probes = {(p.scenario, p.query.id, s.id): (p, s) for p in run.probes() for s in (p.before, p.after)}
    lines = exported(run, run.config, tmp_path)
    for line in lines:
        probe, tool_set = probes[line["scenario"], line["query_id"], line["tool_set"]]
        right = right_tool(probe.query, pair_names(tool_set, tools))
        reference = line["reference"]
        assert reference["ranking"][0] == right == reference["tool_call"]["function"]["name"]
        assert reference["ranking"][-1] == GENERATE_RESPONSE
        if right != GENERATE_RESPONSE:
            tool = next(tools[i] for i in tool_set.pair_tools if tools[i].name == right)
            assert match_call(ToolCall.model_validate(reference["tool_call"]), probe.query, tool).exact
    assert {line["set"] for line in lines} == {"before", "after"}
    assert all(line["set"] == "after" for line in lines if line["task"] == "rank")
