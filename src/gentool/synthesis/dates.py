"""The dates, times and durations that an English text says, and what they are counted from ``now``."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import chain

from gentool.synthesis.numbers import numbers_in
from gentool.synthesis.text import fold, listed, one_slip

MONTHS = listed("january february march april may june july august september october november december")
WEEKDAYS = listed("monday tuesday wednesday thursday friday saturday sunday")

_MONTH = (
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    r"nov(?:ember)?|dec(?:ember)?)(?![a-z])\.?"
)
_WEEKDAY = (
    r"(mon(?:day)?|tue(?:s(?:day)?)?|wed(?:nesday)?|thu(?:r(?:s(?:day)?)?)?|fri(?:day)?|sat(?:urday)?|"
    r"sun(?:day)?)s?\b"
)
_DAY = r"(\d{1,2})(?:st|nd|rd|th)?"
_JOIN = r"\s*(?:to|and|or|until|till|through|-|–|,|&)\s*"
_NUMBER = r"(\d+|[a-z]+(?:[- ](?:one|two|three|four|five|six|seven|eight|nine))?)"
_UNIT = r"(day|night|week|weekend|fortnight|month|quarter|year)s?\b"

_RELATIVE = re.compile(
    r"\b(?:today|tonight|tomorrow|yesterday|day after tomorrow|day before yesterday|"
    r"(?:this|next|last|past|coming) (?:week|weekend|month|quarter|year|morning|afternoon|evening|night|"
    rf"{_WEEKDAY})|"
    r"(?:in|within|over|for|during) the (?:next|last|past|coming) (?:\w+ ){0,2}"
    r"(?:minute|hour|day|night|week|month|year)s?|"
    r"(?:\w+ )(?:minute|hour|day|night|week|month|year)s? (?:ago|from now)|"
    rf"(?:on|by|until|till|since|before|after|from|every|for) {_WEEKDAY}(?!\s*,?\s*(?:the )?\d))",
    re.IGNORECASE,
)
_HOLIDAYS = {
    "new year": (1, 1),
    "new years day": (1, 1),
    "new years eve": (12, 31),
    "valentines day": (2, 14),
    "halloween": (10, 31),
    "christmas": (12, 25),
    "christmas eve": (12, 24),
    "boxing day": (12, 26),
}
_PARTS_OF_DAY = {
    "morning": (5, 12),
    "breakfast": (6, 10),
    "lunch": (11, 14),
    "afternoon": (12, 18),
    "dinner": (17, 21),
    "evening": (17, 23),
    "tonight": (17, 24),
    "night": (18, 24),
    "overnight": (18, 24),
}


_TYPED = [
    *MONTHS,
    *WEEKDAYS,
    "tomorrow",
    "yesterday",
    "tonight",
    "morning",
    "afternoon",
    "evening",
    "weekend",
]
_ORDINAL = listed("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth")


def _corrected(text: str) -> str:
    """``text`` with slips in the words of the calendar mended, and days written with digits: 1st of february."""

    def mend(m: re.Match[str]) -> str:
        word = m[0]
        return next((w for w in _TYPED if len(word) > 5 and word[0] == w[0] and one_slip(word, w)), word)

    plain = re.sub(r"[a-z]+", mend, fold(text))
    plain = re.sub(r"\b(?:tmrw|tmr|2morrow|tommorrow|tommorow)\b", "tomorrow", plain)
    plain = re.sub(
        rf"\b({'|'.join(_ORDINAL)})(?= (?:of )?{_MONTH})|(?<=\w )({'|'.join(_ORDINAL)})\b(?= of the month)",
        lambda m: f"{_ORDINAL.index(m[1] or m[3]) + 1}th",
        plain,
    )
    return re.sub(rf"\b{_WEEKDAY},?\s+(?:the )?(?=\d)", "", plain)


_FIRST, _LAST = 1000, 9000
"""Years between which dates can be counted from now without leaving the calendar; nobody's now lies beyond."""


def relative_words(text: str) -> str:
    """The first words of ``text`` that mean nothing without the current date, such as "next Friday"; else empty."""
    found = _RELATIVE.search(fold(text))
    return found[0] if found else ""


@dataclass(frozen=True)
class Said:
    """Dates and times (hour, minute) that a text says outright (``absolute``), or counted from now (``relative``)."""

    absolute: frozenset[date]
    relative: frozenset[date]
    times: frozenset[tuple[int, int]]
    times_from_now: frozenset[tuple[int, int]]
    lengths: frozenset[int]
    """Days between its dates, and minutes that it says or that lie between its times and now."""


