"""Tool pairs -> training samples and the probes of the four scenarios."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations, zip_longest
from pathlib import Path
from typing import Any, get_args

from gentool.config import ScenarioConfig, TrainSet
from gentool.jsonl import write_jsonl, write_text
from gentool.prompting.order import seeded
from gentool.records import (
    SCENARIOS,
    GradedQuery,
    Group,
    Probe,
    Sample,
    Scenario,
    Tool,
    ToolPair,
    ToolSet,
    Transition,
)
from gentool.scenarios.distractors import Screened, choose, screen
from gentool.scenarios.groups import (
    assign_groups,
    check_groups,
    near_duplicates,
    trained_tools,
    unseen_tools,
)
from gentool.scenarios.leaks import SAME_QUERY, check_leaks
from gentool.scenarios.neighbours import ScenarioError, Similarity, similarity, tool_text
from gentool.scenarios.repeats import without_repeats
from gentool.scenarios.targets import target_call, target_ranking


@dataclass
class Scenarios:
    """All that a build makes. ``summary`` holds its choices and counts, as JSON."""

    pairs: list[ToolPair]
    tools: dict[str, Tool]
    train: list[Sample] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    dev: list[Probe] = field(default_factory=list)
    screened: list[Screened] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Sides:
    """Tools by whether training may show them, and by where they come from."""

    seen_pairs: list[Tool]
    seen_pool: list[Tool]
    unseen_pairs: list[Tool]
    unseen_pool: list[Tool]
    dev_pairs: list[Tool]


def split_pool(pool: Sequence[Tool], seed: int, test_share: float) -> tuple[list[Tool], list[Tool]]:
    """Stand-alone tools for training and for test: as their ``split`` says, else drawn."""
    train: list[Tool] = []
    test: list[Tool] = []
    for tool in pool:
        drawn = "test" if seeded("pool", seed, tool.id).random() < test_share else "train"
        (test if (tool.split or drawn) == "test" else train).append(tool)
    return train, test


def _sides(
    pairs: Sequence[ToolPair], pool: Sequence[Tool], config: ScenarioConfig, seed: int, alike: Similarity
) -> tuple[_Sides, list[Screened]]:
    train, test = split_pool(pool, seed, config.pool_test_share)
    unseen = [t for p in pairs for t in unseen_tools(p)]
    trained = [t for p in pairs for t in trained_tools(p)]
    dropped: dict[str, Screened] = {}
    for found, why in (
        (near_duplicates(train, unseen + test, alike), "which training must not show"),
        (near_duplicates(test, trained, alike), "which training shows"),
    ):
        for tool, other, value in found:
            reason = f"near-duplicate of {other.id}, {why}"
            dropped[tool.id] = Screened(pair="", tool=tool.id, reason=reason, similarity=round(value, 4))
    sides = _Sides(
        seen_pairs=trained,
        seen_pool=[t for t in train if t.id not in dropped],
        unseen_pairs=[t for p in pairs if p.group != "D" for t in unseen_tools(p)],
        unseen_pool=[t for t in test if t.id not in dropped],
        dev_pairs=[t for p in pairs if p.group == "D" for t in p.tools],
    )
    return sides, list(dropped.values())


def held_out(pair: ToolPair, share: float, seed: int) -> set[str]:
    """Ids of the queries of a T pair that are kept for test: drawn from both directions in turn."""
    number = round(share * len(pair.queries))
    by_best: dict[str | None, list[GradedQuery]] = {}
    for query in sorted(pair.queries, key=lambda q: seeded("held out", seed, q.id).random()):
        by_best.setdefault(query.best, []).append(query)
    lists = sorted(by_best.values(), key=len, reverse=True)
    chosen: list[str] = []
    while len(chosen) < number:
        for queries in lists:
            if queries and len(chosen) < number:
                chosen.append(queries.pop().id)
    return set(chosen)


def _kept(pair: ToolPair, config: ScenarioConfig, seed: int, alike: Similarity) -> set[str]:
    """The held-out queries, but for those that nearly repeat a trained one: these are trained too."""
    kept = held_out(pair, config.held_out, seed)
    trained = [q.id for q in pair.queries if q.id not in kept]
    if not kept or not trained:
        return kept
    chosen = sorted(kept)
    nearest = alike.between(chosen, trained).max(axis=1)
    return {query for query, value in zip(chosen, nearest, strict=True) if value < SAME_QUERY}


def _sibling(pair: ToolPair, query: GradedQuery) -> Tool:
    """The tool that is there before the best one arrives."""
    return pair.tool(pair.sibling(query.best or pair.derivation.from_tool))


@dataclass(frozen=True)
class _Sets:
    """The tool sets of one pair over one choice of distractors: k of them, and a decoy."""

    pair: ToolPair
    distractors: tuple[Tool, ...]
    decoy: Tool

    def of(self, *tools: Tool) -> ToolSet:
        """The set in which ``tools`` took the place of as many distractors."""
        rest = self.distractors[: len(self.distractors) - len(tools)]
        return self._make(tools, rest)

    def with_decoy(self) -> ToolSet:
        return self._make((), (*self.distractors[:-1], self.decoy))

    def _make(self, tools: Iterable[Tool], rest: Iterable[Tool]) -> ToolSet:
        return ToolSet(
            pair=self.pair.id,
            pair_tools=tuple(sorted(t.id for t in tools)),
            distractors=tuple(sorted(t.id for t in rest)),
        )


def _probe(
    scenario: Scenario, pair: ToolPair, query: GradedQuery, before: ToolSet, after: ToolSet
) -> Probe | None:
    """The probe of a query over two sets; ``None`` if nothing the method is about happens between them."""
    tools = {t.id: t for t in pair.tools}
    was = query.useful([tools[i].name for i in before.pair_tools])
    now = query.useful([tools[i].name for i in after.pair_tools])
    transition: Transition
    if before.pair_tools == after.pair_tools or query.best is None:
        transition = "zero"  # irrelevant tools come and go, or those of a near miss arrive
    elif was:
        transition = "weak_to_strong"
    elif now:
        transition = "zero_to_one"
    else:
        return None
    return Probe(
        scenario=scenario,
        transition=transition,
        pair=pair.id,
        query=query,
        before=before,
        after=after,
        stay=was[:1] == now[:1],
    )


def _probes(scenario: Scenario, sets: _Sets, queries: Iterable[GradedQuery]) -> list[Probe]:
    """Probes over all states that the scenario's definition gives its queries.

    T, D and U: nothing, the weaker tool, both. A: from nothing only. B: the sibling is there, the unseen tool arrives.
    A query that neither tool can serve stays without one: from nothing to both, or, in B, as the others.
    """
    pair, found = sets.pair, []
    for query in queries:
        zero, both = sets.of(), sets.of(*pair.tools)
        if pair.group == "B":
            states = [(sets.of(*trained_tools(pair)), both)]
        else:
            one = sets.of(_sibling(pair, query))
            states = list(combinations((zero, one, both), 2)) if query.best else [(zero, both)]
        for before, after in [(zero, sets.with_decoy()), *states]:
            probe = _probe(scenario, pair, query, before, after)
            if probe and not (pair.group == "A" and probe.transition == "weak_to_strong"):
                found.append(probe)
    return found


def _samples(sets: _Sets, queries: Iterable[GradedQuery], kinds: Sequence[TrainSet]) -> list[Sample]:
    """Training samples of a pair: T in its sets of these kinds, A in the zero set, B in zero and with the sibling."""
    pair, found = sets.pair, []
    for query in queries:
        states: list[tuple[Tool, ...]]
        if pair.group == "T":
            of_kind: dict[TrainSet, tuple[Tool, ...]] = {
                "zero": (),
                "one": (_sibling(pair, query),),
                "strong": pair.tools,
            }
            states = [tools for kind, tools in of_kind.items() if kind in kinds]
        elif pair.group == "B":
            states = [(), trained_tools(pair)]
        else:
            states = [()]
        for tools in states:
            found.append(
                Sample(
                    pair=pair.id,
                    query_id=query.id,
                    query=query.query,
                    now=query.now,
                    tool_set=sets.of(*tools),
                    ranking=target_ranking(query, tuple(t.name for t in tools)),
                    tool_call=target_call(query, tools),
                    single_state=tools == states[-1],
                )
            )
    return found


def _slots(sets: Iterable[ToolSet], seed: int) -> dict[str, int]:
    """A running number for each set among those with as many pair tools, in an order drawn from the seed."""
    kinds: dict[int, dict[str, float]] = {}
    for tool_set in sets:
        draw = seeded("slot", seed, tool_set.id).random()
        kinds.setdefault(len(tool_set.pair_tools), {})[tool_set.id] = draw
    return {
        set_id: slot
        for draws in kinds.values()
        for slot, set_id in enumerate(sorted(draws, key=draws.__getitem__))
    }


def _with_slot(tool_set: ToolSet, slots: dict[str, int]) -> ToolSet:
    return tool_set.model_copy(update={"slot": slots[tool_set.id]})


def _probe_with_slots(probe: Probe, slots: dict[str, int]) -> Probe:
    sets = {"before": _with_slot(probe.before, slots), "after": _with_slot(probe.after, slots)}
    return probe.model_copy(update=sets)


def build_scenarios(
    pairs: Sequence[ToolPair],
    pool: Sequence[Tool],
    config: ScenarioConfig,
    seed: int,
    drop_repeats: bool = False,
) -> Scenarios:
    """Build training samples and probes, and check them for leaks.

    ``drop_repeats``: leave out queries that nearly repeat one of another pair, instead of failing where they leak.
    Deterministic in its arguments; the order of ``pairs`` and ``pool`` does not matter. Raises
    :class:`ScenarioError`.
    """
    pairs = sorted(pairs, key=lambda p: p.id)
    pool = sorted(pool, key=lambda t: t.id)
    tools = {t.id: t for p in pairs for t in p.tools} | {t.id: t for t in pool}
    texts = {t.id: tool_text(t) for t in tools.values()}
    alike = similarity(
        texts | {q.id: q.query for p in pairs for q in p.queries}, config.embedding, fit_on=list(texts)
    )
    repeats = 0
    if drop_repeats:
        pairs, repeats = without_repeats(pairs, alike)
    pairs = assign_groups(pairs, config.groups, seed, alike)
    check_groups(pairs, alike)
    if not any(p.group == "T" and p.queries for p in pairs):
        raise ScenarioError(
            "there is nothing to train on: no pair of group T has queries, so no sample would call a tool. Fix: give "
            "pairs the group T, or none, so that the build assigns them."
        )
    sides, dropped = _sides(pairs, pool, config, seed, alike)
    built = Scenarios(pairs=pairs, tools=tools, screened=dropped)
    for pair in _trained_pairs(pairs, config, seed):
        _build_pair(built, pair, sides, config, seed, alike)
    train_slots = _slots((s.tool_set for s in built.train), seed)
    built.train = [
        s.model_copy(update={"tool_set": _with_slot(s.tool_set, train_slots)}) for s in built.train
    ]
    for scenario in SCENARIOS:
        found = [p for p in built.probes if p.scenario == scenario]
        slots = _slots((s for p in found for s in (p.before, p.after)), seed)
        built.probes = [p for p in built.probes if p.scenario != scenario] + [
            _probe_with_slots(p, slots) for p in found
        ]
    dev_slots = _slots((s for p in built.dev for s in (p.before, p.after)), seed)
    built.dev = [_probe_with_slots(p, dev_slots) for p in built.dev]
    check_leaks(built.pairs, built.tools, built.train, built.probes + built.dev, alike, config.k)
    built.summary = _summary(built, alike, config, seed) | ({"repeated_queries": repeats} if repeats else {})
    return built


def _for_training(
    sources: list[list[Tool]], pair: ToolPair, config: ScenarioConfig, seed: int
) -> list[list[Tool]]:
    """The candidates for distractors of a pair's training sets: nearest first, or in any order."""
    if config.distractors == "near":
        return sources
    rng = seeded("random distractors", seed, pair.id)
    return [rng.sample(source, len(source)) for source in sources]


