"""Which prompts share a prefix, and how they are put into batches."""

from __future__ import annotations

import random

import pytest

from gentool.inference.prefix_cache import Group, Row, batches, group_prompts, one_group

HEADER = [1] * 10
FIRST, SECOND = HEADER + [2] * 90, HEADER + [3] * 60


def computed(prompts: list[list[int]], groups: list[Group]) -> int:
    return sum(group.computed(prompts) for group in groups)


def test_prompts_of_a_tool_list_share_it() -> None:
    prompts = [[*SECOND, 7], [*FIRST, 5, 5], [*FIRST, 6], [*SECOND, 8], [*FIRST, 5, 6, 9]]
    assert group_prompts(prompts, cost=20) == [Group((4, 1, 2), 100), Group((0, 3), 70)]
    assert computed(prompts, group_prompts(prompts, cost=20)) == 100 + (3 + 2 + 1) + 70 + 2


def test_a_prefix_that_saves_less_than_its_pass_costs_is_not_shared() -> None:
    prompts = [[*SECOND, 7], [*SECOND, 8], [*FIRST, 5]]
    assert group_prompts(prompts, cost=69) == [Group((0, 1), 70), Group((2,), 0)]
    assert group_prompts(prompts, cost=70) == [Group((2, 0, 1), 0)]


def test_the_header_alone_is_shared_where_that_saves_more() -> None:
    prompts = [[*HEADER, n, *[n] * n] for n in range(50, 90)] + [[*FIRST, 5], [*FIRST, 6]]
    (group,) = group_prompts(prompts, cost=95)
    assert group.shared == 10 and len(group.members) == 42
    found = group_prompts(prompts[-6:], cost=5)
    assert Group((4, 5), 100) in found and {g.shared for g in found} == {100, 10}


def test_each_prompt_keeps_a_token() -> None:
    assert group_prompts([FIRST, FIRST, [*FIRST, 4]], cost=0) == [Group((2, 0, 1), 99)]
    assert group_prompts([[1], [1]], cost=0) == [Group((0, 1), 0)]
    assert group_prompts([[1]], cost=0) == [Group((0,), 0)]
    assert group_prompts([], cost=0) == []


def test_prompts_nested_in_each_other_are_no_matter() -> None:
    prompts = [[1] * n for n in range(1, 1500)]
    groups = group_prompts(prompts, cost=10)
    assert sorted(i for g in groups for i in g.members) == list(range(1499))
    assert computed(prompts, groups) < sum(map(len, prompts)) / 1.5


@pytest.mark.parametrize("seed", range(20))
def test_every_prompt_once_with_a_prefix_that_it_has(seed: int) -> None:
    rng = random.Random(seed)
    prompts = [[rng.randrange(2) for _ in range(rng.randint(1, 12))] for _ in range(rng.randint(1, 30))]
    cost = rng.randint(0, 8)
    groups = group_prompts(prompts, cost)
    assert sorted(i for g in groups for i in g.members) == list(range(len(prompts)))
    for group in groups:
        assert len({tuple(prompts[i][: group.shared]) for i in group.members}) == 1
        assert all(len(prompts[i]) > group.shared for i in group.members)
        lengths = [len(prompts[i]) for i in group.members]
        assert lengths == sorted(lengths, reverse=True)
        if group.shared:
            assert (len(group.members) - 1) * group.shared > cost
    assert len([g for g in groups if not g.shared]) <= 1
    assert computed(prompts, groups) <= computed(prompts, one_group(prompts)) == sum(map(len, prompts))


def test_batches_hold_several_prefixes_but_no_whole_prompts_beside_rests() -> None:
    groups = [Group((4, 1, 2), 100), Group((0, 3), 70), Group((5, 6, 7), 0)]
    found = batches(groups, 4)
    assert found == [
        [Row(4, 100), Row(1, 100), Row(2, 100), Row(0, 70)],
        [Row(3, 70)],
        [Row(5, 0), Row(6, 0), Row(7, 0)],
    ]
    assert batches([], 4) == []
