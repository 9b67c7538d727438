"""The order in which tools are shown: shared by a set's queries, new each epoch, no hint of the answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from gentool.catalog.pairs import read_pairs, read_tools
from gentool.config import ScenarioConfig
from gentool.data import PAIRS, TOOLS
from gentool.evaluation.predict import EVALUATION_EPOCH
from gentool.prompting.order import seeded, shown_order
from gentool.records import (
    GENERATE_RESPONSE,
    GENERATE_RESPONSE_TOOL,
    SCENARIOS,
    GradedQuery,
    Scenario,
    ToolSet,
)
from gentool.scenarios.build import Scenarios, build_scenarios

EPOCHS = 60
SEEDS = range(160)
LEVEL = 0.001
Shown = tuple[ToolSet, str]
"""A set and the id of the tool that is right in it."""


@cache
def build() -> Scenarios:
    return build_scenarios(read_pairs(PAIRS), read_tools(TOOLS), ScenarioConfig(embedding="tfidf"), 0)


def tool_sets() -> list[ToolSet]:
    return list({s.tool_set.id: s.tool_set for s in build().train}.values())


def made_set(pair_tools: int, slot: int = 0, k: int = 5, pair: str = "p") -> ToolSet:
    own = tuple(f"own{i}" for i in range(pair_tools))
    return ToolSet(
        pair=pair, pair_tools=own, distractors=tuple(f"d{i}" for i in range(k - pair_tools)), slot=slot
    )


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2), st.integers(3, 9), st.integers(0, 1000), st.integers(0, 2**32), st.integers(-1, 10**6)
)
def test_order_is_a_permutation_with_generate_response(
    pair_tools: int, k: int, slot: int, seed: int, epoch: int
) -> None:
    tool_set = made_set(pair_tools, slot, k)
    shown = shown_order(tool_set, seed, epoch)
    assert sorted(shown) == sorted([*tool_set.tools, GENERATE_RESPONSE_TOOL.id])
    assert shown == shown_order(tool_set, seed, epoch)


def test_order_depends_on_the_set_and_not_on_how_it_is_written_down() -> None:
    first = made_set(2, 3)
    turned = ToolSet(
        pair="p", pair_tools=first.pair_tools[::-1], distractors=first.distractors[::-1], slot=first.slot
    )
    orders = [[shown_order(s, 0, epoch) for epoch in range(20)] for s in (first, turned)]
    assert orders[0] == orders[1]


def test_all_queries_of_a_set_share_its_order_within_an_epoch() -> None:
    for epoch in range(3):
        orders: dict[str, set[tuple[str, ...]]] = {}
        for sample in build().train:
            orders.setdefault(sample.tool_set.id, set()).add(tuple(shown_order(sample.tool_set, 0, epoch)))
        assert {len(o) for o in orders.values()} == {1}
        assert len(orders) < len(build().train)


def test_order_is_new_in_each_epoch_for_each_seed_pair_and_set() -> None:
    sets = tool_sets()
    changed = [shown_order(s, 0, e) != shown_order(s, 0, e + 1) for s in sets for e in range(20)]
    assert sum(changed) > 0.99 * len(changed)
    changed = [shown_order(s, 0, 0) != shown_order(s, seed, 0) for s in sets for seed in range(1, 20)]
    assert sum(changed) > 0.99 * len(changed)
    orders = {tuple(shown_order(made_set(1, 0, 8, str(pair)), 0, 0)) for pair in range(50)}
    assert len(orders) == 50


def test_number_of_orders_of_a_set_is_not_small() -> None:
    orders = Counter(tuple(shown_order(made_set(2, 4), 0, epoch)) for epoch in range(720))
    assert len(orders) > 0.55 * 720


@pytest.mark.parametrize("k", [3, 5, 7])
@pytest.mark.parametrize("pair_tools", [0, 1])
@pytest.mark.parametrize("epoch", [-1, 0, 7])
def test_consecutive_slots_put_the_focus_at_each_position_equally_often(
    k: int, pair_tools: int, epoch: int
) -> None:
    focus = "own0" if pair_tools else GENERATE_RESPONSE_TOOL.id
    counts = Counter(
        shown_order(made_set(pair_tools, slot, k, f"pair {slot}"), 1, epoch).index(focus)
        for slot in range(4 * (k + 1))
    )
    assert counts == dict.fromkeys(range(k + 1), 4)


def test_consecutive_slots_spread_one_of_two_pair_tools() -> None:
    for epoch in range(10):
        shown = [shown_order(made_set(2, slot, 5, f"pair {slot}"), 0, epoch) for slot in range(6)]
        at = [{order.index("own0"), order.index("own1")} for order in shown]
        assert set().union(*at) == set(range(6))


def test_no_epoch_of_the_package_build_leaves_a_position_out() -> None:
    by_kind: dict[int, list[ToolSet]] = {}
    for tool_set in tool_sets():
        by_kind.setdefault(len(tool_set.pair_tools), []).append(tool_set)
    for number, sets in by_kind.items():
        if number == 2:
            continue
        for epoch in range(EPOCHS):
            counts = Counter(
                shown_order(s, 0, epoch).index((*s.pair_tools, GENERATE_RESPONSE_TOOL.id)[0]) for s in sets
            )
            spread = [counts[position] for position in range(6)]
            assert max(spread) - min(spread) <= 1


# ------------------------------------------------------------------ what is actually shown


def probability(positions: Iterable[int], number: int) -> float:
    """How likely counts as uneven as these are if every position is as likely."""
    counts = Counter(positions)
    assert sum(counts.values()) >= 100 * number
    return float(chisquare([counts[i] for i in range(number)]).pvalue)


def trained(pair_tools: int) -> list[Shown]:
    """Sets of T pairs with so many of the pair's tools, each with every tool that is right in it."""
    ids = {t.name: t.id for p in build().pairs for t in p.tools}
    ids[GENERATE_RESPONSE] = GENERATE_RESPONSE_TOOL.id
    groups = {p.id: p.group for p in build().pairs}
    found = {
        (s.tool_set.id, ids[s.ranking[0]]): s.tool_set
        for s in build().train
        if groups[s.pair] == "T" and len(s.tool_set.pair_tools) == pair_tools
    }
    return [(tool_set, target) for (_, target), tool_set in found.items()]


