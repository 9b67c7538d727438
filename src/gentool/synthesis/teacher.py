"""What a teacher can do; there are two, an LLM (``llm_teacher``) and plain rules (``rules``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from gentool.llm.provenance import Provenance
from gentool.records import Derivation, Tool
from gentool.synthesis.records import CallDraft, Judgement, QueryDraft, Seed

T = TypeVar("T")


@dataclass(frozen=True)
class Made(Generic[T]):
    """Something a teacher made, and how."""

    value: T
    provenance: Provenance


class Unusable(Exception):
    """A teacher's answer that could not be used, also not after it was asked to mend it; carries reason and answer.

    ``check``: the check that it failed, where one of :mod:`gentool.synthesis.checks` can be named.
    """

    def __init__(self, reason: str, answer: str = "", check: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.answer = answer
        self.check = check


class Teacher(Protocol):
    """All of these raise :class:`Unusable`; where a server is asked, :class:`gentool.llm.session.LLMError` too."""

    async def derive(self, seed: Seed) -> Made[tuple[Tool, str]]:
        """A weaker tool than the seed's (or a stronger one for an upgrade), and a note in what way."""

    async def seed_queries(self, tool: Tool, number: int) -> Made[list[str]]:
        """Queries that the tool serves, where the catalogue has none."""

    async def queries(
        self, tools: tuple[Tool, Tool], derivation: Derivation, number: int, examples: Sequence[str]
    ) -> Made[list[QueryDraft]]:
        """About ``number`` queries, half of them best served by each tool."""

    async def calls(self, tool: Tool, queries: Sequence[QueryDraft]) -> Made[list[CallDraft | None]]:
        """A call of this one tool for each query, in their order; ``None`` where the answer left one out."""

    async def judge(
        self, shown: tuple[Tool, Tool], queries: Sequence[QueryDraft]
    ) -> Made[list[Judgement | None]]:
        """Grades of both tools, shown in this order, for each query, without knowing the intended order."""