def _some_queries(queries: Sequence[GradedQuery], number: int) -> list[GradedQuery]:
    """The first ``number`` queries, from both directions in turn."""
    by_best: dict[str | None, list[GradedQuery]] = {}
    for query in queries:
        by_best.setdefault(query.best, []).append(query)
    turns = zip_longest(*(by_best[best] for best in sorted(by_best, key=str)))
    return [query for turn in turns for query in turn if query is not None][:number]


def _trained_pairs(pairs: Sequence[ToolPair], config: ScenarioConfig, seed: int) -> list[ToolPair]:
    """The pairs to build, of T only so many as ``train_pairs`` says."""
    ordered = sorted(pairs, key=lambda p: seeded("train pairs", seed, p.id).random())
    kept = {p.id for p in [p for p in ordered if p.group == "T"][: config.train_pairs]}
    return [p for p in pairs if p.group != "T" or p.id in kept]


def _build_pair(
    built: Scenarios, pair: ToolPair, sides: _Sides, config: ScenarioConfig, seed: int, alike: Similarity
) -> None:
    def usable(tools: list[Tool]) -> list[Tool]:
        fit, screened = screen(pair, tools, alike)
        built.screened += screened
        return fit

    def sets(sources: list[list[Tool]], side: str, avoid: frozenset[str] = frozenset()) -> _Sets:
        chosen = choose(pair, sources, config.k + 1, side, avoid)
        return _Sets(pair, chosen[:-1], chosen[-1])

    seen = [usable(sides.seen_pairs), usable(sides.seen_pool)]
    if pair.group == "D":
        # Settings are chosen on these: no tool of a test pair may be among theirs.
        known = choose(pair, seen, config.k, "train-side")
        decoy = choose(pair, [usable(sides.dev_pairs) or usable(sides.unseen_pool)], 1, "test-side")[0]
        built.dev += _probes("unseen_query_unseen_tool", _Sets(pair, known, decoy), pair.queries)
        return
    unseen = [usable(sides.unseen_pairs), usable(sides.unseen_pool)]
    if pair.group != "U":
        train_sets = sets(_for_training(seen, pair, config, seed), "train-side")
        kept = _kept(pair, config, seed, alike) if pair.group == "T" else set()
        queries = [q for q in pair.queries if q.id not in kept]
        if pair.group == "T" and config.train_queries:
            queries = _some_queries(queries, config.train_queries)
        built.train += _samples(train_sets, queries, config.train_sets)
    if pair.group == "T":
        # New distractors: none of those that the pair was trained with.
        used = frozenset(t.id for t in train_sets.distractors)
        fresh = sets(seen, "further train-side", used)
        built.probes += _probes("seen_query_seen_tool", fresh, queries)
        built.probes += _probes("unseen_query_seen_tool", fresh, [q for q in pair.queries if q.id in kept])
        return
    # Seen and unseen distractors in turn, so that being new does not mark the tool that arrives;
    # the decoy of the zero transition is an unseen one.
    mixed = choose(pair, [unseen[0], seen[0], unseen[1], seen[1]], config.k, "train- or test-side")
    taken = {t.name for t in mixed}
    decoy = choose(
        pair, [[t for t in s if t.name not in taken] for s in unseen[::-1]], 1, "further test-side"
    )[0]
    scenario: Scenario = "unseen_query_unseen_tool" if pair.group == "U" else "seen_query_unseen_tool"
    built.probes += _probes(scenario, _Sets(pair, mixed, decoy), pair.queries)


