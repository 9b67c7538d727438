"""A value that the query says is found however it is said; a value that it does not say is not."""

from __future__ import annotations

import string
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gentool import data
from gentool.catalog.pairs import read_pairs
from gentool.evaluation.match import same_value
from gentool.records import Function, Tool
from gentool.synthesis.dates import relative_words, said_in
from gentool.synthesis.grounding import Evidence, ground_call, ground_value
from gentool.synthesis.numbers import numbers_in
from gentool.synthesis.records import CallDraft, QueryDraft
from gentool.synthesis.text import one_slip

NOW = datetime(2026, 3, 11, 9, 30)  # a Wednesday
FRAMES = ["{}", "Please look into {} for me.", "I need {}, and soon!", "what about {}?", "Is '{}' all right"]
WORDS = st.text(string.ascii_lowercase, min_size=6, max_size=12)


def ground(value: Any, query: str, now: datetime | None = None, **schema: Any) -> str:
    return ground_value(value, schema, Evidence(query, now))


@given(
    st.lists(WORDS, min_size=1, max_size=4).map(" ".join),
    st.sampled_from(FRAMES),
    st.sampled_from([str, str.upper, str.title]),
)
def test_a_text_in_the_query_is_found_whatever_its_case(value: str, frame: str, case: Any) -> None:
    assert ground(value, frame.format(case(value))) == "query"


@given(
    st.integers(0, 10**7),
    st.sampled_from(FRAMES),
    st.sampled_from(["{}", "{:,}", "{} km", "${}", "{}%", "no. {}"]),
)
def test_a_whole_number_in_the_query_is_found(value: int, frame: str, way: str) -> None:
    assert ground(value, frame.format(way.format(value))) == "query"


@given(st.decimals(0, 9999, places=2).map(float), st.sampled_from(FRAMES))
def test_a_decimal_in_the_query_is_found_with_point_and_comma(value: float, frame: str) -> None:
    assert (
        ground(value, frame.format(value))
        == ground(value, frame.format(str(value).replace(".", ",")))
        == "query"
    )


@given(st.dates(date(1990, 1, 1), date(2090, 1, 1)), st.sampled_from(FRAMES), st.integers(0, 5))
def test_a_date_in_the_query_is_found_in_every_spelling(day: date, frame: str, way: int) -> None:
    month = day.strftime("%B")
    said = [
        day.isoformat(),
        f"{day.day} {month} {day.year}",
        f"{month} {day.day}, {day.year}",
        f"{day.day:02d}.{day.month:02d}.{day.year}",
        f"the {day.day}th of {month} {day.year}",
        f"{month[:3]} {day.day} {day.year}",
    ]
    assert ground(day.isoformat(), frame.format(said[way])) == "query"


@given(
    st.lists(WORDS, min_size=1, max_size=3).map(" ".join),
    st.lists(WORDS, min_size=1, max_size=8).map(" ".join),
)
def test_a_random_text_is_not_found(value: str, query: str) -> None:
    known = query.split()
    if not any(word[:3] == k[:3] or one_slip(word, k) for word in value.split() for k in known):
        assert ground(value, query) == "none"


@given(st.integers(400, 10**7), st.integers(400, 10**7))
def test_a_random_number_is_not_found(value: int, other: int) -> None:
    if value != other:
        assert ground(value, f"Take {other} of them") == "none"