def _make(year: int, month: int, day: int) -> Iterator[date]:
    try:
        yield date(year if year >= 100 else 2000 + year, month, day)
    except ValueError:
        return


def _month_number(name: str) -> int:
    return next(i for i, month in enumerate(MONTHS, start=1) if month.startswith(name[:3]))


_NUMERIC = re.compile(r"\b(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})|\b(\d{4})(\d{2})(\d{2})\b")
_SHORT = re.compile(r"\b(\d{1,2})[-/.](\d{1,2})(?:[-/.](\d{4}|\d{2})\b)?")
_DAY_MONTH = re.compile(rf"\b{_DAY}(?:{_JOIN}{_DAY})?\s*(?:of\s+)?{_MONTH}(?:,?\s*(\d{{4}}))?")
_MONTH_DAY = re.compile(rf"\b{_MONTH}\s*(?:the\s+)?{_DAY}(?!\d)(?:{_JOIN}{_DAY}(?!\d))?(?:,?\s*(\d{{4}}))?")
_MONTH_ALONE = re.compile(rf"\b{_MONTH}(?:,?\s*(?:of\s+)?(\d{{4}}))?")
_YEAR = re.compile(r"\b((?:19|20)\d\d)\b")


def _absolute(text: str, years: list[int]) -> Iterator[date]:
    """Dates that need no ``now``; where the year is not said, it is one of ``years``."""
    for m in _NUMERIC.finditer(text):
        yield from _make(int(m[1] or m[4]), int(m[2] or m[5]), int(m[3] or m[6]))
    text = _NUMERIC.sub(" ", text)
    for m in _SHORT.finditer(text):
        for year in [int(m[3])] if m[3] else years:
            yield from chain(_make(year, int(m[2]), int(m[1])), _make(year, int(m[1]), int(m[2])))
    said = sorted({int(y) for y in _YEAR.findall(text)}) or years
    for pattern, days, month, of_year in ((_DAY_MONTH, (1, 2), 3, 4), (_MONTH_DAY, (2, 3), 1, 4)):
        for m in pattern.finditer(text):
            for year in [int(m[of_year])] if m[of_year] else said:
                for day in days:
                    yield from _make(year, _month_number(m[month]), int(m[day])) if m[day] else ()
    yield from _holidays(re.sub(r"['’]", "", text), said)
    # What is left are months and years of which no day is said: their first and last days.
    text = _MONTH_DAY.sub(" ", _DAY_MONTH.sub(" ", _SHORT.sub(" ", text)))
    for m in _MONTH_ALONE.finditer(text):
        for year in [int(m[2])] if m[2] else said:
            yield from _whole_month(year, _month_number(m[1]))
    for year in {int(y) for y in _YEAR.findall(_MONTH_ALONE.sub(" ", text))}:
        yield from (date(year, 1, 1), date(year, 12, 31))
        for m in re.finditer(r"\bq([1-4])\b|\b(first|second|third|fourth) quarter", text):
            quarter = int(m[1] or ("first", "second", "third", "fourth").index(m[2]) + 1)
            yield date(year, 3 * quarter - 2, 1)
            yield date(year, 3 * quarter, monthrange(year, 3 * quarter)[1])


def _holidays(text: str, years: list[int]) -> Iterator[date]:
    for name, (month, day) in _HOLIDAYS.items():
        if name in text:
            for year in years:
                yield from _make(year, month, day)


def _whole_month(year: int, month: int) -> Iterator[date]:
    if 1 <= year <= 9999:
        yield from (date(year, month, 1), date(year, month, monthrange(year, month)[1]))


