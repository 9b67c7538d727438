"""Plain texts that reward looking back: repeated words, lists of pairs asked again."""

from __future__ import annotations

from random import Random

from gentool.nano.lexicon import Lexicon, invented, word_lists


def _some_word(rng: Random, words: Lexicon) -> str:
    if rng.random() < 0.5:
        return invented(rng)
    pools = word_lists("values")
    return rng.choice(
        (rng.choice(words.things).words[0], rng.choice(pools["word"]), rng.choice(pools["place"]))
    )


def repeated(rng: Random, words: Lexicon) -> str:
    """Words, and the same words again; now and then in parts."""
    line = [_some_word(rng, words) for _ in range(rng.randint(4, 14))]
    parts = [" ".join(line)]
    for _ in range(rng.randint(1, 3)):
        begin = rng.randrange(0, max(1, len(line) - 3))
        parts.append(" ".join(line[begin : begin + rng.randint(3, len(line))]))
    return "\n".join(parts)


def recalled(rng: Random, words: Lexicon) -> str:
    """Pairs, and the pairs again in another order: what stood beside a word is asked for."""
    style = rng.choice(("{}: {}", "{} = {}", '"{}": "{}"', "{} -> {}"))
    pairs = [(_some_word(rng, words), invented(rng)) for _ in range(rng.randint(2, 8))]
    again = [rng.choice(pairs) for _ in range(rng.randint(3, 10))]
    return "\n".join([", ".join(style.format(*p) for p in pairs), ", ".join(style.format(*p) for p in again)])
