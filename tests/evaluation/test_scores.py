"""Scores against brute force, the bootstrap against a plain loop, and comparisons under effect and null."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest

from gentool.evaluation.metrics import METRICS
from gentool.evaluation.scores import ENDPOINT_CELLS, SCHEMA, make_scores
from gentool.records import SCENARIOS, TRANSITIONS, GradedQuery, Probe, ToolSet

Model = dict[int, list[dict[str, float] | None]]
U, UU = "seen_query_unseen_tool", "unseen_query_unseen_tool"
SET = ToolSet(pair="p", pair_tools=(), distractors=("d",))


def _probe(pair: str, query: int = 0, scenario: Any = UU, transition: Any = "zero_to_one") -> Probe:
    return Probe(
        scenario=scenario,
        transition=transition,
        pair=pair,
        query=GradedQuery(query=f"{pair} {query}", grades={"a": "none", "b": "none"}),
        before=SET,
        after=SET,
        stay=False,
    )


def _model(*rows: Any, metric: str = "arrival") -> Model:
    """A seed for each row of values."""
    return {seed: [None if v is None else {metric: float(v)} for v in row] for seed, row in enumerate(rows)}


def _cell(scores: dict[str, Any], transition: str = "zero_to_one", metric: str = "arrival") -> dict[str, Any]:
    cell = scores["models"]["gentool"][UU][transition][metric]
    assert isinstance(cell, dict)
    return cell


def _score(model: Model, probes: list[Probe], **options: Any) -> dict[str, Any]:
    return make_scores({"gentool": model}, probes, [0], **options)


def _random(rng: random.Random, pairs: int = 12, seeds: int = 3) -> tuple[list[Probe], dict[str, Model]]:
    """Probes in all cells, one to four a pair, and three models that lack a metric here and there."""
    probes = [
        _probe(f"{scenario}{pair}", query, scenario, transition)
        for scenario in SCENARIOS
        for transition in TRANSITIONS
        for pair in range(pairs)
        for query in range(rng.randint(1, 4))
        if (scenario, transition) != (SCENARIOS[0], "zero")
    ]
    models: dict[str, Model] = {}
    for name in ("sft", "no_ranking", "gentool"):
        level = rng.random()
        models[name] = {
            seed: [
                {m: float(rng.random() < level) for m in METRICS if m != "ndcg" or p.transition != "zero"}
                for p in probes
            ]
            for seed in range(seeds)
        }
    return probes, models


PROBES, MODELS = _random(random.Random(5))
SCORES = make_scores(MODELS, PROBES, [0, 1, 2], resamples=200)


# ------------------------------------------------------------------------------ layout and values


def test_layout() -> None:
    assert list(SCORES) == ["schema", "seeds", "models", "comparisons"]
    assert (SCORES["schema"], SCORES["seeds"]) == (SCHEMA, [0, 1, 2])
    assert set(SCORES["models"]) == set(MODELS)
    for model in SCORES["models"].values():
        assert tuple(model) == SCENARIOS
        for scenario in model.values():
            assert tuple(scenario) == (*TRANSITIONS, "all")
            for transition in scenario.values():
                assert tuple(transition) == METRICS
                for cell in transition.values():
                    assert set(cell) == {"value", "low", "high", "n_pairs", "n_queries"}
    for row in SCORES["comparisons"]:
        assert set(row) == {"a", "b", "metric", "delta", "low", "high", "p"}
    assert [(r["a"], r["b"], r["metric"]) for r in SCORES["comparisons"]] == [
        ("gentool", "sft", "arrival"),
        ("gentool", "no_ranking", "arrival"),
    ]
    assert json.loads(json.dumps(SCORES, allow_nan=False)) == SCORES


def test_values_equal_a_plain_recomputation() -> None:
    for name, model in MODELS.items():
        for scenario in SCENARIOS:
            for transition in (*TRANSITIONS, "all"):
                for metric in METRICS:
                    found = [
                        (probe.pair, probe.query.id, row[metric])
                        for seed in model
                        for probe, row in zip(PROBES, model[seed], strict=True)
                        if probe.scenario == scenario
                        and transition in (probe.transition, "all")
                        and row is not None
                        and metric in row
                    ]
                    cell = SCORES["models"][name][scenario][transition][metric]
                    assert cell["n_pairs"] == len({pair for pair, _, _ in found})
                    assert cell["n_queries"] == len({query for _, query, _ in found})
                    if found:
                        assert cell["value"] == pytest.approx(sum(v for _, _, v in found) / len(found))
                        assert 0 <= cell["low"] <= cell["value"] <= cell["high"] <= 1
                    else:
                        assert cell["value"] is cell["low"] is cell["high"] is None


def test_probes_weigh_the_same_not_pairs() -> None:
    probes = [_probe("large", n) for n in range(3)] + [_probe("small")]
    assert _cell(_score(_model([1, 1, 1, 0]), probes))["value"] == 0.75


def test_a_query_in_two_probes_counts_once() -> None:
    probes = [_probe("p", 0), _probe("p", 0, transition="weak_to_strong"), _probe("p", 1)]
    cell = _cell(_score(_model([1, 0, 1]), probes), "all")
    assert (cell["n_pairs"], cell["n_queries"]) == (1, 2)


def test_what_was_not_asked_does_not_count() -> None:
    probes = [_probe("p"), _probe("q"), _probe("r")]
    cell = _cell(_score(_model([1, None, 0]), probes))
    assert (cell["value"], cell["n_pairs"]) == (0.5, 2)


def test_empty_cells() -> None:
    empty = {"value": None, "low": None, "high": None, "n_pairs": 0, "n_queries": 0}
    scores = _score(_model([1]), [_probe("p")])
    assert _cell(scores, "weak_to_strong") == _cell(scores, metric="ndcg") == empty
    assert _cell(_score(_model([]), [])) == empty
    assert scores["comparisons"] == []


# ------------------------------------------------------------------------------ intervals


def _loop_bootstrap(
    probes: list[Probe], model: Model, resamples: int, seed: int = 1
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Draw pairs and training seeds with replacement, pool the probes, take the mean: nothing clever."""
    rng = random.Random(seed)
    pairs = sorted({p.pair for p in probes})
    rows = {
        (s, pair): [(row or {})["arrival"] for p, row in zip(probes, model[s], strict=True) if p.pair == pair]
        for s in model
        for pair in pairs
    }
    drawn = []
    for _ in range(resamples):
        some_pairs = rng.choices(pairs, k=len(pairs))
        some_seeds = rng.choices(sorted(model), k=len(model))
        values = [v for s in some_seeds for pair in some_pairs for v in rows[s, pair]]
        drawn.append(sum(values) / len(values))
    return np.array(drawn)


