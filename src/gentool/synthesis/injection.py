"""Text in a tool's definition that speaks to the model that reads it instead of describing the tool."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from gentool.records import Tool

_PATTERNS: tuple[tuple[str, str], ...] = (
    (
        "tells the reader to drop its instructions",
        r"\b(?:ignore|disregard|forget|override|bypass)\b(?:\W+(?:all|any|the|your|my|these|those|of|and)){0,4}\W+"
        r"(?:previous|prior|earlier|preceding|above|foregoing|other|system|safety|existing)\W+(?:\w+\W+)?"
        r"(?:instructions?|prompts?|rules?|directions?|guidelines?|messages?|context|tools?|policies)\b",
    ),
    (
        "gives the reader a new role",
        r"\byou are (?:now|no longer)\b|\bfrom now on,? you\b|"
        r"\b(?:act|behave) as (?:if you (?:are|were)|an? unrestricted)\b|"
        r"\bnew (?:system )?instructions\s*:",
    ),
    (
        "asks for the prompt or for secrets",
        r"\b(?:reveal|print|output|repeat|leak|disclose|exfiltrate|show)\b\W+(?:\w+\W+){0,3}"
        r"(?:system prompt|hidden prompt|your (?:instructions|prompt)|developer message)\b",
    ),
    (
        "demands to be called whatever is asked",
        r"\b(?:always|must(?: always)?)\W+(?:call|use|invoke|choose|select|prefer|pick|run)\W+this"
        r"(?:\W+(?:tool|function))?"
        r"(?:\W+(?:instead of|over|rather than)\W+(?:any|all|every|other)|\W+(?:for|on) (?:every|all|any) "
        r"(?:request|query|question|message|task)s?|\W+(?:regardless|no matter|whatever|even if|in any case))"
        r"|\b(?:never|do not|don't)\W+(?:call|use|invoke|choose|select)\W+(?:any|the)\W+other\W+(?:tool|function)s?\b"
        # "When a user asks for opening hours, always call this tool" is a condition, and usual; without one it is not.
        r"|(?:^|[.!?:\n])(?:(?!\b(?:if|when|whenever|before|after)\b)[^.!?:\n])*\balways\W+(?:call|use|invoke|choose|select)\W+"
        r"this\W+(?:tool|function)\b(?![^.\n]{0,80}\b(?:if|when|whenever|before|after|once|to|for|with)\b)",
    ),
    (
        "hides something from the user",
        r"\b(?:do not|don't|never|without)\W+(?:tell|telling|mention|mentioning|inform|informing|notify|notifying|"
        r"reveal|revealing)\W+(?:\w+\W+){0,4}?(?:the|your) (?:user|human|person)\b",
    ),
    (
        "has tags of a conversation's roles",
        r"<\|?/?(?:im_start|im_end|system|assistant|user|endoftext|eot_id|start_header_id|tool_call)\|?>|\[/?INST\]|"
        r"<<SYS>>|"
        r"^[ \t]{0,20}#{0,3}[ \t]{0,9}(?:system|assistant)[ \t]{0,9}:\s*\S|</?(?:important|secret|instructions?)>",
    ),
    (
        "has HTML or JavaScript that runs",
        r"<\s{0,9}/?\s{0,9}(?:script|iframe|object|embed|svg|style|link|meta)\b[^>]{0,300}>|<\s{0,9}img\b[^>]{0,300}\bon\w+\s*=|"
        r"\bjavascript\s*:\s*[\w(]|<[^<>]{1,300}\bon(?:error|load|click|mouseover)\s*=",
    ),
)
_COMPILED = [(what, re.compile(pattern, re.IGNORECASE | re.MULTILINE)) for what, pattern in _PATTERNS]

# Zero-width, bidirectional and tag characters; joiners only where they do not join emoji or scripts that need them.
_INVISIBLE = re.compile(
    "[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\U000e0000-\U000e007f]|"
    "(?<=[a-zA-Z0-9 ])[\u200c\u200d\ufeff]|[\u0000-\u0008\u000b\u000c\u000e-\u001f]"
)


def invisible(text: str) -> str:
    """The first character of ``text`` that nobody sees and a tokenizer reads, as U+XXXX; empty if there is none."""
    found = _INVISIBLE.search(text)
    return f"U+{ord(found[0]):04X}" if found else ""


def injections(text: str) -> list[str]:
    """What speaks to the reader in ``text``: each with the words that gave it away."""
    found = [(what, pattern.search(text)) for what, pattern in _COMPILED]
    problems = [f"it {what}: {match[0].strip()[:80]!r}" for what, match in found if match]
    hidden = invisible(text)
    return [*problems, f"it has an invisible character ({hidden})"] if hidden else problems


def tool_texts(tool: Tool) -> Iterator[tuple[str, str]]:
    """All texts of a tool that a model reads, each with its field."""
    yield "tool.name", tool.name
    yield "tool.description", tool.description
    yield from _texts(tool.parameters, "tool.parameters")


def _texts(value: Any, at: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{at}.{key[:40]}", key
            yield from _texts(inner, f"{at}.{key[:40]}")
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _texts(inner, f"{at}.{i}")
    elif isinstance(value, str):
        yield at, value
    elif value is not None and not isinstance(value, bool | int | float):
        yield at, json.dumps(value, default=str)
