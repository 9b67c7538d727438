"""The nouns of GenTool, and how they lie on disk.

Every record is an immutable pydantic model, written as one JSON object a line
(JSONL) with the field names of OpenAI and TRL (``messages``, ``tools``,
``tool_calls`` with ``arguments`` as an object). A record that others refer to
has an ``id``: a hash of what makes it that record, computed when it is read,
so a file written by hand needs none.

The definitions (grades, groups, tool sets, transitions) are those of the GenTool paper (He et al., Findings of
ACL 2025) as far as it says, else this project's: see ``docs/concepts.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from gentool.jsonl import canonical_json, content_hash, printable, strict_json

GENERATE_RESPONSE = "generate_response"
"""Name of the default tool, which stands for "answer without a tool"."""

NAME_PATTERN = r"^[a-zA-Z0-9_-]{1,64}$"
"""What OpenAI accepts as the name of a function."""

Grade = Literal["full", "partial", "none"]
Group = Literal["T", "D", "A", "B", "U"]
Task = Literal["rank", "select", "joint"]
Transition = Literal["zero", "zero_to_one", "weak_to_strong"]
Scenario = Literal[
    "seen_query_seen_tool",
    "seen_query_unseen_tool",
    "unseen_query_seen_tool",
    "unseen_query_unseen_tool",
]
SCENARIOS: tuple[Scenario, ...] = (
    "seen_query_seen_tool",
    "seen_query_unseen_tool",
    "unseen_query_seen_tool",
    "unseen_query_unseen_tool",
)
TRANSITIONS: tuple[Transition, ...] = ("zero", "zero_to_one", "weak_to_strong")


def _invalid(expected: str, found: str, fix: str) -> PydanticCustomError:
    """A validation error in the three parts that every message here has."""
    return PydanticCustomError(
        "gentool",
        "expected {expected}; found {found}. Fix: {fix}",
        {"expected": printable(expected), "found": printable(found), "fix": fix},
    )


class Record(BaseModel):
    """Base of all records: frozen, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class IdRecord(Record):
    """A record with a content-hash ``id``; an id on disk must agree with the content."""

    id: str = ""

    def _identity(self) -> Any:
        """What makes this record itself: the part of it that is hashed."""
        return self.model_dump(mode="json", exclude={"id"})

    def _make_id(self) -> str:
        return content_hash(self._identity())

    @model_validator(mode="after")
    def _set_id(self) -> Self:
        made = self._make_id()
        if self.id and self.id != made:
            raise _invalid(
                f"id {made!r}, the hash of the record's content",
                repr(self.id),
                "delete the field `id`, it is computed; or restore the content it was made from",
            )
        object.__setattr__(self, "id", made)
        return self


# --------------------------------------------------------------------------- tools


class Function(Record):
    """The ``function`` part of an OpenAI tool."""

    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=lambda: {"type": "object", "properties": {}})
    output_schema: dict[str, Any] | None = None
    """JSON Schema of the result where the source gives one; never shown to the model."""

    @model_validator(mode="after")
    def _object_schema(self) -> Self:
        if self.parameters.get("type") != "object" or not isinstance(
            self.parameters.get("properties", {}), dict
        ):
            raise _invalid(
                'parameters as a JSON Schema {"type": "object", "properties": {...}}',
                canonical_json(self.parameters)[:120],
                "wrap the parameters in an object schema; a tool without parameters has "
                '{"type": "object", "properties": {}}',
            )
        return self


class Tool(IdRecord):
    """A tool in OpenAI's format, plus where it comes from.

    The id is ``name@hash`` over name, description and parameters. ``split`` says on
    which side a stand-alone tool may serve as a distractor (``None``: the build decides).
    """

    type: Literal["function"] = "function"
    function: Function
    domain: str | None = None
    split: Literal["train", "test"] | None = None
    source: str | None = None

    @property
    def name(self) -> str:
        return self.function.name

    @property
    def description(self) -> str:
        return self.function.description

    @property
    def parameters(self) -> dict[str, Any]:
        return self.function.parameters

    def _identity(self) -> Any:
        return [self.name, self.description, self.parameters]

    def _make_id(self) -> str:
        return f"{self.name}@{content_hash(self._identity(), 8)}"

    def openai(self) -> dict[str, Any]:
        """What goes to a chat template or a server as one entry of ``tools``."""
        return {
            "type": "function",
            "function": {
                "name": self.name,
                "description": self.description,
                "parameters": self.parameters,
            },
        }


GENERATE_RESPONSE_TOOL = Tool(
    function=Function(
        name=GENERATE_RESPONSE,
        description="Answer the user directly. Use it when none of the other tools fits the request.",
    )
)
"""The default tool, shown in every tool set; it takes no arguments."""


def _arguments_object(value: Any) -> Any:
    """OpenAI's wire format has ``arguments`` as a JSON string: read it as an object."""
    if isinstance(value, str):
        try:
            return strict_json(value)
        except (ValueError, RecursionError):
            return value
    return value


class FunctionCall(Record):
    """The ``function`` part of an OpenAI tool call, ``arguments`` as an object."""

    name: str
    arguments: Annotated[dict[str, Any], BeforeValidator(_arguments_object)] = Field(default_factory=dict)