def _synthetic(pairs: int, seeds: int, rng: random.Random) -> tuple[list[Probe], Model]:
    """Queries of a pair are alike, seeds differ in level, pairs in size."""
    probes = [_probe(f"p{i}", q) for i in range(pairs) for q in range(1 + i % 5)]
    ease = {f"p{i}": rng.random() for i in range(pairs)}
    rows = []
    for seed in range(seeds):
        level = 0.6 + 0.4 * seed / max(1, seeds - 1)
        rows.append([rng.random() < ease[p.pair] * level for p in probes])
    return probes, _model(*rows)


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_interval_equals_a_plain_bootstrap(seeds: int, confidence: float) -> None:
    probes, model = _synthetic(14, seeds, random.Random(3))
    cell = _cell(_score(model, probes, resamples=6000, confidence=confidence))
    drawn = _loop_bootstrap(probes, model, 6000)
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    assert high - low > 0.08
    assert (cell["low"], cell["high"]) == (pytest.approx(low, abs=0.015), pytest.approx(high, abs=0.015))


def test_interval_covers_the_truth() -> None:
    """Over many data sets of 40 pairs a 90 % interval holds the true mean about as often as it says."""
    rng = random.Random(11)
    held = 0
    for _ in range(200):
        probes = [_probe(f"p{i}", q) for i in range(40) for q in range(3)]
        ease = {p.pair: rng.choice([0.2, 0.9]) for p in probes}
        model = _model([rng.random() < ease[p.pair] for p in probes])
        cell = _cell(_score(model, probes, resamples=400, confidence=0.9))
        held += cell["low"] <= 0.55 <= cell["high"]
    assert 0.82 <= held / 200 <= 0.96


