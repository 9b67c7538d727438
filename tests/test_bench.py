"""Benchmarks, on toys."""

from __future__ import annotations

import pytest
import torch
from bench.answers import count
from bench.prefix.__main__ import compare, headline
from bench.prefix.checks import Bare, exactness, ratio_of, sweep
from bench.prefix.lines import Line, Setting, candidates
from bench.prefix.samples import SHAPES, branches, tool_list

from gentool.evaluation.metrics import Answers
from gentool.records import Function, GradedQuery, Prediction, Probe, Tool, ToolCall, ToolSet

TOY = SHAPES["toy"]


def test_samples_share_what_they_should() -> None:
    rows = tool_list(50, 4, 500, seed=1)
    assert len(rows) == 8
    assert all(row.ids[:50] == rows[0].ids[:50] for row in rows)
    select, rank = rows[0], rows[1]
    assert rank.ids[: select.start] == select.ids[: select.start]  # the same query
    assert rank.start == select.start + 30
    unique = 50 + sum(
        len(s.ids) - 50 + len(r.ids) - s.start for s, r in zip(rows[::2], rows[1::2], strict=True)
    )
    assert ratio_of(rows) == pytest.approx(sum(len(row.ids) for row in rows) / unique)
    assert ratio_of(branches(50, 1, 60, 500, seed=1)) == 1


def test_exactness_is_measured() -> None:
    errors = exactness(TOY, tool_list(40, 3, TOY.vocabulary, 0), 0, "cpu")
    assert errors["max_loss_error"] < 1e-6
    assert 0 < errors["max_grad_error"] < 1e-4


def test_sweep_says_where_the_gate_closes() -> None:
    bare = Bare(TOY, 0, "cpu", bf16=False)
    cells = list(sweep(TOY, [8, 120], [1, 3], bare, (1, 1, 0.0)))
    assert [(c["prefix"], c["branches"], c["gate"]) for c in cells] == [
        (8, 1, "plain"),
        (8, 3, "plain"),
        (120, 1, "plain"),
        (120, 3, "shared"),
    ]
    assert all(c["speed_up"] > 0 for c in cells)


def test_headline_is_of_the_fastest_line() -> None:
    seconds = {"trl padded": [8, 9], "trl padded, targets only": [6, 6], "gentool plain": [5, 6]}
    lines = {n: {"seconds": s, "targets_only": "only" in n} for n, s in seconds.items()}
    lines["gentool shared"] = {"seconds": [1, 2], "targets_only": False}
    found = headline(lines, ratio=5)
    assert found["best_trl"] == "trl padded, targets only"
    assert found["ratio_to_best_trl"] == 4.5
    assert found["ratio_to_best_trl_spread"] == [3, 6]
    assert found["best_trl_as_installed"] == "trl padded"
    assert found["ratio_to_best_trl_as_installed"] == 6.25
    assert found["fraction_of_token_ratio"] == 0.8


def test_candidates_on_a_gpu_have_no_switch() -> None:
    assert not any(line.targets_only for lines in candidates("cuda", (1, 2)) for line in lines)
    assert {line.kind for lines in candidates("cuda", (1, 2)) for line in lines} == {
        "padded",
        "packed",
        "padding_free",
        "plain",
        "shared",
    }


def test_lines_compute_the_same() -> None:
    pytest.importorskip("trl")
    rows = [row for n in range(3) for row in tool_list(40, 2, TOY.vocabulary, n)]
    threads = torch.get_num_threads()
    setting = Setting(TOY, 0, threads, "cpu", "float32", bf16=False, step=4)
    found = compare(setting, [Line("padded", 2), Line("shared", 4)], rows, repeats=1, unique=200)
    theirs, ours = found["trl padded"], found["gentool shared"]
    assert ours["first_loss"] == pytest.approx(theirs["first_loss"], rel=1e-5)
    for line in (theirs, ours):
        assert len(line["seconds"]) == 1
        assert line["samples_per_second"] > 0
        assert line["peak_megabytes"] >= 0


def test_answers_are_counted_by_the_kind_of_list() -> None:
    tools = [
        Tool(function=Function(name=name, description=f"Does {name}.")) for name in ("plain", "rich", "other")
    ]
    plain, rich, other = tools
    calls = (ToolCall.of("plain"), ToolCall.of("rich"))
    query = GradedQuery(
        query="Do it.", grades={"plain": "partial", "rich": "full"}, best="rich", tool_calls=calls
    )
    miss = GradedQuery(query="Undo it.", grades={"plain": "none", "rich": "none"})

    def shown(*of: Tool) -> ToolSet:
        return ToolSet(pair="p", pair_tools=tuple(t.id for t in of), distractors=(other.id,))

    none, one, both = shown(), shown(plain), shown(plain, rich)
    scenario = "seen_query_unseen_tool"
    probes = [
        Probe(scenario=scenario, pair="p", query=q, before=b, after=a, stay=False, transition=t)
        for q, t, b, a in (
            (query, "zero_to_one", none, one),
            (query, "weak_to_strong", one, both),
            (miss, "zero", none, both),
        )
    ]

    def said(q: GradedQuery, tool_set: ToolSet, name: str | None) -> Prediction:
        return Prediction(
            model="gentool",
            seed=0,
            task="select",
            query_id=q.id,
            tool_set=tool_set.id,
            shown=(),
            text="",
            outcome="call" if name else "malformed",
            tool_call=ToolCall.of(name) if name else None,
            prompt_tokens=1,
            completion_tokens=1,
        )

    answers = [
        said(query, none, "other"),
        said(query, one, "generate_response"),
        said(query, both, "plain"),
        said(miss, none, None),
        said(miss, both, "generate_response"),
    ]
    found = count(probes, Answers({a.key: a for a in answers}), {tool.id: tool for tool in tools})
    assert found == {
        "none": {"another tool": 1, "malformed": 1},
        "one": {"declined": 1},
        "both": {"other version": 1},
        "near miss": {"right": 1},
    }
