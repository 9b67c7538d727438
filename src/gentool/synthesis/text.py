"""Words of a text in a plain form, so that two ways of writing one thing compare equal."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache


def listed(words_in_a_row: str) -> tuple[str, ...]:
    """The words of a constant that is written as one text."""
    return tuple(words_in_a_row.split())


STOP_WORDS = frozenset(
    listed(
        "a an and any are as at be been but by can could did do does for from get give had has have hey hi how i "
        "id if im in into is it its ive just kindly let like may me might my need of on one or our out please pls "
        "should show so some tell thank thanks that the their them then there these they this to up us want was we "
        "were what when where which who will with would you your"
    )
)
"""Words that say little about what a text is about."""

_APOSTROPHE = re.compile(r"['’](?:s\b)?")
_WORD = re.compile(r"[^\W_]+")
_JOINTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def fold(text: str) -> str:
    """``text`` without case and accents, in compatibility form: full-width digits become digits."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()


def words(text: str) -> list[str]:
    """The words of a text, folded, without punctuation, apostrophes and possessive s."""
    return _WORD.findall(_APOSTROPHE.sub("", fold(text)))


def name_words(name: str) -> list[str]:
    """The words of an identifier: ``getUser_byId`` is get, user, by, id."""
    return words(_JOINTS.sub(" ", name))


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """A word without its commonest English endings: plural, -ing, -ed. Not a dictionary's stem."""
    made = word
    if len(word) > 4 and word.endswith(("ies", "ied")):
        made = word[:-3] + "y"
    elif len(word) > 5 and word.endswith("ing"):
        made = _single(word[:-3])
    elif len(word) > 4 and word.endswith("ed"):
        made = _single(word[:-2])
    elif len(word) > 3 and word.endswith("es"):
        made = word[:-2]
    elif len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        made = word[:-1]
    return made[:-1] if len(made) > 3 and made.endswith("e") else made


def _single(word: str) -> str:
    """``tipp`` (of tipped) becomes ``tip``; ``call`` and ``pass`` stay."""
    doubled = len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiouslz"
    return word[:-1] if doubled else word


def one_slip(first: str, second: str) -> bool:
    """Are two words the same but for one letter that is missing, extra, wrong or swapped with its neighbour?"""
    short, long = sorted((first, second), key=len)
    if len(long) - len(short) > 1:
        return False
    i = next((k for k, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    if len(short) < len(long):
        return short[i:] == long[i + 1 :]
    swapped = short[i + 1 : i + 2] + short[i : i + 1] + short[i + 2 :]
    return short[i + 1 :] == long[i + 1 :] or swapped == long[i:]


def stems(text: str) -> list[str]:
    """The stems of the words of ``text``, in order."""
    return [stem(word) for word in words(text)]


def content_stems(text: str) -> list[str]:
    """Stems of the words that say what ``text`` is about; of all words if none does."""
    return [stem(word) for word in words(text) if word not in STOP_WORDS] or stems(text)
