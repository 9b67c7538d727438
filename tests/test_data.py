"""The pairs and tools that come with the package: what they must cover, and what they must not have."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime
from functools import cache
from typing import Any

import pytest

from gentool.catalog.pairs import read_pairs, read_tools
from gentool.data import PAIRS, TOOLS
from gentool.records import GradedQuery, Tool, ToolPair

MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
TELLING = {"basic", "simple", "lite", "advanced", "pro", "v1", "v2"}


@cache
def pairs() -> list[ToolPair]:
    return read_pairs(PAIRS)


@cache
def pool() -> list[Tool]:
    return read_tools(TOOLS)


def queries() -> Iterator[tuple[ToolPair, GradedQuery]]:
    for pair in pairs():
        for query in pair.queries:
            yield pair, query


def all_tools() -> list[Tool]:
    return [t for p in pairs() for t in p.tools] + pool()


def name_words(name: str) -> list[str]:
    return re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name).replace("_", " ").replace("-", " ").lower().split()


def test_number_of_pairs_groups_and_domains() -> None:
    groups = Counter(p.group for p in pairs())
    assert len(pairs()) >= 24
    assert groups["T"] >= 12
    assert min(groups["A"], groups["B"], groups["U"]) >= 4
    assert set(groups) == set("TABU")
    assert len({p.domain for p in pairs()}) >= 8


@pytest.mark.parametrize("pair", pairs(), ids=lambda p: p.names[0])
def test_pair_has_queries_in_both_directions(pair: ToolPair) -> None:
    assert len(pair.queries) >= 8
    best = Counter(q.best for q in pair.queries)
    assert set(best) == set(pair.names)
    assert min(best.values()) >= 3
    assert 3 / 8 <= best[pair.derivation.from_tool] / len(pair.queries) <= 5 / 8
    assert all(q.reason for q in pair.queries)


def test_each_group_has_queries_whose_weaker_tool_helps_and_ones_where_it_does_not() -> None:
    for group in "TABU":
        grades = Counter(tuple(sorted(q.grades.values())) for pair, q in queries() if pair.group == group)
        assert grades["full", "partial"] >= 5 and grades["full", "none"] >= 5


def test_unseen_tool_of_b_is_the_richer_one_in_half_of_its_pairs() -> None:
    richer = Counter(p.unseen_tool == p.derivation.from_tool for p in pairs() if p.group == "B")
    assert richer[True] == richer[False]


def test_richer_tool_stands_first_or_names_do_not_tell_it() -> None:
    longer = sum(
        len(p.tool(p.derivation.from_tool).name) > len(p.tool(p.derivation.tool).name) for p in pairs()
    )
    assert 0 < longer < len(pairs())


def test_stand_alone_tools_are_split_in_train_and_test() -> None:
    split = Counter(t.split for t in pool())
    assert len(pool()) >= 150
    assert set(split) == {"train", "test"} and min(split.values()) >= 60


def test_tool_names_are_unique_over_pairs_and_pool() -> None:
    plain = Counter(re.sub(r"[^a-z0-9]", "", t.name.lower()) for t in all_tools())
    assert [n for n, count in plain.items() if count > 1] == []


def test_names_do_not_tell_which_tool_is_better() -> None:
    assert [t.name for p in pairs() for t in p.tools if TELLING & set(name_words(t.name))] == []


def test_tools_are_described() -> None:
    assert [t.name for t in all_tools() if not t.description.strip()] == []


def schemas(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        for value in schema.get("properties", {}).values():
            yield from schemas(value)
        yield from schemas(schema.get("items"))


def test_schemas_and_calls_cover_what_arguments_can_be() -> None:
    found: Counter[str] = Counter()
    for pair, query in queries():
        for call in query.tool_calls:
            tool = pair.tool(call.name)
            properties = tool.parameters["properties"]
            required = tool.parameters.get("required", [])
            for name, value in call.arguments.items():
                schema = properties[name]
                found["optional given"] += name not in required
                found["enum"] += "enum" in schema
                found["date"] += schema.get("format") == "date"
                found["integer"] += isinstance(value, int) and not isinstance(value, bool)
                found["fraction"] += isinstance(value, float)
                found["boolean"] += isinstance(value, bool)
                found["array"] += isinstance(value, list)
                found["object"] += isinstance(value, dict)
                found["array of objects"] += isinstance(value, list) and isinstance((value or [0])[0], dict)
            found["optional left out"] += bool(set(properties) - set(call.arguments))
    kinds = ("optional given", "optional left out", "enum", "date", "integer", "fraction", "array", "object")
    assert {k: found[k] for k in kinds if found[k] < 3} == {}
    in_pool = Counter(str(s.get("type")) for t in pool() for s in schemas(t.parameters))
    assert all(in_pool[t] >= 10 for t in ("string", "integer", "number", "boolean", "array", "object"))


def test_no_query_holds_a_tool_name() -> None:
    names = [t.name.lower() for t in all_tools()]
    held = [
        (name, query.query)
        for _, query in queries()
        for name in names
        if re.search(rf"(?<![a-z0-9]){re.escape(name)}(?![a-z0-9])", query.query.lower())
    ]
    assert held == []


def test_queries_are_distinct() -> None:
    texts = Counter(re.sub(r"\W+", " ", q.query).strip().lower() for _, q in queries())
    assert [t for t, count in texts.items() if count > 1] == []


def test_now_is_a_local_date_and_time() -> None:
    for _, query in queries():
        if query.now is not None:
            assert datetime.fromisoformat(query.now).tzinfo is None
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d", query.now), query.now


def test_dates_of_calls_follow_from_the_query_or_from_now() -> None:
    lacking = [
        (query.query, value)
        for pair, query in queries()
        for call in query.tool_calls
        for name, value in call.arguments.items()
        if pair.tool(call.name).parameters["properties"][name].get("format") == "date"
        and query.now is None
        and value[:4] not in query.query
    ]
    assert lacking == []


def dated_weekdays(text: str) -> Iterator[tuple[str, date]]:
    """Weekdays that stand right before a written-out date with a year."""
    weekday, month = "|".join(WEEKDAYS), "|".join(MONTHS)
    day = r"(\d{1,2})(?:st|nd|rd|th)?"
    lowered = text.lower()
    for found in re.finditer(rf"({weekday}),? (?:the )?{day}(?: of)? ({month}),? (\d{{4}})", lowered):
        yield found[1], date(int(found[4]), MONTHS.index(found[3]) + 1, int(found[2]))
    for found in re.finditer(rf"({weekday}),? ({month}) {day},? (\d{{4}})", lowered):
        yield found[1], date(int(found[4]), MONTHS.index(found[2]) + 1, int(found[3]))
    for found in re.finditer(rf"({weekday}),? \(?(\d{{4}}-\d\d-\d\d)", lowered):
        yield found[1], date.fromisoformat(found[2])
    for found in re.finditer(rf"({weekday}) {day} and ({weekday}) {day} ({month}) (\d{{4}})", lowered):
        for name, number in ((found[1], found[2]), (found[3], found[4])):
            yield name, date(int(found[6]), MONTHS.index(found[5]) + 1, int(number))


def test_weekdays_agree_with_the_dates_beside_them() -> None:
    found = [(q.query, *pair) for _, q in queries() for pair in dated_weekdays(q.query)]
    assert len(found) >= 3
    assert [f for f in found if WEEKDAYS[f[2].weekday()] != f[1]] == []


def test_dates_in_calls_exist() -> None:
    dates = [
        value
        for pair, query in queries()
        for call in query.tool_calls
        for name, value in call.arguments.items()
        if pair.tool(call.name).parameters["properties"][name].get("format") == "date"
    ]
    assert len(dates) >= 3
    assert [value for value in dates if date.fromisoformat(value).isoformat() != value] == []


def test_weekday_asked_for_is_the_weekday_called() -> None:
    """Where a query names one weekday and no date, the only date of each call falls on it."""
    wrong = []
    for pair, query in queries():
        named = [w for w in WEEKDAYS if re.search(rf"\b{w}\b", query.query.lower())]
        if (
            query.now is None
            or len(named) != 1
            or re.search(r"\d{4}|to|until|since|after", query.query.lower())
        ):
            continue
        for call in query.tool_calls:
            properties = pair.tool(call.name).parameters["properties"]
            dates = [v for n, v in call.arguments.items() if properties[n].get("format") == "date"]
            if len(dates) == 1 and WEEKDAYS[date.fromisoformat(dates[0]).weekday()] != named[0]:
                wrong.append((query.query, query.now, dates))
    assert wrong == []
