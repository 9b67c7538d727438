"""The numbers that a text says, in digits or in English words, and what they come to in other units."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gentool.synthesis.text import fold, listed

_SMALL = {
    word: float(value)
    for value, word in enumerate(
        listed(
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
            "seventeen eighteen nineteen"
        )
    )
} | {
    word: float(value)
    for value, word in zip(
        range(20, 100, 10), listed("twenty thirty forty fifty sixty seventy eighty ninety"), strict=True
    )
}
_ORDINALS = {
    word: float(value)
    for value, word in enumerate(
        listed("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"), start=1
    )
} | {"thirteenth": 13.0, "fifteenth": 15.0, "twentieth": 20.0, "thirtieth": 30.0}
_SCALES = {"hundred": 1e2, "thousand": 1e3, "grand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
_SUFFIXES = {
    "k": 1e3,
    "m": 1e6,
    "mn": 1e6,
    "mio": 1e6,
    "bn": 1e9,
    "b": 1e9,
    "lakh": 1e5,
    "crore": 1e7,
} | _SCALES
_OTHER = {
    "no": 0.0,
    "none": 0.0,
    "nobody": 0.0,
    "without": 0.0,
    "direct": 0.0,
    "a": 1.0,
    "an": 1.0,
    "another": 1.0,
    "single": 1.0,
    "once": 1.0,
    "only": 1.0,
    "just": 1.0,
    "myself": 1.0,
    "latest": 1.0,
    "newest": 1.0,
    "today": 1.0,
    "yesterday": 1.0,
    "couple": 2.0,
    "pair": 2.0,
    "both": 2.0,
    "double": 2.0,
    "twice": 2.0,
    "weekend": 2.0,
    "triple": 3.0,
    "thrice": 3.0,
    "quartet": 4.0,
    "week": 7.0,
    "weekly": 7.0,
    "quarterly": 4.0,
    "monthly": 12.0,
    "dozen": 12.0,
    "fortnight": 14.0,
    "half": 0.5,
    "quarter": 0.25,
    "quarters": 0.25,
    "thirds": 1 / 3,
}
_VALUES = _SMALL | _ORDINALS | _OTHER

_UNITS: dict[str, tuple[float, ...]] = {
    "second": (1 / 60, 1e3),
    "sec": (1 / 60, 1e3),
    "minute": (60, 1 / 60, 60e3),
    "min": (60, 1 / 60),
    "hour": (60, 3600, 1 / 24),
    "hr": (60, 3600, 1 / 24),
    "h": (60, 3600),
    "day": (24, 1440, 86400, 1 / 7),
    "week": (7, 168, 604800),
    "fortnight": (14, 2),
    "month": (30, 31, 1 / 12, 4),
    "year": (12, 365, 52),
    "yr": (12, 365),
    "decade": (10, 120),
    "century": (100,),
    "km": (1e3,),
    "kilometer": (1e3,),
    "kilometre": (1e3,),
    "meter": (1e-3, 100),
    "metre": (1e-3, 100),
    "m": (1e-3, 100),
    "cm": (10, 1e-2),
    "mm": (0.1, 1e-3),
    "kg": (1e3,),
    "kilo": (1e3,),
    "g": (1e-3,),
    "gram": (1e-3,),
    "ton": (1e3,),
    "tonne": (1e3,),
    "liter": (1e3,),
    "litre": (1e3,),
    "ml": (1e-3,),
    "gb": (1024, 1e3),
    "mb": (1024, 1e3, 1 / 1024),
    "tb": (1024, 1e3),
    "dozen": (12,),
    "percent": (0.01,),
    "%": (0.01,),
    "dollar": (100,),
    "euro": (100,),
    "pound": (100,),
    "foot": (12,),
    "feet": (12,),
}
"""What a number of a unit comes to in the units that a parameter may want instead."""

_PERIODS = frozenset(listed("second minute hour day week fortnight month year decade"))

_MONEY = (
    r"\b(\d+)\s*(?:euros?|dollars?|bucks|pounds?|quid|francs?|eur|usd|gbp|chf)\s+(\d{2})\b"
    r"(?!\s*(?:euro|dollar|pound|%))"
)

_TOKEN = re.compile(
    r"\d{1,3}(?:[,.'’\u00a0\u202f]\d{3})+(?:[.,]\d+)?(?!\d)|\d{1,3}(?: \d{3})+(?!\d)|\d+[.,]\d+|\d+|[a-z]+|[%/^+−-]"
)


def _digits(token: str) -> set[float]:
    """What a token of digits may mean: 1,250 and 1.250 are read the English and the continental way."""
    bare = re.sub(r"['’\u00a0\u202f ]", "", token)
    grouped = (
        " " in token or token.count(",") > 1 or re.fullmatch(r"\d+,\d{1,2}", token)
    )  # two numbers, as likely as one
    values = {float(part) for part in re.findall(r"\d+", token)} if grouped else set()
    marks = re.findall(r"[.,]", bare)
    for thousands, point in ((",", "."), (".", ",")):
        if len(marks) > 1 and (
            bare.count(point) > 1 or (point in bare and bare.rindex(point) < bare.rindex(marks[-1]))
        ):
            continue
        plain = bare.replace(thousands, "").replace(point, ".")
        if plain.count(".") < 2:
            values.add(float(plain))
    return values


def _tokens(text: str) -> list[tuple[str, set[float]]]:
    """Words and numbers of ``text`` in order, each with what it may mean as a number."""
    tokens = [m[0] for m in _TOKEN.finditer(fold(text).replace("½", " 1/2"))]
    return [(t, _digits(t) if t[0].isdigit() else {_VALUES[t]} if t in _VALUES else set()) for t in tokens]


def _groups(tokens: list[tuple[str, set[float]]]) -> Iterator[tuple[set[float], int]]:
    """Numbers put together from several words (two hundred and fifty), each with the index after it."""
    i = 0
    while i < len(tokens):
        values, j = _compound(tokens, i)
        if values:
            yield values, j
        i = max(i + 1, j)


def _compound(tokens: list[tuple[str, set[float]]], i: int) -> tuple[set[float], int]:
    """The number that begins at ``i``, as far as it goes."""
    token, values = tokens[i]
    if not values:
        return ({_SCALES[token]}, i + 1) if token in _SCALES else (set(), i)
    if token[0].isdigit():
        j = i + 1
        while j < len(tokens) and tokens[j][0] in _SUFFIXES:
            values, j = values | {v * _SUFFIXES[tokens[j][0]] for v in values}, j + 1
        return values, j
    total, current, j = 0.0, next(iter(values)), i + 1
    while j < len(tokens):
        word, more = tokens[j]
        value = next(iter(more), None)
        if word in _SCALES:
            current *= _SCALES[word]
            if _SCALES[word] >= 1e3:
                total, current = total + current, 0.0
        elif word in ("dozen", "couple", "pair") and value:
            current *= value
        elif (
            word in _SMALL | _ORDINALS
            and value is not None
            and _fits(total + current, value, tokens[j - 1][0])
        ):
            current += value
        elif not _joins(word, tokens[j - 1][0], tokens[j + 1][0] if j + 1 < len(tokens) else ""):
            break
        j += 1
    return ({total + current} if j > i + 1 else values), j


def _joins(word: str, before: str, after: str) -> bool:
    """May ``word`` stand within a number: twenty-five, hundred and six; not five and six?"""
    return after in _SMALL | _ORDINALS and (word == "-" or (word == "and" and before in _SCALES))


def _fits(so_far: float, value: float, before: str) -> bool:
    """May ``value`` follow: five after twenty, fifty after hundred; not six after five."""
    if before in _SCALES or before == "and":
        return value < 100
    return value < 10 and so_far % 100 >= 20 and so_far % 10 == 0


def numbers_in(text: str) -> set[float]:
    """All numbers that ``text`` says, with their negatives, and what they come to in other units."""
    tokens = _tokens(text)
    found: set[float] = set()
    for m in re.finditer(_MONEY, fold(text)):  # 12 euros 80
        found.add(float(f"{m[1]}.{m[2]}"))
    for m in re.finditer(r"\b(\d{3})0['’]?s\b", text):  # the 1920s
        found |= {float(f"{m[1]}0"), float(f"{m[1]}9")}
    for m in re.finditer(r"(?<![\w.])\d+(?:\.\d+)?e[-+]?\d{1,2}\b", fold(text)):
        found.add(float(m[0]))
    for word, _ in tokens:  # the past decade, per hour
        found |= {1.0, *_UNITS[word]} if word in _PERIODS else set()
    for values, end in _groups(tokens):
        said = set(values)
        before = {word for word, _ in tokens[max(0, end - 4) : end - 1]}
        if before & {"fewer", "less", "under", "below", "before"}:
            said |= {v - 1 for v in values}
        elif before & {"more", "over", "above", "after", "exceeding"}:
            said |= {v + 1 for v in values}
        rest = [word for word, _ in tokens[end : end + 5]]
        if rest[:2] == ["and", "a"] or rest[:2] == ["and", "an"]:  # two and a half hours
            said |= {v + part for v in values for part in _parts(rest[2:3])}
            rest = rest[3:] if _parts(rest[2:3]) else rest
        elif rest[1:4] == ["and", "a", "half"]:  # an hour and a half
            said |= {v + 0.5 for v in values}
        elif rest[:1] == ["/"] and tokens[end + 1 : end + 2] and tokens[end + 1][1]:
            said |= {v / w for v in values for w in tokens[end + 1][1] if w}
        elif rest[:1] in (["quarters"], ["thirds"], ["quarter"]):
            said |= {v * part for v in values for part in _parts(rest[:1])}
        rest = [word for word in rest if word not in ("an", "a", "of", "the", "-")]
        factors = _UNITS.get(rest[0], _UNITS.get(rest[0].removesuffix("s"), ())) if rest else ()
        found |= said | {v * f for v in said for f in factors}
    if re.search(r"[$€£¥]", text):
        found |= {v * 100 for v in found}
    return {round(v, 9) for v in found} | {round(-v, 9) for v in found}


def _parts(rest: list[str]) -> set[float]:
    return {_VALUES[word] for word in rest if word in ("half", "quarter", "quarters", "thirds")}
