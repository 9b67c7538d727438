"""Gives each tool of a catalogue a name of its own that OpenAI accepts, and finds the way back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import count

from gentool.jsonl import content_hash
from gentool.records import GENERATE_RESPONSE, NAME_PATTERN

_LONGEST = 64
_LONGEST_SLUG = 24
_VALID = re.compile(NAME_PATTERN)


def valid_name(original: str) -> str:
    """``original`` with each character that is not allowed replaced by ``_``, at most 64 long.

    Where this leaves too little of it, a hash of ``original`` stands in.
    """
    if _VALID.fullmatch(original):
        return original
    name = re.sub(r"[^a-zA-Z0-9_-]", "_", original)
    if not re.search(r"[a-zA-Z0-9]", name):
        return f"tool_{content_hash(original, 8)}"
    if len(name) > _LONGEST:
        return _with_suffix(name, content_hash(original, 8))
    return name


def _with_suffix(name: str, suffix: str) -> str:
    return f"{name[: _LONGEST - 1 - len(suffix)]}_{suffix}"


def _slug(server: str | None) -> str:
    slug = re.sub(r"[^a-z0-9]+", "_", (server or "").lower()).strip("_")
    if len(slug) <= _LONGEST_SLUG:
        return slug
    start = slug[: _LONGEST_SLUG + 1]
    return start.rpartition("_")[0] or start[:_LONGEST_SLUG]


def unique_names(tools: Sequence[tuple[str, str | None]]) -> list[str]:
    """A name for each ``(original name, server)``, all different, none that of the default tool.

    The first tool of a name keeps it. A later one gets its server as a suffix, and a number where that is not
    enough. No tool loses its valid name to one whose name had to be changed.
    """
    valid = {original for original, _ in tools if _VALID.fullmatch(original)}
    taken = {GENERATE_RESPONSE}
    numbers: dict[str, count[int]] = {}
    names = []
    for original, server in tools:
        name = valid_name(original)
        if name in taken or (name != original and name in valid):
            slug = _slug(server)
            base = name
            name = _with_suffix(base, slug) if slug else base
            # One counter per stem: a thousand tools of one name would else be a million look-ups.
            numbered = numbers.setdefault(name, count(2))
            while name in taken or name in valid:
                name = _with_suffix(base, f"{slug}_{next(numbered)}".lstrip("_"))
        taken.add(name)
        names.append(name)
    return names


def name_repairs(original: str, name: str) -> list[str]:
    """What was done to ``original`` to make it ``name``, for a person to read."""
    repairs = []
    mapped = valid_name(original)
    if mapped != original:
        repairs.append(f"name not valid: {original!r} became {mapped!r}")
    if name != mapped:
        kind = "name reserved for the default tool" if mapped == GENERATE_RESPONSE else "name already taken"
        repairs.append(f"{kind}: {mapped!r} became {name!r}")
    return repairs


def original_name(name: str, names: Mapping[str, str]) -> str:
    """What a tool was called where it comes from; ``names`` is that of the import."""
    return names.get(name, name)
