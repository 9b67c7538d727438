"""What is each value of a call grounded in: the query, the current date, a default, an enum, or nothing at all?

English is understood (numbers in words, dates, times, units); in other languages a value is found if the query
has it as it is, and a teacher quotes the words that it follows from otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any

from gentool.evaluation.match import same_value
from gentool.records import Tool
from gentool.synthesis.codes import other_forms
from gentool.synthesis.dates import MONTHS, WEEKDAYS, Said, said_in
from gentool.synthesis.numbers import numbers_in
from gentool.synthesis.records import CallDraft, Ground, QueryDraft
from gentool.synthesis.text import STOP_WORDS, fold, name_words, one_slip, stem, words

_LONG = 5
"""A text of at least that many words need not have all of them from the query, but ``_SHARE`` of them."""
_SHARE = 0.75

_ORDER: tuple[Ground, ...] = ("none", "derived", "enum", "boolean", "default", "now", "query")
_STRENGTH = {ground: i for i, ground in enumerate(_ORDER)}

_DATE = re.compile(
    r"(\d{4})-(\d{2})(?:-(\d{2}))?(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
)
_OTHER_DATE = re.compile(r"(\d{1,4})[/.](\d{1,2})[/.](\d{1,4})")
_TIME = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?\s*(am|pm)?", re.IGNORECASE)
_IDENTIFIER = re.compile(r"(?=.*\d)(?=.*[^\W\d_])\S+")
_AMOUNT = re.compile(r"[\d.,:]+[^\W\d_%°]{1,4}|[^\W\d]{1,3}[\d.,]+")
_PLAIN_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Evidence:
    """A query, read for what its words, numbers and dates are."""

    text: str
    now: datetime | None = None

    @cached_property
    def words(self) -> list[str]:
        return words(self.text)

    @cached_property
    def stems(self) -> frozenset[str]:
        return frozenset(stem(word) for word in self.words)

    @cached_property
    def phrase(self) -> str:
        return f" {' '.join(stem(word) for word in self.words)} "

    @cached_property
    def squeezed(self) -> tuple[str, frozenset[int]]:
        """The words without what stands between them, and where words begin and end in that."""
        ends = [0]
        for word in self.words:
            ends.append(ends[-1] + len(word))
        return "".join(self.words), frozenset(ends)

    @cached_property
    def numbers(self) -> frozenset[float]:
        return frozenset(numbers_in(self.text)) | frozenset(float(n) for n in self.said.lengths)

    @cached_property
    def said(self) -> Said:
        return said_in(self.text, self.now)

    def has_squeezed(self, value: str) -> bool:
        """Are the letters and digits of ``value`` in the query, from the beginning of a word to the end of one?"""
        inner = "".join(words(value))
        text, ends = self.squeezed
        start = text.find(inner) if inner else -1
        while start >= 0:
            # Scripts that do not part words have no such ends.
            if not inner.isascii() or (start in ends and start + len(inner) in ends):
                return True
            start = text.find(inner, start + 1)
        return False

    def has_phrase(self, term: str) -> bool:
        inner = " ".join(stem(word) for word in words(term))
        return f" {inner} " in self.phrase if inner else term in fold(self.text)

    def has_word(self, word: str) -> bool:
        """Is a word in the query, in another form, spelling or language code, or as a number or weekday?"""
        stemmed = stem(word)
        if stemmed in self.stems or any(self.has_phrase(form) for form in other_forms(word) if len(form) > 2):
            return True
        if _PLAIN_NUMBER.fullmatch(word):
            year = self.now.year if self.now else None
            return float(word) in self.numbers or float(word) == year
        if len(word) < 5 or not word.isalpha():
            return False
        return any(_related(stemmed, known) for known in self.stems if len(known) >= 4)


def _related(first: str, second: str) -> bool:
    """Is one stem the beginning of the other (photograph, photography), or one slip of the keys away from it?"""
    short, long = sorted((first, second), key=len)
    if long.startswith(short) and len(short) >= 4 and len(long) - len(short) <= 4:
        return True
    return short[0] == long[0] and len(short) >= 5 and one_slip(short, long)


def _resolved(schema: Any, root: Any, depth: int = 0) -> dict[str, Any]:
    """A schema with its reference followed, where that stays within the tool."""
    if not isinstance(schema, dict) or depth > 16:
        return {}
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#"):
        found = root
        for part in reference[1:].strip("/").split("/") if reference != "#" else []:
            found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
        return _resolved(found, root, depth + 1)
    return schema


def _branches(schema: Any, root: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    """A schema and those it is put together from (``anyOf``, ``oneOf``, ``allOf``)."""
    schema = _resolved(schema, root)
    yield schema
    for key in ("anyOf", "oneOf", "allOf") if depth < 8 else ():
        for inner in schema.get(key) or ():
            yield from _branches(inner, root, depth + 1)


def _weakest(grounds: list[Ground]) -> Ground:
    return min(grounds, key=_STRENGTH.__getitem__, default="default")


def ground_value(value: Any, schema: Any, evidence: Evidence, root: Any = None) -> Ground:
    """What ``value`` is grounded in; the weakest of its parts for an object or array, ``default`` if it has none.

    ``root`` is the schema of all parameters, in which references are looked up.
    """
    branches = list(_branches(schema, root))
    if isinstance(value, dict | list) and value:
        whole: list[Any] = [b["default"] for b in branches if "default" in b]
        if any(same_value(value, default) for default in whole):
            return "default"
        return _weakest(list(_parts(value, branches, evidence, root)))
    if value is None or value == [] or value == {} or value == "":
        return "default"
    if isinstance(value, bool):
        return "boolean"
    found = _said(value, evidence)
    if found != "none":
        return found
    if any("default" in b and same_value(value, b["default"]) for b in branches):
        return "default"
    choices = [
        choice
        for b in branches
        for choice in [*(b.get("enum") or ()), *([b["const"]] if "const" in b else ())]
    ]
    if any(same_value(value, choice) for choice in choices):
        other = any(_chosen(choice, evidence) for choice in choices) and not _traced(value, evidence)
        return "none" if other else "enum"
    return "none"


def _traced(value: Any, evidence: Evidence) -> bool:
    """Is a word of a choice in the query: wind, of wind_speed?"""
    return isinstance(value, str) and any(len(w) > 2 and evidence.has_word(w) for w in name_words(value))


def _chosen(choice: Any, evidence: Evidence) -> bool:
    """Does the query name a choice as it is? Then another one, of which it has no trace, is wrong."""
    plain = " ".join(name_words(choice)) if isinstance(choice, str) else ""
    return len(plain) >= 3 and evidence.has_phrase(plain)


def _parts(value: Any, branches: list[dict[str, Any]], evidence: Evidence, root: Any) -> Iterator[Ground]:
    if isinstance(value, list):
        items: Any = next((b["items"] for b in branches if isinstance(b.get("items"), dict)), {})
        for part in value:
            yield ground_value(part, items, evidence, root)
        return
    properties = {k: v for b in branches for k, v in (b.get("properties") or {}).items()}
    for key, part in value.items():
        if key not in properties:
            yield _said(key, evidence)
        yield ground_value(part, properties.get(key, {}), evidence, root)


def _said(value: str | int | float, evidence: Evidence) -> Ground:
    """``query`` or ``now`` if the query says the value, on its own or counted from the current date; else ``none``."""
    if isinstance(value, int | float):
        try:
            return _said_number(float(value), evidence)
        except OverflowError:  # an integer of hundreds of digits
            return "none"
    if _says_text(value, evidence):
        return "query"
    return _said_time(value.strip(), evidence)


def _said_number(value: float, evidence: Evidence) -> Ground:
    if round(value, 9) in evidence.numbers:
        return "query"
    said = evidence.said
    for days, ground in ((said.absolute, "query"), (said.relative if evidence.now else (), "now")):
        if any(value in (day.year, day.month, day.day) for day in days):
            return "now" if ground == "now" else "query"
    return "query" if (value, 0) in said.times and value == int(value) else "none"


def _says_text(value: str, evidence: Evidence) -> bool:
    """Does the query have the words of ``value``, in whatever order, form and spelling?"""
    terms = words(value)
    folded = fold(value).strip()
    if any(evidence.has_phrase(form) for form in other_forms(folded) if len(form) > 2 or not form.isalpha()):
        return True
    if not terms:
        return value.strip() in evidence.text
    if len(folded) <= 2 and folded in STOP_WORDS:  # IT and US are codes, "it" and "us" are not
        return (
            re.search(rf"\b{re.escape(value.strip())}\b", evidence.text) is not None
            and value.strip().isupper()
        )
    if evidence.has_squeezed(value):
        return True
    if _DATE.fullmatch(value.strip()) or _TIME.fullmatch(value.strip()):
        return False
    terms = [t for t in dict.fromkeys([*terms, *name_words(value)]) if t not in STOP_WORDS] or terms
    if len(name_words(value)) > len(words(value)):  # ORDER_BY and orderBy
        terms = [t for t in name_words(value) if t not in STOP_WORDS] or terms
    if _IDENTIFIER.fullmatch(folded) and not _AMOUNT.fullmatch(folded):
        return _says_identifier(folded, evidence)
    if any(
        any(c.isdigit() for c in t) and not _PLAIN_NUMBER.fullmatch(t) and t not in evidence.stems
        for t in terms
    ):
        terms = [part for t in terms for part in re.findall(r"\d+|[^\W\d_]+", t)]
    missing = [t for t in terms if not evidence.has_word(t)]
    if any(any(c.isdigit() for c in t) for t in missing):
        return False  # no digit is a matter of wording
    return len(missing) <= (1 - _SHARE) * len(terms) if len(terms) >= _LONG else not missing


def _says_identifier(value: str, evidence: Evidence) -> bool:
    """Does the query have the parts of an identifier: order 77 of ORDER-77; not order 7, nor 77 alone?"""
    year = evidence.now.year if evidence.now else None
    parts = [p for p in re.findall(r"\d+|[^\W\d_]+", value) if p not in STOP_WORDS]

    def said(part: str) -> bool:
        if part.isdigit():
            return part in evidence.words or part == str(year)
        return part in evidence.words or (len(part) >= 3 and evidence.has_word(part))

    return any(len(p) >= 3 for p in parts) and all(map(said, parts))


def _said_time(value: str, evidence: Evidence) -> Ground:
    """Is ``value`` a date or a time that the query says, or counts from now?"""
    said = evidence.said
    folded = fold(value)
    if folded in WEEKDAYS or folded in MONTHS:
        days = [*said.absolute, *said.relative]
        names = {WEEKDAYS[d.weekday()] for d in days} | {MONTHS[d.month - 1] for d in days}
        return "now" if folded in names else "none"
    clock = _TIME.fullmatch(value)
    if clock:
        hour = int(clock[1]) % 12 + (12 if clock[4].lower() == "pm" else 0) if clock[4] else int(clock[1])
        return _clock_ground((hour, int(clock[2])), said)
    moments = list(_moments(value))
    grounds: list[Ground] = []
    for day, month_only, at in moments:
        ground = _day_ground(day, month_only, said)
        if ground != "none" and at is not None and at not in ((0, 0), (23, 59)):
            ground = _weakest([ground, _clock_ground(at, said)])
        grounds.append(ground)
    return max(grounds, key=_STRENGTH.__getitem__, default="none")


def _moments(value: str) -> Iterator[tuple[date, bool, tuple[int, int] | None]]:
    """What ``value`` may mean: a day, whether only its month is given, and the time of the day if there is one."""
    iso, other = _DATE.fullmatch(value), _OTHER_DATE.fullmatch(value)
    readings = []
    if iso:
        readings = [(int(iso[1]), int(iso[2]), int(iso[3] or 1))]
    elif other:
        a, b, c = (int(part) for part in other.groups())
        readings = [(a, b, c)] if a > 31 else [(c, b, a), (c, a, b)]
    for year, month, day in readings:
        try:
            at = (int(iso[4]), int(iso[5])) if iso and iso[4] else None
            yield date(year, month, day), bool(iso and not iso[3]), at
        except ValueError:
            continue


def _day_ground(day: date, month_only: bool, said: Said) -> Ground:
    def among(days: frozenset[date]) -> bool:
        return day in days or (month_only and any((d.year, d.month) == (day.year, day.month) for d in days))

    return "query" if among(said.absolute) else "now" if among(said.relative) else "none"


def _clock_ground(at: tuple[int, int], said: Said) -> Ground:
    return "query" if at in said.times else "now" if at in said.times_from_now else "none"


def _quote_problem(value: Any, schema: Any, quote: str, evidence: Evidence, root: Any) -> str:
    """Why a value does not follow from the words that the teacher quotes for it; empty if it may."""
    if not words(quote) or not (evidence.has_squeezed(quote) or fold(quote).strip() in fold(evidence.text)):
        return f"the words {quote[:60]!r}, from which it is said to follow, are not in the query"
    narrow = Evidence(quote, evidence.now)
    for leaf in _leaf_values(value):
        if _said(leaf, narrow) != "none":
            continue
        if _contradicts(leaf, narrow):
            return f"{leaf!r} is not what {quote[:60]!r} says"
        if isinstance(leaf, str) and _invents_digits(leaf, evidence):
            return f"{leaf!r} has digits that the query does not have"
    choices = [c for b in _branches(schema, root) for c in b.get("enum") or ()]
    if any(isinstance(c, str) and words(c) == words(quote) and not same_value(c, value) for c in choices):
        return f"{quote[:60]!r} is another choice than {value!r}"
    return ""


def _invents_digits(leaf: str, evidence: Evidence) -> bool:
    """Dates aside, which may be worked out: are there digits in ``leaf`` that the query does not have?"""
    digits = [n for n in re.findall(r"\d+", leaf) if float(n) not in evidence.numbers]
    return bool(digits) and _said(leaf, evidence) == "none" and not list(_moments(leaf))


def _contradicts(leaf: str | int | float, quote: Evidence) -> bool:
    """Does the quote say outright another number, date or name of the same kind?"""
    said = quote.said
    if isinstance(leaf, int | float):
        plain = [w for w in quote.words if w not in STOP_WORDS]
        return len(plain) == 1 and bool(numbers_in(plain[0]))
    moments = list(_moments(leaf))
    if moments:
        today = quote.now.date() if quote.now else None
        counted = said.relative - {today}
        weekdays = {day.weekday() for day in counted}  # Whit Sunday is a Sunday, though not the next one
        return bool(said.absolute) or bool(
            counted and not any(day.weekday() in weekdays for day, _, _ in moments)
        )
    alike = other_forms(fold(leaf).strip())
    term = fold(quote.text).strip()
    return bool(alike) and bool(other_forms(term)) and term not in alike and term != fold(leaf).strip()


def _leaf_values(value: Any) -> Iterator[str | int | float]:
    if isinstance(value, dict):
        for part in value.values():
            yield from _leaf_values(part)
    elif isinstance(value, list):
        for part in value:
            yield from _leaf_values(part)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield value


def ground_call(tool: Tool, draft: QueryDraft, call: CallDraft) -> tuple[dict[str, Ground], dict[str, str]]:
    """Argument -> what its value is grounded in, and argument -> why it is grounded in nothing."""
    try:
        now = datetime.fromisoformat(draft.now) if draft.now else None
    except ValueError:
        now = None
    evidence = Evidence(draft.query, now)
    properties = tool.parameters.get("properties", {})
    grounds: dict[str, Ground] = {}
    reasons: dict[str, str] = {}
    for name, value in call.arguments.items():
        schema = properties.get(name, {})
        grounds[name] = ground_value(value, schema, evidence, tool.parameters)
        if grounds[name] != "none":
            continue
        quote = call.derived.get(name)
        if quote is None:
            reasons[name] = f"{str(value)[:80]!r} follows from nothing in the query"
            continue
        reason = _quote_problem(value, schema, quote, evidence, tool.parameters)
        if reason:
            reasons[name] = reason
        else:
            grounds[name] = "derived"
    return grounds, reasons
