"""Which prompts a model is asked: every probe covered once, and never more than the budget."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gentool.evaluation.requests import choose_probes, query_requests
from gentool.records import SCENARIOS, TRANSITIONS, GradedQuery, Probe, ToolSet


def _query(pair: str, number: int) -> GradedQuery:
    return GradedQuery(query=f"{pair} {number}", grades={f"{pair}a": "none", f"{pair}b": "none"})


def _set(pair: str, *tools: str) -> ToolSet:
    return ToolSet(pair=pair, pair_tools=tools, distractors=("d1", "d2"))


def _probes(scenario: Any, pair: str, number: int, transitions: tuple[Any, ...] = TRANSITIONS) -> list[Probe]:
    """A query's probes; all of them begin with sets that another one also has."""
    sets = {
        "zero": (_set(pair), ToolSet(pair=pair, pair_tools=(), distractors=("d1", "decoy"))),
        "zero_to_one": (_set(pair), _set(pair, "weak")),
        "weak_to_strong": (_set(pair, "weak"), _set(pair, "strong", "weak")),
    }
    query = _query(pair, number)
    return [
        Probe(
            scenario=scenario,
            transition=t,
            pair=pair,
            query=query,
            before=sets[t][0],
            after=sets[t][1],
            stay=t == "zero",
        )
        for t in transitions
    ]


def _all(pairs: int, queries: int) -> list[Probe]:
    return [
        probe
        for s, scenario in enumerate(SCENARIOS)
        for pair in range(pairs)
        for query in range(queries)
        for probe in _probes(scenario, f"p{s}{pair}", query)
    ]


PROBES = _all(3, 3)


def test_each_prompt_once() -> None:
    probes = _probes(SCENARIOS[0], "p", 0)
    requests = query_requests(probes, rank=True, joint=False)
    keys = [r.key for r in requests]
    assert len(keys) == len(set(keys)) == 4 + 2
    assert Counter(r.task for r in requests) == {"select": 4, "rank": 2}


@pytest.mark.parametrize("rank", [True, False])
@pytest.mark.parametrize("joint", [True, False])
def test_every_probe_is_covered(rank: bool, joint: bool) -> None:
    requests = query_requests(PROBES, rank, joint)
    keys = [r.key for r in requests]
    assert len(keys) == len(set(keys))
    task = "joint" if joint else "select"
    needed = {(task, p.query.id, s.id) for p in PROBES for s in (p.before, p.after)}
    if rank and not joint:
        needed |= {("rank", p.query.id, p.after.id) for p in PROBES if p.transition != "zero"}
    assert set(keys) == needed


def test_no_budget_is_all() -> None:
    assert choose_probes(PROBES, True, None, 0) == PROBES


@settings(max_examples=60, deadline=None)
@given(budget=st.integers(1, 250), rank=st.booleans(), seed=st.integers(0, 3))
def test_budget_is_never_exceeded(budget: int, rank: bool, seed: int) -> None:
    kept = choose_probes(PROBES, rank, budget, seed)
    spent = len(query_requests(kept, rank, joint=False))
    assert spent <= budget
    assert len(query_requests(kept, rank, joint=True)) <= budget
    queries = {p.query.id for p in kept}
    assert kept == [p for p in PROBES if p.query.id in queries], "whole queries, in the order given"
    cost = 6 if rank else 4
    assert len(queries) == min(budget // cost, 36), "as many queries as fit"


def test_the_choice_depends_on_the_seed_alone() -> None:
    kept = choose_probes(PROBES, True, 60, 7)
    assert choose_probes(PROBES, True, 60, 7) == kept
    assert {p.id for p in choose_probes(PROBES[::-1], True, 60, 7)} == {p.id for p in kept}
    assert {p.id for p in choose_probes(PROBES, True, 60, 8)} != {p.id for p in kept}


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_scenarios_in_turn(turns: int) -> None:
    kept = choose_probes(PROBES, True, 6 * len(SCENARIOS) * turns, 0)
    queries = {(p.scenario, p.query.id) for p in kept}
    assert Counter(s for s, _ in queries) == dict.fromkeys(SCENARIOS, turns)


def test_pairs_in_turn() -> None:
    kept = choose_probes(PROBES, True, 6 * len(SCENARIOS) * 3, 1)
    pairs = Counter((p.scenario, p.pair) for p in kept if p.transition == "zero")
    assert len(pairs) == 12
    assert set(pairs.values()) == {1}


def test_a_scenario_that_ends_leaves_its_share_to_the_others() -> None:
    small = _probes(SCENARIOS[0], "p", 0)
    large = [p for n in range(10) for p in _probes(SCENARIOS[3], "q", n)]
    kept = choose_probes(small + large, True, 6 * 6, 0)
    assert Counter(p.scenario for p in kept if p.transition == "zero") == {SCENARIOS[0]: 1, SCENARIOS[3]: 5}
