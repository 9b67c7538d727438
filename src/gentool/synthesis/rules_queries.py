"""Queries by plain rules, each with what it asks for, so that calls and grades follow from it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from gentool.records import Grade, Tool
from gentool.synthesis.rules_tools import acts, coarse
from gentool.synthesis.rules_values import SECRET, Value, fits, value_for
from gentool.synthesis.rules_words import label, to_oneself, variants
from gentool.synthesis.text import name_words, words

DETAILS = (
    "I need all the details, not just an outline.",
    "Please give me the complete result with every detail.",
    "The full picture matters here, so leave nothing out.",
    "Go into detail, an overview won't do.",
    "I want everything that is known, in full.",
)
BRIEF = (
    "A short answer is enough.",
    "One line will do.",
    "Just the gist, no details.",
    "Keep it very short.",
    "I only need it in a nutshell.",
)
DETAILS_ACTIONS = (
    "Then show me the complete record of it.",
    "I want the full confirmation, with every detail.",
    "Afterwards list everything that was changed.",
    "Report back in detail what was done.",
    "Send me the whole result once it is done, nothing left out.",
)
BRIEF_ACTIONS = (
    "Just tell me whether it worked.",
    "A yes or no is enough.",
    "No report needed, only whether it went through.",
    "Simply say when it's done.",
    "I only care that it works.",
)
_OPENERS = (
    "I'm putting together a report for my manager.",
    "This is for a school project.",
    "My neighbour asked me about it.",
    "We are preparing a workshop at the library.",
    "I promised a friend to sort this out.",
    "I'm filling in a form and got stuck.",
    "Our club wants to know before the meeting.",
    "It's for a talk I have to give.",
    "My boss is waiting for it.",
    "I'm new here and still learning the ropes.",
    "A customer on the phone wants to know.",
    "I'm double-checking my notes.",
    "Writing a blog post, almost finished.",
    "Sitting on the train, so be quick.",
    "I lost my own records of it.",
    "The team in the other building keeps asking.",
    "My daughter is curious.",
    "Bit of a strange one maybe.",
    "For the newsletter.",
    "I'm comparing a few options.",
    "Sorry to bother you again.",
    "Need it for the archive.",
    "Let's get this over with.",
    "The printed handbook doesn't say.",
)
_FORMS = (
    "Please {do}. {said}",
    "Could you {do}? {said}",
    "I'd like to {own}. {said}",
    "can you {do}, {plain}",
    "{plain}: please {do}",
    "I need to {own}. {said}",
    "{do}, {plain}",
    "Would you {do} for me? {said}",
    "I want to {own} - {plain}",
    "Help me {own}. {said}",
    "hey, {do} pls. {plain}",
    "I have to {own} with {plain}.",
    "Time to {own}. {said}",
    "{do}; {plain}. Thanks!",
)
_NO_VALUES = (
    "Please {do}.",
    "Could you {do}?",
    "I'd like to {own}.",
    "can you {do}",
    "{do} please",
    "I need to {own}.",
    "Would you {do} for me?",
    "Help me {own}.",
    "hey, {do} pls",
    "I have to {own}.",
    "Time to {own}.",
    "{do}, thanks!",
)


_ROUNDS = 1_000
"""Requests that are tried at most; a draw of values that do not go together counts too."""


@dataclass(frozen=True)
class Asked:
    """What a query asks for: values of parameters, and a result with or without details."""

    values: dict[str, Any]
    details: bool | None = None


@dataclass
class Request:
    """A query and what it asks for."""

    text: str
    asked: Asked
    now: str | None = None
    used: dict[str, Value] = field(default_factory=dict)


def properties(tool: Tool) -> dict[str, Any]:
    return {n: s if isinstance(s, dict) else {} for n, s in tool.parameters.get("properties", {}).items()}


def required(tool: Tool) -> list[str]:
    return [n for n in tool.parameters.get("required") or () if n in properties(tool)]


def arguments(tool: Tool, asked: Asked) -> dict[str, Any]:
    """The arguments of a call of ``tool``: the values asked for that it takes."""
    return {n: v for n, v in asked.values.items() if fits(tool, n, v)}


def grade(tool: Tool, asked: Asked) -> Grade:
    """``none``: a required argument is not given; ``partial``: something asked for is left out; else ``full``."""
    taken = arguments(tool, asked)
    if any(n not in taken for n in required(tool)):
        return "none"
    whole = len(taken) == len(asked.values) and not (asked.details and coarse(tool))
    return "full" if whole else "partial"


def best(tools: tuple[Tool, Tool], asked: Asked) -> str | None:
    """The tool graded highest; of two that serve the query alike, the one with less that it does not need."""
    grades = {t.name: grade(t, asked) for t in tools}

    def rank(tool: Tool) -> tuple[int, int, bool, int, str]:
        level = ("full", "partial", "none").index(grades[tool.name])
        unused = len(properties(tool)) - len(arguments(tool, asked))
        plain = coarse(tool) == (asked.details is False)
        return level, unused, not plain, len(words(tool.description)), tool.name

    first = min(tools, key=rank)
    return None if grades[first.name] == "none" else first.name


def _clause(name: str, schema: dict[str, Any], value: Value) -> tuple[str, str]:
    """How a value is said in a sentence of its own, and within one: ("The city is Oslo.", "city Oslo")."""
    called = label(name, schema)
    if isinstance(value.value, bool):
        on = re.sub(r"^(?:include|show|enable|use|with|return|get) ", "", called)
        return (f"Include {on}.", f"with {on}") if value.value else (f"Leave out {on}.", f"without {on}")
    if called.split()[-1] in ("by", "to", "from", "in", "at", "for", "with"):  # sort by price
        return f"{called[:1].upper()}{called[1:]} {value.text}.", f"{called} {value.text}"
    last = called.partition(" of ")[0].split()[-1]
    many = last.endswith("s") and not last.endswith(("ss", "us", "is"))
    return f"The {called} {'are' if many else 'is'} {value.text}.", f"{called} {value.text}"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)


def _sensible(used: dict[str, Value]) -> bool:
    """Do dates follow each other, and do minima lie below maxima?"""
    days = [text for v in used.values() for text in _texts(v.value) if re.match(r"\d{4}-\d\d-\d\d", text)]
    if len(days) > 1 and (days != sorted(days) or any(v.now for v in used.values())):
        return False
    for name, value in used.items():
        other = used.get(re.sub("min", "max", name)) if "min" in name else None
        if other and isinstance(value.value, int | float) and isinstance(other.value, int | float):
            return value.value < other.value
    return True


def _spliced(do: str, name: str, value: Value) -> str:
    """``do`` with the value in the place of the words for it: the weather of a city -> the weather of Oslo."""
    if not isinstance(value.value, str) or value.text != value.value or len(value.value.split()) > 3:
        return ""
    noun = next((w for w in reversed(name_words(name)) if w not in ("name", "id", "code", "query")), "")
    if len(noun) < 3 or "id" in name_words(name):
        return ""
    pattern = (
        rf"\b(?:an?|the|this|some) (?:\w+ )?{re.escape(noun)}(?= (?:in|on|at|for|from|to|and|with|of)\b|$)"
    )
    made = re.sub(pattern, lambda _: value.text, do, count=1, flags=re.IGNORECASE)
    return made if made != do else ""


def _written(do: str, used: dict[str, Value], schemas: dict[str, Any], form: int) -> str:
    """A request with all values, in one of the forms."""
    left = dict(used)
    for name, value in used.items():
        spliced = _spliced(do, name, value)
        if spliced:
            do = spliced
            del left[name]
    own = to_oneself(do)
    if not left:
        return _capital(_NO_VALUES[form % len(_NO_VALUES)].format(do=do, own=own), form)
    clauses = [_clause(n, schemas[n], v) for n, v in left.items()]
    plain = ", ".join(short for _, short in clauses)
    said = " ".join(long for long, _ in clauses[:2])
    if len(clauses) > 2:
        said = f"{plain[:1].upper()}{plain[1:]}."
    return _capital(_FORMS[form % len(_FORMS)].format(do=do, own=own, said=said, plain=plain), form)


def _capital(text: str, form: int) -> str:
    return text[:1].upper() + text[1:] if form % 3 else text


def _combined(first: str, second: str) -> str:
    first = first.rstrip()
    return f"{first if first[-1] in '.!?' else first + '.'} {second}"


def written_requests(
    do: str,
    source: Tool,
    names: Sequence[Sequence[str]],
    valid_for: Tool,
    details: bool | None,
    rng: Random,
) -> Iterator[Request]:
    """Requests to ``do`` something that give the parameters of one of ``names`` in turn.

    Parameters are called what ``source`` calls them. A value is one that ``valid_for`` takes, which may say less of
    its parameters.
    """
    schemas = {**properties(valid_for), **properties(source)}
    phrases = variants(do)
    openers = rng.sample(_OPENERS, len(_OPENERS))
    start = rng.randrange(len(_FORMS))
    for i in range(_ROUNDS):
        used = _drawn(source, names[i % len(names)], valid_for, rng)
        if used is None:
            continue
        text = _written(phrases[i % len(phrases)], used, schemas, start + i)
        if details is not None:
            text = _combined(text, rng.choice(_remarks(source, details)))
        if i % 3:
            text = f"{openers[i % len(openers)]} {text}"
        asked = Asked({n: v.value for n, v in used.items()}, details)
        yield Request(text, asked, next((v.now for v in used.values() if v.now), None), used)


def _drawn(source: Tool, names: Sequence[str], valid_for: Tool, rng: Random) -> dict[str, Value] | None:
    """Values that go together; ``None`` if the draw was an unlucky one."""
    used: dict[str, Value] = {}
    for name in names:
        value = value_for(source if name in properties(source) else valid_for, name, rng)
        if value is None or not fits(valid_for, name, value.value):
            return None
        used[name] = value
    return used if len({v.now for v in used.values() if v.now}) < 2 and _sensible(used) else None


def _remarks(tool: Tool, details: bool) -> tuple[str, ...]:
    if acts(tool):
        return DETAILS_ACTIONS if details else BRIEF_ACTIONS
    return DETAILS if details else BRIEF


def extended(
    example: Request, tool: Tool, names: Sequence[str], details: bool | None, rng: Random
) -> Request | None:
    """An example query that also asks for the parameters of ``names``, or for details."""
    drawn = {n: value_for(tool, n, rng) for n in names if n not in example.asked.values}
    used = {n: v for n, v in drawn.items() if v is not None}
    if len(used) < len(drawn) or any(v.now for v in used.values()):
        return None
    text = example.text
    for name, value in used.items():
        text = _combined(text, _clause(name, properties(tool)[name], value)[0])
    if details is not None:
        text = _combined(text, rng.choice(_remarks(tool, details)))
    asked = Asked({**example.asked.values, **{n: v.value for n, v in used.items()}}, details)
    return Request(text, asked, example.now)


def needed(*tools: Tool) -> list[str]:
    """Parameters that one of the tools requires; the first tool says the most of them.

    Raises ``ValueError`` for one that no user says aloud, or that cannot be filled.
    """
    names = list(dict.fromkeys(name for tool in tools for name in required(tool)))
    rng = Random(0)
    for name in names:
        tool = next(t for t in tools if name in properties(t))
        if SECRET.search(name):
            raise ValueError(f"it requires {name!r}, which no user says aloud")
        if value_for(tool, name, rng) is None:
            raise ValueError(f"it requires {name!r}, for which rules find no value")
    return names