class ToolCall(Record):
    """A call in OpenAI's and TRL's format; the ``id`` that the wire format gives a call is not kept."""

    type: Literal["function"] = "function"
    function: FunctionCall

    @model_validator(mode="before")
    @classmethod
    def _without_wire_id(cls, value: Any) -> Any:
        return {k: v for k, v in value.items() if k != "id"} if isinstance(value, dict) else value

    @classmethod
    def of(cls, name: str, arguments: Mapping[str, Any] | None = None) -> ToolCall:
        return cls(function=FunctionCall(name=name, arguments=dict(arguments or {})))

    @property
    def name(self) -> str:
        return self.function.name

    @property
    def arguments(self) -> dict[str, Any]:
        return self.function.arguments


class UseCase(IdRecord):
    """A recorded use of tools: what was asked, what could be called, what was called."""

    query: Annotated[str, Field(min_length=1)]
    tools: tuple[Tool, ...]
    tool_calls: tuple[ToolCall, ...] = ()
    source: str | None = None

    def _identity(self) -> Any:
        return [self.query, [t.id for t in self.tools], [c.model_dump() for c in self.tool_calls]]


# --------------------------------------------------------------------------- pairs


Way = Literal[
    "missing_capability",
    "coarser_result",
    "fewer_filters",
    "vaguer_description",
    "older_version",
    "smaller_coverage",
    "more_manual_input",
]
"""In what way the derived tool is weaker than the tool it was derived from."""


class Derivation(Record):
    """Which tool of a pair was derived from which, and how."""

    tool: str
    from_tool: str
    how: Way
    note: str = ""


def check_now(value: str) -> None:
    """Refuse a ``now`` that is not a date and time in ISO 8601."""
    try:
        datetime.fromisoformat(value)
    except ValueError:
        raise _invalid("a date and time in ISO 8601", repr(value), "write it like 2026-03-14T09:30") from None


class GradedQuery(IdRecord):
    """A query with a grade for each tool of its pair, and a call for each that can serve it.

    ``now`` is the user's local date and time (ISO 8601) where the query is relative to it.
    ``alternatives[tool][argument]`` lists further values that are as right as the one in
    ``tool_calls``; a ``null`` among them says that the argument may be left out. An argument
    that has alternatives and is not in the call may be given with one of these values.
    """

    query: Annotated[str, Field(min_length=1)]
    now: str | None = None
    grades: dict[str, Grade]
    best: str | None = None
    reason: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    alternatives: dict[str, dict[str, list[Any]]] = Field(default_factory=dict)

    def _identity(self) -> Any:
        return [self.query, self.now, sorted(self.grades)]

    def useful(self, names: Iterable[str]) -> tuple[str, ...]:
        """The tools among ``names`` graded full or partial, the best one first."""
        order = {"full": 1, "partial": 2}
        useful = [n for n in names if self.grades.get(n, "none") != "none"]
        return tuple(sorted(useful, key=lambda n: (n != self.best, order[self.grades[n]], n)))

    def call_of(self, tool: str) -> ToolCall:
        """The reference call of ``tool``. Raises ``KeyError`` if it cannot serve the query."""
        for call in self.tool_calls:
            if call.name == tool:
                return call
        raise KeyError(tool)

    @field_validator("now")
    @classmethod
    def _iso(cls, value: str | None) -> str | None:
        if value is not None:
            check_now(value)
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        useful = {n for n, g in self.grades.items() if g != "none"}
        called = [c.name for c in self.tool_calls]
        if (self.best is None) != (not useful) or (self.best is not None and self.best not in useful):
            raise _invalid(
                f"`best` to be one of the useful tools {sorted(useful) or 'none: null'}",
                repr(self.best),
                "correct `best` or `grades`; `best` is null exactly when every grade is none",
            )
        if self.best and self.grades[self.best] == "partial" and "full" in self.grades.values():
            raise _invalid(
                "`best` to be a tool graded full where there is one",
                f"{self.best!r}, graded partial",
                "correct `best` or `grades`",
            )
        if sorted(called) != sorted(useful):
            raise _invalid(
                f"one entry of `tool_calls` for each useful tool {sorted(useful)}",
                str(sorted(called)),
                "add the missing call, or remove the one of a tool graded none",
            )
        if not set(self.alternatives) <= useful:
            raise _invalid(
                f"`alternatives` only for useful tools {sorted(useful)}",
                str(sorted(set(self.alternatives) - useful)),
                "remove them or correct the name",
            )
        return self