def _add_months(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    year = min(max(year, 1), 9999)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _shift(day: date, number: int, unit: str) -> date:
    try:
        if unit in ("month", "quarter", "year"):
            return _add_months(day, number * {"month": 1, "quarter": 3, "year": 12}[unit])
        return day + timedelta(days=number * {"week": 7, "weekend": 7, "fortnight": 14}.get(unit, 1))
    except (OverflowError, ValueError):
        return day


def _relative(text: str, today: date) -> Iterator[date]:
    """Dates that ``text`` counts from ``today``, which is always among them."""
    yield today
    for word, days in (("tomorrow", 1), ("yesterday", -1), ("after tomorrow", 2), ("before yesterday", -2)):
        if word in text:
            yield today + timedelta(days=days)
    if "night" in text:
        yield today + timedelta(days=1)
    for m in re.finditer(rf"\b(?:(next|last|past|previous|following)\s+)?{_WEEKDAY}", text):
        ahead = (next(i for i, d in enumerate(WEEKDAYS) if d.startswith(m[2][:3])) - today.weekday()) % 7
        near = today + timedelta(days=ahead)
        before = near - timedelta(days=7)
        steps = {None: (near, before), "next": (near, near + timedelta(days=7))}
        steps["following"] = steps["next"]
        yield from steps.get(m[1], (before, before - timedelta(days=7)))
        if ahead == 0:
            yield today + timedelta(days=7)
    for m in re.finditer(r"\b(?:the|on)\s+(\d{1,2})(?:st|nd|rd|th)\b", text):
        for months in (-1, 0, 1):
            first = _add_months(today.replace(day=1), months)
            yield from _make(first.year, first.month, int(m[1]))


def _counted(text: str, today: date) -> Iterator[date]:
    """Dates that lie an amount of days, weeks, months or years from ``today``."""
    for number, unit in _amounts(text):
        for sign in (1, -1):
            there = _shift(today, sign * number, unit)
            yield from (there, there - timedelta(days=sign))


def _periods(text: str, today: date) -> Iterator[date]:
    """First and last days of this, the next and the last week, weekend, month, quarter and year."""
    monday = today - timedelta(days=today.weekday())
    for m in re.finditer(
        rf"\b(next|last|past|previous|coming|following|this|current|the|each|every)\s+(?:whole |entire )?{_UNIT}",
        text,
    ):
        steps = {
            "next": (1, 2),
            "coming": (0, 1),
            "following": (1,),
            "this": (0,),
            "current": (0,),
            "the": (0, 1),
        }
        for step in steps.get(m[1], (-1,)):
            start = _shift(monday, step, "week")
            if m[2] == "week":
                yield from (
                    start,
                    start + timedelta(days=4),
                    start + timedelta(days=6),
                    _shift(start, 1, "week"),
                )
            elif m[2] == "weekend":
                for s in (start, _shift(start, -1, "week")) if m[1] in ("next", "last", "past") else (start,):
                    yield from (s + timedelta(days=d) for d in (4, 5, 6))
            elif m[2] == "month":
                first = _add_months(today.replace(day=1), step)
                yield from _whole_month(first.year, first.month)
            elif m[2] == "year":
                yield from (date(today.year + step, 1, 1), date(today.year + step, 12, 31))
            elif m[2] == "quarter":
                first = _add_months(today.replace(month=3 * ((today.month - 1) // 3) + 1, day=1), 3 * step)
                yield from (first, _add_months(first, 3) - timedelta(days=1))
    if "weekend" in text:
        yield from (monday + timedelta(days=d) for d in (4, 5, 6))


def _amounts(text: str) -> Iterator[tuple[int, str]]:
    """Amounts of calendar units: two weeks, a month, 10 days, the next fortnight."""
    for m in re.finditer(rf"(?:\b{_NUMBER}[\s-]+)?(?:more |full |whole |whole )?\b{_UNIT}", text):
        values = {int(n) for n in numbers_in(m[1] or "one") if n > 0 and n == int(n)} or {1}
        for value in values:
            if value < 10_000:
                yield value, m[2]


def _clock(text: str) -> Iterator[tuple[int, int]]:
    """Times of the day; an hour without am or pm is read both ways."""
    minutes_to = (
        r"(quarter|half|five|ten|twenty|twenty-five|\d{1,2})(?: minutes?)?\s+(past|after|to|before|till)\s+"
    )
    for m in re.finditer(rf"\b{minutes_to}{_NUMBER}", text):
        amount = {"quarter": 15, "half": 30}.get(m[1]) or int(max(numbers_in(m[1]), default=0))
        for hour in numbers_in(m[3]):
            if 0 <= hour <= 24 and hour == int(hour) and amount < 60:
                late = m[2] in ("to", "before", "till")
                yield from _both(int(hour) - (1 if late else 0), 60 - amount if late else amount)
    for m in re.finditer(r"\b(\d{1,2})\s*[:.h]\s*(\d{2})(?!\d)\s*(a\.?m|p\.?m)?", text):
        yield from _both(int(m[1]), int(m[2]), m[3] or "")
    for m in re.finditer(r"\b(\d{1,2})\s*(a\.?m\b|p\.?m\b|h\b|o.?clock)", text):
        yield from _both(int(m[1]), 0, m[2])
    for m in re.finditer(r"\b([01]\d|2[0-3])([0-5]\d)\b", text):
        yield int(m[1]), int(m[2])
    hours = listed("one two three four five six seven eight nine ten eleven twelve")
    for m in re.finditer(
        rf"\b({'|'.join(hours)}|\d{{1,2}})[\s-](fifteen|thirty|forty-five|forty five|twenty|ten)\b", text
    ):
        minutes = {"fifteen": 15, "thirty": 30, "twenty": 20, "ten": 10}.get(m[2], 45)
        yield from _both(hours.index(m[1]) + 1 if m[1] in hours else int(m[1]), minutes)
    for number in numbers_in(text):
        if 0 <= number <= 24 and number == int(number):
            yield from _both(int(number), 0)
    if "noon" in text or "midday" in text:
        yield 12, 0
    if "midnight" in text:
        yield from ((0, 0), (23, 59))


def _parts_of_day(text: str) -> Iterator[tuple[int, int]]:
    for part, (start, end) in _PARTS_OF_DAY.items():
        if part in text:
            yield from ((hour % 24, minute) for hour in range(start, end + 1) for minute in (0, 30))


def _both(hour: int, minute: int, mark: str = "") -> Iterator[tuple[int, int]]:
    if not (0 <= hour <= 24 and 0 <= minute < 60):
        return
    if mark.startswith("p"):
        yield hour % 12 + 12, minute
    elif mark.startswith("a"):
        yield hour % 12, minute
    else:
        yield hour % 24, minute
        if hour <= 12:
            yield (hour + 12) % 24, minute


def _minutes(text: str) -> set[int]:
    """Durations that ``text`` says, in minutes."""
    found: set[int] = set()
    for m in re.finditer(
        rf"(?:\b{_NUMBER}[\s-]+)?(?:an? )?(minute|min|hour|hr|h)s?\b(\s+and\s+a\s+half|\s+and\s+a\s+quarter)?",
        text,
    ):
        more = {"half": 0.5, "rter": 0.25}.get((m[3] or "")[-4:], 0.0)
        for number in numbers_in(m[1] or "") or {1.0}:
            minutes = (number + more) * (60 if m[2].startswith("h") else 1)
            if 0 < minutes < 100_000:
                found.add(round(minutes))
    return found


def said_in(text: str, now: datetime | None) -> Said:
    """All dates and times in ``text``; without ``now`` only what is said outright."""
    plain = _corrected(text)
    today = now.date() if now and _FIRST <= now.year <= _LAST else None
    years = [today.year - 1, today.year, today.year + 1] if today else []
    absolute = set(_absolute(plain, years))
    relative = set(_relative(fold(text) + " " + plain, today)) if today else set()
    amounts = list(_amounts(plain))[:12]
    # A period from a date on: "from 6 July for ten days" ends on the 15th, or the 16th.
    ends = {_shift(day, n, unit) for day in absolute | relative for n, unit in amounts}
    relative |= ends | {day - timedelta(days=1) for day in ends if day > date.min}
    if today:
        relative |= {*_periods(plain, today), *_counted(plain, today)}
    times = set(_clock(plain))
    minutes = _minutes(plain)
    later = {(h * 60 + m + sign * n) % 1440 for h, m in times for n in minutes for sign in (1, -1)}
    lengths = set(minutes)
    from_now: set[int] = set()
    if now:
        at = now.hour * 60 + now.minute
        from_now = {at, at // 60 * 60, (at // 60 + 1) * 60} | {
            at + sign * n for n in minutes for sign in (1, -1)
        }
        lengths |= {abs(at - 60 * h - m) for h, m in times} if len(times) <= 12 else set()
        lengths |= {abs((now.date() - day).days) for day in absolute} if len(absolute) <= 12 else set()
    if len(absolute) <= 12:
        lengths |= {abs((a - b).days) + more for a in absolute for b in absolute if a != b for more in (0, 1)}
    return Said(
        absolute=frozenset(absolute),
        relative=frozenset(relative - absolute),
        times=frozenset(times) | {divmod(n, 60) for n in later} | frozenset(_parts_of_day(plain)),
        times_from_now=frozenset(divmod(n % 1440, 60) for n in from_now),
        lengths=frozenset(lengths),
    )
