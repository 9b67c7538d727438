"""Tool worlds from a seed: a list of tools, and requests with the call and the ranking that are right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Literal

from gentool.nano.lexicon import Lexicon, templates
from gentool.nano.tools import (
    STYLES,
    Concept,
    MadeTool,
    article,
    draw_concept,
    draw_parameters,
    make_tool,
    relative_of,
    worded,
)
from gentool.nano.values import Parameter, Said, say_value
from gentool.records import GENERATE_RESPONSE, GENERATE_RESPONSE_TOOL, Tool, ToolCall

Overlap = Literal["copy", "mixed", "synonym", "none"]
"""What of the tool's document a request uses: its verb and noun, one of them, neither; ``none``: no tool fits."""


@dataclass(frozen=True)
class Level:
    """How hard a world is. Shares are chances in 0..1; ``overlap`` weighs copy, mixed and synonym.

    ``variants`` of tools that come in a plain and a richer version, ``unserved`` of requests that no tool serves,
    ``found`` of the words that mean nothing that are words of real documents, and half as many names of arguments.
    """

    k: int
    overlap: tuple[float, float, float] = (1, 1, 1)
    invent: float = 0.3
    near: float = 0.4
    most_parameters: int = 4
    short: bool = False
    found: float = 0.0
    variants: float = 0.0
    unserved: float = 0.0


@dataclass(frozen=True)
class Ask:
    """A request and what is right: the useful tools, best first, ending in ``generate_response``, and the call."""

    query: str
    now: str | None
    ranking: tuple[str, ...]
    call: ToolCall
    overlap: Overlap
    said: tuple[str, ...] = ()


@dataclass(frozen=True)
class World:
    """Tools in the order to show them, ``generate_response`` among them, and requests."""

    tools: tuple[Tool, ...]
    asks: tuple[Ask, ...]


def draw_world(rng: Random, words: Lexicon, level: Level, asks: int) -> World:
    """A world of ``level.k`` tools (and ``generate_response``) with that many requests."""
    made, outside, siblings = _tools(rng, words, level)
    shown = [m.tool for m in made] + [GENERATE_RESPONSE_TOOL]
    rng.shuffle(shown)
    found: list[Ask] = []
    for _ in range(asks):
        if rng.random() < level.unserved:
            found.append(_unserved(rng, outside, level))
        else:
            target = rng.choice(made)
            found.append(_served(rng, target, siblings.get(target.tool.name), level))
    return World(tuple(shown), tuple(found))


def _tools(
    rng: Random, words: Lexicon, level: Level
) -> tuple[list[MadeTool], list[MadeTool], dict[str, MadeTool]]:
    """The tools of a list, some that are not in it, and of each tool the plainer or richer version in the list."""
    house = rng.choice(STYLES)
    concepts: list[Concept] = []
    keys: set[tuple[str, str, str]] = set()
    names: set[str] = {GENERATE_RESPONSE}
    made: list[MadeTool] = []
    siblings: dict[str, MadeTool] = {}
    while len(made) < level.k + 3:
        if concepts and rng.random() < level.near:
            concept = relative_of(rng.choice(concepts), rng, words, level.invent, level.found)
        else:
            concept = draw_concept(rng, words, level.invent, level.found)
        key = (concept.action.names[0], concept.thing.words[0], str(concept.qualifier))
        style = house if rng.random() < 0.7 else rng.choice(STYLES)
        arguments = draw_parameters(rng, level.most_parameters)
        if level.found:
            arguments = worded(rng, arguments, words.found, level.found / 2)
        tool = make_tool(rng, concept, arguments, style, level.short)
        if key in keys or tool.tool.name in names:
            continue
        concepts.append(concept)
        keys.add(key)
        names.add(tool.tool.name)
        made.append(tool)
        if len(made) < level.k and rng.random() < level.variants:
            taken = frozenset(p.name for p in tool.parameters)
            more = tuple(p for p in draw_parameters(rng, 2, taken) if p.kind != "boolean")
            known = {lead for p in tool.parameters for lead in p.leads}
            more = tuple(p for p in more if not known & set(p.leads))
            other = make_tool(rng, concept, tool.parameters + more, rng.choice(STYLES), level.short)
            if more and other.tool.name not in names:
                names.add(other.tool.name)
                made.append(other)
                siblings[tool.tool.name], siblings[other.tool.name] = other, tool
    return made[: level.k], made[level.k :], siblings


def draw_now(rng: Random) -> datetime:
    """Some day's morning or evening."""
    return datetime(2024, 1, 1, 8) + timedelta(days=rng.randrange(1000), minutes=5 * rng.randrange(144))


