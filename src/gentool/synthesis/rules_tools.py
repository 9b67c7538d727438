"""Weaker and stronger versions of a tool by plain rules: what is taken away or added, and what is said of it."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from random import Random
from typing import Any

from gentool.records import Function, Tool, Way
from gentool.synthesis.rules_values import SECRET, UNSAID
from gentool.synthesis.rules_words import (
    label,
    plainer_name,
    request,
    richer_name,
    sentences,
    speaks_of,
    version_name,
)
from gentool.synthesis.text import listed, name_words, words

COARSE = (
    "Answers with a one-line summary.",
    "Gives a short summary only.",
    "The result is one line of text.",
)
"""What is said of a tool whose result has no details."""

COARSE_ACTIONS = (
    "Answers only whether it worked.",
    "Gives no more than a yes or no.",
    "Says only that it is done.",
)
"""The same of a tool that does something instead of telling something."""

_OLD = ("First version of the service, still running.", "From the first release, kept in service.")
_MOST = 3
"""Sentences that a weaker tool's description has at most, before what it cannot do."""

_LISTS = re.compile(r"\b(?:list|search|find|query|browse|discover|all|recent|latest|top)\b", re.IGNORECASE)
_ACTIONS = frozenset(
    listed(
        "create add insert update modify edit delete remove send post upload set write move rename book schedule "
        "publish "
        "submit cancel assign start stop run execute deploy install register put click press open close share save"
    )
)
_SUMS = frozenset(
    listed(
        "calculate compute convert estimate predict multiply divide subtract sum average analyze analyse solve"
    )
)


def coarse(tool: Tool) -> bool:
    """Does the tool say that its result has no details?"""
    return any(sentence in tool.description for sentence in (*COARSE, *COARSE_ACTIONS))


def acts(tool: Tool) -> bool:
    """Does the tool do something, rather than tell something?"""
    return bool(set(name_words(tool.name)) & _ACTIONS or request(tool).partition(" ")[0] in _ACTIONS)


def _properties(tool: Tool) -> dict[str, Any]:
    properties = tool.parameters.get("properties", {})
    return {n: s if isinstance(s, dict) else {} for n, s in properties.items()}


def _schema(tool: Tool, keep: Sequence[str], required: Sequence[str]) -> dict[str, Any]:
    """The tool's parameters with only those of ``keep``; a copy, so that it can be changed."""
    made = copy.deepcopy(tool.parameters)
    made["properties"] = {n: s for n, s in made.get("properties", {}).items() if n in keep}
    made.pop("required", None)
    made.pop("examples", None)
    if required:
        made["required"] = [n for n in keep if n in required]
    return made


def _description(tool: Tool, dropped: Sequence[str], more: Sequence[str], most: int = _MOST) -> str:
    """What is left of a description without the sentences on dropped parameters; the first one always stays."""
    properties = _properties(tool)
    said = sentences(tool.description)
    kept = [
        s for i, s in enumerate(said) if i == 0 or not any(speaks_of(s, n, properties[n]) for n in dropped)
    ]
    if not kept:
        plain = " ".join(name_words(tool.name))
        kept = [f"{plain[:1].upper()}{plain[1:]}."]
    first = kept[0] if kept[0][-1] in ".!?" else f"{kept[0]}."
    return " ".join([first[:1].upper() + first[1:], *kept[1:most], *more])


def _listed(labels: Sequence[str]) -> str:
    return labels[0] if len(labels) == 1 else f"{', '.join(labels[:-1])} and {labels[-1]}"


