"""Equality of argument values, and calls compared with the reference call."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gentool.evaluation.match import CallMatch, match_call, same_value
from gentool.records import Function, GradedQuery, Tool, ToolCall


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Zürich", "zürich", True),
        ("  New\tYork\n City ", "new york city", True),
        ("STRASSE", "straße", True),
        ("New York", "NewYork", False),
        ("Zürich", "Zurich", False),
        ("", " ", True),
        (5, 5.0, True),
        (0.1, 0.1, True),
        (5, 6, False),
        (5, "5", False),
        ("5", "5.0", False),
        (10**400, 1e300, False),
        (True, True, True),
        (True, 1, False),
        (1, True, False),
        (False, 0, False),
        (True, "true", False),
        (None, None, True),
        (None, "", False),
        (None, 0, False),
        (None, False, False),
        ([1, "A"], [1.0, "a "], True),
        ([1, 2], [2, 1], False),
        ([1], [1, 1], False),
        ([], [], True),
        ([1], 1, False),
        ([True], [1], False),
        ({"a": "X", "b": [1]}, {"b": [1.0], "a": "x"}, True),
        ({"a": 1}, {"a": 1, "b": None}, False),
        ({"a": 1}, {"A": 1}, False),
        ({"a": {"b": "5"}}, {"a": {"b": 5}}, False),
        ({}, [], False),
    ],
)
def test_same_value(one: Any, other: Any, same: bool) -> None:
    assert same_value(one, other) is same
    assert same_value(other, one) is same


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(one=_json, other=_json)
def test_same_value_is_reflexive_symmetric_and_never_raises(one: Any, other: Any) -> None:
    assert same_value(one, one) is True
    assert same_value(one, other) is same_value(other, one)


TOOL = Tool(
    function=Function(
        name="book",
        parameters={
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "nights": {"type": "integer", "default": 1},
                "filters": {"type": "object"},
                "note": {"type": ["string", "null"]},
                "lang": {"type": "string", "default": "en"},
                "anything": True,
            },
        },
    )
)


def _query(arguments: dict[str, Any], alternatives: dict[str, list[Any]] | None = None) -> GradedQuery:
    return GradedQuery(
        query="A room, please.",
        grades={"book": "full", "other": "none"},
        best="book",
        tool_calls=(ToolCall.of("book", arguments),),
        alternatives={"book": alternatives} if alternatives else {},
    )


def _match(
    reference: dict[str, Any], found: dict[str, Any], alternatives: dict[str, list[Any]] | None = None
) -> CallMatch:
    return match_call(ToolCall.of("book", found), _query(reference, alternatives), TOOL)


Faults = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
NONE: Faults = ((), (), ())


@pytest.mark.parametrize(
    ("reference", "found", "alternatives", "faults", "values"),
    [
        pytest.param({}, {}, None, NONE, 1.0, id="no arguments"),
        pytest.param({"city": "Bern"}, {"city": "bern "}, None, NONE, 1.0, id="equal"),
        pytest.param({"city": "Bern"}, {}, None, (("city",), (), ()), 0.0, id="omitted"),
        pytest.param({}, {"city": "Bern"}, None, ((), ("city",), ()), 0.0, id="extra"),
        pytest.param({}, {"town": "Bern"}, None, ((), ("town",), ()), 0.0, id="unknown to the schema"),
        pytest.param({"city": "Bern"}, {"city": "Basel"}, None, ((), (), ("city",)), 0.0, id="wrong"),
        pytest.param({"city": "5"}, {"city": 5}, None, ((), (), ("city",)), 0.0, id="number for a string"),
        pytest.param(
            {"nights": 5}, {"nights": "5"}, None, ((), (), ("nights",)), 0.0, id="string for number"
        ),
        pytest.param({"nights": 5}, {"nights": 5.0}, None, NONE, 1.0, id="5.0 for 5"),
        pytest.param({"nights": 1}, {"nights": True}, None, ((), (), ("nights",)), 0.0, id="true for 1"),
        pytest.param(
            {"city": "Bern", "nights": 3, "note": "x"},
            {"city": "Bern", "nights": 2, "lang": "de"},
            None,
            (("note",), ("lang",), ("nights",)),
            1 / 4,
            id="one right of four",
        ),
        # defaults
        pytest.param({"nights": 1}, {}, None, NONE, 1.0, id="omitted, equals the default"),
        pytest.param({"nights": 2}, {}, None, (("nights",), (), ()), 0.0, id="omitted, not the default"),
        pytest.param({}, {"nights": 1}, None, NONE, 1.0, id="default written out"),
        pytest.param({}, {"nights": 2}, None, ((), ("nights",), ()), 0.0, id="extra, not the default"),
        pytest.param({}, {"lang": "EN"}, None, NONE, 1.0, id="default up to case"),
        pytest.param({"anything": 1}, {}, None, (("anything",), (), ()), 0.0, id="schema `true`"),
        # null
        pytest.param({}, {"note": None}, None, NONE, 1.0, id="null is leaving out"),
        pytest.param({"nights": 1}, {"nights": None}, None, NONE, 1.0, id="null, equals the default"),
        pytest.param({"city": "B"}, {"city": None}, None, (("city",), (), ()), 0.0, id="null for a value"),
        pytest.param({"note": None}, {"note": None}, None, NONE, 1.0, id="null asked for"),
        pytest.param({"note": None}, {"note": "x"}, None, ((), (), ("note",)), 0.0, id="value for null"),
        pytest.param({"note": None}, {}, None, (("note",), (), ()), 0.0, id="null asked for, omitted"),
        # alternatives
        pytest.param({"city": "Bern"}, {"city": "berne"}, {"city": ["Berne"]}, NONE, 1.0, id="alternative"),
        pytest.param(
            {"city": "Bern"}, {"city": "Basel"}, {"city": ["Berne"]}, ((), (), ("city",)), 0.0, id="neither"
        ),
        pytest.param({"city": "Bern"}, {}, {"city": ["Berne"]}, (("city",), (), ()), 0.0, id="still needed"),
        pytest.param({"city": "Bern"}, {}, {"city": [None]}, NONE, 1.0, id="may be left out"),
        pytest.param(
            {"city": "Bern"}, {"city": None}, {"city": [None]}, NONE, 1.0, id="null, may be left out"
        ),
        pytest.param(
            {"nights": 3}, {"nights": 1}, {"nights": [None]}, NONE, 1.0, id="default, may be left out"
        ),
        pytest.param({"nights": 3}, {}, {"nights": [1]}, NONE, 1.0, id="alternative is the default"),
        pytest.param({}, {"note": "late"}, {"note": ["late"]}, NONE, 1.0, id="optional, given"),
        pytest.param({}, {}, {"note": ["late"]}, NONE, 1.0, id="optional, omitted"),
        pytest.param(
            {}, {"note": "early"}, {"note": ["late"]}, ((), (), ("note",)), 0.0, id="optional, wrong"
        ),
        # nested
        pytest.param(
            {"filters": {"stars": [4, 5], "pool": True}},
            {"filters": {"pool": True, "stars": [4.0, 5]}},
            None,
            NONE,
            1.0,
            id="nested, equal",
        ),
        pytest.param(
            {"filters": {"stars": [4, 5]}},
            {"filters": {"stars": [5, 4]}},
            None,
            ((), (), ("filters",)),
            0.0,
            id="nested, other order",
        ),
        pytest.param(
            {"filters": {"stars": 4}},
            {"filters": {"stars": 4, "pool": None}},
            None,
            ((), (), ("filters",)),
            0.0,
            id="nested, extra",
        ),
        pytest.param(
            {"filters": {"stars": 4}},
            {"filters": '{"stars": 4}'},
            None,
            ((), (), ("filters",)),
            0.0,
            id="text",
        ),
    ],
)
def test_match_call(
    reference: dict[str, Any],
    found: dict[str, Any],
    alternatives: dict[str, list[Any]] | None,
    faults: Faults,
    values: float,
) -> None:
    match = _match(reference, found, alternatives)
    assert (match.missing, match.extra, match.wrong) == faults
    assert match.values == pytest.approx(values)
    assert match.names_match is (not faults[0] and not faults[1])
    assert match.exact is (faults == NONE)


def test_arguments_left_out_rightly_do_not_count() -> None:
    match = _match({"city": "Bern", "nights": 1}, {"city": "Basel"})
    assert match.values == 0.0, "the default is not a right argument that makes up for the wrong one"


@given(
    st.dictionaries(st.sampled_from(["city", "nights", "note", "x"]), _json),
    st.dictionaries(st.sampled_from(["city", "nights", "note", "x"]), _json),
)
def test_share_is_consistent_with_exact(reference: dict[str, Any], found: dict[str, Any]) -> None:
    match = _match(reference, found)
    assert 0 <= match.values <= 1
    assert (match.values == 1) == match.exact
    assert _match(reference, reference).exact
