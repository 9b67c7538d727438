"""Procedural tool pairs: a plain and a richer version of a made-up tool, with graded queries, from a seed.

``python -m gentool.nano.pairs`` writes the files that ``data: procedural`` stands for; with ``--seed`` and ``--out``
others of the same kind, for a test on pairs that nobody has seen.

Every pair is about a thing of its own, in one verb and one noun that queries use too; the richer version takes further
arguments. A query that says one of these is served best by the richer version, and partly by the plain one; a query
that says none is served best by the plain one, and by the richer one too where that can be called.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

from gentool import data
from gentool.dataset.compile import packed
from gentool.nano.lexicon import Lexicon, Thing, lexicon
from gentool.nano.tools import (
    STYLES,
    Concept,
    MadeTool,
    draw_concept,
    draw_parameters,
    make_tool,
)
from gentool.nano.worlds import Level, Request, draw_request
from gentool.prompting.order import seeded
from gentool.records import Derivation, Grade, GradedQuery, Group, Tool, ToolPair
from gentool.scenarios.neighbours import similarity, tool_text

SEED = "procedural 2"
GROUPS: dict[Group, int] = {"T": 400, "D": 40, "A": 60, "B": 60, "U": 60}
POOL = 160
QUERIES = 10
LEVEL = Level(5, (1, 0, 0), invent=0.0, most_parameters=3)
ALIKE = 0.6
"""Tools of different pairs are less alike than this (TF-IDF), so that none counts as another in other words."""


def _plain_words(rng: Random, concept: Concept) -> Concept:
    """The concept with one verb and one noun, so that both versions and the requests for them use these."""
    action, thing = concept.action, concept.thing
    verb = rng.choice(action.names)
    return replace(
        concept, action=replace(action, names=(verb,)), thing=replace(thing, words=thing.words[:1])
    )


def _versions(rng: Random, concept: Concept) -> tuple[MadeTool, MadeTool] | None:
    """A plain and a richer tool of one concept; none if names or arguments do not tell them apart."""
    own = draw_parameters(rng, LEVEL.most_parameters)
    taken = frozenset(p.name for p in own)
    known = {lead for p in own for lead in p.leads}
    more = [p for p in draw_parameters(rng, 2, taken) if p.kind != "boolean" and not known & set(p.leads)]
    # The richer version can always be called without what only it can take.
    extra = tuple(replace(p, required=False) for p in more)
    styles = rng.sample(STYLES, 2)
    plain, rich = make_tool(rng, concept, own, styles[0]), make_tool(rng, concept, own + extra, styles[1])
    return (plain, rich) if extra and plain.tool.name != rich.tool.name else None


def _graded(request: Request, plain: MadeTool, rich: MadeTool, best: MadeTool) -> GradedQuery:
    other = rich if best is plain else plain
    second: Grade = "full" if best is plain else "partial"
    grades: dict[str, Grade] = {best.tool.name: "full", other.tool.name: second}
    reason = (
        "Nothing is said that only the richer tool can take."
        if best is plain
        else "Only the richer tool can take all that is said."
    )
    return GradedQuery(
        query=request.query,
        now=request.now,
        grades=grades,
        best=best.tool.name,
        reason=reason,
        tool_calls=(request.call_of(plain), request.call_of(rich)),
    )


def _near_miss(rng: Random, plain: MadeTool, rich: MadeTool, words: Lexicon) -> GradedQuery:
    """A request for another action on the same thing, which neither tool can serve."""
    same = {name for action in words.actions if plain.verb in action.names for name in action.names}
    action = rng.choice([a for a in words.actions if not same & set(a.names)])
    concept = Concept(action, plain.concept.thing, plain.concept.qualifier)
    request = draw_request(rng, make_tool(rng, concept, plain.parameters, "snake"), None, LEVEL)
    return GradedQuery(
        query=request.query,
        now=request.now,
        grades={plain.tool.name: "none", rich.tool.name: "none"},
        reason="Another action is asked for.",
    )


def make_pair(seed: str, number: int, attempt: int, thing: Thing, group: Group) -> ToolPair:
    """A pair about a thing; ``attempt`` draws another one about it."""
    rng, words = seeded(seed, number, attempt), lexicon()
    versions = None
    while versions is None:
        concept = _plain_words(rng, replace(draw_concept(rng, words, 0.0), thing=thing))
        versions = _versions(rng, concept)
    plain, rich = versions
    queries: dict[str, GradedQuery] = {}
    while len(queries) < QUERIES:
        best = (plain, rich)[len(queries) % 2]
        request = draw_request(rng, best, rich if best is plain else plain, LEVEL)
        queries.setdefault(request.query, _graded(request, plain, rich, best))
    for query in (_near_miss(rng, plain, rich, words) for _ in range(2)):
        queries.setdefault(query.query, query)
    tools = (rich.tool, plain.tool)
    unseen = rng.choice(tools).name if group == "B" else None
    return ToolPair(
        domain=thing.domain,
        group=group,
        tools=tuple(t.model_copy(update={"domain": thing.domain, "source": "procedural"}) for t in tools),
        derivation=Derivation(
            tool=plain.tool.name, from_tool=rich.tool.name, how="missing_capability", note="Fewer arguments."
        ),
        unseen_tool=unseen,
        queries=tuple(queries.values()),
    )


def _too_alike(owners: Sequence[Sequence[Tool]]) -> list[int]:
    """Which of the pairs (or single tools) are too like one that stands before."""
    tools = [(n, tool) for n, own in enumerate(owners) for tool in own]
    texts = {str(i): tool_text(tool) for i, (_, tool) in enumerate(tools)}
    close = similarity(texts, "tfidf").between(list(texts), list(texts))
    names: dict[str, int] = {}
    found = set()
    for i, (n, tool) in enumerate(tools):
        if names.setdefault(tool.name, n) != n:
            found.add(n)
        found |= {max(n, tools[j][0]) for j in (close[i] >= ALIKE).nonzero()[0] if tools[j][0] != n}
    return sorted(found)


def make_dataset(seed: str = SEED) -> tuple[list[ToolPair], list[Tool]]:
    """All pairs, group after group, and the stand-alone tools, half of them for each side of the split."""
    words = lexicon()
    things = [thing for thing in words.things if len(thing.words[0].split()) <= 2]
    seeded(seed, "things").shuffle(things)
    groups = [group for group, count in GROUPS.items() for _ in range(count)]
    attempts = [0] * (len(groups) + POOL)
    while True:
        pairs = [make_pair(seed, n, attempts[n], things[n], group) for n, group in enumerate(groups)]
        pool = [_stand_alone(seed, n, attempts[n], things[n]) for n in range(len(groups), len(attempts))]
        wrong = _too_alike([*(pair.tools for pair in pairs), *([tool] for tool in pool)])
        if not wrong:
            return pairs, pool
        for n in wrong:
            attempts[n] += 1


def _stand_alone(seed: str, number: int, attempt: int, thing: Thing) -> Tool:
    rng = seeded(seed, number, attempt)
    concept = replace(draw_concept(rng, lexicon(), 0.0), thing=thing)
    made = make_tool(rng, concept, draw_parameters(rng, LEVEL.most_parameters + 1), rng.choice(STYLES))
    split = "train" if number % 2 else "test"
    return made.tool.model_copy(update={"domain": thing.domain, "split": split, "source": "procedural"})


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m gentool.nano.pairs", description=__doc__)
    parser.add_argument("--seed", default=SEED, help="any words: the same words make the same pairs")
    parser.add_argument("--out", type=Path, default=data.PROCEDURAL, help="the folder to write to")
    options = parser.parse_args(argv)
    if options.seed != SEED and options.out == data.PROCEDURAL:
        parser.error("another seed needs a folder of its own. Fix: give --out FOLDER")
    pairs, pool = make_dataset(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    for name, records in (("pairs", pairs), ("tools", pool)):
        (options.out / f"{name}.jsonl.gz").write_bytes(packed(records))
        print(f"{options.out / name}.jsonl.gz: {len(records)} records")


if __name__ == "__main__":
    main()
