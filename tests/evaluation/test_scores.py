"""Scores against brute force, intervals against a plain loop, comparisons, the guard, and what must not matter."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest
from scipy import stats

from gentool.evaluation.metrics import METRICS
from gentool.evaluation.scores import ENDPOINT_CELLS, GUARD, SCHEMA, make_scores
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
    assert set(SCORES) == {"schema", "seeds", "confidence", "models", "comparisons"}
    assert (SCORES["schema"], SCORES["seeds"]) == (SCHEMA, [0, 1, 2])
    assert SCORES["confidence"] == 0.95
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
        assert set(row) == (
            {"a", "b", "metric", "delta", "low", "high", "p", "p_holm", "mdd", "n_pairs", "n_seeds"}
            | {"guard", "guard_passed"}
        )
        assert [g["name"] for g in row["guard"]] == ["zero", "decoy", "seen_tools"]
        for entry in row["guard"]:
            assert set(entry) == {"name", "metric", "delta", "low", "n_pairs", "passed"}
            assert entry["metric"] == "tool_selection"
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
    probes: list[Probe], model: Model, resamples: int, draw_seeds: bool = True
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Draw pairs and training seeds with replacement, pool the probes, take the mean: nothing clever."""
    rng = random.Random(1)
    pairs = sorted({p.pair for p in probes})
    rows = {
        (s, pair): [(row or {})["arrival"] for p, row in zip(probes, model[s], strict=True) if p.pair == pair]
        for s in model
        for pair in pairs
    }
    drawn = []
    for _ in range(resamples):
        some_pairs = rng.choices(pairs, k=len(pairs))
        some_seeds = rng.choices(sorted(model), k=len(model)) if draw_seeds else sorted(model)
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
    error = _loop_bootstrap(probes, model, 3000).std(ddof=1)
    freedom = 13.0
    if seeds > 1:
        by_seed = [np.mean([row["arrival"] for row in rows if row]) for rows in model.values()]
        parts = [
            _loop_bootstrap(probes, model, 3000, draw_seeds=False).var(),
            np.var(by_seed, ddof=1) / seeds,
        ]
        freedom = sum(parts) ** 2 / (parts[0] ** 2 / 13 + parts[1] ** 2 / (seeds - 1))
    half = stats.t.ppf((1 + confidence) / 2, freedom) * error
    assert half > 0.04
    assert cell["high"] - cell["value"] == pytest.approx(half, rel=0.06)
    assert cell["value"] - cell["low"] == pytest.approx(half, rel=0.06)


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
    rows = [[float(n < share) for n in range(30)] for share in (6, 15, 24)]
    alike = _cell(_score(_model(rows[1], rows[1], rows[1]), probes))
    apart = _cell(_score(_model(*rows), probes))
    assert apart["value"] == alike["value"]
    assert apart["high"] - apart["low"] > 1.2 * (alike["high"] - alike["low"])


@pytest.mark.parametrize("value", [0.0, 1.0, 0.25])
def test_equal_values_give_an_interval_of_no_width(value: float) -> None:
    probes = [_probe(f"p{i}", q) for i in range(7) for q in range(1 + i % 3)]
    cell = _cell(_score(_model([value] * len(probes), [value] * len(probes)), probes))
    assert [cell[k] for k in ("value", "low", "high")] == pytest.approx([value] * 3)


def test_one_pair_tells_nothing_about_others() -> None:
    cell = _cell(_score(_model([1, 0]), [_probe("p", 0), _probe("p", 1)]))
    assert (cell["value"], cell["low"], cell["high"], cell["n_pairs"]) == (0.5, 0, 1, 1)


