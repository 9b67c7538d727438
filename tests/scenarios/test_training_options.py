"""What an ablation changes in the training samples, and what it leaves as it is."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from gentool import data
from gentool.catalog.pairs import read_pairs, read_tools
from gentool.config import ScenarioConfig
from gentool.records import Sample
from gentool.scenarios.build import Scenarios, build_scenarios


@cache
def built(**options: object) -> Scenarios:
    config = ScenarioConfig(
        embedding="tfidf", **{k: list(v) if isinstance(v, tuple) else v for k, v in options.items()}
    )  # type: ignore[arg-type]
    return build_scenarios(read_pairs(data.PAIRS), read_tools(data.TOOLS), config, 0)


def ids(samples: list[Sample]) -> list[str]:
    """Without the slots of the sets, which number all sets that there are."""
    return sorted(s.id for s in samples)


def of_group(made: Scenarios, group: str) -> list[Sample]:
    pairs = {p.id for p in made.pairs if p.group == group}
    return [s for s in made.train if s.pair in pairs]


@pytest.mark.parametrize(
    ("kinds", "sizes"), [(("zero", "one"), {0, 1}), (("one", "strong"), {1, 2}), (("strong",), {2})]
)
def test_pairs_of_t_are_trained_in_the_sets_asked_for(kinds: tuple[str, ...], sizes: set[int]) -> None:
    made, whole = built(train_sets=kinds), built()
    assert {len(s.tool_set.pair_tools) for s in of_group(made, "T")} == sizes
    kept = [s.id for s in of_group(whole, "T") if len(s.tool_set.pair_tools) in sizes]
    assert sorted(s.id for s in of_group(made, "T")) == sorted(kept)
    for group in "AB":
        assert ids(of_group(made, group)) == ids(of_group(whole, group)), "seen queries of tests stay seen"
    assert made.probes == whole.probes


@pytest.mark.parametrize("number", [1, 2, 5])
def test_so_many_queries_of_a_pair_of_t_from_both_directions(number: int) -> None:
    made, whole = built(train_queries=number), built()
    queries: dict[str, set[str]] = {}
    for sample in of_group(made, "T"):
        queries.setdefault(sample.pair, set()).add(sample.query_id)
    assert {len(q) for q in queries.values()} == {number}
    if number > 1:
        best = {q.id: (p.id, q.best) for p in made.pairs for q in p.queries}
        directions = Counter(pair for pair, _ in {best[q] for own in queries.values() for q in own})
        assert min(directions.values()) == 2
    for group in "AB":
        assert ids(of_group(made, group)) == ids(of_group(whole, group))
    unseen = [p for p in made.probes if "unseen_tool" in p.scenario]
    assert unseen == [p for p in whole.probes if "unseen_tool" in p.scenario]


def test_so_many_pairs_of_t() -> None:
    few, more = built(train_pairs=3), built(train_pairs=6)
    pairs = [{s.pair for s in of_group(made, "T")} for made in (few, more)]
    assert [len(p) for p in pairs] == [3, 6] and pairs[0] < pairs[1], "more pairs hold the fewer ones"


def test_random_distractors_are_of_the_training_sets_only() -> None:
    made, whole = built(distractors="random"), built()
    near = {s.pair: set(s.tool_set.distractors) for s in whole.train if not s.tool_set.pair_tools}
    other = {s.pair: set(s.tool_set.distractors) for s in made.train if not s.tool_set.pair_tools}
    assert near.keys() == other.keys() and sum(near[p] != other[p] for p in near) > len(near) / 2
    allowed = {i for s in whole.train for i in s.tool_set.tools} | {t.id for t in read_tools(data.TOOLS)}
    assert {i for own in other.values() for i in own} <= allowed
    unseen = [p for p in made.probes if "unseen_tool" in p.scenario]
    assert unseen == [p for p in whole.probes if "unseen_tool" in p.scenario]
