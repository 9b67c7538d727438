"""The tree: every sample is a path in it, shared tokens are there once, and who sees whom follows from one number."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gentool.prompting.renderer import Rendered
from gentool.training.shared_prefix.tree import Tree, build_tree, common_length, pack, unique_tokens

# Few different tokens, so that samples share much by chance, are prefixes of each other, and equal each other.
ROWS = st.lists(
    st.lists(st.integers(0, 2), min_size=2, max_size=9).flatmap(
        lambda ids: st.builds(
            Rendered, st.just(ids), st.integers(1, len(ids)), st.sampled_from([1.0, 0.5, 2.0])
        )
    ),
    min_size=1,
    max_size=9,
)


def path_of(tree: Tree, ids: list[int]) -> list[int]:
    """The places of a sample's tokens, found from the root by children alone."""
    place, path = -1, []
    for token in ids:
        place = next(i for i, p in enumerate(tree.parents) if p == place and tree.ids[i] == token)
        path.append(place)
    return path


@settings(max_examples=300, deadline=None)
@given(ROWS)
def test_every_sample_is_a_path_and_every_prefix_is_there_once(rows: list[Rendered]) -> None:
    tree = build_tree(rows)
    prefixes = {tuple(row.ids[: n + 1]) for row in rows for n in range(len(row.ids))}
    assert len(tree.ids) == len(prefixes) == unique_tokens(rows)
    assert tree.total == sum(len(row.ids) for row in rows)
    for row in rows:
        path = path_of(tree, row.ids)
        assert [tree.depths[i] for i in path] == list(range(len(row.ids)))
        # The rule: a token sees exactly the tokens of its path up to itself.
        for i in path:
            seen = [j for j in range(len(tree.ids)) if j <= i < tree.ends[j]]
            assert seen == path[: tree.depths[i] + 1]


@settings(max_examples=300, deadline=None)
@given(ROWS)
def test_targets_are_those_of_the_samples_with_their_weights(rows: list[Rendered]) -> None:
    tree = build_tree(rows)
    expected: dict[tuple[int, int], float] = {}
    for row in rows:
        path = path_of(tree, row.ids)
        for n in range(row.start, len(row.ids)):
            key = (path[n - 1], row.ids[n])
            expected[key] = expected.get(key, 0.0) + row.weight
    found = dict(zip(zip(tree.predictors, tree.targets, strict=True), tree.weights, strict=True))
    assert found == expected


@settings(max_examples=300, deadline=None)
@given(ROWS)
def test_segments_cover_the_row_and_their_paths_are_the_ancestors(rows: list[Rendered]) -> None:
    tree = build_tree(rows)
    assert [s.begin for s in tree.segments] + [len(tree.ids)] == [0, *(s.end for s in tree.segments)]
    for segment in tree.segments:
        above = [i for begin, end in segment.path for i in range(begin, end)]
        assert segment.depth == len(above) == tree.depths[segment.begin]
        for i in range(segment.begin, segment.end):
            own = list(range(segment.begin, i + 1))
            assert above + own == [j for j in range(len(tree.ids)) if j <= i < tree.ends[j]]


@settings(max_examples=300, deadline=None)
@given(ROWS, st.integers(1, 40), st.integers(1, 3))
def test_packs_hold_every_sample_once_within_the_budget(
    rows: list[Rendered], budget: int, processes: int
) -> None:
    packs = pack(rows, budget, processes)
    assert len(packs) % processes == 0

    def key(row: Rendered) -> tuple[object, ...]:
        return (row.ids, row.start, row.weight)

    assert sorted((r for p in packs for r in p), key=key) == sorted(rows, key=key)
    for part in packs:
        assert len(part) <= 1 or unique_tokens(part) <= budget


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 1), max_size=12), st.lists(st.integers(0, 1), max_size=12))
def test_common_length(a: list[int], b: list[int]) -> None:
    expected = 0
    while expected < min(len(a), len(b)) and a[expected] == b[expected]:
        expected += 1
    assert common_length(a, b) == expected


def test_packs_are_even() -> None:
    rows = [Rendered([i] * 10, 5) for i in range(9)]
    assert sorted(len(p) for p in pack(rows, 50)) == [4, 5]
    assert [len(p) for p in pack(rows, 1000, 3)] == [3, 3, 3]


def test_ratio_of_a_long_shared_list() -> None:
    rows = [Rendered([7] * 90 + [i] * 10, 95) for i in range(10)]
    tree = build_tree(rows)
    assert len(tree.ids) == 190 and tree.ratio == 1000 / 190 and len(tree.segments) == 11
