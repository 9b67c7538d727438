"""The teacher that asks a model behind a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from gentool.catalog.schema import unusable
from gentool.config import SynthesisConfig
from gentool.jsonl import RecordError, parse_record
from gentool.llm.extract import find_object
from gentool.llm.session import CallFailed
from gentool.llm.structured import BadAnswer, ask_object
from gentool.records import Derivation, Grade, Tool, check_now
from gentool.synthesis.checks import name_findings
from gentool.synthesis.records import CallDraft, Judgement, QueryDraft, Seed
from gentool.synthesis.teacher import Made, Unusable
from gentool.synthesis.templates import Prompts

A = TypeVar("A", bound=BaseModel)
Messages = list[dict[str, str]]


class _Answer(BaseModel):
    """What a model may add beside the fields asked for is ignored."""

    model_config = ConfigDict(extra="ignore")


class ToolAnswer(_Answer):
    """A tool, and in what way the weaker of the two is weaker."""

    name: str
    description: str
    parameters: dict[str, Any]
    note: str


class SeedQueriesAnswer(_Answer):
    """Messages that users of the tool may write."""

    queries: list[str]


class QueryAnswer(_Answer):
    """One message of a user."""

    query: str
    now: str | None = None
    better: str
    reason: str = ""


class QueriesAnswer(_Answer):
    """Messages of users, in both directions."""

    queries: list[QueryAnswer]


class CallAnswer(_Answer):
    """The arguments for the query of this number."""

    number: int
    arguments: dict[str, Any] = Field(default_factory=dict)
    derived: dict[str, str] = Field(default_factory=dict)
    missing: list[str] = Field(default_factory=list)


class CallsAnswer(_Answer):
    """Arguments, an entry for each query."""

    calls: list[CallAnswer]


class GradeAnswer(_Answer):
    """The grades of tool A and tool B for the query of this number."""

    number: int
    reason: str = ""
    a: Grade
    b: Grade
    best: Literal["A", "B"] | None


class GradesAnswer(_Answer):
    """Grades, an entry for each query."""

    grades: list[GradeAnswer]


def _function(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = tool.openai()["function"]
    return function


def _numbered(queries: Sequence[QueryDraft]) -> list[dict[str, Any]]:
    return [
        {"number": i, "query": q.query, **({"now": q.now} if q.now else {})}
        for i, q in enumerate(queries, start=1)
    ]


def _numbering(numbers: Sequence[int], expected: int) -> list[str]:
    """What is wrong with the numbers of an answer's entries; that some are left out costs their queries alone."""
    problems = [
        f"number {n} is there more than once" for n in sorted({n for n in numbers if numbers.count(n) > 1})
    ]
    if not numbers:
        problems.append(f"expected an entry for each of the {expected} queries; found none")
    unknown = sorted({n for n in numbers if not 1 <= n <= expected})
    if unknown:
        problems.append(f"there are no queries of the numbers {unknown}")
    return problems


def _made_tool(answer: ToolAnswer, seed: Seed) -> Tool:
    """Raises :class:`RecordError` for what is no tool."""
    function = {"name": answer.name, "description": answer.description, "parameters": answer.parameters}
    return parse_record(
        Tool, {"function": function, "domain": seed.tool.domain, "source": "synthesis"}, "tool"
    )


def _tool_problems(answer: ToolAnswer, seed: Seed) -> list[str]:
    """Why the answer is no usable tool. What it says, and how it compares, is for the checks to judge."""
    try:
        return unusable(_made_tool(answer, seed))
    except RecordError as error:
        return str(error).split("\n")


def _failed_check(answer: str) -> str:
    """Which check an answer that is no tool fails; empty if it cannot even be read."""
    try:
        read = ToolAnswer.model_validate(find_object(answer))
    except ValueError:
        return ""
    return "name" if name_findings(read.name) else "schema"


def _query_problems(answer: QueriesAnswer, names: Sequence[str], number: int) -> list[str]:
    problems = []
    if len(answer.queries) > 3 * number:
        problems.append(f"queries: expected {number}; found {len(answer.queries)}")
    for i, query in enumerate(answer.queries):
        if query.better not in names:
            problems.append(f"queries.{i}.better: expected one of {list(names)}; found {query.better!r}")
        if not query.query.strip():
            problems.append(f"queries.{i}.query: expected a text; found none")
        if query.now:
            try:
                check_now(query.now)
            except ValueError as error:
                problems.append(f"queries.{i}.now: {error}")
    return problems if answer.queries else ["queries: expected some; found none"]


