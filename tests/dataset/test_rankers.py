"""Plain rankers: what they see, and that they find what is there to be found."""

from __future__ import annotations

import pytest

from gentool.dataset.rankers import contested, lexical_choices, split_words, tools_only_accuracy
from gentool.dataset.readings import Labels, Reading, agreement
from gentool.records import Derivation, Function, GradedQuery, Tool, ToolCall, ToolPair


def pair(number: int, queries: list[tuple[str, int | None]], long: int = 0) -> ToolPair:
    tools = (
        Tool(
            function=Function(
                name=f"boatFinder{number}", description="finds boats in harbours " + "and more " * long
            )
        ),
        Tool(function=Function(name=f"tide_table{number}", description="tells high and low water")),
    )
    graded = []
    for text, best in queries:
        grades = {t.name: "full" if i == best else "none" for i, t in enumerate(tools)}
        name = None if best is None else tools[best].name
        calls = () if name is None else (ToolCall.of(name),)
        graded.append(GradedQuery(query=f"{text} {number}", grades=grades, best=name, tool_calls=calls))
    derivation = Derivation(tool=tools[1].name, from_tool=tools[0].name, how="missing_capability")
    return ToolPair(domain="sea", tools=tools, derivation=derivation, queries=tuple(graded))


def test_names_are_taken_apart() -> None:
    assert split_words("findTrain_times-v2.now") == "find Train times v2 now"


def test_a_query_that_shares_words_is_found_and_one_that_shares_the_other_tools_words_is_not() -> None:
    asked = pair(
        1, [("which boats lie in the harbours", 0), ("is the water high", 1), ("boats and harbours", 1)]
    )
    assert lexical_choices([asked]) == [True, True, False]


def test_near_misses_are_not_contested() -> None:
    assert len(contested([pair(1, [("boats", 0), ("whales", None)])])) == 1


@pytest.mark.parametrize(("best", "expected"), [(0, 1.0), (None, 0.5)])
def test_a_classifier_of_tools_alone_finds_what_lengths_give_away(best: int | None, expected: float) -> None:
    """Always the longer tool: all is found. In turn: nothing is."""
    pairs = [
        pair(n, [(f"q{i}", best if best is not None else i % 2) for i in range(4)], long=5 + n % 3)
        for n in range(20)
    ]
    assert tools_only_accuracy(pairs) == pytest.approx(expected, abs=0.02)


def reading(number: int, written: str | None, read: str | None) -> Reading:
    def labels(best: str | None) -> Labels:
        return Labels(
            strong="full" if best == "strong" else "none",
            weak="full" if best == "weak" else "none",
            best=best,
        )

    return Reading(
        strong="a", weak="b", query=f"q{number}", written=labels(written), read=labels(read), reader="r"
    )


def test_agreement_and_kappa_by_hand() -> None:
    """Ten readings: 4 strong/strong, 3 weak/weak, 1 None/None, 2 strong/weak. Chance: .6*.4 + .3*.5 + .1*.1 = .4."""
    labels = [("strong", "strong")] * 4 + [("weak", "weak")] * 3 + [(None, None)] + [("strong", "weak")] * 2
    found = agreement([reading(i, a, b) for i, (a, b) in enumerate(labels)])
    assert found["readings"] == 10 and found["agreement"] == 0.8
    assert found["kappa"] == pytest.approx((0.8 - 0.4) / 0.6, abs=1e-4)
    assert found["grade_agreement"] == 0.8


def test_without_readings_there_is_no_agreement() -> None:
    assert agreement([])["readings"] == 0
