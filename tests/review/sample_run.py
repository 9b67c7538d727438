"""A run folder as ``gentool synthesize`` leaves it, made from the pairs of the package: no teacher, no server.

``python -m tests.review.sample_run FOLDER [ITEMS]`` writes one to look at.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from gentool.catalog.pairs import read_pairs
from gentool.data import PAIRS
from gentool.jsonl import to_json
from gentool.llm.cache import CallCache, Entry
from gentool.llm.provenance import Provenance
from gentool.records import Grade, GradedQuery, ToolPair
from gentool.synthesis.records import (
    CallDraft,
    Finding,
    Ground,
    Item,
    Judgement,
    QueryDraft,
    Seed,
    Status,
    Unit,
)

HOSTILE = "</script><img src=x onerror=alert(1)><b>bold</b>"
STATUSES: tuple[Status, ...] = (
    "accepted",
    "accepted",
    "disagreed",
    "accepted",
    "accepted",
    "rejected",
    "accepted",
    "disagreed",
)
"""Of the eight queries of each pair."""


@cache
def _known() -> list[ToolPair]:
    return read_pairs(PAIRS)


def pairs(number: int) -> Sequence[ToolPair]:
    """The first ``number`` pairs of the package."""
    return _known()[:number]


def make_unit(pair: ToolPair, number: int = 0, statuses: tuple[Status, ...] = STATUSES) -> Unit:
    """A unit of a pair; its queries have ``statuses`` in turn."""
    tools = (pair.tool(pair.derivation.from_tool), pair.tool(pair.derivation.tool))
    seed = Seed(tool=tools[0], way=pair.derivation.how, number=number)
    made = [made_by("derive", pair.id, "0"), made_by("queries", pair.id, "1")]
    items = tuple(
        make_item(pair, query, statuses[i % len(statuses)], str(i)) for i, query in enumerate(pair.queries)
    )
    return Unit(
        seed=seed,
        settings="tests",
        tools=tools,
        derivation=pair.derivation,
        domain=pair.domain,
        items=items,
        provenance=tuple(made),
    )


def made_by(stage: str, pair: str, number: str) -> Provenance:
    return Provenance(
        stage=stage,
        model="teacher-large",
        parameters={"temperature": 0.7, "max_tokens": 2048},
        prompt=f"{stage}-1",
        call=f"{stage}-{pair}-{number}",
        usage={"prompt_tokens": 812, "completion_tokens": 240},
        attempt=2 if number == "3" else 1,
        parents=(pair,),
    )


def ground(query: GradedQuery, value: Any) -> Ground:
    text = value if isinstance(value, str) else json.dumps(value)
    if isinstance(value, bool):
        return "boolean"
    if text.lower() in query.query.lower():
        return "query"
    return "now" if query.now and text[:4] == query.now[:4] else "derived"


def make_item(pair: ToolPair, query: GradedQuery, status: Status, number: str) -> Item:
    """A query as an item. A disagreed one has a judge that depends on the order; a rejected one an invented value."""
    names = pair.names
    best = query.best or names[0]
    other = pair.sibling(best)
    calls = {c.name: CallDraft(arguments=c.arguments) for c in query.tool_calls}
    grounds = {c.name: {n: ground(query, v) for n, v in c.arguments.items()} for c in query.tool_calls}
    findings: list[Finding] = []
    judged = [dict(query.grades), dict(query.grades)]
    bests = [query.best, query.best]
    reasons = [query.reason, f"{best} does what is asked for."]
    if status == "disagreed":
        swapped: dict[str, Grade] = {best: "partial", other: "full"}
        judged[1], bests[1] = swapped, other
        reasons[1] = f"{other} answers it on its own; {best} asks for more than the query gives."
        reason = f"with the order swapped: {other} is the best one"
        findings.append(Finding(check="judge_unsteady", where="judgement", reason=reason))
    if status == "rejected" and calls.get(best) and calls[best].arguments:
        argument = next(iter(calls[best].arguments))
        grounds[best][argument] = "none"
        reason = f"{json.dumps(calls[best].arguments[argument])} is not in the query"
        findings.append(Finding(check="grounding", where=f"call.{best}.{argument}", reason=reason))
    stages = [made_by(stage, pair.id, number) for stage in ("judge", "judge_swapped", "calls")]
    return Item(
        pair=pair.id,
        draft=QueryDraft(query=query.query, now=query.now, intended=best, reason=query.reason),
        graded=None if status == "rejected" else query,
        status=status,
        calls=calls,
        grounds=grounds,
        judgements=tuple(
            Judgement(shown=shown, grades=grades, best=chosen, reason=reason)
            for shown, grades, chosen, reason in zip(
                (names, names[::-1]), judged, bests, reasons, strict=True
            )
        ),
        findings=tuple(findings),
        provenance=tuple(stages),
    )


def _without_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_ids(v) for k, v in value.items() if k != "id"}
    return [_without_ids(v) for v in value] if isinstance(value, list) else value


def renamed_lines(number: int) -> Iterator[str]:
    """Lines of ``number`` further units: those of the package's pairs under other names. Ids are made on reading."""
    units = [(pair, make_unit(pair, i)) for i, pair in enumerate(_known())]
    texts = [
        (p, json.dumps(_without_ids(u.model_dump(mode="json", exclude_none=True)), ensure_ascii=False))
        for p, u in units
    ]
    for i in range(number):
        pair, text = texts[i % len(texts)]
        text = text.replace(pair.id, f"pair-{i}")
        for name in pair.names:
            text = text.replace(f'"{name}"', f'"{name}_{i // len(texts)}"')
        yield text


def make_run(folder: Path, number: int = 3, units: list[Unit] | None = None, prompts: bool = False) -> Path:
    """A run folder of ``number`` pairs with eight items each, or of ``units``; with ``prompts`` also a call cache."""
    if units is None:
        units = [make_unit(pair, i) for i, pair in enumerate(pairs(number))]
    (folder / "synthesis").mkdir(parents=True, exist_ok=True)
    with (folder / "synthesis" / "units.jsonl").open("w", encoding="utf-8") as out:
        out.writelines(to_json(unit) + "\n" for unit in units)
        out.writelines(line + "\n" for line in renamed_lines(max(0, number - len(_known()))))
    if prompts:
        fill_cache(folder / "cache" / "teacher.sqlite", units[:3])
    return folder


def fill_cache(path: Path, units: list[Unit]) -> None:
    """A call cache that holds prompt and answer of every call of the units."""
    entries = []
    for unit in units:
        for found in (*unit.provenance, *(p for item in unit.items for p in item.provenance)):
            answer = json.dumps(
                {"stage": found.stage, "grades": [{"number": 1, "a": "full", "b": "partial"}]}
            )
            message = {"role": "assistant", "content": answer}
            reply = {"choices": [{"message": message, "finish_reason": "stop"}], "usage": {}}
            asked = [{"role": "system", "content": "You grade tools."}, {"role": "user", "content": HOSTILE}]
            entries.append(Entry(found.call, reply, {"model": "teacher-large", "messages": asked}))
    kept = CallCache(path)
    kept.put_all(entries)
    kept.close()


if __name__ == "__main__":
    make_run(Path(sys.argv[1]), int(sys.argv[2]) // 8 if len(sys.argv) > 2 else 3, prompts=True)