def _narrowed(schema: dict[str, Any], rng: Random) -> str:
    """Take choices away in ``schema``: half of an enum, or the upper part of a number. What is left, in words."""
    choices = schema.get("enum")
    if isinstance(choices, list) and len(choices) >= 3 and all(isinstance(c, str) for c in choices):
        keep = [c for c in choices if c == schema.get("default")] + [
            c for c in choices if c != schema.get("default")
        ]
        keep = keep[: max(2, len(choices) // 2)] if len(choices) > 3 else keep[:2]
        schema["enum"] = [c for c in choices if c in keep]
        return f"only {_listed(schema['enum'])}"
    most = schema.get("maximum")
    if isinstance(most, int | float) and most >= 20 and not isinstance(most, bool):
        default = schema.get("default")
        cut = max(10, most // 10, default if isinstance(default, int | float) else 0)
        if cut < most:
            schema["maximum"] = cut
            return f"at most {cut}"
    return ""


def weakened(tool: Tool, way: Way, rng: Random) -> tuple[Tool, str]:
    """A weaker tool, and in what way it is; whatever the way, something is always taken away."""
    properties = _properties(tool)
    required = [n for n in tool.parameters.get("required") or () if n in properties]
    optional = [n for n in properties if n not in required]
    rng.shuffle(optional)
    optional.sort(key=lambda n: bool(UNSAID.search(n) or SECRET.search(n)))
    more: list[str] = []
    notes: list[str] = []
    shares = {
        "fewer_filters": 0.7,
        "missing_capability": 0.4,
        "vaguer_description": 0.3,
        "coarser_result": 0.0,
    }
    number = round(shares.get(way, 0.5) * len(optional))
    if optional and way != "coarser_result":
        number = max(1, number)
    dropped = optional[:number]
    demanded = (
        [n for n in optional[number:] if _askable(properties[n])][:1] if way == "more_manual_input" else []
    )
    keep = [n for n in properties if n not in dropped]
    schema = _schema(tool, keep, [*required, *demanded])
    for name in demanded:
        schema["properties"][name].pop("default", None)
        notes.append(f"{label(name, properties[name])} has to be given")
    if way == "smaller_coverage":
        for name in keep:
            left = _narrowed(schema["properties"][name], rng) if properties[name] else ""
            if left:
                more.append(f"Of {label(name, properties[name])} it takes {left}.")
                notes.append(more[-1][0].lower() + more[-1][1:-1])
                break
    if way == "older_version":
        more.append(rng.choice(_OLD))
    asked_for = [n for n in dropped if not (UNSAID.search(n) or SECRET.search(n))]
    plain = way == "coarser_result" or not (asked_for or (way == "smaller_coverage" and notes))
    if way == "vaguer_description" or plain:
        for value in schema["properties"].values():
            if isinstance(value, dict) and not value.get("enum"):
                value.pop("description", None)
    if dropped:
        gone = _listed([label(n, properties[n]) for n in dropped])
        notes.insert(0, f"it does not take {gone}")
        if way == "missing_capability":
            more.append(f"No choice of {gone}.")
    if plain:
        more.append(rng.choice(COARSE_ACTIONS if acts(tool) else COARSE))
        notes.append("its result is a summary without details")
    name = version_name(tool.name, 1) if way == "older_version" else plainer_name(tool.name, rng)
    most = 1 if way == "vaguer_description" or plain else _MOST
    description = _description(tool, dropped, more, most)
    if way == "vaguer_description":
        description = _vague(description, more)
    made = Function(name=name, description=description, parameters=schema)
    return Tool(function=made, domain=tool.domain, source=tool.source), "; ".join(notes) + "."


def _askable(schema: dict[str, Any]) -> bool:
    return schema.get("type") in ("string", "integer", "number") or "enum" in schema


def _vague(description: str, more: Sequence[str]) -> str:
    """The beginning of the first sentence, up to where it goes into particulars."""
    first = sentences(description)[0]
    short = re.split(
        r"\s+(?:using|via|with|based on|including|such as|by|from|for|that|which)\s|[,;:(]", first
    )[0]
    short = short if len(words(short)) >= 3 else first
    return " ".join([f"{short.rstrip('.!?')}.", *more])


def _extras(tool: Tool) -> list[tuple[str, dict[str, Any], str]]:
    """Parameters that a richer version could have: name, schema, and the sentence that tells of it."""
    parts = set(name_words(tool.name))
    said = f"{' '.join(name_words(tool.name))} {(sentences(tool.description) or [''])[0]}"
    found: list[tuple[str, dict[str, Any], str]] = []
    if acts(tool):
        found += [
            (
                "dry_run",
                {"type": "boolean", "default": False, "description": "Only show what would happen"},
                "A dry run shows what would happen.",
            ),
            (
                "notify_email",
                {"type": "string", "format": "email", "description": "Address to notify when done"},
                "Notifies an email address when it is done.",
            ),
            (
                "audit_comment",
                {"type": "string", "description": "Comment for the change log"},
                "A comment for the change log can be added.",
            ),
        ]
    elif parts & _SUMS:
        found += [
            (
                "decimal_places",
                {"type": "integer", "minimum": 0, "maximum": 30, "description": "Number of decimal places"},
                "The number of decimal places can be chosen.",
            ),
            (
                "show_steps",
                {"type": "boolean", "default": False, "description": "Explain the steps"},
                "Explains the steps on request.",
            ),
        ]
    elif _LISTS.search(said) or (parts & {"get", "fetch"} and name_words(tool.name)[-1].endswith("s")):
        found += [
            ("max_results", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20,
                             "description": "Maximum number of results"}, "The number of results can be limited."),
            ("sort_order", {"type": "string", "enum": ["newest", "oldest", "relevance", "alphabetical"],
                            "default": "relevance", "description": "Order of the results"},
             "Results come in the order asked for."),
            ("updated_after", {"type": "string", "format": "date", "description": "Only what changed after this day"},
             "Can be narrowed to entries updated after a day."),
        ]  # fmt: skip
    found += [
        ("output_format", {"type": "string", "enum": ["text", "table", "csv", "json"], "default": "text",
                           "description": "Format of the result"}, "The result comes as text, table, CSV or JSON."),
        ("answer_language", {"type": "string", "enum": ["English", "French", "German", "Spanish"],
                             "default": "English", "description": "Language of the result"},
         "The result can be had in four languages."),
    ]  # fmt: skip
    taken = {w for n in _properties(tool) for w in name_words(n)} - {"max", "order", "by", "after", "show"}
    similar = {
        "limit": "results",
        "count": "results",
        "n": "results",
        "size": "results",
        "sort": "sort",
        "lang": "language",
    }
    taken |= {similar[w] for w in taken if w in similar}
    return [extra for extra in found if not taken & set(name_words(extra[0]))]


def strengthened(tool: Tool, way: Way, rng: Random) -> tuple[Tool, str]:
    """A version of the tool that takes more, and what that is."""
    extras = _extras(tool)
    chosen = extras[:1] + rng.sample(extras[1:], min(1, len(extras) - 1)) if extras else []
    if not chosen:
        chosen = [("deadline_seconds", {"type": "integer", "minimum": 1, "description": "Seconds to wait at most"},
                   "Gives up after a number of seconds.")]  # fmt: skip
    schema = copy.deepcopy(tool.parameters)
    properties = schema.setdefault("properties", {})
    style = restyle_for(list(properties))
    added = {style(name): parameter for name, parameter, _ in chosen}
    properties.update(added)
    said = sentences(tool.description)
    description = tool.description.strip() if said else _description(tool, [], [])
    stop = "" if description[-1] in ".!?" else "."
    description = f"{description}{stop} {' '.join(sentence for _, _, sentence in chosen)}"
    name = version_name(tool.name, 2) if way == "older_version" else richer_name(tool.name, rng)
    labels = [label(n, s) for n, s in added.items()]
    made = Function(name=name, description=description, parameters=schema)
    return Tool(function=made, domain=tool.domain, source=tool.source), f"it does not take {_listed(labels)}."


def restyle_for(names: Sequence[str]) -> Any:
    """A function that writes a name in the style of ``names``: camelCase if these are, else snake_case."""
    camel = any(re.search(r"[a-z][A-Z]", n) for n in names)

    def style(name: str) -> str:
        first, *rest = name.split("_")
        return first + "".join(p.capitalize() for p in rest) if camel else name

    return style
