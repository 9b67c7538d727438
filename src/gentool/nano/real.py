"""Tools that are not made up: operations of installed packages, and the train groups of the open dataset."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path
from random import Random

from gentool import data
from gentool.catalog.importer import import_tools
from gentool.catalog.pairs import read_pairs
from gentool.nano.lexicon import held_out
from gentool.nano.worlds import Ask, World
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
MOST_PARAMETERS = 5
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
    """A tool as nano's prompts can hold it: the first sentence, the required arguments and a few more."""
    sentence = re.split(r"(?<=[.!?])\s", tool.description.strip(), maxsplit=1)[0][:MOST_CHARACTERS]
    properties = tool.parameters.get("properties", {})
    required = [name for name in tool.parameters.get("required", []) if name in properties]
    kept = list(dict.fromkeys([*required, *properties]))[: max(MOST_PARAMETERS, len(required))]
    schema = {"type": "object", "properties": {name: properties[name] for name in kept}}
    function = Function(
        name=tool.name,
        description=sentence,
        parameters={**schema, **({"required": required} if required else {})},
    )
    return Tool(function=function, source=tool.source)


def real_tools(seed: int) -> list[Tool]:
    """Shortened operations of the packages that are installed, none with a word that is held out; maybe none."""
    found: list[Tool] = []
    for package in PLACES:
        files = _installed(package)
        seeded("nano real", seed, package).shuffle(files)
        if files:
            found += import_tools(files[:FILES]).tools
    kept = (_shortened(tool) for tool in found if not name_words(tool.name) & held_out())
    return [
        tool
        for tool in kept
        if len(tool.description.split()) >= 4 and len(tool.parameters["properties"]) <= 12
    ]


def document_words(tools: Sequence[Tool]) -> tuple[str, ...]:
    """The words of some tools' names and descriptions, none that is held out, in the order of the alphabet."""
    texts = (text for tool in tools for text in (tool.name, tool.description))
    words = {word for text in texts for word in name_words(text)} - held_out()
    return tuple(sorted(word for word in words if 3 <= len(word) <= 14))


def cloze_world(rng: Random, tools: Sequence[Tool], k: int, asks: int) -> World:
    """Real tools; a request is a part of one tool's description, so that only rankings are to be asked."""
    chosen = {tool.name: tool for tool in rng.sample(tools, min(k, len(tools)))}
    shown = [*chosen.values(), GENERATE_RESPONSE_TOOL]
    rng.shuffle(shown)
    made = []
    for _ in range(asks):
        tool = rng.choice(list(chosen.values()))
        words = tool.description.rstrip(".").split()
        begin = rng.randrange(max(1, len(words) - 5))
        part = [w for w in words[begin : begin + rng.randint(4, 12)] if rng.random() < 0.85] or words
        ranking = (tool.name, GENERATE_RESPONSE)
        made.append(Ask(" ".join(part), None, ranking, ToolCall.of(GENERATE_RESPONSE), "copy"))
    return World(tuple(shown), tuple(made))


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