def test_interval_is_by_pairs_not_by_probes() -> None:
    """Ten alike queries a pair tell no more than one."""
    once = [_probe(f"p{i}") for i in range(20)]
    often = [_probe(f"p{i}", q) for i in range(20) for q in range(10)]
    values = [i % 2 for i in range(20)]
    one = _cell(_score(_model(values), once))
    ten = _cell(_score(_model([v for v in values for _ in range(10)]), often))
    assert (one["low"], one["high"]) == (ten["low"], ten["high"])
    assert one["high"] - one["low"] > 0.3


def test_seeds_that_differ_widen_the_interval() -> None:
    probes = [_probe(f"p{i}") for i in range(30)]
    cell = _cell(_score(_model([0] * 30, [1] * 30), probes))
    assert (cell["low"], cell["value"], cell["high"]) == (0, 0.5, 1)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.25])
def test_equal_values_give_an_interval_of_no_width(value: float) -> None:
    probes = [_probe(f"p{i}", q) for i in range(7) for q in range(1 + i % 3)]
    cell = _cell(_score(_model([value] * len(probes), [value] * len(probes)), probes))
    assert [cell[k] for k in ("value", "low", "high")] == pytest.approx([value] * 3)


def test_one_pair_gives_an_interval_of_no_width() -> None:
    cell = _cell(_score(_model([1, 0]), [_probe("p", 0), _probe("p", 1)]))
    assert (cell["value"], cell["low"], cell["high"], cell["n_pairs"]) == (0.5, 0.5, 0.5, 1)


def test_scores_are_the_same_each_time() -> None:
    assert make_scores(MODELS, PROBES, [0, 1, 2], resamples=200) == SCORES


# ------------------------------------------------------------------------------ comparisons


def _compare(a: Model, b: Model, probes: list[Probe], resamples: int = 1000) -> dict[str, Any]:
    (row,) = make_scores({"gentool": a, "sft": b}, probes, [0], resamples)["comparisons"]
    assert isinstance(row, dict)
    return row


def _endpoint_probes(pairs: int) -> list[Probe]:
    """Pairs with probes in the endpoint's cells; the cells differ in size, and other cells are there too."""
    return [
        _probe(f"{scenario}{i}", q, scenario, transition)
        for n, (scenario, transition) in enumerate(ENDPOINT_CELLS)
        for i in range(pairs)
        for q in range(1 + n % 3)
    ] + [
        _probe("t", q, scenario, transition)
        for q in range(5)
        for scenario, transition in ((SCENARIOS[0], "zero_to_one"), (UU, "zero"))
    ]


def test_endpoint_is_the_unseen_tools_arrival() -> None:
    assert set(ENDPOINT_CELLS) == {(s, t) for s in (U, UU) for t in ("zero_to_one", "weak_to_strong")}


def test_delta_is_the_mean_of_the_cells_differences() -> None:
    for row in SCORES["comparisons"]:
        cells = [
            SCORES["models"][row["a"]][s][t]["arrival"]["value"]
            - SCORES["models"][row["b"]][s][t]["arrival"]["value"]
            for s, t in ENDPOINT_CELLS
        ]
        assert row["delta"] == pytest.approx(sum(cells) / 4)
        assert row["low"] < row["delta"] < row["high"]


def test_cells_weigh_the_same_whatever_their_size() -> None:
    probes = [_probe("p", q) for q in range(9)] + [_probe("p", 0, UU, "weak_to_strong")]
    row = _compare(_model([0] * 9 + [1]), _model([0] * 10), probes)
    assert row["delta"] == pytest.approx(0.5)


def test_identical_models() -> None:
    row = _compare(MODELS["gentool"], MODELS["gentool"], PROBES)
    assert (row["delta"], row["low"], row["high"], row["p"]) == (0, 0, 0, 1)


def test_comparison_is_paired() -> None:
    """A difference that is the same in every pair is certain, however much the pairs differ."""
    rng = random.Random(2)
    probes = _endpoint_probes(20)
    base = [rng.random() for _ in probes]
    row = _compare(_model([v + 0.1 for v in base]), _model(base), probes)
    assert [row[k] for k in ("delta", "low", "high")] == pytest.approx([0.1] * 3)


