"""One JSON object, whatever a model writes around it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gentool.llm.extract import find_object


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        '\n\n {"a": 1} \n',
        '```json\n{"a": 1}\n```',
        '```\n{"a": 1}\n```\n',
        'Sure! Here it is:\n{"a": 1}\nLet me know {if} you need more {}.'.replace("{}", "{x}"),
        '<think>Maybe {"a": 2}? No.</think>{"a": 1}',
        '<thinking>{"a": </thinking>\n```json\n{"a": 1}```',
        'the answer to {city} is {"a": 1}',
        '{"a": 1}\n\nOnce more: {"a": 1}',
        '[{"a": 1}]',
        '{\n  "a": 1\n}',
    ],
)
def test_found(text: str) -> None:
    assert find_object(text) == {"a": 1}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no JSON object"),
        ("I cannot do that.", "no JSON object"),
        ("[1, 2]", "no JSON object"),
        ('{"a": 1,}', "broken"),
        ("{'a': 1}", "no JSON object"),
        ('{"queries": [{"query": "x"}, {"query": "y"},]}', "broken"),
        ('{"a": 1', "broken"),
        ('{"a": "cut of', "broken"),
        ('{"a": NaN}', "NaN is not JSON"),
        ('{"a": 1e999}', "too large a number"),
        ('{"a": 1, "a": 2}', "'a' is there twice"),
        ('{"a": 1} {"a": 2}', "2 JSON objects"),
        ('{"a":' * 100_000, "broken|deep"),
        ('{"a": [' + "[" * 100_000, "broken|deep"),
    ],
)
def test_not_found(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        find_object(text)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), VALUES), st.text(alphabet="ab \n`[]:,1"), st.text(alphabet="ab \n`[]:,1"))
def test_any_object_is_found_between_any_texts(value: dict[str, object], before: str, after: str) -> None:
    assert find_object(before + json.dumps(value) + after) == value


@given(st.text())
def test_any_text_gives_an_object_or_a_reason(text: str) -> None:
    try:
        assert isinstance(find_object(text), dict)
    except ValueError as error:
        assert str(error)
