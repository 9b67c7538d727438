"""Values of arguments: what a user says, what the call holds, and the schema between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from gentool.nano.lexicon import invented, said_also, word_lists

_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_NUMBERS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
]
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


@dataclass(frozen=True)
class Parameter:
    """An argument of a tool; ``leads``: words that a user says before its value."""

    name: str
    kind: str
    leads: tuple[str, ...]
    required: bool
    schema: dict[str, Any]


@dataclass(frozen=True)
class Said:
    """An argument's value, the words that state it, and whether they need the date of today."""

    value: Any
    text: str
    relative: bool = False


_SCHEMAS: dict[str, dict[str, Any]] = {
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "list": {"type": "array", "items": {"type": "string"}},
}
_OBJECTS: dict[str, dict[str, Any]] = {
    "price_range": {"min": {"type": "number"}, "max": {"type": "number"}},
    "period": {"from": {"type": "string", "format": "date"}, "to": {"type": "string", "format": "date"}},
    "address": {"street": {"type": "string"}, "city": {"type": "string"}},
}


def parameters() -> list[tuple[str, str, tuple[str, ...]]]:
    """(kind, name, leads) of every argument that tools may have."""
    return [(kind, name, leads) for kind, named in said_also("parameters").items() for name, leads in named]


def make_parameter(kind: str, name: str, leads: tuple[str, ...], required: bool) -> Parameter:
    """An argument with its schema."""
    if kind == "enum":
        schema: dict[str, Any] = {"type": "string", "enum": [value for value, _ in said_also("enums")[name]]}
    elif kind == "object":
        schema = {"type": "object", "properties": _OBJECTS[name], "required": list(_OBJECTS[name])}
    else:
        schema = _SCHEMAS.get(kind, {"type": "string"})
    return Parameter(name, kind, leads, required and kind != "boolean", schema)


def say_value(parameter: Parameter, rng: Random, now: datetime) -> Said:
    """Draw a value and say it, lead words included."""
    said = _DRAWS[parameter.kind](parameter, rng, now)
    if parameter.kind == "boolean":
        return said
    lead = rng.choice(parameter.leads)
    return Said(said.value, f"{lead} {said.text}", said.relative)


def _word(name: str, rng: Random) -> str:
    return rng.choice(word_lists("values")[name])


def _person(parameter: Parameter, rng: Random, now: datetime) -> Said:
    name = _word("first", rng)
    if rng.random() < 0.6:
        name += " " + invented(rng).capitalize()
    return Said(name, name)


def _place(parameter: Parameter, rng: Random, now: datetime) -> Said:
    place = _word("place", rng) if rng.random() < 0.6 else invented(rng).capitalize()
    return Said(place, place)


def _code(parameter: Parameter, rng: Random, now: datetime) -> Said:
    letters = "".join(rng.choices("ABCDEFGHKLMNPRSTUVXZ", k=rng.choice((1, 2, 3))))
    digits = str(rng.randrange(10, 10 ** rng.choice((2, 3, 4)) + 10))
    code = rng.choice((f"{letters}-{digits}", f"{letters}{digits}", digits))
    return Said(code, code)


def _title(parameter: Parameter, rng: Random, now: datetime) -> Said:
    words = [
        _word("word", rng) if rng.random() < 0.7 else invented(rng) for _ in range(rng.choice((1, 2, 2)))
    ]
    title = " ".join(words)
    title = title.title() if rng.random() < 0.5 else title
    return Said(title, rng.choice((f"'{title}'", title)) if len(words) == 1 else f"'{title}'")


def _integer(parameter: Parameter, rng: Random, now: datetime) -> Said:
    if parameter.name == "year":
        year = rng.randrange(1990, 2031)
        return Said(year, str(year))
    value = rng.randrange(2, 13) if rng.random() < 0.6 else rng.randrange(13, 200)
    return Said(value, _NUMBERS[value] if value <= 12 and rng.random() < 0.3 else str(value))


def _number(parameter: Parameter, rng: Random, now: datetime) -> Said:
    value = rng.randrange(2, 500) if rng.random() < 0.6 else round(rng.randrange(20, 5000) / 10, 1)
    return Said(value, str(value))


def _boolean(parameter: Parameter, rng: Random, now: datetime) -> Said:
    return Said(True, rng.choice(parameter.leads))


def _enum(parameter: Parameter, rng: Random, now: datetime) -> Said:
    value, others = rng.choice(said_also("enums")[parameter.name])
    return Said(value, rng.choice((value, *others)))


def _spoken(day: datetime, rng: Random) -> str:
    month = _MONTHS[day.month - 1]
    plain = f"{day.year}-{day.month:02}-{day.day:02}"
    return rng.choice((plain, plain, f"{day.day} {month} {day.year}", f"{month} {day.day}, {day.year}"))


def _date(parameter: Parameter, rng: Random, now: datetime) -> Said:
    ahead = rng.randrange(1, 40) if parameter.name not in ("after",) else -rng.randrange(1, 40)
    if rng.random() < 0.3:
        ahead = rng.choice((0, 1, 1, 2, 3))
        day = now + timedelta(days=ahead)
        words = ("today", "tomorrow")[ahead] if ahead < 2 else f"{_DAYS[day.weekday()]}"
        return Said(day.date().isoformat(), words, relative=True)
    day = now + timedelta(days=ahead)
    return Said(day.date().isoformat(), _spoken(day, rng))


def _time(parameter: Parameter, rng: Random, now: datetime) -> Said:
    hour, minute = rng.randrange(24), rng.choice((0, 0, 15, 30, 45))
    value = f"{hour:02}:{minute:02}"
    if minute == 0 and 1 <= hour <= 11 and rng.random() < 0.3:
        return Said(value, f"{hour} am")
    if minute == 0 and hour >= 13 and rng.random() < 0.3:
        return Said(value, f"{hour - 12} pm")
    return Said(value, value)


_LISTS = {"items": "item", "fields": "field", "tags": "tag", "cities": "place"}


def _list(parameter: Parameter, rng: Random, now: datetime) -> Said:
    pool = word_lists("values")[_LISTS.get(parameter.name, "first")]
    values = rng.sample(pool, rng.choice((1, 2, 2, 3)))
    return Said(values, _listed(values))


def _listed(values: Sequence[str]) -> str:
    return values[0] if len(values) == 1 else ", ".join(values[:-1]) + " and " + values[-1]


def _object(parameter: Parameter, rng: Random, now: datetime) -> Said:
    if parameter.name == "price_range":
        low = rng.randrange(5, 200)
        high = low + rng.randrange(5, 300)
        return Said({"min": low, "max": high}, f"{low} and {high}")
    if parameter.name == "period":
        begin = now + timedelta(days=rng.randrange(-60, 60))
        end = begin + timedelta(days=rng.randrange(1, 30))
        value = {"from": begin.date().isoformat(), "to": end.date().isoformat()}
        return Said(value, f"{_spoken(begin, rng)} to {_spoken(end, rng)}")
    street, city = f"{rng.randrange(1, 99)} {_word('street', rng)}", _word("place", rng)
    return Said({"street": street, "city": city}, f"{street}, {city}")


_DRAWS = {
    "person": _person,
    "place": _place,
    "code": _code,
    "title": _title,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "enum": _enum,
    "date": _date,
    "time": _time,
    "list": _list,
    "object": _object,
}
