"""Tools that are not made up: operations of installed packages, and groups of the open dataset."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence, Set
from pathlib import Path
from random import Random

from gentool import data
from gentool.catalog.importer import import_tools
from gentool.catalog.pairs import read_pairs
from gentool.nano.lexicon import held_out, templates
from gentool.nano.tools import draw_parameters, joined, with_arguments, worded
from gentool.nano.worlds import Ask, World, draw_now, draw_values, fill_frame, told
from gentool.prompting.order import seeded
from gentool.records import (
    GENERATE_RESPONSE,
    GENERATE_RESPONSE_TOOL,
    Function,
    GradedQuery,
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
MOST_CHARACTERS = 320
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


def _sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.!?])\s+", text.strip())


def _shortened(tool: Tool) -> Tool:
    """A tool's name and the first sentences of its description, without arguments: :func:`cloze_world` draws some."""
    kept = ""
    for sentence in _sentences(tool.description):
        if kept and len(kept) + len(sentence) > MOST_CHARACTERS:
            break
        kept = f"{kept} {sentence}".strip()
    return Tool(function=Function(name=tool.name, description=kept[:MOST_CHARACTERS]), source=tool.source)


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


def cloze_world(rng: Random, tools: Sequence[Tool], k: int, asks: int, words: Sequence[str] = ()) -> World:
    """Real names and documents with made-up arguments, half of them named by ``words``.

    A request says a few words that only one tool's document has, among words of a document that is not shown, and the
    values.
    """
    short = rng.random() < 0.5
    drawn = (_varied(rng, tool, short) for tool in rng.sample(tools, min(k, len(tools))))
    chosen = list({tool.name: tool for tool in drawn}.values())
    arguments = [worded(rng, draw_parameters(rng, 4), words, 0.5) for _ in chosen]
    made = [with_arguments(tool, own) for tool, own in zip(chosen, arguments, strict=True)]
    telling = [_telling(tool) for tool in chosen]
    found = []
    for _ in range(asks):
        n = rng.randrange(len(made))
        now = draw_now(rng)
        said = draw_values(rng, arguments[n], now)
        others = {word for m, of in enumerate(telling) if m != n for word in of}
        own = [word for word in telling[n] if word not in others] or telling[n]
        texts = [s.text for s in said.values()]
        query = _request(rng, own, telling[n], rng.choice(tools), others, texts)
        call = ToolCall.of(made[n].name, {name: value.value for name, value in said.items()})
        ranking = (call.name, GENERATE_RESPONSE)
        found.append(Ask(query, told(rng, now, said), ranking, call, "mixed", tuple(texts)))
    shown = [*made, GENERATE_RESPONSE_TOOL]
    rng.shuffle(shown)
    return World(tuple(shown), tuple(found))


def _varied(rng: Random, tool: Tool, short: bool) -> Tool:
    """The tool under its name or the last words of it in some convention; ``short``: with one sentence only."""
    name, parts = tool.name, [word.lower() for word in _WORD.findall(tool.name)][-rng.randint(2, 4) :]
    if len(parts) > 1 and rng.random() < 0.5:
        name = joined(rng.choice(("snake", "camel", "kebab")), parts)
    description = _sentences(tool.description)[0] if short else tool.description
    return Tool(function=Function(name=name, description=description), source=tool.source)


def _request(
    rng: Random,
    own: Sequence[str],
    telling: Sequence[str],
    other: Tool,
    others: Set[str],
    texts: Sequence[str],
) -> str:
    """Words of one document, at least one of them its ``own``, in a template or in a sentence of another tool's."""
    hints = {*_some(rng, own, rng.randint(1, 3)), *_some(rng, telling, rng.randint(0, 3))}
    said = [_inflected(rng, word) for word in sorted(hints)]
    rng.shuffle(said)
    if rng.random() < 0.4:
        noise = _some(rng, _telling(other), rng.randint(0, len(said)))
        mixed = _some(rng, [*said, *noise], len(said) + len(noise))
        return fill_frame(rng, rng.choice(templates("requests")), mixed[0], " ".join(mixed[1:]), texts)
    sentence = rng.choice(_sentences(other.description)).split()[: rng.randint(4, 24)]
    pieces = [word for word in sentence if not set(map(str.lower, _WORD.findall(word))) & others]
    for piece in [" ".join(said)] if rng.random() < 0.4 else said:
        pieces.insert(rng.randint(0, len(pieces)), piece)
    for text in texts:
        pieces.insert(rng.randint(0, len(pieces)), text)
    return " ".join(pieces).rstrip(".,:") + rng.choice((".", "?", "", "!"))


def _inflected(rng: Random, word: str) -> str:
    """The word, now and then in another form."""
    if rng.random() < 0.7:
        return word
    return word[:-1] if word.endswith("s") else word + rng.choice(("s", "s", "ing", "ed"))


def _some(rng: Random, words: Sequence[str], most: int) -> list[str]:
    return rng.sample(words, min(most, len(words)))


def open_pairs(groups: Sequence[str]) -> list[ToolPair]:
    """The open dataset's pairs of some groups; none where it is not compiled."""
    file = data.OPEN / "pairs.jsonl.gz"
    return [pair for pair in read_pairs(file) if pair.group in groups] if file.is_file() else []


def served_world(rng: Random, pairs: Sequence[ToolPair], k: int, asks: int) -> World:
    """One tool each of some pairs of different domains, and requests that these serve fully: no change is shown."""
    by_domain = {pair.domain: pair for pair in rng.sample(pairs, len(pairs))}
    chosen = rng.sample(list(by_domain.values()), min(k, len(by_domain)))
    shown: list[Tool] = []
    served: list[tuple[GradedQuery, Tool]] = []
    for pair in chosen:
        tool = rng.choice(pair.tools)
        shown.append(tool)
        served += [(q, tool) for q in pair.queries if q.grades.get(tool.name) == "full"]
    found = [
        Ask(q.query, q.now, target_ranking(q, (tool.name,)), target_call(q, (tool,)), "mixed")
        for q, tool in rng.sample(served, min(asks, len(served)))
    ]
    tools = [*shown, GENERATE_RESPONSE_TOOL]
    rng.shuffle(tools)
    return World(tuple(tools), tuple(found))


def open_world(rng: Random, pairs: Sequence[ToolPair], k: int, asks: int) -> World:
    """Requests of one pair, both of its tools shown among tools of pairs of other domains."""
    pair = rng.choice(pairs)
    mine = list(pair.tools)
    others = [tool for other in pairs if other.domain != pair.domain for tool in other.tools]
    shown = [*mine, *rng.sample(others, min(len(others), max(0, k - len(mine)))), GENERATE_RESPONSE_TOOL]
    rng.shuffle(shown)
    names = tuple(tool.name for tool in mine)
    made = [
        Ask(q.query, q.now, target_ranking(q, names), target_call(q, tuple(mine)), "mixed")
        for q in rng.sample(pair.queries, min(asks, len(pair.queries)))
    ]
    return World(tuple(shown), tuple(made))
