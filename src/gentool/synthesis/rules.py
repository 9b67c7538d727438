"""A teacher without a model: plain rules, the same for the same seed, so that the whole pipeline runs offline.

What it makes is plainer than what a language model writes, and its records say ``rules``. It writes queries that ask
for what only one of the two tools takes, and queries that both serve; calls and grades follow from what was written.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from random import Random

from gentool.llm.provenance import Provenance
from gentool.prompting.order import seeded
from gentool.records import Derivation, Tool
from gentool.synthesis.checks import call_findings, query_findings
from gentool.synthesis.records import CallDraft, Judgement, QueryDraft, Seed
from gentool.synthesis.rules_examples import read_example, recombined
from gentool.synthesis.rules_queries import (
    Asked,
    Request,
    arguments,
    best,
    extended,
    grade,
    needed,
    properties,
    required,
    written_requests,
)
from gentool.synthesis.rules_tools import coarse, strengthened, weakened
from gentool.synthesis.rules_values import SECRET, UNSAID, value_for
from gentool.synthesis.rules_words import request
from gentool.synthesis.teacher import Made, Unusable

_REMEMBERED = 20_000
"""Queries whose meaning is kept until their calls and grades were asked for; many times what is under way at once."""

_TRIES = 12
"""Requests written for each that is wanted: some are too much like others."""


class RulesTeacher:
    """Implements :class:`gentool.synthesis.teacher.Teacher`; nothing is asked of a server.

    Calls and grades are known for the queries that it wrote itself, or could read; of others it says ``None``.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._asked: OrderedDict[tuple[str, str], Asked] = OrderedDict()

    def _provenance(self, stage: str, *parents: str) -> Provenance:
        return Provenance(stage=stage, model="rules", parameters={"seed": self.seed}, parents=parents)

    def _remember(self, tools: Sequence[Tool], query: str, asked: Asked) -> None:
        for tool in tools:
            self._asked[tool.id, query] = asked
        while len(self._asked) > _REMEMBERED:
            self._asked.popitem(last=False)

    def _meaning(self, tool: Tool, draft: QueryDraft) -> Asked | None:
        asked = self._asked.get((tool.id, draft.query))
        if asked is None:
            read = read_example(tool, draft.query)
            asked = read.asked if read else None
        return asked

    async def derive(self, seed: Seed) -> Made[tuple[Tool, str]]:
        rng = seeded("derive", self.seed, seed.id)
        if not seed.tool.description.strip() and not properties(seed.tool):
            raise Unusable("it has neither a description nor parameters")
        made = (strengthened if seed.upgrade else weakened)(seed.tool, seed.way, rng)
        return Made(made, self._provenance("derive", seed.id))

    async def seed_queries(self, tool: Tool, number: int) -> Made[list[str]]:
        return Made(self._seed_queries(tool, number), self._provenance("seed_queries", tool.id))

    def _seed_queries(self, tool: Tool, number: int) -> list[str]:
        rng = seeded("seed_queries", self.seed, tool.id)
        written = written_requests(request(tool), tool, [_needed(tool)], tool, None, rng)
        return [asking.text for asking in islice(written, number)]

    async def queries(
        self, tools: tuple[Tool, Tool], derivation: Derivation, number: int, examples: Sequence[str]
    ) -> Made[list[QueryDraft]]:
        rng = seeded("queries", self.seed, *(t.id for t in tools))
        source = tools[0]
        strong = next(t for t in tools if t.name == derivation.from_tool)
        weak = next(t for t in tools if t.name == derivation.tool)
        must = _needed(strong, weak)
        # Its own seed queries are what it writes anyway, and were not written to be read.
        own = self._seed_queries(source, len(examples))
        given = [text for text in examples if text not in own]
        read = [r for r in (read_example(source, text) for text in given) if r is not None]
        read += recombined(read, rng)
        drafts: list[QueryDraft] = []
        for tool, share in ((strong, number - number // 2), (weak, number // 2)):
            for_tool = self._for_strong if tool is strong else self._for_weak
            # Each example is used for one of the two: two queries of one frame would be too much alike.
            requests = for_tool(strong, weak, must, request(source), read[int(tool is weak) :: 2], rng)
            drafts += self._drafts(tools, tool, islice(requests, _TRIES * number), share, drafts)
        if not drafts:
            raise Unusable("rules find no query that tells the two tools apart")
        order = rng.sample(range(len(drafts)), len(drafts))
        return Made([drafts[i] for i in order], self._provenance("queries", *(t.id for t in tools)))

    def _for_strong(
        self, strong: Tool, weak: Tool, must: list[str], do: str, read: Sequence[Request], rng: Random
    ) -> Iterator[Request]:
        """Requests that only the stronger tool serves in full."""
        only = [n for n in _offered(strong, rng) if n not in properties(weak)]
        narrower = [n for n in properties(strong) if n in properties(weak) and _narrower(weak, strong, n)]
        names = [[*must, *(n for n in [extra] if n not in must)] for extra in [*only, *narrower]]
        if len(only) > 1:
            names.append([*must, *(n for n in only[:2] if n not in must)])
        details = True if coarse(weak) and not coarse(strong) else None
        names = names or ([must] if details else [])
        names = [group for group in names if all(n in properties(strong) for n in group)]
        longer = (extended(r, strong, [*only, *narrower][:1], details, rng) for r in read)
        plain = written_requests(do, strong, names, strong, details, rng) if names else iter(())
        return chain((r for r in longer if r), plain)

    def _for_weak(
        self, strong: Tool, weak: Tool, must: list[str], do: str, read: Sequence[Request], rng: Random
    ) -> Iterator[Request]:
        """Requests that the plainer tool serves as well, or better."""
        more = [n for n in _offered(strong, rng) if n in properties(weak) and n not in must]
        names = [must, *([*must, n] for n in more[:3])]
        names = [group for group in names if all(n in properties(weak) for n in group)]
        details = False if coarse(weak) and not coarse(strong) else None
        same = (
            read if details is None else [r for r in (extended(r, weak, [], details, rng) for r in read) if r]
        )
        plain = written_requests(do, strong, names, weak, details, rng) if names else iter(())
        return chain(same, plain)

    def _drafts(
        self,
        tools: tuple[Tool, Tool],
        intended: Tool,
        requests: Iterator[Request],
        number: int,
        earlier: Sequence[QueryDraft],
    ) -> list[QueryDraft]:
        """The first ``number`` requests that are best served by ``intended`` and pass the checks."""
        drafts: list[QueryDraft] = []
        for asking in requests:
            if len(drafts) == number:
                break
            if best(tools, asking.asked) != intended.name:
                continue
            draft = QueryDraft(
                query=asking.text,
                now=asking.now,
                intended=intended.name,
                reason=_reason(tools, intended, asking.asked),
            )
            said = [d.query for d in [*earlier, *drafts]]
            if query_findings(draft, tools, said) or not all(
                _sound(tool, draft, asking.asked) for tool in tools
            ):
                continue
            self._remember(tools, asking.text, asking.asked)
            drafts.append(draft)
        return drafts

    async def calls(self, tool: Tool, queries: Sequence[QueryDraft]) -> Made[list[CallDraft | None]]:
        made = [_call(tool, self._meaning(tool, draft)) for draft in queries]
        return Made(made, self._provenance("calls", tool.id))

    async def judge(
        self, shown: tuple[Tool, Tool], queries: Sequence[QueryDraft]
    ) -> Made[list[Judgement | None]]:
        made: list[Judgement | None] = []
        for draft in queries:
            asked = self._meaning(shown[0], draft)
            if asked is None:
                made.append(None)
                continue
            grades = {t.name: grade(t, asked) for t in shown}
            names = (shown[0].name, shown[1].name)
            made.append(Judgement(shown=names, grades=grades, best=best(shown, asked), reason=draft.reason))
        return Made(made, self._provenance("judge", *(t.id for t in shown)))


def _needed(*tools: Tool) -> list[str]:
    try:
        return needed(*tools)
    except ValueError as error:
        raise Unusable(str(error)) from None


def _offered(tool: Tool, rng: Random) -> list[str]:
    """The optional parameters of a tool that a user may ask for."""
    unsaid = [n for n in properties(tool) if SECRET.search(n) or UNSAID.search(n)]
    names = [n for n in properties(tool) if n not in required(tool) and n not in unsaid]
    return [n for n in names if value_for(tool, n, rng) is not None]


def _narrower(weak: Tool, strong: Tool, name: str) -> bool:
    """Does the weaker tool take fewer values of a parameter?"""
    few, many = properties(weak)[name], properties(strong)[name]
    return any(few.get(key) != many.get(key) for key in ("enum", "maximum"))


def _call(tool: Tool, asked: Asked | None) -> CallDraft | None:
    if asked is None:
        return None
    given = arguments(tool, asked)
    return CallDraft(arguments=given, missing=tuple(n for n in required(tool) if n not in given))


def _sound(tool: Tool, draft: QueryDraft, asked: Asked) -> bool:
    """Would the call of a tool that can serve the query pass the checks?"""
    return grade(tool, asked) == "none" or not call_findings(tool, draft, _call(tool, asked))[0]


def _reason(tools: tuple[Tool, Tool], intended: Tool, asked: Asked) -> str:
    other = tools[1] if intended is tools[0] else tools[0]
    left_out = [n for n in asked.values if n not in arguments(other, asked)]
    if left_out:
        return f"It asks for {', '.join(left_out)}, which only {intended.name} takes."
    if asked.details:
        return f"It asks for details, which only {intended.name} gives."
    return f"Both can serve it, and {intended.name} does so with less beside it."
