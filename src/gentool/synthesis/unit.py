"""One seed -> one unit: the pair, its queries with calls and grades, and why something was left out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from pydantic import ValidationError

from gentool.config import SynthesisConfig
from gentool.jsonl import excerpt, printable
from gentool.llm.provenance import Provenance
from gentool.records import Derivation, Grade, GradedQuery, Tool, ToolCall
from gentool.synthesis.checks import call_findings, query_findings, source_findings, tool_findings, verdict
from gentool.synthesis.records import (
    CallDraft,
    Finding,
    Ground,
    Item,
    Judgement,
    QueryDraft,
    Seed,
    Unit,
    pair_key,
)
from gentool.synthesis.teacher import Made, Teacher, Unusable

T = TypeVar("T")

_SHOWN = 2000
"""Characters kept of an answer that could not be used."""


@dataclass
class _Work:
    """What is gathered about a seed on the way."""

    findings: list[Finding] = field(default_factory=list)
    refused: list[Finding] = field(default_factory=list)
    provenance: list[Provenance] = field(default_factory=list)

    def refuse(self, stage: str, error: Unusable) -> None:
        """Note an answer that could not be used; the stage is the name of the check where the error names none."""
        stage = error.check or stage
        self.findings.append(Finding(check=stage, where="answer", reason=printable(error.reason)[:_SHOWN]))
        if error.answer:
            self.refused.append(Finding(check=stage, where="answer", reason=printable(error.answer)[:_SHOWN]))


@dataclass
class _Query:
    """A query under way through the stages."""

    draft: QueryDraft
    judgements: list[Judgement] = field(default_factory=list)
    calls: dict[str, CallDraft] = field(default_factory=dict)
    provenance: list[Provenance] = field(default_factory=list)
    lost: list[Finding] = field(default_factory=list)

    def may_use(self, tool: str) -> bool:
        """Whether the tool was meant to be the best, or was once graded better than none."""
        return tool == self.draft.intended or any(j.grades.get(tool) != "none" for j in self.judgements)


async def make_unit(
    seed: Seed, teacher: Teacher, config: SynthesisConfig, taken: Collection[str], settings: str
) -> Unit:
    """All stages of a seed. ``taken``: names of the catalogue's tools, which no tool made may have.

    What the teacher does badly is in the unit's findings. Raises what a server's failure raises
    (:class:`gentool.llm.session.LLMError` and the like): then nothing is known about the seed.
    """
    work = _Work(findings=source_findings(seed.tool))
    if work.findings:
        return _unit(seed, settings, work)
    try:
        derived = await teacher.derive(seed)
    except Unusable as error:
        work.refuse("weaker_tool" if not seed.upgrade else "stronger_tool", error)
        return _unit(seed, settings, work)
    tool, note = derived.value
    work.provenance.append(derived.provenance)
    work.findings = tool_findings(tool, seed.tool, seed.upgrade, taken)
    if work.findings:
        shown = excerpt(tool.openai(), _SHOWN)
        work.refused.append(Finding(check=work.findings[0].check, where="tool", reason=shown))
        return _unit(seed, settings, work)
    tools = (seed.tool, tool)
    weaker, richer = (seed.tool, tool) if seed.upgrade else (tool, seed.tool)
    derivation = Derivation(tool=weaker.name, from_tool=richer.name, how=seed.way, note=note)
    items = await _items(seed, tools, derivation, teacher, config, work)
    return _unit(seed, settings, work, tools, derivation, items, config.domain)


def _unit(
    seed: Seed,
    settings: str,
    work: _Work,
    tools: tuple[Tool, Tool] | None = None,
    derivation: Derivation | None = None,
    items: Sequence[Item] = (),
    domain: str | None = None,
) -> Unit:
    return Unit(
        seed=seed,
        settings=settings,
        tools=tools,
        derivation=derivation,
        domain=seed.tool.domain or domain or "general",
        items=tuple(items),
        findings=tuple(work.findings),
        refused=tuple(work.refused),
        provenance=tuple(work.provenance),
    )


async def _items(
    seed: Seed,
    tools: tuple[Tool, Tool],
    derivation: Derivation,
    teacher: Teacher,
    config: SynthesisConfig,
    work: _Work,
) -> list[Item]:
    """Queries of the pair, each with calls, grades and status."""
    examples = seed.examples
    if not examples and config.seed_queries:
        try:
            made = await teacher.seed_queries(seed.tool, config.seed_queries)
            examples = tuple(made.value)
            work.provenance.append(made.provenance)
        except Unusable as error:  # queries can be made without
            work.refuse("seed_queries", error)
    try:
        drafts = await teacher.queries(tools, derivation, config.queries, examples)
    except Unusable as error:
        work.refuse("queries", error)
        return []
    pair = pair_key(*tools)
    done: list[Item | _Query] = []
    earlier: list[str] = []
    for draft in drafts.value:
        findings = query_findings(draft, tools, earlier)
        if findings:
            done.append(_rejected(pair, draft, findings, [drafts.provenance]))
        else:
            earlier.append(draft.query)
            done.append(_Query(draft, provenance=[drafts.provenance]))
    queries = [q for q in done if isinstance(q, _Query)]
    await _judge(tools, queries, teacher, config.batch_size)
    for tool in tools:
        await _call(tool, queries, teacher, config.batch_size)
    return [q if isinstance(q, Item) else _item(pair, tools, q) for q in done]


def _rejected(
    pair: str, draft: QueryDraft, findings: Sequence[Finding], provenance: Sequence[Provenance]
) -> Item:
    return Item(
        pair=pair,
        draft=draft,
        graded=None,
        status="rejected",
        findings=tuple(findings),
        provenance=tuple(provenance),
    )


def _batches(queries: Sequence[_Query], size: int) -> list[list[_Query]]:
    return [list(queries[i : i + size]) for i in range(0, len(queries), size)]


Ask = Callable[[Sequence[QueryDraft]], Awaitable[Made[list[T | None]]]]


async def _ask(stage: str, jobs: Sequence[tuple[Ask[T], Sequence[_Query]]]) -> list[tuple[_Query, T]]:
    """What a teacher says about each query of all batches, in order; why it said nothing is noted with the query.

    A server's failure is raised when all have ended: what is under way is paid for, and goes into the cache.
    """
    work = [ask([q.draft for q in batch]) for ask, batch in jobs]
    ended = await asyncio.gather(*work, return_exceptions=True)
    found: list[tuple[_Query, T]] = []
    for (_, batch), end in zip(jobs, ended, strict=True):
        if isinstance(end, Unusable):
            reason = printable(end.reason)[:_SHOWN]
            for query in batch:
                query.lost.append(Finding(check=stage, where="answer", reason=reason))
        elif isinstance(end, BaseException):
            raise end
        else:
            for query, value in zip(batch, end.value, strict=True):
                query.provenance.append(end.provenance)
                if value is not None:
                    found.append((query, value))
    return found


async def _judge(tools: tuple[Tool, Tool], queries: Sequence[_Query], teacher: Teacher, size: int) -> None:
    """Grade the queries, each twice, with the tools shown in either order."""
    first, second = tools
    orders = [(first, second), (second, first)]
    jobs = [(partial(teacher.judge, order), batch) for order in orders for batch in _batches(queries, size)]
    for query, judgement in await _ask("judge", jobs):
        query.judgements.append(judgement)


async def _call(tool: Tool, queries: Sequence[_Query], teacher: Teacher, size: int) -> None:
    """Write a call of the tool, shown alone, for the queries that it was meant for or may be useful for."""
    useful = [q for q in queries if q.may_use(tool.name)]
    for query, call in await _ask(
        "calls", [(partial(teacher.calls, tool), b) for b in _batches(useful, size)]
    ):
        query.calls[tool.name] = call


def _item(pair: str, tools: tuple[Tool, Tool], query: _Query) -> Item:
    """The query with all that was found out, checked."""
    draft = query.draft
    names = (tools[0].name, tools[1].name)
    status, grades, best, findings = verdict(draft, names, query.judgements)
    grounds: dict[str, dict[str, Ground]] = {}
    wrong: list[Finding] = []
    for tool in tools:
        found, grounds[tool.name] = call_findings(tool, draft, query.calls.get(tool.name))
        if grades.get(tool.name, "none") != "none":  # a call that is not trained on may be as it is
            wrong += found
    graded = None if wrong else _graded(draft, grades, best, query, findings)
    return Item(
        pair=pair,
        draft=draft,
        graded=graded,
        status=status if graded else "rejected",
        calls=query.calls,
        grounds=grounds,
        judgements=tuple(query.judgements),
        findings=(*query.lost, *wrong, *findings),
        provenance=tuple(query.provenance),
    )


def _graded(
    draft: QueryDraft, grades: dict[str, Grade], best: str | None, query: _Query, findings: list[Finding]
) -> GradedQuery | None:
    """What would be trained on; ``None``, with a finding, where no record can be made of it."""
    try:
        return GradedQuery(
            query=draft.query,
            now=draft.now,
            grades=grades,
            best=best,
            reason=draft.reason,
            tool_calls=tuple(
                ToolCall.of(name, query.calls[name].arguments)
                for name, grade in grades.items()
                if grade != "none"
            ),
        )
    except ValidationError as error:
        reason = "; ".join(part["msg"] for part in error.errors(include_url=False))
        findings.append(Finding(check="record", where="query", reason=printable(reason)[:_SHOWN]))
        return None