def test_one_resample_gives_no_error() -> None:
    cell = _cell(_score(_model([1, 0]), [_probe("p"), _probe("q")], resamples=1))
    assert (cell["value"], cell["low"], cell["high"]) == (0.5, 0, 1)


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

    def plain(draw_seeds: bool) -> list[float]:
        drawn = []
        names = sorted({p.pair for p in probes})
        for _ in range(2000):
            seeds = rng.choices(range(3), k=3) if draw_seeds else range(3)
            pairs = rng.choices(names, k=len(names))
            means = []
            for by_pair in cells.values():
                rows = [i for pair in pairs for i in by_pair.get(pair, [])]
                means.append(
                    np.mean(
                        [(a[s][i] or {})["arrival"] - (b[s][i] or {})["arrival"] for s in seeds for i in rows]
                    )
                )
            drawn.append(float(np.mean(means)))
        return drawn

    by_seed = [
        np.mean(
            [
                np.mean(
                    [
                        (a[s][i] or {})["arrival"] - (b[s][i] or {})["arrival"]
                        for rows in c.values()
                        for i in rows
                    ]
                )
                for c in cells.values()
            ]
        )
        for s in range(3)
    ]
    parts = [np.var(plain(False)), np.var(by_seed, ddof=1) / 3]
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 9 + parts[1] ** 2 / 2)
    half = stats.t.ppf(0.975, freedom) * np.std(plain(True))
    assert row["delta"] == pytest.approx(np.mean(by_seed))
    assert row["high"] - row["delta"] == pytest.approx(half, rel=0.08)
    assert row["delta"] - row["low"] == pytest.approx(half, rel=0.08)


def test_one_training_seed_more_says_something() -> None:
    """Seeds are drawn too: models that win under one seed only are not ahead."""
    probes = _endpoint_probes(20)
    ones, zeros = [1] * len(probes), [0] * len(probes)
    row = _compare(_model(ones, zeros), _model(zeros, zeros), probes)
    assert row["delta"] == 0.5
    assert row["low"] < 0


@pytest.mark.parametrize("few", [1, 2])
def test_pairs_that_lack_a_cell(few: int) -> None:
    """Few pairs in one cell: resamples without any of them must not give NaN."""
    probes = [_probe(f"p{i}") for i in range(6)]
    probes += [_probe(f"p{i}", 0, UU, "weak_to_strong") for i in range(few)]
    values = [1, 0, 1, 0, 1, 1, 1, 0][: 6 + few]
    row = _compare(_model(values), _model([0] * len(values)), probes)
    assert row["delta"] == pytest.approx((4 / 6 + 1 / few) / 2)
    assert -1 <= row["low"] <= row["delta"] <= row["high"] <= 1
    assert (row["low"] == -1) or few > 1
    assert row["n_pairs"] == 0, "two of the endpoint's cells are empty"


def test_no_endpoint_probes() -> None:
    row = _compare(_model([1]), _model([0]), [_probe("p", 0, SCENARIOS[0])])
    assert [row[k] for k in ("delta", "low", "high", "p", "p_holm", "mdd")] == [None] * 6
    assert row["n_pairs"] == 0


def test_only_the_contrasts_of_the_models_at_hand() -> None:
    models = {"base": MODELS["sft"], "gentool": MODELS["gentool"], "no_ranking": MODELS["no_ranking"]}
    rows = make_scores(models, PROBES, [0, 1, 2], 50)["comparisons"]
    assert [(r["a"], r["b"]) for r in rows] == [("gentool", "no_ranking")]


def test_holm_is_over_the_contrasts_that_are_there() -> None:
    first, second = SCORES["comparisons"]
    low, high = sorted((first, second), key=lambda r: float(r["p"]))
    assert low["p_holm"] == pytest.approx(min(1, 2 * low["p"]))
    assert high["p_holm"] == pytest.approx(max(low["p_holm"], high["p"]))
    (alone,) = make_scores({k: MODELS[k] for k in ("gentool", "sft")}, PROBES, [0, 1, 2], 200)["comparisons"]
    assert alone["p_holm"] == alone["p"] == first["p"]


def test_n_pairs_is_that_of_the_smallest_cell() -> None:
    probes = _endpoint_probes(5)
    half = [float(i % 2) for i in range(len(probes))]
    assert _compare(_model(half), _model(half), probes)["n_pairs"] == 5
    gone = [p for p in probes if p.pair not in (f"{UU}0", f"{UU}1") or p.transition == "zero_to_one"]
    half = [float(i % 2) for i in range(len(gone))]
    assert _compare(_model(half), _model(half), gone)["n_pairs"] == 3