@dataclass(frozen=True)
class Request:
    """What a user says to a tool: the sentence, its arguments by name, and when, if the sentence needs it."""

    query: str
    now: str | None
    said: dict[str, Said]
    overlap: Overlap

    def can(self, tool: MadeTool) -> bool:
        """Whether a call of ``tool`` can be written from what was said."""
        return all(p.name in self.said for p in tool.parameters if p.required)

    def call_of(self, tool: MadeTool) -> ToolCall:
        """The call of a tool with all that it can take of what was said."""
        order = [p.name for p in tool.parameters if p.name in self.said]
        return ToolCall.of(tool.tool.name, {name: self.said[name].value for name in order})


def draw_request(rng: Random, target: MadeTool, sibling: MadeTool | None, level: Level) -> Request:
    """A request that ``target`` serves best, of two versions the richer one if it says what only that can take."""
    now = draw_now(rng)
    both = {p.name for p in (sibling or target).parameters}
    said = draw_values(rng, target.parameters, now, {p.name for p in target.parameters} - both)
    overlap: Overlap = rng.choices(("copy", "mixed", "synonym"), level.overlap)[0]
    sentence = _sentence(rng, target, [s.text for s in said.values()], overlap, level.short)
    return Request(sentence, told(rng, now, said), said, overlap)


def draw_values(
    rng: Random, parameters: Sequence[Parameter], now: datetime, always: Set[str] = frozenset()
) -> dict[str, Said]:
    """Values for all required arguments, those of ``always`` and half of the others."""
    return {
        p.name: say_value(p, rng, now)
        for p in parameters
        if p.required or p.name in always or rng.random() < 0.5
    }


def told(rng: Random, now: datetime, said: Mapping[str, Said]) -> str | None:
    """The date of a request, as records have it: where a value needs it, and now and then where none does."""
    needed = any(s.relative for s in said.values())
    return now.strftime("%Y-%m-%dT%H:%M") if needed or rng.random() < 0.1 else None


def _served(rng: Random, target: MadeTool, sibling: MadeTool | None, level: Level) -> Ask:
    request = draw_request(rng, target, sibling, level)
    useful = [target.tool.name]
    if sibling is not None and request.can(sibling):
        useful.append(sibling.tool.name)
    return Ask(
        request.query,
        request.now,
        (*useful, GENERATE_RESPONSE),
        request.call_of(target),
        request.overlap,
        tuple(s.text for s in request.said.values()),
    )


def _unserved(rng: Random, outside: Sequence[MadeTool], level: Level) -> Ask:
    answer = ToolCall.of(GENERATE_RESPONSE)
    if rng.random() < 0.25:
        return Ask(rng.choice(SMALL_TALK), None, (GENERATE_RESPONSE,), answer, "none")
    ask = _served(rng, rng.choice(outside), None, level)
    return Ask(ask.query, ask.now, (GENERATE_RESPONSE,), answer, "none")


SMALL_TALK = (
    "Hello there!",
    "Thanks, that was helpful.",
    "What is the meaning of life?",
    "Tell me a joke.",
    "Who wrote Hamlet?",
    "Why is the sky blue?",
    "What can you do?",
    "How are you today?",
    "Explain in one sentence what a prime number is.",
    "Good morning, nice to meet you.",
)

PLAIN_FRAMES = 12
"""How many of the templates of requests are plain: the first of the file."""


def _sentence(rng: Random, target: MadeTool, fragments: list[str], overlap: Overlap, short: bool) -> str:
    concept = target.concept
    copied = {"copy": (True, True), "synonym": (False, False)}.get(overlap)
    copy_verb, copy_noun = copied or rng.choice(((True, False), (False, True)))
    others = [v for v in (*concept.action.names, *concept.action.says) if v != target.verb]
    verb = target.verb if copy_verb or not others else rng.choice(others)
    nouns = [n for n in concept.thing.words if n != target.noun]
    noun = target.noun if copy_noun or not nouns else rng.choice(nouns)
    qualifier = ""
    if concept.qualifier:
        qualifier = concept.qualifier[0] if overlap != "synonym" else rng.choice(concept.qualifier[1])
    thing = f"{qualifier} {noun}".strip()
    rng.shuffle(fragments)
    frames = templates("requests")
    if short or rng.random() < 0.3:
        frames = frames[:PLAIN_FRAMES]
    frame = "{verb} {a_thing}{rest}." if overlap == "copy" and rng.random() < 0.3 else rng.choice(frames)
    return fill_frame(rng, frame, verb, thing, fragments)


def fill_frame(rng: Random, frame: str, verb: str, thing: str, fragments: Sequence[str]) -> str:
    """A sentence of a template's words, the thing and the values that are said (``fragments``)."""
    rest = "".join(f" {f}" if rng.random() < 0.75 else f", {f}" for f in fragments)
    text = frame.format(verb=verb, thing=thing, a_thing=article(thing), rest=rest)
    if fragments and rng.random() < 0.15:
        first = fragments[0]
        rest = "".join(f" {f}" for f in fragments[1:])
        text = f"{first[:1].upper()}{first[1:]}, {verb} the {thing}{rest}."
    return text[:1].upper() + text[1:]