@dataclass(frozen=True)
class LLMTeacher:
    """See :class:`gentool.synthesis.teacher.Teacher`. ``session`` asks the teacher, ``judging`` the judge.

    Sessions are those of :mod:`gentool.llm`.
    """

    session: Any
    judging: Any
    prompts: Prompts
    config: SynthesisConfig

    def derive_prompt(self, seed: Seed) -> tuple[str, Messages]:
        """Name and messages of the prompt of :meth:`derive`; the others likewise."""
        name = "strong_tool" if seed.upgrade else "weak_tool"
        number = seed.number // len(self.config.ways)
        return name, self._messages(name, tool=_function(seed.tool), way=seed.way, number=number)

    def seed_queries_prompt(self, tool: Tool, number: int) -> tuple[str, Messages]:
        return "seed_queries", self._messages("seed_queries", tool=_function(tool), number=number)

    def queries_prompt(
        self, tools: tuple[Tool, Tool], derivation: Derivation, number: int, examples: Sequence[str]
    ) -> tuple[str, Messages]:
        return "queries", self._messages(
            "queries",
            tools=[_function(t) for t in tools],
            richer=derivation.from_tool,
            weaker=derivation.tool,
            way=derivation.how,
            note=derivation.note,
            number=number,
            examples=list(examples),
        )

    def calls_prompt(self, tool: Tool, queries: Sequence[QueryDraft]) -> tuple[str, Messages]:
        return "calls", self._messages("calls", tool=_function(tool), queries=_numbered(queries))

    def judge_prompt(self, shown: tuple[Tool, Tool], queries: Sequence[QueryDraft]) -> tuple[str, Messages]:
        tools = [_function(t) for t in shown]
        return "judge", self._messages("judge", tools=tools, queries=_numbered(queries))

    def _messages(self, name: str, **context: Any) -> Messages:
        return self.prompts.messages(
            name, language=self.config.language, domain=self.config.domain, **context
        )

    async def _ask(
        self,
        prompt: tuple[str, Messages],
        form: type[A],
        parents: Sequence[str],
        problems: Callable[[A], list[str]] | None = None,
        sample: int = 0,
    ) -> Made[A]:
        name, messages = prompt
        try:
            answered = await ask_object(
                self.judging if name == "judge" else self.session,
                messages,
                form,
                stage=name,
                template=self.prompts.hashes[name],
                parents=tuple(parents),
                problems=problems,
                sample=sample,
            )
        except BadAnswer as error:
            raise Unusable(error.reason, error.answer) from None
        except CallFailed as error:
            if error.failure.passing:
                raise
            raise Unusable(f"the server refuses the request: {error.failure}") from None
        return Made(answered.value, answered.provenance)

    async def derive(self, seed: Seed) -> Made[tuple[Tool, str]]:
        try:
            made = await self._ask(
                self.derive_prompt(seed),
                ToolAnswer,
                [seed.id],
                lambda answer: _tool_problems(answer, seed),
                sample=seed.number,
            )
        except Unusable as error:
            error.check = _failed_check(error.answer)
            raise
        return Made((_made_tool(made.value, seed), made.value.note), made.provenance)

    async def seed_queries(self, tool: Tool, number: int) -> Made[list[str]]:
        made = await self._ask(self.seed_queries_prompt(tool, number), SeedQueriesAnswer, [tool.id])
        return Made([q for q in made.value.queries if q.strip()], made.provenance)

    async def queries(
        self, tools: tuple[Tool, Tool], derivation: Derivation, number: int, examples: Sequence[str]
    ) -> Made[list[QueryDraft]]:
        names = [t.name for t in tools]
        made = await self._ask(
            self.queries_prompt(tools, derivation, number, examples),
            QueriesAnswer,
            [t.id for t in tools],
            lambda answer: _query_problems(answer, names, number),
        )
        drafts = [
            QueryDraft(query=q.query.strip(), now=q.now or None, intended=q.better, reason=q.reason)
            for q in made.value.queries
        ]
        return Made(drafts, made.provenance)

    async def calls(self, tool: Tool, queries: Sequence[QueryDraft]) -> Made[list[CallDraft | None]]:
        made = await self._ask(
            self.calls_prompt(tool, queries),
            CallsAnswer,
            [tool.id],
            lambda answer: _numbering([c.number for c in answer.calls], len(queries)),
        )
        drafts = {
            c.number: CallDraft(arguments=c.arguments, derived=c.derived, missing=tuple(c.missing))
            for c in made.value.calls
        }
        return Made(_in_order(drafts, len(queries)), made.provenance)

    async def judge(
        self, shown: tuple[Tool, Tool], queries: Sequence[QueryDraft]
    ) -> Made[list[Judgement | None]]:
        first, second = names = (shown[0].name, shown[1].name)
        made = await self._ask(
            self.judge_prompt(shown, queries),
            GradesAnswer,
            [t.id for t in shown],
            lambda answer: _numbering([g.number for g in answer.grades], len(queries)),
        )
        best = {"A": first, "B": second, None: None}
        judged = {
            g.number: Judgement(
                shown=names, grades={first: g.a, second: g.b}, best=best[g.best], reason=g.reason
            )
            for g in made.value.grades
        }
        return Made(_in_order(judged, len(queries)), made.provenance)


T = TypeVar("T")


def _in_order(found: Mapping[int, T], number: int) -> list[T | None]:
    return [found.get(i) for i in range(1, number + 1)]