def test_only_seeds_and_probes_that_both_have_are_compared() -> None:
    probes = _endpoint_probes(6)
    rng = random.Random(1)
    rows = [[float(rng.random() < 0.5) for _ in probes] for _ in range(4)]
    a, b = _model(rows[0], rows[1]), _model(rows[2])
    row = _compare(a, b, probes)
    assert row["n_seeds"] == 1
    assert row == _compare(_model(rows[0]), b, probes)
    with_gap = _model(rows[0], rows[1])
    with_gap[1][0] = None  # one seed only was asked this probe: it does not count
    both = _model(rows[2], rows[3])
    rest = [_model(*([None, *r[1:]] for r in pair)) for pair in (rows[:2], rows[2:])]
    assert _compare(with_gap, both, probes) == _compare(*rest, probes)
    assert _compare({}, b, probes)["delta"] is None


def test_identical_models_have_no_smallest_difference() -> None:
    """Where no pair differs, nothing tells how small a difference would be seen."""
    assert _compare(MODELS["gentool"], MODELS["gentool"], PROBES)["mdd"] is None


def test_smallest_difference_shrinks_with_pairs() -> None:
    found = []
    for pairs in (10, 40):
        rng = random.Random(3)
        probes = _endpoint_probes(pairs)
        a, b = (_model([rng.random() < 0.5 for _ in probes]) for _ in range(2))
        row = _compare(a, b, probes)
        found.append(row["mdd"])
        assert row["mdd"] > (row["high"] - row["low"]) / 2, (
            "power 0.80 needs more than to touch 0 half the time"
        )
    assert found[1] == pytest.approx(found[0] / 2, rel=0.25)


# ------------------------------------------------------------------------------ guard


def _guard_probes(pairs: int = 20) -> list[Probe]:
    """Pairs with probes in all cells; those with seen tools are the same in both scenarios."""
    return [
        _probe(f"{'T' if scenario.endswith('_seen_tool') else scenario}{i}", q, scenario, transition)
        for scenario in SCENARIOS
        for transition in TRANSITIONS
        for i in range(pairs)
        for q in range(2)
    ]


def _guard(probes: list[Probe], loses: Any, share: float = 1.0) -> tuple[dict[str, Any], Any]:
    """A model that is right but for a share of the probes that ``loses`` names, against one always right."""
    rng = random.Random(0)
    right = [not (loses(p) and rng.random() < share) for p in probes]
    row = make_scores(
        {
            "gentool": _model(right, metric="tool_selection"),
            "sft": _model([1] * len(probes), metric="tool_selection"),
        },
        probes,
        [0],
        500,
    )["comparisons"][0]
    return {g["name"]: g for g in row["guard"]}, row["guard_passed"]


@pytest.mark.parametrize(
    ("name", "hit"),
    [
        ("zero", lambda p: p.transition == "zero" and p.scenario.endswith("_seen_tool")),
        ("decoy", lambda p: p.transition == "zero" and not p.scenario.endswith("_seen_tool")),
        ("seen_tools", lambda p: p.transition != "zero" and p.scenario.endswith("_seen_tool")),
        (None, lambda p: p.transition != "zero" and not p.scenario.endswith("_seen_tool")),
    ],
)
def test_guard_finds_where_a_model_loses(name: str | None, hit: Any) -> None:
    guard, passed = _guard(_guard_probes(), hit, 0.3)
    for key, entry in guard.items():
        assert entry["passed"] is (key != name)
        assert entry["n_pairs"] == 20
        assert (entry["low"] < entry["delta"] < -0.15) if key == name else entry["delta"] == entry["low"] == 0
    assert passed is (name is None)


def test_guard_groups_are_disjoint_and_beside_the_endpoint() -> None:
    cells = [cell for cells in GUARD.values() for cell in cells] + list(ENDPOINT_CELLS)
    assert len(cells) == len(set(cells)) == 12
    assert set(cells) == {(s, t) for s in SCENARIOS for t in TRANSITIONS}


def test_guard_is_one_sided_and_by_its_bound() -> None:
    """A loss of 3 points is allowed where it is certain, not where it may as well be 10."""
    probes = _guard_probes(60)
    base = [0.5] * len(probes)
    for spread, passed in ((0.0, True), (0.5, False)):
        rng = random.Random(4)
        noise = {p.pair: rng.choice([-spread, spread]) for p in probes}
        lower = [0.5 - 0.03 + noise[p.pair] for p in probes]
        row = make_scores(
            {n: _model(v, metric="tool_selection") for n, v in (("gentool", lower), ("sft", base))},
            probes,
            [0],
        )["comparisons"][0]
        assert [g["passed"] for g in row["guard"]] == [passed] * 3
    by_pair = [noise[f"T{i}"] for i in range(60)]
    low = np.mean(by_pair) - 0.03 - stats.t.ppf(0.95, 59) * np.std(by_pair) / 60**0.5
    assert row["guard"][0]["low"] == pytest.approx(low, abs=0.01)


