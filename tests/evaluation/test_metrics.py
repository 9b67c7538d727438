"""Every metric of a probe, by cases computed by hand; NDCG also against scikit-learn."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from sklearn.metrics import ndcg_score

from gentool.evaluation.metrics import (
    METRICS,
    Answers,
    chosen,
    gains,
    ndcg,
    probe_metrics,
    right_tool,
)
from gentool.records import (
    GENERATE_RESPONSE,
    Function,
    GradedQuery,
    Prediction,
    Probe,
    Tool,
    ToolCall,
    ToolSet,
)


def _tool(name: str) -> Tool:
    properties = {"city": {"type": "string"}, "days": {"type": "integer", "default": 1}}
    return Tool(function=Function(name=name, parameters={"type": "object", "properties": properties}))


BY_NAME = {n: _tool(n) for n in ("rich", "plain", "noise", "decoy", "old", "new")}
TOOLS = {t.id: t for t in BY_NAME.values()}
RICH_CALL = {"city": "Bern", "days": 3}
PLAIN_CALL = {"city": "Bern"}


def _query(rich: str = "full", plain: str = "partial", best: str | None = "rich") -> GradedQuery:
    grades: Any = {"rich": rich, "plain": plain}
    arguments = {"rich": RICH_CALL, "plain": PLAIN_CALL}
    calls = tuple(ToolCall.of(n, arguments[n]) for n in ("rich", "plain") if grades[n] != "none")
    return GradedQuery(query="Rain?", grades=grades, best=best, tool_calls=calls)


def _set(pair_tools: tuple[str, ...], *distractors: str) -> ToolSet:
    return ToolSet(
        pair="p",
        pair_tools=tuple(BY_NAME[n].id for n in pair_tools),
        distractors=tuple(BY_NAME[n].id for n in distractors),
    )


ZERO, OTHER_ZERO = _set((), "noise", "old"), _set((), "noise", "decoy")
ONE, BOTH = _set(("plain",), "noise"), _set(("rich", "plain"))


def _probe(query: GradedQuery, before: ToolSet, after: ToolSet, transition: Any, stay: bool = False) -> Probe:
    return Probe(
        scenario="unseen_query_unseen_tool",
        transition=transition,
        pair="p",
        query=query,
        before=before,
        after=after,
        stay=stay,
    )


def _prediction(query: GradedQuery, tool_set: ToolSet, task: Any, **fields: Any) -> Prediction:
    return Prediction(
        model="m",
        seed=0,
        task=task,
        query_id=query.id,
        tool_set=tool_set.id,
        shown=(),
        text="",
        prompt_tokens=1,
        completion_tokens=1,
        **fields,
    )


def _select(
    query: GradedQuery, tool_set: ToolSet, what: Any, task: str = "select", **more: Any
) -> Prediction:
    """``what``: (name, arguments), "answer" or "malformed"."""
    if isinstance(what, tuple):
        call = ToolCall.of(*what)
        return _prediction(query, tool_set, task, outcome="call", tool_call=call, **more)
    return _prediction(query, tool_set, task, outcome=what, **more)


def _answers(*predictions: Prediction) -> Answers:
    return Answers({p.key: p for p in predictions})


def _measure(
    probe: Probe, before: Any, after: Any, ranking: tuple[str, ...] | str | None = None
) -> dict[str, float]:
    predictions = [_select(probe.query, probe.before, before), _select(probe.query, probe.after, after)]
    if isinstance(ranking, tuple):
        predictions.append(_prediction(probe.query, probe.after, "rank", outcome="ranking", ranking=ranking))
    elif ranking == "malformed":
        predictions.append(_prediction(probe.query, probe.after, "rank", outcome="malformed"))
    found = probe_metrics(probe, _answers(*predictions), TOOLS)
    assert found is not None
    assert set(found) <= set(METRICS)
    return found


RICH, PLAIN = ("rich", RICH_CALL), ("plain", PLAIN_CALL)
FALLBACK = (GENERATE_RESPONSE, {})
STRONG = _probe(_query(), ONE, BOTH, "weak_to_strong")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        # (tool_selection, served, arrival, malformed, argument_names, argument_values, exact_call)
        pytest.param(PLAIN, RICH, (1, 1, 1, 0, 1, 1, 1), id="switches"),
        pytest.param(PLAIN, PLAIN, (0, 1, 0, 0, 0, 0, 0), id="stays with the weak tool: served"),
        pytest.param(RICH, RICH, (1, 1, 0, 0, 1, 1, 1), id="wrong before"),
        pytest.param(PLAIN, ("noise", {}), (0, 0, 0, 0, 0, 0, 0), id="distractor"),
        pytest.param(PLAIN, FALLBACK, (0, 0, 0, 0, 0, 0, 0), id="abstains"),
        pytest.param(PLAIN, "answer", (0, 0, 0, 0, 0, 0, 0), id="answers"),
        pytest.param(PLAIN, "malformed", (0, 0, 0, 1, 0, 0, 0), id="malformed after"),
        pytest.param("malformed", RICH, (1, 1, 0, 0, 1, 1, 1), id="malformed before"),
        pytest.param(PLAIN, ("rich", {"city": "Bern"}), (1, 1, 1, 0, 0, 0.5, 0), id="argument missing"),
        pytest.param(PLAIN, ("rich", {"city": "Bern", "days": 4}), (1, 1, 1, 0, 1, 0.5, 0), id="wrong value"),
        pytest.param(
            PLAIN, ("rich", RICH_CALL | {"x": 1}), (1, 1, 1, 0, 0, pytest.approx(2 / 3), 0), id="extra"
        ),
        pytest.param(("plain", {}), RICH, (1, 1, 1, 0, 1, 1, 1), id="arguments before do not matter"),
    ],
)
def test_weak_to_strong(before: Any, after: Any, expected: tuple[Any, ...]) -> None:
    found = _measure(STRONG, before, after)
    names = (
        "tool_selection", "served", "arrival", "malformed", "argument_names", "argument_values", "exact_call",
    )  # fmt: skip
    assert found == dict(zip(names, expected, strict=True))


STAY = _probe(_query("partial", "full", "plain"), ONE, BOTH, "weak_to_strong", stay=True)


@pytest.mark.parametrize(
    ("after", "selection", "served", "arrival"), [(PLAIN, 1, 1, 1), (RICH, 0, 1, 0), ("answer", 0, 0, 0)]
)
def test_stay_probe(after: Any, selection: float, served: float, arrival: float) -> None:
    found = _measure(STAY, PLAIN, after)
    assert (found["tool_selection"], found["served"], found["arrival"]) == (selection, served, arrival)


def test_useless_richer_tool_does_not_serve() -> None:
    probe = _probe(_query("none", "full", "plain"), ONE, BOTH, "weak_to_strong", stay=True)
    assert _measure(probe, PLAIN, RICH)["served"] == 0


WEAK = _probe(_query(), ZERO, ONE, "zero_to_one")


@pytest.mark.parametrize(
    ("before", "after", "arrival"),
    [
        (FALLBACK, PLAIN, 1),
        ("answer", PLAIN, 1),
        ("malformed", PLAIN, 0),
        (("noise", {}), PLAIN, 0),
        (FALLBACK, FALLBACK, 0),
        (("generate_response", {"text": "hm"}), PLAIN, 1),
    ],
)
def test_zero_to_one(before: Any, after: Any, arrival: float) -> None:
    found = _measure(WEAK, before, after)
    assert found["arrival"] == arrival
    assert found["tool_selection"] == found["served"] == found["exact_call"] == float(after == PLAIN)


DECOY = _probe(_query(), ZERO, OTHER_ZERO, "zero", stay=True)


@pytest.mark.parametrize(
    ("after", "selection", "exact", "malformed"),
    [
        (FALLBACK, 1, 1, 0),
        ("answer", 1, 1, 0),
        ((GENERATE_RESPONSE, {"text": "hm"}), 1, 0, 0),
        (("decoy", {}), 0, 0, 0),
        ("malformed", 0, 0, 1),
    ],
)
def test_decoy_arrives_where_nothing_suits(
    after: Any, selection: float, exact: float, malformed: float
) -> None:
    found = _measure(DECOY, FALLBACK, after)
    assert found == {
        "tool_selection": selection,
        "served": selection,
        "arrival": selection,
        "malformed": malformed,
        "exact_call": exact,
    }, "a zero set has no argument metrics"


def test_decoy_probe_wants_both_sets_right() -> None:
    assert _measure(DECOY, ("noise", {}), FALLBACK)["arrival"] == 0
    assert _measure(DECOY, "malformed", FALLBACK)["arrival"] == 0


def test_set_whose_only_pair_tool_is_useless_is_a_zero_set() -> None:
    query = _query("full", "none", "rich")
    found = _measure(_probe(query, ONE, BOTH, "zero_to_one"), "answer", RICH)
    assert found["arrival"] == 1
    assert _measure(_probe(query, ONE, BOTH, "zero_to_one"), ("plain", {}), RICH)["arrival"] == 0


@pytest.mark.parametrize("missing", ["before", "after"])
def test_probe_that_was_not_asked(missing: str) -> None:
    kept = STRONG.after if missing == "before" else STRONG.before
    assert probe_metrics(STRONG, _answers(_select(STRONG.query, kept, RICH)), TOOLS) is None


def test_joint_output_gives_call_and_ranking() -> None:
    ranking = ("rich", "plain", GENERATE_RESPONSE)
    answers = _answers(
        _select(STRONG.query, ONE, PLAIN, "joint", ranking=("plain", GENERATE_RESPONSE)),
        _select(STRONG.query, BOTH, RICH, "joint", ranking=ranking),
    )
    found = probe_metrics(STRONG, answers, TOOLS)
    assert found is not None
    assert (found["arrival"], found["ndcg"]) == (1, 1)


@pytest.mark.parametrize(
    ("what", "name"),
    [(RICH, "rich"), (FALLBACK, GENERATE_RESPONSE), ("answer", GENERATE_RESPONSE), ("malformed", None)],
)
def test_chosen(what: Any, name: str | None) -> None:
    assert chosen(_select(STRONG.query, BOTH, what)) == name


@pytest.mark.parametrize(
    ("query", "names", "expected", "right"),
    [
        (_query(), ["plain", "rich"], {"rich": 3, "plain": 2, GENERATE_RESPONSE: 1}, "rich"),
        (_query(), ["plain"], {"plain": 3, GENERATE_RESPONSE: 1}, "plain"),
        (_query("full", "full", "plain"), ["rich", "plain"], {"plain": 3, "rich": 2, GENERATE_RESPONSE: 1}, "plain"),
        (_query("full", "none", "rich"), ["plain", "rich"], {"rich": 3, GENERATE_RESPONSE: 1}, "rich"),
        (_query("full", "none", "rich"), ["plain"], {GENERATE_RESPONSE: 1}, GENERATE_RESPONSE),
        (_query(), [], {GENERATE_RESPONSE: 1}, GENERATE_RESPONSE),
    ],
)  # fmt: skip
def test_gains(query: GradedQuery, names: list[str], expected: dict[str, float], right: str) -> None:
    assert gains(query, names) == expected
    assert right_tool(query, names) == right


IDEAL = 3 + 2 / math.log2(3) + 1 / 2


@pytest.mark.parametrize(
    ("ranking", "expected"),
    [
        (("rich", "plain", GENERATE_RESPONSE), 1.0),
        (("rich", "plain", GENERATE_RESPONSE, "noise", "decoy"), 1.0),
        (("plain", "rich", GENERATE_RESPONSE), (2 + 3 / math.log2(3) + 0.5) / IDEAL),
        (("rich", GENERATE_RESPONSE), (3 + 1 / math.log2(3)) / IDEAL),
        (("noise", "rich", "plain", GENERATE_RESPONSE), (3 / math.log2(3) + 1 + 1 / math.log2(5)) / IDEAL),
        ((GENERATE_RESPONSE,), 1 / IDEAL),
        (("noise",), 0.0),
        ("malformed", 0.0),
    ],
)
def test_ndcg_of_a_probe(ranking: Any, expected: float) -> None:
    found = _measure(STRONG, PLAIN, RICH, ranking)
    assert found["ndcg"] == pytest.approx(expected)
    assert "ndcg" not in _measure(STRONG, PLAIN, RICH), "no ranking was asked for"


def test_ndcg_against_scikit_learn() -> None:
    rng = random.Random(0)
    values = set()
    for _ in range(200):
        names = [f"t{i}" for i in range(rng.randint(2, 8))]
        gain = {n: float(rng.choice([0, 0, 1, 2, 3])) for n in names} | {"t0": 1.0}
        ranking = rng.sample(names, len(names))
        scores = [-float(ranking.index(n)) for n in names]
        expected = ndcg_score([[gain[n] for n in names]], [scores])
        assert ndcg(ranking, gain) == pytest.approx(expected)
        values.add(round(expected, 3))
    assert len(values) > 50
