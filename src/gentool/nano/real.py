"""Tools that are not made up: operations of installed packages, and groups of the open dataset."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path
from random import Random

from gentool import data
from gentool.catalog.importer import import_tools
from gentool.catalog.pairs import read_pairs
from gentool.nano.lexicon import held_out, templates
from gentool.nano.tools import draw_parameters, with_arguments
from gentool.nano.worlds import Ask, World, draw_now, draw_values, fill_frame, told
from gentool.prompting.order import seeded
from gentool.records import (
    GENERATE_RESPONSE,
    GENERATE_RESPONSE_TOOL,
    Function,
    Tool,
    ToolCall,
    ToolPair,
)
from gentool.scenarios.targets import target_call, target_ranking

PLACES = {
    "botocore": ("data", "*/*/service-2.json*"),
    "googleapiclient": ("discovery_cache/documents", "*.json"),
}
"""Package -> folder of its API descriptions, and their names; both packages are under Apache-2.0."""

FILES = 80
MOST_CHARACTERS = 160
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")


def name_words(name: str) -> set[str]:
    """The words of a name in any convention, in small letters."""
    return {word.lower() for word in _WORD.findall(name)}


def _installed(package: str) -> list[Path]:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return []
    folder, pattern = PLACES[package]
    return sorted((Path(spec.submodule_search_locations[0]) / folder).glob(pattern))


def _shortened(tool: Tool) -> Tool:
    """A tool's name and the first sentence of its description, without arguments: :func:`cloze_world` draws some."""
    sentence = re.split(r"(?<=[.!?])\s", tool.description.strip(), maxsplit=1)[0][:MOST_CHARACTERS]
    return Tool(function=Function(name=tool.name, description=sentence), source=tool.source)


def real_tools(seed: int) -> list[Tool]:
    """Shortened operations of the packages that are installed, none with a word that is held out; maybe none."""
    found: list[Tool] = []
    for package in PLACES:
        files = _installed(package)
        seeded("nano real", seed, package).shuffle(files)
        if files:
            found += import_tools(files[:FILES]).tools
    kept = (_shortened(tool) for tool in found if not name_words(tool.name) & held_out())
    return [tool for tool in kept if len(tool.description.split()) >= 4 and len(_telling(tool)) >= 2]


def _telling(tool: Tool) -> list[str]:
    """The words of a tool's name and document that say something, by their length."""
    return [word.lower() for word in _WORD.findall(f"{tool.name} {tool.description}") if len(word) >= 4]


def document_words(tools: Sequence[Tool]) -> tuple[str, ...]:
    """The words of some tools' names and descriptions, none that is held out, in the order of the alphabet."""
    texts = (text for tool in tools for text in (tool.name, tool.description))
    words = {word for text in texts for word in name_words(text)} - held_out()
    return tuple(sorted(word for word in words if 3 <= len(word) <= 14))


def cloze_world(rng: Random, tools: Sequence[Tool], k: int, asks: int) -> World:
    """Real names and documents with made-up arguments. A request has some words of one tool's, out of a document
    that is not shown some that mislead, and the values."""
    chosen = list({tool.name: tool for tool in rng.sample(tools, min(k, len(tools)))}.values())
    arguments = [draw_parameters(rng, 4) for _ in chosen]
    made = [with_arguments(tool, own) for tool, own in zip(chosen, arguments, strict=True)]
    found = []
    for _ in range(asks):
        n = rng.randrange(len(made))
        now = draw_now(rng)
        said = draw_values(rng, arguments[n], now)
        hints = _some(rng, _telling(chosen[n]), rng.randint(2, 6))
        noise = _some(rng, _telling(rng.choice(tools)), rng.randint(0, len(hints)))
        words = _some(rng, [*hints, *noise], len(hints) + len(noise))
        texts = [s.text for s in said.values()]
        query = fill_frame(rng, rng.choice(templates("requests")), words[0], " ".join(words[1:]), texts)
        call = ToolCall.of(made[n].name, {name: value.value for name, value in said.items()})
        ranking = (made[n].name, GENERATE_RESPONSE)
        found.append(Ask(query, told(rng, now, said), ranking, call, "mixed", tuple(texts)))
    shown = [*made, GENERATE_RESPONSE_TOOL]
    rng.shuffle(shown)
    return World(tuple(shown), tuple(found))


def _some(rng: Random, words: Sequence[str], most: int) -> list[str]:
    return rng.sample(words, min(most, len(words)))


def open_pairs(groups: Sequence[str]) -> list[ToolPair]:
    """The open dataset's pairs of some groups; none where it is not compiled."""
    file = data.OPEN / "pairs.jsonl.gz"
    return [pair for pair in read_pairs(file) if pair.group in groups] if file.is_file() else []


def open_world(rng: Random, pairs: Sequence[ToolPair], k: int, asks: int, both: bool = False) -> World:
    """Requests of one pair, among tools of pairs of other domains; ``both``: both of its tools are shown."""
    pair = rng.choice(pairs)
    mine = list(pair.tools) if both else rng.sample(pair.tools, rng.choice((0, 1, 2, 2)))
    others = [tool for other in pairs if other.domain != pair.domain for tool in other.tools]
    shown = [*mine, *rng.sample(others, min(len(others), max(0, k - len(mine)))), GENERATE_RESPONSE_TOOL]
    rng.shuffle(shown)
    names = tuple(tool.name for tool in mine)
    made = [
        Ask(q.query, q.now, target_ranking(q, names), target_call(q, tuple(mine)), "mixed")
        for q in rng.sample(pair.queries, min(asks, len(pair.queries)))
    ]
    return World(tuple(shown), tuple(made))