def test_clear_effect_and_its_direction() -> None:
    rng = random.Random(4)
    probes = _endpoint_probes(30)
    weak = _model(*([rng.random() < 0.3 for _ in probes] for _ in range(3)))
    strong = _model(*([rng.random() < 0.7 for _ in probes] for _ in range(3)))
    row, back = _compare(strong, weak, probes), _compare(weak, strong, probes)
    assert row["p"] == back["p"] == pytest.approx(1 / 1001), "the smallest that 1000 permutations allow"
    assert row["low"] > 0.25
    assert back["high"] < -0.25
    assert row["delta"] == pytest.approx(-back["delta"])


def test_p_is_uniform_without_an_effect() -> None:
    rng = random.Random(6)
    probes = _endpoint_probes(12)
    ps, held = [], 0
    for _ in range(200):
        ease = {p.pair: rng.random() for p in probes}
        a, b = (_model([rng.random() < ease[p.pair] for p in probes]) for _ in range(2))
        row = _compare(a, b, probes, 300)
        ps.append(row["p"])
        held += row["low"] <= 0 <= row["high"]
    assert 0.4 < np.mean(ps) < 0.6
    assert np.mean([p <= 0.05 for p in ps]) < 0.11
    assert np.mean([p <= 0.5 for p in ps]) == pytest.approx(0.5, abs=0.12)
    assert 0.88 <= held / 200 <= 0.99


def test_interval_of_the_difference_equals_a_plain_bootstrap() -> None:
    rng = random.Random(8)
    probes = [
        _probe(f"{scenario}{i}", q, scenario, t)
        for scenario, t in ENDPOINT_CELLS
        for i in range(10)
        for q in (0, 1)
    ]
    a = _model(*([rng.random() < 0.4 + 0.2 * s for _ in probes] for s in range(3)))
    b = _model(*([rng.random() < 0.4 for _ in probes] for _ in range(3)))
    row = _compare(a, b, probes, 6000)
    cells: dict[Any, dict[str, list[int]]] = {}
    for i, probe in enumerate(probes):
        cells.setdefault((probe.scenario, probe.transition), {}).setdefault(probe.pair, []).append(i)
    drawn = []
    for _ in range(3000):
        seeds = rng.choices(range(3), k=3)
        pairs = {s: rng.choices(range(10), k=10) for s in (U, UU)}
        means = []
        for (scenario, _), by_pair in cells.items():
            rows = [i for n in pairs[scenario] for i in by_pair[f"{scenario}{n}"]]
            means.append(
                np.mean(
                    [(a[s][i] or {})["arrival"] - (b[s][i] or {})["arrival"] for s in seeds for i in rows]
                )
            )
        drawn.append(np.mean(means))
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert (row["low"], row["high"]) == (pytest.approx(low, abs=0.015), pytest.approx(high, abs=0.015))


def test_one_training_seed_more_says_something() -> None:
    """Seeds are drawn too: models that win under one seed only are not ahead."""
    probes = _endpoint_probes(20)
    ones, zeros = [1] * len(probes), [0] * len(probes)
    row = _compare(_model(ones, zeros), _model(zeros, zeros), probes)
    assert (row["delta"], row["low"], row["high"]) == (0.5, 0, 1)


def test_pairs_that_lack_a_cell() -> None:
    """Few pairs in one cell: resamples without any of them must not give NaN."""
    probes = [_probe(f"p{i}") for i in range(6)] + [_probe("p0", 0, UU, "weak_to_strong")]
    row = _compare(_model([1, 0, 1, 0, 1, 1, 1]), _model([0] * 7), probes)
    assert row["delta"] == pytest.approx((4 / 6 + 1) / 2)
    assert 0 <= row["low"] <= row["delta"] <= row["high"] <= 1


def test_no_endpoint_probes() -> None:
    row = _compare(_model([1]), _model([0]), [_probe("p", 0, SCENARIOS[0])])
    assert [row[k] for k in ("delta", "low", "high", "p")] == [None] * 4


def test_only_the_contrasts_of_the_models_at_hand() -> None:
    models = {"base": MODELS["sft"], "gentool": MODELS["gentool"], "no_ranking": MODELS["no_ranking"]}
    rows = make_scores(models, PROBES, [0, 1, 2], 50)["comparisons"]
    assert [(r["a"], r["b"]) for r in rows] == [("gentool", "no_ranking")]
