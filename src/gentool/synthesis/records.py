"""What synthesis makes on the way from a tool to a verified :class:`gentool.records.ToolPair`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from gentool.jsonl import content_hash
from gentool.llm.provenance import Provenance
from gentool.records import Derivation, Grade, GradedQuery, IdRecord, Record, Tool, Way

Status = Literal["accepted", "disagreed", "rejected"]
"""``disagreed``: the judge's grades differ from the intended order or from each other; a person decides."""

Ground = Literal["query", "now", "default", "enum", "boolean", "derived", "none"]
"""What the value of an argument is grounded in; ``none``: it was invented."""


class Finding(Record):
    """What a named check objects to. ``where`` is the field, such as ``tool.parameters`` or ``call.NAME.city``."""

    check: str
    where: str
    reason: str


class Seed(IdRecord):
    """One unit of work: a tool of the catalogue, what is to be made of it, and example queries that it serves.

    ``upgrade``: a stronger version is made of it, else a weaker tool. ``number`` tells pairs of one tool apart.
    """

    tool: Tool
    way: Way
    upgrade: bool = False
    number: int = 0
    examples: tuple[str, ...] = ()

    def _identity(self) -> Any:
        return [self.tool.id, self.way, self.upgrade, self.number, list(self.examples)]


class QueryDraft(Record):
    """A query as the teacher meant it: ``intended`` is the tool that should be the best for it."""

    query: str
    now: str | None = None
    intended: str
    reason: str = ""


class CallDraft(Record):
    """The arguments of one tool for one query. ``derived``: argument -> the words of the query it follows from.

    ``missing``: required arguments that the query says nothing about; such a call cannot be made.
    """

    arguments: dict[str, Any] = Field(default_factory=dict)
    derived: dict[str, str] = Field(default_factory=dict)
    missing: tuple[str, ...] = ()


class Judgement(Record):
    """One blind grading of both tools, which were shown in the order ``shown``."""

    shown: tuple[str, str]
    grades: dict[str, Grade]
    best: str | None = None
    reason: str = ""


class Item(IdRecord):
    """One query of a pair with all that was found out about it: what a reviewer decides on.

    ``graded`` is what would be trained on; ``None`` if it cannot be made (no valid call). The id depends on what a
    reviewer judges: tools, query, grades, calls; a decision does not outlive a change of these.
    """

    pair: str
    draft: QueryDraft
    graded: GradedQuery | None = None
    status: Status
    calls: dict[str, CallDraft] = Field(default_factory=dict)
    grounds: dict[str, dict[str, Ground]] = Field(default_factory=dict)
    """Tool -> argument -> what its value is grounded in (the weakest of its parts for objects and arrays)."""
    judgements: tuple[Judgement, ...] = ()
    findings: tuple[Finding, ...] = ()
    provenance: tuple[Provenance, ...] = ()

    def _identity(self) -> Any:
        graded = self.graded.model_dump(mode="json") if self.graded else None
        return [self.pair, self.draft.query, graded]


class Unit(IdRecord):
    """What became of one seed: a line of ``synthesis/units.jsonl``, written when the seed is done.

    ``tools`` is the pair (source first); ``None`` if no usable tool was made of the source, then ``findings`` say why.
    ``refused`` holds raw answers that could not be used, shortened, each with its reason.
    """

    seed: Seed
    settings: str
    """Hash of the options and prompts that shape the result; a unit of other settings is made anew."""
    tools: tuple[Tool, Tool] | None = None
    derivation: Derivation | None = None
    domain: str = "general"
    items: tuple[Item, ...] = ()
    findings: tuple[Finding, ...] = ()
    refused: tuple[Finding, ...] = ()
    provenance: tuple[Provenance, ...] = ()

    def _identity(self) -> Any:
        return [self.seed.id, self.settings]


def pair_key(first: Tool, second: Tool) -> str:
    """The id of the :class:`gentool.records.ToolPair` of two tools."""
    return content_hash(sorted([first.id, second.id]))


class Decision(Record):
    """One decision of a reviewer: a line of ``reviews.jsonl``. ``item`` is the id of an :class:`Item`.

    The last decision of a reviewer on an item counts; ``undo`` takes the one before back. ``edited`` is the
    query as the reviewer corrected it.
    """

    item: str
    reviewer: str
    decision: Literal["accept", "reject", "edit", "undo"]
    reason: str = ""
    edited: GradedQuery | None = None
    at: str
    """Date and time, ISO 8601, UTC."""