@given(st.dates(date(2000, 1, 1), date(2090, 1, 1)), st.dates(date(2000, 1, 1), date(2090, 1, 1)))
def test_a_random_date_is_not_found(value: date, other: date) -> None:
    if value != other:
        assert ground(value.isoformat(), f"What happened on {other.isoformat()}?") == "none"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("twenty-five people", 25),
        ("two hundred and fifty", 250),
        ("1,250.50 euros", 1250.5),
        ("1.250,50 euros", 1250.5),
        ("half an hour", 30),
        ("an hour and a half", 90),
        ("two and a half hours", 150),
        ("a dozen eggs", 12),
        ("5 million", 5e6),
        ("1.5k", 1500),
        ("minus 5", -5),
        ("30 %", 0.3),
        ("12 euros 80", 12.8),
        ("the third one", 3),
        ("three quarters", 0.75),
        ("a couple of days", 2),
        ("two thousand twenty six", 2026),
        ("two weeks", 14),
        ("fewer than 20", 19),
        ("the 1920s", 1929),
        ("5 km", 5000),
        ("2e-9", 2e-9),
        ("compounded quarterly", 4),
    ],
)
def test_numbers_in_words_and_units(text: str, number: float) -> None:
    assert number in numbers_in(text)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("today", "2026-03-11"),
        ("tomorrow", "2026-03-12"),
        ("tommorow", "2026-03-12"),
        ("yesterday", "2026-03-10"),
        ("on Friday", "2026-03-13"),
        ("next Friday", "2026-03-20"),
        ("last Monday", "2026-03-09"),
        ("the day after tomorrow", "2026-03-13"),
        ("in two weeks", "2026-03-25"),
        ("ten days ago", "2026-03-01"),
        ("this weekend", "2026-03-14"),
        ("next month", "2026-04-01"),
        ("until the end of June", "2026-06-30"),
        ("since the first of February", "2026-02-01"),
        ("on the 20th", "2026-03-20"),
        ("14 March", "2026-03-14"),
        ("13 to 24 July", "2026-07-24"),
        ("Christmas", "2026-12-25"),
        ("a week from tomorrow", "2026-03-19"),
    ],
)
def test_dates_are_counted_from_now(text: str, day: str) -> None:
    assert ground(day, f"a room {text} please", NOW) in ("query", "now")
    assert ground("2026-08-17", f"a room {text} please", NOW) == "none"


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("at 5pm", "17:00"),
        ("at 5:30 p.m.", "17:30"),
        ("by four", "16:00"),
        ("half past six", "18:30"),
        ("quarter to five", "16:45"),
        ("at noon", "12:00"),
        ("17h", "17:00"),
        ("in an hour", "10:30"),
        ("this evening", "19:00"),
        ("right now", "09:30"),
    ],
)
def test_times_of_the_day(text: str, time: str) -> None:
    assert ground(time, f"a table {text}", NOW) in ("query", "now")
    assert ground("03:47", f"a table {text}", NOW) == "none"
    assert ground(f"2026-03-11T{time}", f"a table today {text}", NOW) != "none"


def test_a_weekday_that_is_wrong_is_not_grounded() -> None:
    assert ground("2026-03-13", "a table on Friday", NOW) == "now"
    assert ground("2026-03-14", "a table on Friday", NOW) == "none"
    assert ground("saturday", "on 14 March 2026", NOW) == "now"
    assert ground("friday", "on 14 March 2026", NOW) == "none"


@pytest.mark.parametrize(
    ("value", "query"),
    [
        ("EUR", "50 euros in dollars"),
        ("FR", "hotels in France"),
        ("de", "translate into German"),
        ("tents", "a tent"),
        ("wind_speed", "the wind speed in Oslo"),
        ("ORDER-77", "where is order 77"),
        ("ORDER-77", "where is my order, number 77?"),
        ("R-88213", "receipt R 88213"),
        ("mara@example.com", "write to mara@example.com."),
        ("Tip for the porters", "I tipped the porters"),
        ("/tmp/a b.txt", "open /tmp/a b.txt"),
        ("accommodation", "cheap accomodation"),
        ("東京", "東京の天気"),
        ("Zürich", "trains to Zurich"),
        ("IT", "news from IT, please"),
    ],
)
def test_other_forms_of_a_text(value: str, query: str) -> None:
    assert ground(value, query) == "query"


@pytest.mark.parametrize(
    ("value", "query"),
    [
        ("IT", "is it raining"),
        ("A-03-1", "what is in B-12-3 at RTM1"),
        ("USD", "50 euros"),
        ("ORDER-077", "where is order 77"),
        ("user_8842", "the user"),
        ("FR", "hotels for us"),
        ("mara@example.com", "write to mara"),
        ("12345", "room 1234"),
    ],
)
def test_texts_that_only_look_alike(value: str, query: str) -> None:
    assert ground(value, query) == "none"


def test_what_is_not_said_may_be_a_default_an_enum_or_a_boolean() -> None:
    assert ground(20, "hotels", default=20) == "default"
    assert ground(True, "hotels") == "boolean"
    assert ground(None, "hotels") == ground([], "hotels") == ground("", "hotels") == "default"
    assert ground("price", "cheapest hotels", enum=["price", "name"]) == "enum"
    assert ground("price", "hotels sorted by name", enum=["price", "name"]) == "none"
    assert ground("name", "hotels sorted by name", enum=["price", "name"]) == "query"
    assert ground("x", "hotels", const="x") == "enum"