class ToolPair(IdRecord):
    """Two tools, one derived from the other, and queries graded for both.

    ``group`` (``None``: the build assigns one): **T** trained on; **A** queries trained without
    their tools; **B** one tool (``unseen_tool``) arrives at test, its sibling is trained;
    **U** everything unseen; **D** unseen too, to choose settings on. ``challenge``: of a domain that no pair trained
    on has. The id depends on the two tools alone: a new query leaves groups and distractors as they were.
    """

    domain: str
    group: Group | None = None
    tools: tuple[Tool, Tool]
    derivation: Derivation
    unseen_tool: str | None = None
    challenge: bool = False
    queries: tuple[GradedQuery, ...] = ()

    @property
    def names(self) -> tuple[str, str]:
        return (self.tools[0].name, self.tools[1].name)

    def tool(self, name: str) -> Tool:
        """The pair's tool of that name. Raises ``KeyError``."""
        for tool in self.tools:
            if tool.name == name:
                return tool
        raise KeyError(name)

    def sibling(self, name: str) -> str:
        """The name of the pair's other tool."""
        first, second = self.names
        return second if name == first else first

    def _identity(self) -> Any:
        return sorted(t.id for t in self.tools)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = set(self.names)
        if len(names) != 2 or GENERATE_RESPONSE in names:
            raise _invalid(
                f"two tools of different names, none called {GENERATE_RESPONSE}",
                str(self.names),
                "rename one of them (also in grades, calls and derivation)",
            )
        if {self.derivation.tool, self.derivation.from_tool} != names:
            raise _invalid(
                f"`derivation.tool` and `derivation.from_tool` to be the pair's tools {self.names}",
                f"{self.derivation.tool!r} from {self.derivation.from_tool!r}",
                "correct the names",
            )
        if (self.group == "B") != (self.unseen_tool is not None) or (
            self.unseen_tool is not None and self.unseen_tool not in names
        ):
            raise _invalid(
                "`unseen_tool` to name one of the pair's tools in group B, and to be absent elsewhere",
                f"group {self.group!r}, unseen_tool {self.unseen_tool!r}",
                "correct `group` or `unseen_tool`",
            )
        seen: set[str] = set()
        for position, query in enumerate(self.queries):
            if set(query.grades) != names:
                raise _invalid(
                    f"`queries.{position}.grades` to grade exactly the pair's tools {self.names}",
                    str(sorted(query.grades)),
                    "grade both tools, by their names",
                )
            if query.id in seen:
                raise _invalid(
                    "each query once in a pair",
                    f"`queries.{position}` again: {query.query[:60]!r}",
                    "remove the duplicate",
                )
            seen.add(query.id)
        return self


# --------------------------------------------------------------------------- scenarios


class ToolSet(IdRecord):
    """What a query is asked with: some of a pair's tools, and distractors, by tool id.

    Canonical: it holds no order. The order shown is drawn when a prompt is rendered, from a
    seed, ``pair``, the set's id and the epoch; ``slot`` spreads the position of the pair's tool
    evenly over pairs. ``generate_response`` is always shown and not listed.
    """

    pair: str
    pair_tools: tuple[str, ...]
    distractors: tuple[str, ...]
    slot: int = 0

    @property
    def tools(self) -> tuple[str, ...]:
        return self.pair_tools + self.distractors

    def _identity(self) -> Any:
        return [self.pair, sorted(self.pair_tools), sorted(self.distractors)]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.tools)) != len(self.tools):
            raise _invalid("each tool once in a set", str(self.tools), "build the scenarios anew")
        return self


class Sample(IdRecord):
    """One query with one tool set and its two targets, to be trained on.

    ``ranking`` ends with ``generate_response``; ``tool_call`` is the call of its first tool.
    ``single_state`` marks the one state of the catalogue in which ordinary fine-tuning (the
    arm ``sft``) sees the query.
    """

    pair: str
    query_id: str
    query: str
    now: str | None = None
    tool_set: ToolSet
    ranking: tuple[str, ...]
    tool_call: ToolCall
    single_state: bool = False

    def _identity(self) -> Any:
        return [self.query_id, self.tool_set.id]


class Probe(IdRecord):
    """A query before and after a tool arrives. ``stay``: the right choice does not change."""

    scenario: Scenario
    transition: Transition
    pair: str
    query: GradedQuery
    before: ToolSet
    after: ToolSet
    stay: bool

    def _identity(self) -> Any:
        return [self.scenario, self.transition, self.query.id, self.before.id, self.after.id]


# --------------------------------------------------------------------------- predictions


class Prediction(Record):
    """What a model wrote for one prompt, and how it was read.

    ``outcome``: ``call`` (one tool of the set was called), ``answer`` (text without a call:
    an abstention), ``ranking``, or ``malformed`` with the reason in ``error``. ``shown`` is the order
    in which the tools were shown. ``text`` is the model's raw output up to its stop token, ``finished``
    whether it reached one. ``weights`` and ``prompt_hash`` say of what the answer depends: an answer by other
    weights or to another prompt is not taken for this one. ``scores``: the ranking was not written but made from
    these log-likelihoods (nats), by tool.
    """

    model: str
    seed: int
    task: Task
    query_id: str
    tool_set: str
    shown: tuple[str, ...]
    text: str
    outcome: Literal["call", "answer", "ranking", "malformed"]
    tool_call: ToolCall | None = None
    ranking: tuple[str, ...] | None = None
    scores: dict[str, float] | None = None
    error: str | None = None
    finished: bool = True
    weights: str = ""
    prompt_hash: str = ""
    prompt_tokens: int
    completion_tokens: int

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.task, self.query_id, self.tool_set)
