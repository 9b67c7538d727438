"""Queries that are one query in other words are found, queries of one frame with other values are not."""

from __future__ import annotations

from itertools import combinations

import pytest

from gentool import data
from gentool.catalog.pairs import read_pairs
from gentool.synthesis.duplicates import NEAR_DUPLICATE, near_query, overlap, query_key, same_query


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What's the weather in Oslo?", "weather in OSLO, please"),
        ("Show me trains from Oslo to Bergen", "Could you show trains from Oslo to Bergen?"),
        ("Cafés near the harbour", "cafes near the harbours"),
    ],
)
def test_a_key_does_not_depend_on_case_punctuation_endings_and_filler(one: str, other: str) -> None:
    assert query_key(one) == query_key(other) and len(query_key(one)) == 16


def test_a_key_depends_on_values_and_their_order() -> None:
    texts = ["trains Paris to Rome", "trains Rome to Paris", "trains Paris to Nice", "", "?"]
    assert len({query_key(text) for text in texts[:4]}) == 4
    assert query_key("") == query_key("?")


def test_the_threshold_lies_between_rewordings_and_what_people_wrote() -> None:
    written = max(
        overlap(a.query, b.query) for pair in read_pairs(data.PAIRS) for a, b in combinations(pair.queries, 2)
    )
    assert 2 * written < NEAR_DUPLICATE
    earlier = ["Is there a cheap hotel with parking in Bergen?", "weather in Rome tomorrow"]
    found = near_query("I want a cheap Bergen hotel with parking", earlier)
    assert found is not None and found[0] == earlier[0]
    assert near_query("weather in Oslo tomorrow", earlier) is None
    assert near_query("anything", []) is None


def test_the_same_query() -> None:
    assert same_query("Hotels in Oslo?", ["rain?", "hotels  in oslo"]) == "hotels  in oslo"
    assert same_query("Hotels in Oslo?", ["hotel in oslo"]) is None
