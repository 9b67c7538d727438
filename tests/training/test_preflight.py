"""Before training: what does not fit, what a template loses, and where the right answers stand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gentool.pipeline import Run
from gentool.progress import Progress
from gentool.recipe import load_config
from gentool.training.arms import plan_arms
from gentool.training.dataset import SampleRenderer, TrainingError
from gentool.training.plan import Item
from gentool.training.preflight import check_positions, positions, preflight
from gentool.training.prepare import TrainingData, make_renderer, prepare


@pytest.fixture
def built(recipe: Callable[..., Path], tmp_path: Path) -> Callable[..., tuple[Run, str]]:
    def make(**changes: Any) -> tuple[Run, str]:
        run = Run(load_config(recipe(**changes)), tmp_path / "run", Progress())
        run.build()
        return run, run.base()

    return make


def prepared(run: Run, base: str) -> TrainingData:
    return prepare(run.config, run.samples(), run.tools(), base, run.folder / "stages", run.progress)


def source_of(run: Run, base: str) -> SampleRenderer:
    renderer = make_renderer(run.config, base)
    return SampleRenderer(run.samples(), run.tools(), renderer, 0, run.config.train.max_length)


def test_lengths_are_those_of_the_rendered_samples(built: Callable[..., tuple[Run, str]]) -> None:
    run, base = built()
    source = source_of(run, base)
    found = preflight(source, ["rank", "select"], 8192, 2)
    assert not found.long and not found.lost
    for task in ("rank", "select"):
        assert len(found.lengths[task]) == len(source.samples) > 20
        for i, (prompt, target) in enumerate(found.lengths[task]):
            rendered = source.render(Item(i, task, 0))
            assert (prompt, prompt + target) == (rendered.start, len(rendered.ids))


def test_nothing_to_train_on_is_an_error(built: Callable[..., tuple[Run, str]]) -> None:
    run, base = built()
    with pytest.raises(TrainingError, match="nothing to train on"):
        prepare(run.config, [], run.tools(), base, run.folder / "stages", run.progress)


def test_what_does_not_fit_is_an_error_that_names_the_longest_and_the_fix(
    built: Callable[..., tuple[Run, str]],
) -> None:
    run, base = built(train__max_length=50)
    with pytest.raises(TrainingError) as error:
        prepared(run, base)
    text = str(error.value)
    source = source_of(run, base)
    items = [Item(i, task, 0) for i in range(len(run.samples())) for task in ("rank", "select")]
    longest = max(len(source.rendered(item).ids) for item in items)
    assert f"set train.max_length to {longest} or more" in text
    assert any(sample.id in text for sample in run.samples())


def test_the_model_s_own_context_is_a_limit_too(built: Callable[..., tuple[Run, str]]) -> None:
    run, base = built(model__random_init__context=60)
    with pytest.raises(TrainingError, match="do not fit into 60 tokens"):
        prepared(run, base)


def test_dropped_samples_are_written_down_and_leave_all_tasks(built: Callable[..., tuple[Run, str]]) -> None:
    run, base = built()
    source = source_of(run, base)
    totals = sorted(len(source.render(Item(i, "rank", 0)).ids) for i in range(len(source.samples)))
    limit = totals[len(totals) // 2]
    run, base = built(train__max_length=limit, train__drop_long=True)
    data = prepared(run, base)
    assert 0 < len(data.samples) < len(source.samples)
    lines = (run.folder / "stages" / "dropped.jsonl").read_text(encoding="utf-8").splitlines()
    dropped = [json.loads(line) for line in lines]
    kept, every = {s.id for s in data.samples}, {s.id for s in source.samples}
    assert {d["sample"] for d in dropped} == every - kept
    assert all(d["tokens"] > limit and f"longer than {limit} tokens" in d["reason"] for d in dropped)
    remaining = data.source(0)
    for i in range(len(data.samples)):
        for task in ("rank", "select"):
            assert remaining.length(i, task) == len(remaining.render(Item(i, task, 0)).ids) <= limit


def test_sources_know_the_lengths_of_their_own_seed_and_order(built: Callable[..., tuple[Run, str]]) -> None:
    run, base = built(train__tool_order="sample")
    data = prepared(run, base)
    assert data.source(0) is data.source(0) is not data.source(1)
    for seed in (0, 1):
        source = data.source(seed)
        assert source.options.tool_order == "sample"
        for i in range(0, len(data.samples), 7):
            assert source.length(i, "select") == len(source.render(Item(i, "select", 0)).ids)


def test_nothing_left_is_an_error(built: Callable[..., tuple[Run, str]]) -> None:
    run, base = built(train__max_length=5, train__drop_long=True)
    with pytest.raises(TrainingError, match="every sample is longer than 5 tokens"):
        prepared(run, base)


def test_a_template_that_spoils_some_samples_is_refused_by_sample(
    built: Callable[..., tuple[Run, str]], tmp_path: Path
) -> None:
    # Such a template passes the check with a short probe: it cuts user texts after 200 characters.
    from gentool.models import PLAIN_TEMPLATE

    cutting = tmp_path / "cutting.jinja"
    plain = PLAIN_TEMPLATE.read_text(encoding="utf-8")
    cutting.write_text(
        plain.replace("{{- message.content }}", "{{- message.content[:200] }}"), encoding="utf-8"
    )
    assert cutting.read_text(encoding="utf-8") != plain
    run, _ = built()
    source = source_of(run, run.base())
    source.renderer.tokenizer.chat_template = cutting.read_text(encoding="utf-8")
    long = run.samples()[0].model_copy(update={"query": "Please " + "really " * 60 + "do it."})
    source.samples = [*source.samples[:3], long]
    found = preflight(source, ["select"], 8192, 1)
    assert (
        len(found.lost) == 1
        and long.id in found.lost[0]
        and "in the prompt; it is not there" in found.lost[0]
    )
    with pytest.raises(TrainingError, match=r"1 samples lose something in the chat template(.|\n)*Fix: set"):
        found.check(drop_long=True)


def test_a_call_that_cannot_be_read_back_is_found(built: Callable[..., tuple[Run, str]]) -> None:
    run, base = built()
    source = source_of(run, base)
    template = source.renderer.tokenizer.chat_template
    source.renderer.tokenizer.chat_template = template.replace(
        "call.function.arguments | tojson", "(call.function.arguments | tojson)[:-1]"
    )
    found = preflight(source, ["select"], 8192, 1)
    with_tools = [s for s in source.samples if s.tool_call.name != "generate_response"]
    assert len(found.lost) >= len(with_tools) and "expected the call" in found.lost[0]


def test_positions_count_each_list_once(built: Callable[..., tuple[Run, str]]) -> None:
    run, base = built(train__epochs=6)
    data = prepared(run, base)
    source = data.source(0)
    plans = plan_arms(source, run.config, 0)["gentool"]
    counts = positions(source, plans)
    lists = {
        (source.samples[i.sample].tool_set.id, i.epoch, source.samples[i.sample].tool_call.name)
        for plan in plans
        for i in plan.items
    }
    assert counts.sum() == len(lists) and len(counts) == run.config.scenarios.k + 1
    check_positions(counts, "gentool")


def test_a_place_that_gives_the_answer_away_is_refused() -> None:
    check_positions(np.array([30, 40, 30]), "sft")
    check_positions(np.array([9, 0, 0, 0]), "sft")  # too few lists to say
    with pytest.raises(TrainingError, match=r"sft: the right tool stands at place 2 of 4 in 70 % of 100"):
        check_positions(np.array([10, 70, 10, 10]), "sft")
