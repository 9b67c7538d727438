"""The words that tool worlds are made of. Some are held out: only the exam's worlds use them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

WORDS = Path(__file__).parent / "words"


@dataclass(frozen=True)
class Action:
    """``names``: verbs of names and descriptions; ``says``: what users say instead."""

    names: tuple[str, ...]
    says: tuple[str, ...]


@dataclass(frozen=True)
class Thing:
    """What a tool is about; ``words`` are synonyms, the first its usual name."""

    words: tuple[str, ...]
    domain: str


@dataclass(frozen=True)
class Lexicon:
    """The words of one side: for training, or for the exam."""

    actions: tuple[Action, ...]
    things: tuple[Thing, ...]
    invents: bool
    """Whether words that mean nothing may be things and actions too."""
    found: tuple[str, ...] = ()
    """Words of real documents, to be used as if they meant nothing."""


def _lines(name: str) -> Iterator[str]:
    for line in (WORDS / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            yield line.strip()


def _parts(text: str, separator: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(separator) if part.strip())


@cache
def templates(name: str) -> tuple[str, ...]:
    """A file of sentences with places for words in braces."""
    return tuple(_lines(name))


@cache
def word_lists(name: str) -> dict[str, tuple[str, ...]]:
    """A file of lines ``key: a, b, c``."""
    return {line.partition(":")[0]: _parts(line.partition(":")[2], ",") for line in _lines(name)}


@cache
def said_also(name: str) -> dict[str, tuple[tuple[str, tuple[str, ...]], ...]]:
    """A file of lines ``key: a (x, y), b (z)``: the words of each key, with those in brackets."""
    found = {}
    for line in _lines(name):
        key, _, rest = line.partition(":")
        entries = [entry.partition("(") for entry in _parts(rest, "),")]
        found[key] = tuple((e[0].strip(), _parts(e[2].removesuffix(")"), ",")) for e in entries)
    return found


@cache
def qualifiers() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Adjectives of things, each with what users say instead."""
    return tuple(
        (line.partition("|")[0].strip(), _parts(line.partition("|")[2], ",")) for line in _lines("qualifiers")
    )


@cache
def lexicon(exam: bool = False) -> Lexicon:
    """The words of training; with ``exam`` those held out, which training never shows."""
    actions = []
    for line in _lines("actions"):
        if line.startswith("*") == exam:
            names, _, says = line.lstrip("* ").partition("|")
            actions.append(Action(_parts(names, ","), _parts(says, ",")))
    things = []
    for line in _lines("things"):
        domain, _, rest = line.lstrip("* ").partition(":")
        for entry in _parts(rest, ","):
            if (line.startswith("*") or entry.startswith("*")) == exam:
                things.append(Thing(_parts(entry.lstrip("* "), "/"), domain))
    return Lexicon(tuple(actions), tuple(things), invents=not exam)


def _own_words(side: Lexicon) -> set[str]:
    phrases = [name for action in side.actions for name in action.names]
    phrases += [thing.words[0] for thing in side.things]
    return {word for phrase in phrases for word in phrase.replace("-", " ").split()}


@cache
def held_out() -> frozenset[str]:
    """Words of the exam's tool names that no name in training has."""
    return frozenset(_own_words(lexicon(exam=True)) - _own_words(lexicon()))


_STARTS = [
    "b",
    "c",
    "d",
    "f",
    "g",
    "h",
    "k",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "t",
    "v",
    "z",
    "br",
    "cl",
    "dr",
    "fl",
    "gr",
    "kr",
    "pl",
    "st",
    "tr",
]
_VOWELS = ["a", "e", "i", "o", "u", "ai", "ea", "io", "ou"]
_ENDS = ["n", "r", "l", "s", "t", "m", "x", "nd", "rt", "sk", "lm"]


def invented(rng: Random) -> str:
    """A word that means nothing."""
    syllables = [rng.choice(_STARTS) + rng.choice(_VOWELS) for _ in range(rng.choice((1, 2, 2)))]
    word = "".join(syllables) + rng.choice(_ENDS)
    return invented(rng) if word in held_out() else word
