"""Masked names: the same task, in names that mean nothing, for a share of the lists."""

from __future__ import annotations

import pytest

from gentool import data
from gentool.catalog.pairs import read_pairs, read_tools
from gentool.config import RandomInit, ScenarioConfig, TrainConfig
from gentool.models import make_tokenizer
from gentool.prompting.renderer import Renderer
from gentool.records import GENERATE_RESPONSE
from gentool.scenarios.build import build_scenarios
from gentool.training.dataset import SampleRenderer, sample_texts
from gentool.training.plan import Item
from gentool.training.preflight import preflight


@pytest.fixture(scope="module")
def source() -> SampleRenderer:
    built = build_scenarios(
        read_pairs(data.PAIRS), read_tools(data.TOOLS), ScenarioConfig(embedding="tfidf"), 0
    )
    tokenizer = make_tokenizer(sample_texts(built.train, built.tools), RandomInit().vocabulary, 8192, None)
    return SampleRenderer(built.train, built.tools, Renderer(tokenizer), 0, 10**6)


def test_a_share_of_lists_is_masked_and_targets_follow(source: SampleRenderer) -> None:
    masked = 0
    source.options = HALF
    lists: dict[str, bool] = {}
    for number, sample in enumerate(source.samples[:400]):
        own = {source.tools[i].name for i in sample.tool_set.tools}
        prompt, target = _texts(source, number, "select")
        hidden = not any(name in prompt for name in own)
        assert hidden or all(name in prompt for name in own), "all names of a list, or none"
        assert lists.setdefault(sample.tool_set.id, hidden) == hidden, "queries of a list share its prompt"
        name = sample.tool_call.name
        if name != GENERATE_RESPONSE and hidden:
            assert name not in target and "tool_" in target
            masked += 1
        ranked = _texts(source, number, "rank")[1]
        assert ranked.endswith(GENERATE_RESPONSE) and (hidden or ranked.split(" > ")[0] == name)
    assert masked > 50
    shares = list(lists.values())
    assert 0.35 < sum(shares) / len(shares) < 0.65


def test_nothing_is_masked_by_default(source: SampleRenderer) -> None:
    source.options = TrainConfig()
    sample = next(s for s in source.samples if s.tool_call.name != GENERATE_RESPONSE)
    prompt, target = _texts(source, source.samples.index(sample), "select")
    assert sample.tool_call.name in prompt and sample.tool_call.name in target


def test_the_preflight_looks_at_the_names_that_are_trained(source: SampleRenderer) -> None:
    source.options = HALF
    few = SampleRenderer(source.samples[:60], source.tools, source.renderer, 0, 10**6, options=HALF)
    found = preflight(few, ["rank", "select"], 10**6, 3)
    assert not found.lost
    for i, (prompt, target) in enumerate(found.lengths["select"]):
        row = few.rendered(Item(i, "select", 0))
        assert (prompt, target) == (row.start, len(row.ids) - row.start)
    totals = [[len(few.rendered(Item(i, "select", e)).ids) for e in range(3)] for i in range(60)]
    later = [i for i, own in enumerate(totals) if max(own) > own[0]]
    assert later, "some list is masked in a later epoch, and longer there"
    limit = max(totals[later[0]]) - 1
    long = {item.item.sample for item in preflight(few, ["select"], limit, 3).long}
    assert long == {i for i, own in enumerate(totals) if max(own) > limit}


HALF = TrainConfig(mask_names=0.5)


def _texts(source: SampleRenderer, number: int, task: str) -> tuple[str, str]:
    row = source.rendered(Item(number, task, 0))  # type: ignore[arg-type]
    return source.renderer.tokenizer.decode(row.ids[: row.start]), source.renderer.decode(
        row.ids[row.start :]
    )[0]