def test_cells_of_a_guard_weigh_the_same() -> None:
    probes = [_probe(f"T{i}", q, SCENARIOS[0], "zero") for i in range(5) for q in range(9)]
    probes += [_probe(f"T{i}", 0, "unseen_query_seen_tool", "zero") for i in range(5)]
    guard, _ = _guard(probes, lambda p: p.scenario == "unseen_query_seen_tool")
    assert guard["zero"]["delta"] == pytest.approx(-0.5)


def test_guard_without_probes_is_not_checked() -> None:
    guard, passed = _guard([p for p in _guard_probes(3) if p.transition != "zero"], lambda p: False)
    assert guard["zero"]["passed"] is guard["zero"]["delta"] is guard["zero"]["low"] is passed is None
    assert (guard["zero"]["n_pairs"], guard["seen_tools"]["passed"]) == (0, True)
    guard, passed = _guard(_guard_probes(1), lambda p: False)
    assert [g["passed"] for g in guard.values()] == [None] * 3, "one pair tells nothing about others"
    assert passed is None


# ------------------------------------------------------------------------------ what must not matter


def _with_fractions(rng: random.Random, models: dict[str, Model]) -> dict[str, Model]:
    """Values whose sums depend on the order of adding up."""
    return {
        name: {seed: [{m: rng.random() for m in row or {}} for row in rows] for seed, rows in model.items()}
        for name, model in models.items()
    }


def test_order_of_probes_pairs_seeds_and_models_is_of_no_effect() -> None:
    rng = random.Random(9)
    models = _with_fractions(rng, MODELS)
    order = list(range(len(PROBES)))
    rng.shuffle(order)
    shuffled = {
        name: {seed: [models[name][seed][i] for i in order] for seed in (2, 0, 1)}
        for name in ("gentool", "no_ranking", "sft")
    }
    expected = make_scores(models, PROBES, [0, 1, 2], 100)
    assert make_scores(shuffled, [PROBES[i] for i in order], [0, 1, 2], 100) == expected


def test_a_cell_depends_on_its_own_answers_only() -> None:
    kept = [i for i, p in enumerate(PROBES) if (p.scenario, p.transition) == (UU, "zero_to_one")]
    alone = make_scores(
        {"gentool": {s: [MODELS["gentool"][s][i] for i in kept] for s in MODELS["gentool"]}},
        [PROBES[i] for i in kept],
        [0, 1, 2],
        200,
    )
    for metric in METRICS:
        assert _cell(alone, metric=metric) == _cell(SCORES, metric=metric)
    bare = {
        s: [{"arrival": row["arrival"]} if row else None for row in rows]
        for s, rows in MODELS["gentool"].items()
    }
    other = make_scores({"gentool": bare}, PROBES, [0, 1, 2], 200)
    assert _cell(other) == _cell(SCORES), "nor on what other metrics there are"


@pytest.mark.parametrize("pairs", [1, 3])
@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize("fill", ["zeros", "ones", "mixed", "none", "crossed"])
def test_degenerate_inputs_give_plain_json(pairs: int, seeds: int, fill: str) -> None:
    probes = _endpoint_probes(pairs) + _guard_probes(pairs)

    def values(model: int, seed: int) -> list[Any]:
        return {
            "zeros": [0] * len(probes),
            "ones": [1] * len(probes),
            "mixed": [(i + seed + model) % 2 for i in range(len(probes))],
            "none": [None] * len(probes),
            "crossed": [(int(p.pair[-1]) + seed) % 2 if p.pair[-1].isdigit() else 0 for p in probes],
        }[fill]

    models: dict[str, Model] = {}
    for n, name in enumerate(("gentool", "sft", "no_ranking")):
        models[name] = {
            s: [None if v is None else dict.fromkeys(METRICS, float(v)) for v in values(n, s)]
            for s in range(seeds)
        }
    scores = make_scores(models, probes, list(range(seeds)), 50)
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores
    for row in scores["comparisons"]:
        assert row["p"] is None or 0 < row["p"] <= row["p_holm"] <= 1
        assert row["guard_passed"] in (None, True, False)
