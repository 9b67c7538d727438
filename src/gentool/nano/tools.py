"""Tools made of an action, a thing, a qualifier and arguments: names, descriptions and schemas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from gentool.nano.lexicon import Action, Lexicon, Thing, invented, qualifiers, templates
from gentool.nano.values import Parameter, make_parameter, parameters
from gentool.records import Function, Tool


@dataclass(frozen=True)
class Concept:
    """What a tool does, before it has a name."""

    action: Action
    thing: Thing
    qualifier: tuple[str, tuple[str, ...]] | None


@dataclass(frozen=True)
class MadeTool:
    """A tool, what it was made of, and the words that its document uses."""

    tool: Tool
    concept: Concept
    parameters: tuple[Parameter, ...]
    verb: str
    noun: str


def draw_concept(rng: Random, words: Lexicon, invent: float, found: float = 0.0) -> Concept:
    """``invent``: share of words that mean nothing, where the lexicon has such; ``found``: share of these that are
    words of real documents."""

    def word() -> str:
        return rng.choice(words.found) if found and words.found and rng.random() < found else invented(rng)

    share = invent if words.invents else 0.0
    verb = word()
    action = Action((verb,), (verb,)) if rng.random() < share / 2 else rng.choice(words.actions)
    thing = Thing((word(),), "any") if rng.random() < share else rng.choice(words.things)
    return Concept(action, thing, rng.choice(qualifiers()) if rng.random() < 0.2 else None)


def relative_of(concept: Concept, rng: Random, words: Lexicon, invent: float, found: float = 0.0) -> Concept:
    """Another concept that shares the thing, the action, or both but the qualifier."""
    other = draw_concept(rng, words, invent, found)
    kind = rng.random()
    if kind < 0.5:
        return Concept(other.action, concept.thing, other.qualifier)
    if kind < 0.85:
        return Concept(concept.action, other.thing, other.qualifier)
    return Concept(concept.action, concept.thing, rng.choice(qualifiers()))


def draw_parameters(rng: Random, most: int, taken: frozenset[str] = frozenset()) -> tuple[Parameter, ...]:
    """Up to ``most`` arguments, no two that a request could not tell apart."""
    pool = [entry for entry in parameters() if entry[1] not in taken]
    found: list[Parameter] = []
    leads: set[str] = set()
    for kind, name, said in rng.sample(pool, k=min(len(pool), rng.randint(0, most) if most else 0)):
        own = tuple(lead for lead in said if lead not in leads)
        if own:
            found.append(make_parameter(kind, name, own, rng.random() < 0.6))
            leads.update(said)
    return tuple(found)


LEADS = ("{}", "{}:", "with {}", "the {} is", "for the {}", "as {}")
"""How a value is said to be of an argument that is named by words."""


def worded(
    rng: Random, made: Sequence[Parameter], words: Sequence[str], share: float
) -> tuple[Parameter, ...]:
    """That share of the arguments named by one or two of the words and said with them: names to read, not to know."""
    found: dict[str, Parameter] = {}
    for parameter in made:
        if words and parameter.kind not in ("enum", "object") and rng.random() < share:
            parts = rng.sample(words, min(len(words), rng.choice((1, 1, 2))))
            forms = LEADS[:3] if parameter.kind == "boolean" else LEADS
            leads = tuple(form.format(" ".join(parts)) for form in forms)
            parameter = replace(parameter, name=joined(rng.choice(("snake", "camel")), parts), leads=leads)
        found.setdefault(parameter.name, parameter)
    return tuple(found.values())


def with_arguments(tool: Tool, made: tuple[Parameter, ...]) -> Tool:
    """The tool with these arguments instead of its own."""
    function = tool.function.model_copy(update={"parameters": _schema(made)})
    return tool.model_copy(update={"function": function})


def _schema(made: tuple[Parameter, ...]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": {p.name: dict(p.schema) for p in made}}
    required = [p.name for p in made if p.required]
    return {**schema, "required": required} if required else schema


STYLES = ("snake", "camel", "kebab", "noun_first", "prefixed")


def tool_name(style: str, verb: str, noun: str, qualifier: str, domain: str) -> str:
    """A name of the parts in a convention."""
    parts = " ".join([verb, qualifier, noun]).replace("-", " ").split()
    if style == "noun_first":
        parts = " ".join([qualifier, noun, verb]).replace("-", " ").split()
    if style == "prefixed":
        parts = [domain, *parts]
    return joined(style, parts)


def joined(style: str, parts: Sequence[str]) -> str:
    """Words as a name in a convention: ``camel``, ``kebab``, else with underscores; at most 64 characters."""
    if style == "camel":
        return (parts[0] + "".join(part.capitalize() for part in parts[1:]))[:64]
    return ("-" if style == "kebab" else "_").join(parts)[:64].lower()


def third_person(verb: str) -> str:
    """``carry`` -> ``carries``."""
    if verb.endswith("y") and verb[-2:-1] not in "aeiou":
        return verb[:-1] + "ies"
    return verb + ("es" if verb.endswith(("s", "sh", "ch", "x", "z", "o")) else "s")


def article(words: str) -> str:
    return f"{'an' if words[:1].lower() in 'aeiou' else 'a'} {words}"


def _description(rng: Random, verb: str, noun: str, qualifier: str, domain: str, short: bool) -> str:
    thing = f"{qualifier} {noun}".strip()
    if short:
        return f"{verb.capitalize()} {article(thing)}."
    template = rng.choice(templates("descriptions"))
    verbs = third_person(verb)
    text = template.format(
        verb=verb,
        verbs=verbs,
        Verb=verb.capitalize(),
        Verbs=verbs.capitalize(),
        thing=thing,
        a_thing=article(thing),
        domain=domain,
    )
    return text[:1].upper() + text[1:]


def make_tool(
    rng: Random, concept: Concept, made: tuple[Parameter, ...], style: str, short: bool = False
) -> MadeTool:
    """A tool of a concept; its name and its description may use different synonyms. ``short``: plainest texts."""
    nouns = [word for word in concept.thing.words if len(word.split()) <= 2] or list(concept.thing.words)
    verb, noun = rng.choice(concept.action.names), nouns[0]
    qualifier = concept.qualifier[0] if concept.qualifier else ""
    doc_verb = verb if short or rng.random() < 0.6 else rng.choice(concept.action.names)
    doc_noun = noun if short or rng.random() < 0.7 else rng.choice(concept.thing.words)
    domain = concept.thing.domain
    tool = Tool(
        function=Function(
            name=tool_name(style, verb, noun, qualifier, domain),
            description=_description(rng, doc_verb, doc_noun, qualifier, domain, short),
            parameters=_schema(made),
        )
    )
    return MadeTool(tool, concept, made, doc_verb, doc_noun)
