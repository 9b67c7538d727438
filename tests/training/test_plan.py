"""Plans: every sample where it belongs, equal budgets for the arms, nothing left to chance."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gentool import data
from gentool.catalog.pairs import read_pairs, read_tools
from gentool.config import ScenarioConfig, StageOptions, TrainConfig
from gentool.jsonl import GenToolError
from gentool.records import Sample, Task
from gentool.scenarios.build import build_scenarios
from gentool.scenarios.targets import served
from gentool.training.plan import (
    EpochSamples,
    plan_arm,
    stages_of,
)


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    config = ScenarioConfig(embedding="tfidf")
    return build_scenarios(read_pairs(data.PAIRS), read_tools(data.TOOLS), config, 0).train


def length(sample: int, task: Task) -> int:
    """Lengths that differ between samples and tasks, as real ones do."""
    return 700 + 37 * (sample % 11) + (40 if task == "rank" else 25)


def test_two_pass_ranks_then_selects_with_a_tenth_of_rank_samples_replayed(samples: list[Sample]) -> None:
    rank, select = plan_arm(samples, "gentool", TrainConfig(epochs=2), 0, length)
    assert (rank.name, select.name) == ("rank", "select")
    assert Counter((i.sample, i.task) for i in rank.items) == {(i, "rank"): 2 for i in range(len(samples))}
    tasks = Counter(i.task for i in select.items)
    assert tasks == {"select": 2 * len(samples), "rank": 2 * round(0.1 * len(samples))}
    assert {i.epoch for i in rank.items} == {0, 1}
    assert {i.epoch for i in select.items} == {2, 3}, "a stage shows orders that no stage before it showed"


def test_sft_sees_each_query_in_one_state_of_its_catalogue(samples: list[Sample]) -> None:
    chosen = [samples[i] for i in EpochSamples(samples, "sft", 1.0, 0).of(0, "select")]
    assert Counter(s.query_id for s in chosen) == dict.fromkeys({s.query_id for s in samples}, 1)
    for arm in ("gentool", "no_ranking"):
        assert EpochSamples(samples, arm, 1.0, 0).of(0, "select") == list(range(len(samples)))


@settings(max_examples=30, deadline=None)
@given(most=st.floats(0, 1), seed=st.integers(0, 9))
def test_a_share_of_declining_samples_is_not_exceeded(samples: list[Sample], most: float, seed: int) -> None:
    own = EpochSamples(samples, "gentool", most, seed)
    shown = own.of(0, "rank")
    declined = [i for i in shown if not served(samples[i])]
    every = [i for i in range(len(samples)) if not served(samples[i])]
    assert len(shown) == len(own) == len(set(shown)) and shown == sorted(shown)
    assert len(shown) - len(declined) == len(samples) - len(every), "what a tool serves is always shown"
    assert len(declined) <= most * len(shown) + 1e-6
    assert declined == every or len(declined) + 1 > most * (len(shown) + 1) - 1e-6, (
        "no more sit out than must"
    )


def test_other_declining_samples_sit_out_in_each_epoch(samples: list[Sample]) -> None:
    config = TrainConfig(epochs=2, max_declined=0.2)
    rank, select = plan_arm(samples, "gentool", config, 0, length)
    shown = [{i.sample for i in rank.items if i.epoch == epoch} for epoch in (0, 1)]
    assert len(shown[0]) == len(shown[1]) < len(samples) and shown[0] != shown[1]
    assert {i.sample for i in select.items if i.epoch == 2 and i.task == "select"} not in shown
    calls_only = plan_arm(samples, "sft", TrainConfig(max_declined=0), 0, length)[0]
    assert all(served(samples[i.sample]) for i in calls_only.items)


def test_an_arm_without_samples_is_an_error_that_says_why(samples: list[Sample]) -> None:
    unserved = [s for s in samples if not served(s)][:20]
    with pytest.raises(
        GenToolError, match="train the arm gentool on: it has 20 samples, in none of which a tool"
    ):
        plan_arm(unserved, "gentool", TrainConfig(max_declined=0.5), 0, length, (10_000, 3))


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("two_pass", [("rank", {"rank"}), ("select", {"select", "rank"})]),
        ("one_output", [("joint", {"joint"})]),
        ("mixed", [("mixed", {"rank", "select"})]),
    ],
)
def test_schedules(schedule: str, expected: list[tuple[str, set[str]]]) -> None:
    assert [(n, set(t)) for n, t in stages_of("gentool", schedule, 0.1)] == expected  # type: ignore[arg-type]
    assert stages_of("sft", schedule) == [("select", {"select": 1.0})]  # type: ignore[arg-type]


@pytest.mark.parametrize("schedule", ["two_pass", "one_output", "mixed"])
@pytest.mark.parametrize("arm", ["sft", "no_ranking"])
def test_arms_process_the_same_tokens_in_the_same_steps(
    samples: list[Sample], arm: str, schedule: str
) -> None:
    config = TrainConfig(epochs=3, schedule=schedule)  # type: ignore[arg-type]
    reference = plan_arm(samples, "gentool", config, 0, length)
    tokens, steps = sum(p.tokens for p in reference), sum(p.steps for p in reference)
    (plan,) = plan_arm(samples, arm, config, 0, length, (tokens, steps))  # type: ignore[arg-type]
    assert plan.tokens == sum(length(i.sample, i.task) for i in plan.items)
    assert plan.tokens == pytest.approx(tokens, rel=0.02)
    assert plan.steps == pytest.approx(steps, rel=0.02)


def test_stages_can_differ_in_epochs_and_learning_rate(samples: list[Sample]) -> None:
    config = TrainConfig(
        epochs=1,
        learning_rate=1e-5,
        learning_rates={"sft": 3e-5},
        stages={"rank": StageOptions(epochs=0.5, learning_rate=2e-5)},
    )
    rank, select = plan_arm(samples, "gentool", config, 0, length)
    assert len(rank.items) == round(0.5 * len(samples))
    assert (rank.learning_rate, select.learning_rate) == (2e-5, 1e-5)
    assert plan_arm(samples, "sft", config, 0, length)[0].learning_rate == 3e-5
    config = TrainConfig(learning_rate=1e-5, stages={"select": StageOptions(learning_rate=9e-5)})
    assert plan_arm(samples, "gentool", config, 0, length)[1].learning_rate == 9e-5
    assert plan_arm(samples, "no_ranking", config, 0, length)[0].learning_rate == 1e-5


def test_plans_depend_on_the_seed_alone(samples: list[Sample]) -> None:
    first = plan_arm(samples, "gentool", TrainConfig(), 0, length)
    assert plan_arm(samples, "gentool", TrainConfig(), 0, length) == first
    assert plan_arm(samples, "gentool", TrainConfig(), 1, length) != first


@settings(max_examples=30, deadline=None)
@given(number=st.integers(1, 60), batch_size=st.integers(1, 17))
def test_every_item_is_in_exactly_one_step(samples: list[Sample], number: int, batch_size: int) -> None:
    config = TrainConfig(epochs=1, batch_size=batch_size)
    (plan,) = plan_arm(samples[:number], "no_ranking", config, 0, length)
    seen = []
    for step in range(plan.steps):
        assert abs(len(plan.step(step)) - number / plan.steps) <= 1
        seen += plan.step(step)
    assert Counter(seen) == Counter(plan.items)


def test_grouped_batches_keep_the_samples_of_a_list_together(samples: list[Sample]) -> None:
    def runs(config: TrainConfig) -> int:
        (plan,) = plan_arm(samples, "no_ranking", config, 0, length)
        assert Counter(i.sample for i in plan.items) == Counter(range(len(samples)))
        sets = [samples[item.sample].tool_set.id for item in plan.items]
        return 1 + sum(a != b for a, b in pairwise(sets))

    lists = len({s.tool_set.id for s in samples})
    assert runs(TrainConfig(epochs=1)) == lists
    assert runs(TrainConfig(epochs=1, batches="shuffled")) > 2 * lists


@pytest.mark.parametrize("schedule", ["two_pass", "one_output"])
@pytest.mark.parametrize("arm", ["gentool", "sft"])
def test_a_given_budget_binds_every_arm(samples: list[Sample], arm: str, schedule: str) -> None:
    config = TrainConfig(epochs=1, schedule=schedule)  # type: ignore[arg-type]
    plans = plan_arm(samples, arm, config, 0, length, (900_000, 70))  # type: ignore[arg-type]
    assert len(plans) == (2 if schedule == "two_pass" and arm == "gentool" else 1)
    assert sum(p.tokens for p in plans) == pytest.approx(900_000, rel=0.02)
    assert sum(p.steps for p in plans) == 70
    if len(plans) == 2:  # as their epochs would share it: ten of twenty-one parts
        assert plans[0].tokens / plans[1].tokens == pytest.approx(1 / 1.1, rel=0.05)


@pytest.mark.parametrize("size", [1, 3, None])
def test_at_most_group_size_samples_of_a_list_stand_together(samples: list[Sample], size: int | None) -> None:
    config = TrainConfig(epochs=1, group_size=size)
    rank, _ = plan_arm(samples, "gentool", config, 0, length)
    lists = [samples[i.sample].tool_set.id for i in rank.items]
    runs = [1]
    for a, b in pairwise(lists):
        runs[-1:] = [runs[-1] + 1] if a == b else [runs[-1], 1]
    whole = max(Counter(lists).values())
    assert Counter(i.sample for i in rank.items) == dict.fromkeys(range(len(samples)), 1)
    if size is None:
        assert len(runs) == len(set(lists)), "each list in one run"
    else:
        assert len(runs) > len(set(lists)) and max(runs) <= max(2 * size, 4) < whole + size