def test_the_weakest_part_of_a_value_counts() -> None:
    schema = {"properties": {"kind": {"enum": ["a1", "b2"]}, "town": {"type": "string"}}}
    assert ground({"town": "Oslo", "kind": "a1"}, "rooms in Oslo", **schema) == "enum"
    assert ground({"town": "Rome", "kind": "a1"}, "rooms in Oslo", **schema) == "none"
    assert ground(["Oslo", "Rome"], "from Oslo to Bergen") == "none"
    assert ground({"secret": "Oslo"}, "rooms in Oslo") == "none"


def test_references_and_alternatives_of_a_schema_are_followed() -> None:
    root = {"$defs": {"kind": {"anyOf": [{"type": "null"}, {"enum": ["k1", "k2"]}]}}}
    assert ground_value("k2", {"$ref": "#/$defs/kind"}, Evidence("rooms"), root) == "enum"
    assert ground_value("k3", {"$ref": "#/$defs/kind"}, Evidence("rooms"), root) == "none"
    assert (
        ground_value(
            "k3", {"$ref": "#/$defs/loop"}, Evidence("rooms"), {"$defs": {"loop": {"$ref": "#/$defs/loop"}}}
        )
        == "none"
    )


@pytest.mark.parametrize(
    ("value", "quote", "grounded"),
    [
        (20, "a quarter of 80", True),
        (75, "80", False),
        ("2026-05-17", "Whit Sunday", True),
        ("2026-05-17", "4 May 2026", False),
        ("Norway", "Germany", False),
        ("vegan", "no animal products", True),
        ("x", "not in there", False),
    ],
)
def test_a_quote_must_be_in_the_query_and_not_say_otherwise(value: Any, quote: str, grounded: bool) -> None:
    query = "On Whit Sunday, not 4 May 2026, a quarter of 80 people from Germany eat no animal products"
    tool = Tool(function=Function(name="t", parameters={"type": "object", "properties": {"x": {}}}))
    call = CallDraft(arguments={"x": value}, derived={"x": quote})
    grounds, reasons = ground_call(tool, QueryDraft(query=query, intended="t", now="2026-03-11T09:30"), call)
    assert (grounds["x"] == "derived") is grounded
    assert bool(reasons) is not grounded


def test_calls_written_by_hand_are_grounded_and_calls_of_other_queries_are_not() -> None:
    written, found, swapped, caught = 0, 0, 0, 0
    for pair in read_pairs(data.PAIRS):
        for tool in pair.tools:
            queries = [q for q in pair.queries if q.grades[tool.name] != "none"]
            for query in queries:
                draft = QueryDraft(query=query.query, now=query.now, intended=tool.name)
                own = query.call_of(tool.name).arguments
                grounds, _ = ground_call(tool, draft, CallDraft(arguments=own))
                written, found = written + len(grounds), found + sum(g != "none" for g in grounds.values())
                for other in queries[:4]:
                    theirs = other.call_of(tool.name).arguments
                    differ = {n for n, v in theirs.items() if not same_value(v, own.get(n))}
                    grounds, _ = ground_call(tool, draft, CallDraft(arguments=theirs))
                    swapped += bool(differ)
                    caught += any(grounds[n] == "none" for n in differ)
    assert found / written > 0.98
    assert caught / swapped > 0.97


@given(st.text(max_size=200), st.one_of(st.none(), st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1))))
def test_any_text_can_be_read(text: str, now: datetime | None) -> None:
    said_in(text, now), numbers_in(text), relative_words(text)
    assert ground("zzqqxxkk", text.replace("z", ""), now) == "none"


def test_dates_at_the_edge_of_the_calendar() -> None:
    assert (
        ground("2026-01-01", "9999 years ago, 99999 weeks from now, next year", datetime(9999, 12, 31))
        == "none"
    )
    assert ground("2026-01-01", "last year, 40 weeks ago", datetime(1, 1, 1)) == "none"
    assert timedelta(0) == NOW - NOW


def test_a_number_of_thousands_of_digits_is_not_said() -> None:
    tool = Tool(
        function=Function(
            name="a",
            description="Adds one.",
            parameters={"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
        )
    )
    draft = QueryDraft(query="How much is one more than 9?", intended="a")
    assert ground_call(tool, draft, CallDraft(arguments={"n": 10**4000}))[0] == {"n": "none"}