def _summary(built: Scenarios, alike: Similarity, config: ScenarioConfig, seed: int) -> dict[str, Any]:
    groups = Counter(str(p.group) for p in built.pairs)
    rows = []
    files: list[tuple[str, Sequence[Sample | Probe]]] = [("train", built.train)]
    files += [(s, [p for p in built.probes if p.scenario == s]) for s in SCENARIOS]
    files += [("dev", built.dev)] if built.dev else []
    for name, records in files:
        transitions = Counter(r.transition for r in records if isinstance(r, Probe))
        queries = {r.query.id if isinstance(r, Probe) else r.query_id for r in records}
        rows.append(
            {
                "file": name,
                "pairs": len({r.pair for r in records}),
                "queries": len(queries),
                "records": len(records),
                **{t: transitions[t] for t in ("zero", "zero_to_one", "weak_to_strong")},
            }
        )
    return {
        "embedding": alike.method,
        "near_duplicate": alike.near_duplicate,
        "related": alike.related,
        "seed": seed,
        "k": config.k,
        "groups": {g: groups[g] for g in get_args(Group) if g in "TABU" or groups[g]},
        "tools": len(built.tools),
        "screened": dict(Counter(s.reason.split(" of ")[0] for s in built.screened)),
        "rows": rows,
    }


def write_scenarios(built: Scenarios, folder: Path) -> None:
    """Write the files of a build: see ``docs/formats.md``."""
    write_jsonl(folder / "pairs.jsonl", built.pairs)
    write_jsonl(folder / "tools.jsonl", built.tools.values())
    write_jsonl(folder / "train.jsonl", built.train)
    for scenario in SCENARIOS:
        write_jsonl(folder / f"{scenario}.jsonl", [p for p in built.probes if p.scenario == scenario])
    write_jsonl(folder / "dev.jsonl", built.dev)
    write_jsonl(folder / "screened.jsonl", built.screened)
    import json

    write_text(folder / "summary.json", json.dumps(built.summary, indent=2) + "\n")


__all__ = ["ScenarioError", "Scenarios", "build_scenarios", "held_out", "split_pool", "write_scenarios"]