def probed(scenario: Scenario, pair_tools: int) -> list[Shown]:
    """The same for the sets of a scenario's probes."""
    tools = build().tools

    def target(query: GradedQuery, tool_set: ToolSet) -> str:
        useful = [i for i in tool_set.pair_tools if query.grades[tools[i].name] != "none"]
        best = [i for i in useful if tools[i].name == query.best]
        return (best + useful + [GENERATE_RESPONSE_TOOL.id])[0]

    found = {
        (s.id, target(p.query, s)): s
        for p in build().probes
        if p.scenario == scenario
        for s in (p.before, p.after)
        if len(s.pair_tools) == pair_tools
    }
    return [(tool_set, right) for (_, right), tool_set in found.items()]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("pair_tools", [0, 1, 2])
def test_training_shows_the_right_tool_at_every_position_alike(pair_tools: int, seed: int) -> None:
    shown = [
        shown_order(s, seed, epoch).index(right)
        for s, right in trained(pair_tools)
        for epoch in range(EPOCHS)
    ]
    assert probability(shown, 6) > LEVEL


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("pair_tools", [0, 1, 2])
def test_training_shows_generate_response_at_every_position_alike(pair_tools: int, seed: int) -> None:
    sets = {s.id: s for s, _ in trained(pair_tools)}.values()
    shown = [
        shown_order(s, seed, epoch).index(GENERATE_RESPONSE_TOOL.id) for s in sets for epoch in range(EPOCHS)
    ]
    assert probability(shown, 6) > LEVEL


def comes_first(by: str, tool_set: ToolSet, seed: int, epoch: int) -> int:
    """Whether the richer of a pair's two tools is shown first, or the one whose id comes first."""
    richer = {p.derivation.from_tool for p in build().pairs}
    first, second = sorted(tool_set.pair_tools)
    if by == "richer" and build().tools[second].name in richer:
        first, second = second, first
    shown = shown_order(tool_set, seed, epoch)
    return int(shown.index(first) < shown.index(second))


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("by", ["richer", "id"])
def test_training_shows_either_tool_of_a_pair_first_as_often(by: str, seed: int) -> None:
    sets = {s.id: s for s, _ in trained(2)}.values()
    first = [comes_first(by, s, seed, epoch) for s in sets for epoch in range(EPOCHS)]
    assert probability(first, 2) > LEVEL


@pytest.mark.parametrize("pair_tools", [0, 1, 2])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_evaluation_shows_the_right_tool_at_every_position_alike(scenario: Scenario, pair_tools: int) -> None:
    shown = [
        shown_order(s, seed, EVALUATION_EPOCH).index(right)
        for s, right in probed(scenario, pair_tools)
        for seed in SEEDS
    ]
    assert probability(shown, 6) > LEVEL


@pytest.mark.parametrize("by", ["richer", "id"])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_evaluation_shows_either_tool_of_a_pair_first_as_often(scenario: Scenario, by: str) -> None:
    sets = {s.id: s for s, _ in probed(scenario, 2)}.values()
    first = [comes_first(by, s, seed, EVALUATION_EPOCH) for s in sets for seed in SEEDS]
    assert probability(first, 2) > LEVEL


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_evaluation_shows_what_arrives_at_every_position_alike(scenario: Scenario) -> None:
    changes = {
        (p.before.id, p.after.id): (p.before, p.after) for p in build().probes if p.scenario == scenario
    }
    shown = [
        shown_order(after, seed, EVALUATION_EPOCH).index(new)
        for before, after in changes.values()
        for new in set(after.tools) - set(before.tools)
        for seed in SEEDS
    ]
    assert probability(shown, 6) > LEVEL


def test_seeded_depends_on_its_parts_alone() -> None:
    assert seeded("a", 1, 2).random() == seeded("a", 1, 2).random()
    assert seeded("a", 1, 2).random() != seeded("a", 12).random()
    assert seeded("order", 0).getrandbits(32) == 1466232505
