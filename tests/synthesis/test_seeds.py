"""Which pairs are to be made, and from which tools."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gentool import data
from gentool.config import ConfigError, SynthesisConfig
from gentool.jsonl import RecordError, write_jsonl
from gentool.records import ToolCall, UseCase
from gentool.synthesis.catalogue import examples_of, read_catalogue, read_use_cases
from gentool.synthesis.seeds import Seeds, Shard
from gentool.synthesis.shards import parse_shard
from tests.synthesis.scripted import tool

TOOLS = [tool(i) for i in range(200)]


def seeds(**options: Any) -> Seeds:
    return Seeds(TOOLS, SynthesisConfig(tools="x", teacher="rules", **options), seed=3)


def test_seeds_depend_on_their_tool_and_the_seed_alone() -> None:
    config = SynthesisConfig(tools="x", teacher="rules", pairs_per_tool=2)
    all_of_them = {s.id for s in Seeds(TOOLS, config, 3)}
    assert len(all_of_them) == 400
    assert {s.id for s in Seeds(TOOLS[50:60][::-1], config, 3)} <= all_of_them
    assert {s.id for s in Seeds(TOOLS, config, 4)} != all_of_them


def test_ways_come_in_turn_and_upgrades_in_their_share() -> None:
    made = list(seeds(pairs_per_tool=4, upgrades=0.25))
    for i in range(0, len(made), 4):
        assert len({s.way for s in made[i : i + 4]}) == 4 and len({s.tool.id for s in made[i : i + 4]}) == 1
    assert 0.2 < sum(s.upgrade for s in made) / len(made) < 0.3
    first = Counter(s.way for s in seeds())
    assert len(first) == 4 and min(first.values()) > 30
    assert not any(s.upgrade for s in seeds(upgrades=0)) and all(s.upgrade for s in seeds(upgrades=1))


def test_max_tools_draws_and_keeps_what_was_drawn() -> None:
    few, more = list(seeds(max_tools=20)), list(seeds(max_tools=40))
    assert len(few) == 20 and {s.id for s in few} < {s.id for s in more}
    assert [s.tool.id for s in few] == [t.id for t in TOOLS if t.id in {s.tool.id for s in few}]
    assert few[-1].tool.id not in {t.id for t in TOOLS[:20]}


def test_shards_divide_the_seeds() -> None:
    config = seeds(pairs_per_tool=2).config
    parts = [list(Seeds(TOOLS, config, 3, shard=Shard(i, 4))) for i in range(1, 5)]
    assert all(60 < len(part) < 140 for part in parts)
    assert Counter(s.id for part in parts for s in part) == Counter(s.id for s in seeds(pairs_per_tool=2))


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "1/2/3", "-1/2"])
def test_a_shard_that_is_none_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match="--shard: expected i/n"):
        parse_shard(text)


def test_a_catalogue_of_several_formats(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "tools.jsonl", [tool(0), tool(1)])
    listed = [
        {
            "name": "search_hotels",
            "description": "Another one",
            "inputSchema": {"type": "object", "properties": {}},
        },
        {
            "name": "new one",
            "description": "Its name is repaired",
            "inputSchema": {"type": "object", "properties": {}},
        },
    ]
    (tmp_path / "mcp.json").write_text(json.dumps({"tools": listed}), encoding="utf-8")
    files = [str(tmp_path / "tools.jsonl"), str(tmp_path / "mcp.json")]
    tools, _ = read_catalogue(SynthesisConfig(tools=files, teacher="rules"))
    assert [t.name for t in tools] == ["search_hotels", "search_museums", "search_hotels_2", "new_one"]
    assert tools[0].domain == "travel", "a tools.jsonl keeps what it says"
    tools, _ = read_catalogue(SynthesisConfig(tools="package", teacher="rules"))
    assert len(tools) == len(data.TOOLS.read_text(encoding="utf-8").splitlines())


def test_examples_are_single_uses_of_a_tool(tmp_path: Path) -> None:
    hotels, museums = tool(0), tool(1)
    both = tuple(ToolCall.of(t.name) for t in (hotels, museums))
    cases = [
        UseCase(query="A bed in Bergen?", tools=(hotels, museums), tool_calls=(ToolCall.of(hotels.name, {}),)),
        UseCase(query="Both?", tools=(hotels, museums), tool_calls=both),
        UseCase(query="Art in Lyon?", tools=(museums,)),
        UseCase(query="Either?", tools=(hotels, museums)),
        UseCase(query="Unknown?", tools=(tool(5),)),
        *(UseCase(query=f"Bed {i}?", tools=(hotels,)) for i in range(9)),
    ]  # fmt: skip
    write_jsonl(tmp_path / "cases.jsonl", cases)
    found = examples_of(read_use_cases(tmp_path / "cases.jsonl"), [hotels, museums])
    assert found[museums.id] == ("Art in Lyon?",)
    assert found[hotels.id] == ("A bed in Bergen?", "Bed 0?", "Bed 1?", "Bed 2?", "Bed 3?")
    with pytest.raises(RecordError, match="use_cases"):
        list(read_use_cases(tmp_path / "absent.jsonl"))
