"""Procedural pairs: what ships is what the recipe makes, right by construction."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from gentool import data
from gentool.catalog.pairs import read_pairs, read_tools
from gentool.catalog.schema import pair_problems
from gentool.config import ScenarioConfig
from gentool.dataset.compile import packed
from gentool.nano.pairs import GROUPS, main, make_dataset
from gentool.records import Tool, ToolPair
from gentool.scenarios.build import build_scenarios


@pytest.fixture(scope="module")
def shipped() -> tuple[list[ToolPair], list[Tool]]:
    return read_pairs(data.pairs_file("procedural")), read_tools(data.tools_file("procedural"))


def test_the_files_are_those_that_the_seed_gives() -> None:
    for records, name in zip(make_dataset(), ("pairs", "tools"), strict=True):
        assert (data.PROCEDURAL / f"{name}.jsonl.gz").read_bytes() == packed(records)


def test_calls_are_valid_and_grades_follow_from_what_is_said(
    shipped: tuple[list[ToolPair], list[Tool]],
) -> None:
    pairs, _ = shipped
    assert Counter(p.group for p in pairs) == GROUPS
    for pair in pairs:
        assert not pair_problems(pair)
        plain, rich = pair.derivation.tool, pair.derivation.from_tool
        only_rich = set(pair.tool(rich).parameters["properties"]) - set(
            pair.tool(plain).parameters["properties"]
        )
        assert only_rich
        best = Counter(query.best for query in pair.queries)
        assert best[plain] == best[rich] == 5
        for query in pair.queries:
            if query.best is not None:
                said = only_rich & query.call_of(rich).arguments.keys()
                assert bool(said) == (query.best == rich)


def test_requests_use_the_words_of_the_tools_that_serve_them(
    shipped: tuple[list[ToolPair], list[Tool]],
) -> None:
    for pair in shipped[0]:
        names = [re.sub(r"([A-Z])", r" \1", tool.name).lower() for tool in pair.tools]
        words, others = (set(re.split(r"[\W_]+", name)) - {pair.domain} for name in names)
        for query in pair.queries:
            said = set(re.split(r"[\W_]+", query.query.lower()))
            assert words == others and (words <= said) == (query.best is not None)


def test_they_fill_every_cell_with_sixty_pairs(shipped: tuple[list[ToolPair], list[Tool]]) -> None:
    pairs, tools = shipped
    built = build_scenarios(pairs, tools, ScenarioConfig(embedding="tfidf"), 0)
    cells: dict[tuple[str, str], set[str]] = {}
    for probe in built.probes:
        cells.setdefault((probe.scenario, probe.transition), set()).add(probe.pair)
    assert len(cells) == 12 and min(map(len, cells.values())) >= 60
    assert built.dev


def test_another_seed_makes_other_pairs_in_a_folder_of_their_own(
    tmp_path: Path, shipped: tuple[list[ToolPair], list[Tool]], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--seed", "a test", "--out", str(tmp_path / "made")])
    pairs, tools = (
        read(tmp_path / "made" / f"{n}.jsonl.gz")
        for read, n in ((read_pairs, "pairs"), (read_tools, "tools"))
    )
    assert Counter(p.group for p in pairs) == GROUPS and len(tools) == len(shipped[1])
    assert not {t.id for p in pairs for t in p.tools} & {t.id for p in shipped[0] for t in p.tools}
    with pytest.raises(SystemExit):
        main(["--seed", "a test"])
    assert "Fix: give --out FOLDER" in capsys.readouterr().err
